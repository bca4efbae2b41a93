"""The guard in front of every instrument, and the drivers behind it."""

from nanopilot.instruments.guard import Guard, Lease, refusal

__all__ = ["Guard", "Lease", "refusal"]
