"""Particles of transmission frames: outlined one by one, measured, and sorted by their shape."""

from nanopilot.analysis.particle_shapes.alignment import align_labels
from nanopilot.analysis.particle_shapes.features import shape_features, shaped, whole
from nanopilot.analysis.particle_shapes.instances import Instance, match_instances
from nanopilot.analysis.particle_shapes.mixture import Mixture, fit_mixture
from nanopilot.analysis.particle_shapes.operator import Outlined, OutlineParticles
from nanopilot.analysis.particle_shapes.sorting import (
    ShapeClasses,
    SortShapes,
    assigned,
    sureness,
)
from nanopilot.analysis.particle_shapes.stream import ShapeStream, Standing, StreamState, Update
from nanopilot.analysis.particle_shapes.words import class_words, colour

__all__ = [
    "Instance",
    "Mixture",
    "OutlineParticles",
    "Outlined",
    "ShapeClasses",
    "ShapeStream",
    "SortShapes",
    "Standing",
    "StreamState",
    "Update",
    "align_labels",
    "assigned",
    "class_words",
    "colour",
    "fit_mixture",
    "match_instances",
    "shape_features",
    "shaped",
    "sureness",
    "whole",
]
