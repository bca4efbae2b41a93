"""A recording as an instrument: what was measured once can be asked for again."""

from nanopilot.twins.replay.recording import Recording
from nanopilot.twins.replay.twin import ReplayTiming, ReplayTwin

__all__ = ["Recording", "ReplayTiming", "ReplayTwin"]
