"""Tracks with ground truth, their baselines, and the runner that settles arguments."""

from nanopilot.bench.runner import Result, run_track
from nanopilot.bench.track import Bar, Track

__all__ = ["Bar", "Result", "Track", "run_track"]
