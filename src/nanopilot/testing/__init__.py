"""Contracts as inheritable test classes, and signals with known answers; for tests only."""

from nanopilot.testing.contracts import PointSpectroscopyTests, ScannerTests
from nanopilot.testing.films import film, loop

__all__ = ["PointSpectroscopyTests", "ScannerTests", "film", "loop"]
