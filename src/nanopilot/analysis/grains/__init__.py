"""Grains in height frames: told apart, measured, joined by their boundaries, and chosen from."""

from nanopilot.analysis.grains.boundaries import BoundaryGraph, boundary_graph, boundary_pieces
from nanopilot.analysis.grains.choosers import (
    BoundaryDensity,
    Chooser,
    Cluster,
    HeightOutlier,
    Largest,
    Quantile,
    Smallest,
    Targets,
)
from nanopilot.analysis.grains.operator import (
    SegmentGrains,
    from_mask,
    segment_with,
    strangeness,
)
from nanopilot.analysis.grains.results import Grains, axial_mean, evenness
from nanopilot.analysis.grains.segmenters import CellposeSegmenter, Segmenter
from nanopilot.analysis.grains.stability import Stability, stability

__all__ = [
    "BoundaryDensity",
    "BoundaryGraph",
    "CellposeSegmenter",
    "Chooser",
    "Cluster",
    "Grains",
    "HeightOutlier",
    "Largest",
    "Quantile",
    "SegmentGrains",
    "Segmenter",
    "Smallest",
    "Stability",
    "Targets",
    "axial_mean",
    "boundary_graph",
    "boundary_pieces",
    "evenness",
    "from_mask",
    "segment_with",
    "stability",
    "strangeness",
]
