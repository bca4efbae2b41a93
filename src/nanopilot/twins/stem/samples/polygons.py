"""Voronoi cells in a square, exactly."""

from __future__ import annotations

import numpy as np

from nanopilot.twins.stem.samples.lattice import Box
from nanopilot.twins.stem.samples.recipe import FloatArray


def clipped(polygon: FloatArray, normal: FloatArray, offset: float) -> FloatArray:
    """Return the part of a convex polygon where ``normal . p <= offset``.

    I. E. Sutherland and G. W. Hodgman, Commun. ACM 17, 32 (1974).

    Parameters
    ----------
    polygon : numpy.ndarray
        Corners in order, shape (n, 2).
    normal : numpy.ndarray
        Shape (2,).
    offset : float
        Of the line.
    """
    if not len(polygon):
        return polygon
    side = polygon @ normal - offset
    following, beyond = np.roll(polygon, -1, axis=0), np.roll(side, -1)
    corners = []
    for here, there, s, t in zip(polygon, following, side, beyond, strict=True):
        if s <= 0:
            corners.append(here)
        if (s <= 0) != (t <= 0):
            corners.append(here + (there - here) * (s / (s - t)))
    return np.array(corners).reshape(-1, 2)


def cells(seeds: FloatArray, box: Box) -> list[FloatArray]:
    """Return the corners of the Voronoi cell of every seed in a rectangle, in order.

    Parameters
    ----------
    seeds : numpy.ndarray
        Metres, shape (n, 2).
    box : Box
        The rectangle.
    """
    corners = np.array(
        [[box.left, box.bottom], [box.right, box.bottom], [box.right, box.top], [box.left, box.top]]
    )
    found = []
    for seed in seeds:
        polygon = corners
        for other in seeds:
            if other is not seed and not np.array_equal(other, seed):
                normal = other - seed
                polygon = clipped(polygon, normal, float(normal @ (other + seed) / 2))
        found.append(polygon)
    return found


def area(polygon: FloatArray) -> float:
    """Return the area of a polygon by the shoelace formula, in the unit of its corners squared."""
    x, y = polygon.T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)
