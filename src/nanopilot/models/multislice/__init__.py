"""Convergent-beam patterns of atoms by multislice, one block of places at a time."""

from nanopilot.models.multislice.grid import Calculation
from nanopilot.models.multislice.patterns import patterns
from nanopilot.models.multislice.specimen import Specimen, cut

__all__ = ["Calculation", "Specimen", "cut", "patterns"]
