"""Grains from the bends of a surface: grooves are where it bends upwards."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.segmentation import watershed

from nanopilot.analysis.grains.flattening import noise_of
from nanopilot.analysis.grains.merging import (
    Evidence,
    merge_regions,
    middles_of,
    scores,
    touching,
)
from nanopilot.analysis.grains.scale import usual_diameter
from nanopilot.analysis.grains.substrate import find_substrate

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: Width over which bends are looked at, in diameters: at first, and at most.
_WIDTH, _WIDEST = 0.12, 0.25
#: Noise of the bends over their size; the width grows until it is less.
_NOISY = 0.15
#: Bend that a boundary needs, over the root mean square of all.
_BEND = 0.3
#: Diameter, over the usual one, below which a region is a piece of another.
_LEAST = 0.3
#: Of the grain in the middle of the sizes, taken as the diameter of the second round.
_AGAIN = 0.9


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Grains of one frame.

    Parameters
    ----------
    labels : numpy.ndarray
        1, 2, ... for grains, 0 for substrate, shape (rows, columns).
    certainty : numpy.ndarray
        Of each grain, how clear its least clear boundary is over what a boundary needs, shape
        (grains,); infinite for one without neighbours.
    """

    labels: IntArray
    certainty: FloatArray


def segment(level: FloatArray, diameter: float) -> Parts:
    """Tell grains apart by the curvature of the surface between them.

    The larger principal curvature is highest along grooves, whatever the height and the tilt of
    the grains beside them. Its basins are the first regions; two that touch are put together
    where the mean curvature across their boundary is no groove's. The width over which it is
    looked at is an eighth of a grain, or more where noise asks for it: white noise sigma has second
    derivatives of sigma sqrt(3 / 16 pi) / w³ after a Gaussian of width w (integral of its squared
    second derivative).

    Parameters
    ----------
    level : numpy.ndarray
        Levelled heights, shape (rows, columns).
    diameter : float
        Of the grains, about, in pixels; made better with what is found first.
    """
    noise = noise_of(level)
    ground = find_substrate(level, diameter, noise)
    grains: BoolArray | None = None
    if ground is not None:
        # Filled up to its top: a cliff would be the only bend to be seen.
        level = np.where(ground.mask, ground.top, np.maximum(ground.level, ground.top))
        grains = ~ground.mask
    first = _once(level, noise, diameter, grains)
    again = _AGAIN * usual_diameter(first.labels)
    return _once(level, noise, again, grains) if math.isfinite(again) else first


def _once(level: FloatArray, noise: float, diameter: float, grains: BoolArray | None) -> Parts:
    tensor, size = bends(level, noise, diameter)
    apart = np.hypot((tensor.rows - tensor.columns) / 2, tensor.mixed)
    most = (tensor.rows + tensor.columns) / 2 + apart
    basins = watershed(most, connectivity=2, mask=grains).astype(np.int64)
    least = math.pi / 4 * (_LEAST * diameter) ** 2
    labels = merge_regions(basins, tensor, _BEND * size, least)
    return Parts(labels, certainty_of(labels, tensor, _BEND * size))


def certainty_of(labels: IntArray, evidence: Evidence, needed: float) -> FloatArray:
    """Return the least mean evidence round each grain, over what is needed; shape (grains,)."""
    found = np.full(int(labels.max()) + 1, np.inf)
    pairs = touching(labels, evidence)
    if len(pairs.names):
        across = scores(pairs, middles_of(labels)[0]) / max(needed, 1e-300)
        for side in (0, 1):
            np.minimum.at(found, pairs.names[:, side], across)
    return found[1:]


def bends(level: FloatArray, noise: float, diameter: float) -> tuple[Evidence, float]:
    """Return second derivatives over a width that noise allows, and how large they are.

    Parameters
    ----------
    level : numpy.ndarray
        Heights, shape (rows, columns).
    noise : float
        Standard deviation of white noise.
    diameter : float
        Of the grains, about, in pixels.
    """
    width = max(0.7, _WIDTH * diameter)
    while True:
        rows, mixed, columns = (
            gaussian_filter(level, width, order=order, mode="nearest")
            for order in ((2, 0), (1, 1), (0, 2))
        )
        size = math.sqrt(float(np.mean(rows**2 + columns**2)) / 2)
        grainy = noise * math.sqrt(3 / (16 * math.pi)) / width**3
        if grainy < _NOISY * size or width >= _WIDEST * diameter:
            return Evidence(rows, mixed, columns), math.sqrt(max(size**2 - grainy**2, 1e-300))
        width *= 1.15
