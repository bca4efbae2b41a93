"""The outline of a mask between its pixels, and what is measured along it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial import ConvexHull, QhullError
from skimage.measure import find_contours

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: Pixels by which a mask is smoothed before its outline is drawn: the staircase of the pixels
#: would be longer than what they stand for, by a quarter for most directions.
_SMOOTH = 1.0
#: Empty pixels around a mask, so that its outline closes.
_AROUND = 5


def outline(mask: BoolArray) -> FloatArray:
    """Return the outer outline of a mask as a closed polygon in pixels, columns (x, y).

    The mask is smoothed by a Gaussian of one pixel and its half-height line followed; the polygon
    is then scaled about its middle to the area of the pixels, because smoothing draws a convex
    corner inwards.

    Parameters
    ----------
    mask : numpy.ndarray
        Shape (rows, columns); one piece, or the largest of its pieces is taken.

    Returns
    -------
    numpy.ndarray
        Shape (n, 2), first point not repeated; x along columns, y along rows, pixel centres at
        whole numbers.
    """
    framed = np.pad(mask.astype(np.float64), _AROUND)
    smooth = gaussian_filter(framed, _SMOOTH, mode="constant")
    drawn = _longest(smooth)
    if drawn is None:  # so thin that smoothing leaves nothing
        drawn = _longest(framed)
    if drawn is None:
        return np.zeros((0, 2))
    points = drawn[:-1, ::-1] - _AROUND
    return _scaled(points, float(np.count_nonzero(_filled(mask))))


def _filled(mask: BoolArray) -> BoolArray:
    from scipy.ndimage import binary_fill_holes, label

    filled = binary_fill_holes(mask)
    pieces, count = label(filled)
    if count <= 1:
        return np.asarray(filled)
    return np.asarray(pieces == 1 + int(np.argmax(np.bincount(pieces.ravel())[1:])))


def _longest(image: FloatArray) -> FloatArray | None:
    found = [np.asarray(one, dtype=np.float64) for one in find_contours(image, 0.5)]
    if not found:
        return None
    return max(found, key=lambda one: abs(polygon_area(one[:-1])))


def _scaled(points: FloatArray, area: float) -> FloatArray:
    drawn = abs(polygon_area(points))
    if drawn <= 0:
        return points
    middle = points.mean(axis=0)
    scaled: FloatArray = middle + (points - middle) * math.sqrt(area / drawn)
    return scaled


def polygon_area(points: FloatArray) -> float:
    """Return the signed area of a polygon, counter-clockwise positive; shape (n, 2)."""
    x, y = points[:, 0], points[:, 1]
    return 0.5 * float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))


def polygon_length(points: FloatArray) -> float:
    """Return the length round a polygon, shape (n, 2)."""
    return float(np.hypot(*(np.roll(points, -1, axis=0) - points).T).sum())


@dataclass(frozen=True, slots=True)
class Extent:
    """What is measured along an outline.

    Parameters
    ----------
    area, perimeter : float
        Of the polygon, in its unit squared and in its unit.
    hull_area, hull_perimeter : float
        Of its convex hull.
    longest, shortest : float
        Largest and smallest distance of two parallel tangents: the Feret diameters.
    """

    area: float
    perimeter: float
    hull_area: float
    hull_perimeter: float
    longest: float
    shortest: float


def extent(points: FloatArray) -> Extent:
    """Measure a polygon, shape (n, 2); NaN for what a degenerate one does not have."""
    area, length = abs(polygon_area(points)), polygon_length(points)
    try:
        hull = points[ConvexHull(points).vertices]
    except (QhullError, ValueError):
        return Extent(area, length, math.nan, math.nan, math.nan, math.nan)
    edges = np.roll(hull, -1, axis=0) - hull
    normals = np.stack([-edges[:, 1], edges[:, 0]]) / np.hypot(*edges.T)
    across = hull @ normals
    apart = hull[:, None, :] - hull[None, :, :]
    return Extent(
        area=area,
        perimeter=length,
        hull_area=abs(polygon_area(hull)),
        hull_perimeter=polygon_length(hull),
        longest=float(np.hypot(apart[..., 0], apart[..., 1]).max()),
        shortest=float(np.ptp(across, axis=0).min()),
    )
