"""Thermo Fisher microscopes through AutoScript TEM; not tried on hardware."""

from nanopilot.instruments.autoscript.instrument import Calibration, assemble, autoscript

__all__ = ["Calibration", "assemble", "autoscript"]
