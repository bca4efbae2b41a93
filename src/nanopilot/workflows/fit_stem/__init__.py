"""An electron twin fitted to real frames, and the gap that remains."""

from nanopilot.workflows.estimates import Estimate
from nanopilot.workflows.fit_stem.crystal import Matched, match
from nanopilot.workflows.fit_stem.fit import estimate_stem, fit_stem
from nanopilot.workflows.fit_stem.frames import Conditions, StemFrames, frames_of, read_frames
from nanopilot.workflows.fit_stem.gap import StemGap, radial_spectrum, stem_gap
from nanopilot.workflows.fit_stem.report import FittedStem, StemReport

__all__ = [
    "Conditions",
    "Estimate",
    "FittedStem",
    "Matched",
    "StemFrames",
    "StemGap",
    "StemReport",
    "estimate_stem",
    "fit_stem",
    "frames_of",
    "match",
    "radial_spectrum",
    "read_frames",
    "stem_gap",
]
