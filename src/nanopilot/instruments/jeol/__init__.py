"""JEOL microscopes through PyJEM; not tried on hardware."""

from nanopilot.instruments.jeol.instrument import Calibration, assemble, jeol

__all__ = ["Calibration", "assemble", "jeol"]
