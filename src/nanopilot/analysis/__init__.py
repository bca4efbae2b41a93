"""Analysis: pure operators, signal in, signal or features out."""

from nanopilot.analysis.despike import cyclic_median
from nanopilot.analysis.fit_maps import Reason
from nanopilot.analysis.hysteresis import LoopFeatures
from nanopilot.analysis.loop_fit import LoopFit, switching_loop
from nanopilot.analysis.patches import PatchPCA
from nanopilot.analysis.resonance import ShoFit, sho_response
from nanopilot.analysis.structure import StructureFeatures

__all__ = [
    "LoopFeatures",
    "LoopFit",
    "PatchPCA",
    "Reason",
    "ShoFit",
    "StructureFeatures",
    "cyclic_median",
    "sho_response",
    "switching_loop",
]
