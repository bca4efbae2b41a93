"""Twins: recordings and simulations that look exactly like an instrument."""

from nanopilot.twins.replay import ReplayTwin

__all__ = ["ReplayTwin"]
