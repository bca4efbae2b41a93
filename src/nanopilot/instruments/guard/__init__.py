"""The guard in front of every instrument: what it judges by, and what it does on its own."""

from nanopilot.instruments.guard.books import refusal
from nanopilot.instruments.guard.guard import Guard
from nanopilot.instruments.guard.lease import Lease

__all__ = ["Guard", "Lease", "refusal"]
