"""Nanonis controllers, over their TCP programming interface."""

from nanopilot.instruments.nanonis.driver import NanonisInstrument, connect

__all__ = ["NanonisInstrument", "connect"]
