"""What particles are sorted by: numbers of their shape, spread alike whatever the class."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from nanopilot.analysis.particle_shapes.descriptors import ellipticity
from nanopilot.core.errors import UnknownName
from nanopilot.core.signals import SignalSet

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: Sorted by if nothing else is said: how long, and how far from an ellipse.
DEFAULT = ("elongation", "corners")
#: Less solid or less convex things are no single particles; the limits of AutoDetect-mNP
#: (X. Wang et al., JACS Au 1 (2021) 316).
_SOLID, _CONVEX = 0.9, 0.8


def _elongation(table: SignalSet) -> FloatArray:
    ratio = np.maximum(table["aspect_ratio"].to_numpy(), 1.0)
    return np.asarray(np.sqrt(np.log(ratio)))


def _corners(table: SignalSet) -> FloatArray:
    return np.asarray(np.sqrt(np.clip(1 - ellipticity(table), 0, None)))


def _roundness(table: SignalSet) -> FloatArray:
    a, b = table["major_axis"].to_numpy(), table["minor_axis"].to_numpy()
    # Ramanujan's perimeter of an ellipse, Q. J. Math. 45 (1914) 350.
    around = math.pi / 2 * (3 * (a + b) - np.sqrt((3 * a + b) * (a + 3 * b)))
    return np.asarray(table["perimeter"].to_numpy() / around)


#: A name, and how it is computed of a table of `describe_instances`.
FEATURES: Mapping[str, Callable[[SignalSet], FloatArray]] = {
    "elongation": _elongation,
    "corners": _corners,
    "roundness": _roundness,
    "size": lambda table: np.log(table["equivalent_diameter"].to_numpy()),
    "solidity": lambda table: table["solidity"].to_numpy(),
    "circularity": lambda table: table["circularity"].to_numpy(),
    "eccentricity": lambda table: table["eccentricity"].to_numpy(),
}


def shape_features(table: SignalSet, names: Sequence[str] = DEFAULT) -> FloatArray:
    """Return the numbers that particles are sorted by, shape (particles, names).

    ``elongation`` is the root of the logarithm of the aspect ratio, and ``corners`` the root of 1
    less `ellipticity`: roots, because both are never negative and zero for a disc, and their
    errors would otherwise grow with them. ``roundness`` is the perimeter over that of the ellipse
    of the same moments, ``size`` the logarithm of the diameter in metres; the others are columns.

    Parameters
    ----------
    table : SignalSet
        Of `describe_instances`.
    names : sequence of str
        Of `FEATURES`.

    Raises
    ------
    UnknownName
        A feature that there is not.
    """
    unknown = [name for name in names if name not in FEATURES]
    if unknown:
        raise UnknownName("feature", unknown[0], FEATURES)
    columns = [np.asarray(FEATURES[name](table), dtype=np.float64) for name in names]
    return np.stack(columns, axis=-1) if columns else np.zeros((table.sizes["point"], 0))


def whole(table: SignalSet) -> BoolArray:
    """Return which particles are seen whole and alone, shape (n,): classes are learned from them.

    Not at the edge of the frame, not cut from a neighbour, solid and convex as one particle is.
    """
    seen = shaped(table)
    if "overlapped" in table:
        seen &= table["overlapped"].to_numpy() == 0
    return seen


def shaped(table: SignalSet) -> BoolArray:
    """Return which particles have a shape that means something, shape (n,).

    Not cut by the edge of the frame, solid and convex as one particle is; what was cut from a
    neighbour may be.
    """
    seen = (table["border"].to_numpy() == 0) & (table["solidity"].to_numpy() > _SOLID)
    return np.asarray(seen & (table["convexity"].to_numpy() > _CONVEX))
