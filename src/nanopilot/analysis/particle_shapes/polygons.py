"""Closed lines on a plane: even points, dents, pieces, and the pixels inside."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d
from scipy.spatial import ConvexHull, QhullError

from nanopilot.analysis.instances.outlines import polygon_area, polygon_length

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]


def evenly(points: FloatArray, step: float, smooth: float = 0.0) -> FloatArray:
    """Return points of a closed line at equal steps along it, and smoothed along it.

    Parameters
    ----------
    points : numpy.ndarray
        Shape (n, 2), first point not repeated.
    step : float
        Distance of points, in the unit of the points.
    smooth : float
        Standard deviation of the smoothing, in the same unit.
    """
    closed = np.concatenate([points, points[:1]])
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    count = max(8, math.ceil(along[-1] / step))
    places = np.arange(count) * along[-1] / count
    found = np.stack([np.interp(places, along, column) for column in closed.T], axis=-1)
    if smooth:
        found = gaussian_filter1d(found, smooth * count / along[-1], axis=0, mode="wrap")
    return np.asarray(found)


def hull_area(points: FloatArray) -> float:
    """Return the area of the convex hull of points, 0 where they lie on a line."""
    try:
        return float(ConvexHull(points).volume)
    except (QhullError, ValueError):
        return 0.0


def dents(points: FloatArray, reach: int, deep: float) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the points at which a closed line bends inwards most, deepest first.

    Parameters
    ----------
    points : numpy.ndarray
        Even points, shape (n, 2).
    reach : int
        Points to either side whose chord the depth is measured from.
    deep : float
        Least depth behind the chord.
    """
    turned = points if polygon_area(points[:, ::-1]) > 0 else points[::-1]
    before, after = np.roll(turned, reach, axis=0), np.roll(turned, -reach, axis=0)
    chord, away = after - before, turned - before
    # Behind the chord, to the left of a line that runs round with its inside on the left.
    cross = chord[:, 1] * away[:, 0] - chord[:, 0] * away[:, 1]
    depth = cross / np.maximum(np.hypot(*chord.T), 1e-9)
    highest = maximum_filter1d(depth, 2 * reach + 1, mode="wrap")
    found = np.flatnonzero((depth >= highest) & (depth > deep))
    found = found[np.argsort(-depth[found], kind="stable")]
    return found if turned is points else len(points) - 1 - found


def inside(points: FloatArray, shape: tuple[int, int]) -> BoolArray:
    """Return the pixels whose centres lie within a closed line (rows, columns), even-odd rule.

    Row by row: the line's crossings of a row, sorted, are where pixels begin and end to belong.

    Parameters
    ----------
    points : numpy.ndarray
        Rows and columns, shape (n, 2).
    shape : (int, int)
        Of the mask.
    """
    start, end = points, np.roll(points, -1, axis=0)
    flips = np.zeros((shape[0], shape[1] + 1), dtype=np.int32)
    first = np.ceil(np.minimum(start[:, 0], end[:, 0])).astype(int).clip(0, shape[0])
    # A row that runs through a corner belongs to the edge below it, never to both.
    last = np.ceil(np.maximum(start[:, 0], end[:, 0])).astype(int).clip(0, shape[0])
    count = last - first
    which = np.repeat(np.arange(len(points)), count)
    row = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + first[which]
    rise = end[which, 0] - start[which, 0]
    share = (row - start[which, 0]) / np.where(rise == 0, 1.0, rise)
    column = start[which, 1] + share * (end[which, 1] - start[which, 1])
    np.add.at(flips, (row, np.ceil(column).astype(int).clip(0, shape[1])), 1)
    return np.asarray(np.cumsum(flips, axis=1)[:, :-1] % 2 == 1)


def solidity(points: FloatArray) -> float:
    """Return the area of a closed line over that of its convex hull."""
    around = hull_area(points)
    return abs(polygon_area(points)) / around if around else 0.0


def moved(points: FloatArray, by: float, shape: tuple[int, int]) -> FloatArray:
    """Move a closed line outwards; points on the edge of the frame stay there.

    Parameters
    ----------
    points : numpy.ndarray
        Rows and columns, shape (n, 2).
    by : float
        Pixels; negative: inwards.
    shape : (int, int)
        Of the frame.
    """
    if not by or len(points) < 8:
        return points
    line = evenly(points, 0.7)
    turned = line if polygon_area(line[:, ::-1]) > 0 else line[::-1]
    # Over more than the staircase of pixels, so that the normals are those of the outline.
    ahead = np.roll(turned, -3, axis=0) - np.roll(turned, 3, axis=0)
    length = np.maximum(np.hypot(*ahead.T), 1e-9)
    outward = np.stack([-ahead[:, 1], ahead[:, 0]], axis=-1) / length[:, None]
    edge = (turned < 0.5).any(axis=1) | (turned > np.array(shape) - 1.5).any(axis=1)
    found: FloatArray = turned + np.where(edge, 0.0, by)[:, None] * outward
    return found


__all__ = [
    "dents", "evenly", "hull_area", "inside", "moved", "polygon_area", "polygon_length", "solidity",
]  # fmt: skip
