"""Analysis: pure operators, signal in, signal or features out."""

from nanopilot.analysis.despike import cyclic_median
from nanopilot.analysis.hysteresis import LoopFeatures
from nanopilot.analysis.patches import PatchPCA
from nanopilot.analysis.structure import StructureFeatures

__all__ = ["LoopFeatures", "PatchPCA", "StructureFeatures", "cyclic_median"]
