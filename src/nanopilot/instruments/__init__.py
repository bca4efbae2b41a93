"""The guard in front of every instrument, and the drivers behind it."""

from nanopilot.instruments.books import refusal
from nanopilot.instruments.guard import Guard
from nanopilot.instruments.lease import Lease

__all__ = ["Guard", "Lease", "refusal"]
