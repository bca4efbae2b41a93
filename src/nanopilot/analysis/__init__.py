"""Analysis: pure operators, signal in, signal or features out."""

from nanopilot.analysis.despike import cyclic_median
from nanopilot.analysis.drift import Drift, DriftFromFrames, DriftLock
from nanopilot.analysis.facets import FacetLevel
from nanopilot.analysis.fit_maps import Reason
from nanopilot.analysis.hysteresis import LoopFeatures
from nanopilot.analysis.levelling import (
    Level,
    MatchLines,
    SubtractPlane,
    SubtractPolynomial,
)
from nanopilot.analysis.loop_fit import LoopFit, switching_loop
from nanopilot.analysis.patches import PatchPCA
from nanopilot.analysis.registration import Shift, register
from nanopilot.analysis.resonance import ShoFit, sho_response
from nanopilot.analysis.scars import RemoveScars
from nanopilot.analysis.structure import StructureFeatures
from nanopilot.analysis.trace_lag import TraceLag, trace_lag
from nanopilot.analysis.undistort import CorrectDrift, CorrectLag

__all__ = [
    "CorrectDrift",
    "CorrectLag",
    "Drift",
    "DriftFromFrames",
    "DriftLock",
    "FacetLevel",
    "Level",
    "LoopFeatures",
    "LoopFit",
    "MatchLines",
    "PatchPCA",
    "Reason",
    "RemoveScars",
    "Shift",
    "ShoFit",
    "StructureFeatures",
    "SubtractPlane",
    "SubtractPolynomial",
    "TraceLag",
    "cyclic_median",
    "register",
    "sho_response",
    "switching_loop",
    "trace_lag",
]
