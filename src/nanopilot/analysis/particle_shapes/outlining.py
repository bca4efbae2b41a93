"""Outlines of what stands out of a background: each at the level where its own edge is steepest."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import binary_dilation, find_objects, label
from skimage.measure import find_contours

from nanopilot.analysis.instances.outlines import polygon_area
from nanopilot.analysis.particle_shapes.ground import Image

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int32]]

#: In standard deviations of the noise: where a particle may begin, and what one must reach.
_LOW, _TOP = 3.0, 6.0
#: Pixels around a particle that are looked at.
_AROUND = 3
#: Levels tried between the lowest and the particle's own plateau, and up to which share of it.
_LEVELS, _HIGHEST = 24, 0.65


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """One connected thing, cut out of the frame; pixels of the frame.

    Parameters
    ----------
    points : numpy.ndarray
        Its outline between pixels, rows and columns of the frame, shape (n, 2); not closed.
    contrast : numpy.ndarray
        Of the pixels around it.
    row, column : int
        Where `contrast` begins in the frame.
    level : float
        Contrast at its outline.
    slope : float
        Of the contrast across its outline, per pixel.
    """

    points: FloatArray
    contrast: Image
    row: int
    column: int
    level: float
    slope: float


def patches(
    contrast: Image, unrest: Image, noise: float, width: float, least: float
) -> Iterator[Patch]:
    """Yield what stands out of the noise, each connected thing once.

    Smoothing draws the half-height line of a convex outline inwards: the area it encloses falls by
    pi times the width squared, whatever the shape, because the curvature of a closed line sums up
    to 2 pi. That is put back.

    Parameters
    ----------
    contrast : numpy.ndarray
        Smoothed, particles positive, shape (rows, columns).
    unrest : numpy.ndarray
        How much more it scatters about each pixel than elsewhere, 1 or more, same shape.
    noise : float
        Its standard deviation where nothing is.
    width : float
        Of the smoothing, a standard deviation in pixels.
    least : float
        Smaller areas are none, in pixels.
    """
    low = max(_LOW * noise, 1e-6)
    labels, count = label(contrast > low)
    if not count:
        return
    areas = np.bincount(labels.ravel(), minlength=count + 1)
    for number, where in enumerate(find_objects(labels), start=1):
        if areas[number] < least:
            continue
        top, left = (max(0, part.start - _AROUND) for part in where)
        part = (
            slice(top, where[0].stop + _AROUND), slice(left, where[1].stop + _AROUND)
        )  # fmt: skip
        mine = np.where(
            (labels[part] == number) | (labels[part] == 0), contrast[part], np.float32(0)
        )
        if float((mine / unrest[part])[labels[part] == number].max()) < _TOP * noise:
            continue
        yield from _pieces(mine, (top, left), low, (width, least))


def _pieces(
    seen: Image,
    corner: tuple[int, int],
    low: float,
    scales: tuple[float, float],
) -> Iterator[Patch]:
    """Yield the parts into which a thing falls at its own level."""
    width, least = scales
    level, slope = _level(seen, low, scales)
    labels, count = label(seen > level)
    for number in range(1, count + 1):
        mask = labels == number
        if np.count_nonzero(mask) < least:
            continue
        alone = np.where(mask | (labels == 0), seen, np.float32(2 * level) - seen)
        points = _drawn(_framed(alone, level), level)
        if points is None:
            continue
        area = abs(polygon_area(points))
        if area < least:
            continue
        middle = points.mean(axis=0)
        points = middle + (points - middle) * math.sqrt(1 + math.pi * width**2 / area)
        yield Patch(points + np.array(corner), seen, *corner, level, slope)


def _level(seen: Image, low: float, scales: tuple[float, float]) -> tuple[float, float]:
    """Return the level of a thing: of its thinnest part, where a thick one has a thin neighbour."""
    level, slope = edge_level(seen, low)
    reach = math.ceil(2 * scales[0]) + 2
    lost = (seen > low) & ~binary_dilation(seen > level, iterations=reach)
    if np.count_nonzero(lost) < scales[1] / 3:
        return level, slope
    parts, _ = label(lost)
    sizes = np.bincount(parts.ravel())[1:]
    thin = np.isin(parts, 1 + np.flatnonzero(sizes >= scales[1] / 3))
    if not thin.any():
        return level, slope
    wide = binary_dilation(thin, iterations=reach) & (seen > low) & (seen <= level)
    return edge_level(np.where(wide, seen, np.float32(0)), low)


def _framed(seen: Image, level: float) -> Image:
    """Add one pixel around; where that is the edge of the frame the outline runs along it."""
    framed = np.pad(seen, 1, mode="edge")
    rim = np.ones(framed.shape, dtype=bool)
    rim[1:-1, 1:-1] = False
    mirrored = np.where(framed > level, np.float32(2 * level) - framed, framed)
    return np.where(rim, mirrored, framed)


def _drawn(framed: Image, level: float) -> FloatArray | None:
    lines = [np.asarray(one, dtype=np.float64) for one in find_contours(framed, level)]
    closed = [one[:-1] - 1 for one in lines if len(one) > 4 and (one[0] == one[-1]).all()]
    return max(closed, key=lambda one: abs(polygon_area(one)), default=None)


def edge_level(seen: Image, low: float) -> tuple[float, float]:
    """Return the level whose line is crossed most steeply, and how steeply per pixel.

    At the edge of a plate that is half its height, whatever the point spread; at the edge of a
    sphere, whose thickness falls to nothing, it is lower. By the coarea formula the sum of the
    squared gradient over the pixels between two levels, over the sum of the gradient there, is the
    mean gradient along the line between (H. Federer, Trans. Am. Math. Soc. 93 (1959) 418).

    Parameters
    ----------
    seen : numpy.ndarray
        Contrast around one thing, shape (rows, columns).
    low : float
        Lowest level.
    """
    inside = seen[seen > low]
    if inside.size < 4 or min(seen.shape) < 2:
        return low, 0.0
    plateau = float(np.median(inside))
    high = max(_HIGHEST * plateau, low * 1.01)
    down, across = np.gradient(seen)
    steep = np.hypot(down, across)
    # Bins go on beyond the highest, so that the smoothing of the curve has no edge there.
    step = (high - low) / _LEVELS
    index = np.floor((seen - low) / step).astype(int)
    taken = (index >= 0) & (index < _LEVELS + 3)
    once = np.bincount(index[taken], steep[taken], _LEVELS + 3)
    twice = np.bincount(index[taken], steep[taken] ** 2, _LEVELS + 3)
    kernel = np.array([1.0, 2.0, 3.0, 2.0, 1.0])
    curve = np.convolve(twice, kernel, "same") / np.maximum(
        np.convolve(once, kernel, "same"), 1e-12
    )
    best = int(np.argmax(curve[:_LEVELS]))
    return low + (best + 0.5) * step, float(curve[best])
