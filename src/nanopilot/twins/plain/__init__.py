"""An instrument with every capability and the plainest physics: what is set is what is read."""

from nanopilot.twins.plain.twin import PlainTwin

__all__ = ["PlainTwin"]
