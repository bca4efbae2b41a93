"""Where the edge of a particle lies: its mean profile, compared with blurred edges of solids."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.special import ndtr

from nanopilot.analysis.particle_shapes.polygons import polygon_length

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: Pixels outside an outline and inside it over which its profile is looked at.
_OUT, _IN = 5.0, 8.0
#: By which an outline may be moved outwards, in pixels.
_MOVES = np.arange(-3.0, 3.01, 0.1)
#: By which edges differ from the model of them, in pixels: seen on plates in drawn frames.
_MODEL = 0.12
#: Step of the tables in pixels.
_FINE = 0.1
#: Pixels on either side of an edge that blur reaches.
_TAIL = 8.0


def edge_move(
    mask: BoolArray,
    contrast: FloatArray,
    blur: float,
    other: BoolArray | None = None,
    *,
    absorbed: bool = False,
) -> float:
    """Return by how many pixels an outline must move outwards to lie on the edge of a solid.

    A plate ends with a step; a sphere or a lying rod of radius r is
    ``sqrt(2 r d - d^2)`` thick at the distance d from its edge, and the line of steepest contrast,
    once blurred, lies inside of it. The mean profile across the outline is compared with sums of
    both, blurred, at every place of the edge; the best place wins.

    Parameters
    ----------
    mask : numpy.ndarray
        The particle as outlined, shape (rows, columns), with room around it.
    contrast : numpy.ndarray
        Of the same pixels.
    blur : float
        Of an edge, a standard deviation in pixels.
    other : numpy.ndarray, optional
        Pixels that belong to others: they and what lies close to them is left out.
    absorbed : bool
        The contrast is the share of electrons lost, which saturates with thickness.
    """
    away = _signed(mask)
    seen = (away > -_OUT) & (away < _IN)
    if other is not None and other.any():
        seen &= distance_transform_edt(~other) > 3.0
    radius = float(away.max())
    if np.count_nonzero(seen) < 20 or radius < 2:
        return 0.0
    place = np.round(away[seen] * 2).astype(int)
    low = int(place.min())
    count = np.bincount(place - low)
    total = np.bincount(place - low, contrast[seen])
    there = count > 2
    profile, weight = total[there] / count[there], np.sqrt(count[there])
    far = np.bincount(place - low, away[seen])[there] / count[there]
    deepest = float(np.clip(contrast[mask], 0.0, 0.98).max()) if absorbed else 0.0
    around = _round_edge(far + _MOVES[:, None], radius + 0.3, blur, -math.log(1 - deepest))
    return _best(ndtr((far + _MOVES[:, None]) / blur) * weight, around * weight, profile * weight)


def diameter_error(points: FloatArray, noise: float, slope: float, width: float) -> float:
    """Return the standard error of the equivalent diameter of an outline, in pixels.

    What drawing the outline again and again from other noise would give: noise over slope moves
    each of its points, and points depend on each other over ``2 sqrt(pi) width``, the integral of
    the correlation that a Gaussian smoothing leaves; the mean move changes the diameter twice. To
    that comes what edges of solids differ from the model of them, the same for all points.

    Parameters
    ----------
    points : numpy.ndarray
        Shape (n, 2).
    noise : float
        Standard deviation of the smoothed contrast.
    slope : float
        Of the contrast across the outline, per pixel.
    width : float
        Of the smoothing, a standard deviation in pixels.
    """
    length = polygon_length(points)
    if not slope > 0 or length <= 0:
        return math.nan
    mean = noise / slope * math.sqrt(min(2 * math.sqrt(math.pi) * width / length, 1.0))
    return 2 * math.hypot(mean, _MODEL)


def _signed(mask: BoolArray) -> FloatArray:
    """Return the distance to the line between pixels in and out, positive inside."""
    return np.where(
        mask, distance_transform_edt(mask) - 0.5, 0.5 - distance_transform_edt(~mask)
    )  # fmt: skip


def _round_edge(far: FloatArray, radius: float, blur: float, depth: float) -> FloatArray:
    """Return the blurred contrast at distances from the edge of a sphere, 1 at its middle.

    ``depth`` is its thickness there in mean free paths, 0 where contrast and thickness are one.
    """
    at = np.arange(-_TAIL, radius + _TAIL, _FINE)
    inner = np.clip(at / radius, 0.0, 1.0)
    height = np.sqrt(2 * inner - inner**2)
    if depth > 0:
        height = -np.expm1(-depth * height) / -math.expm1(-depth)
    reach = math.ceil(4 * blur / _FINE)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * _FINE / blur) ** 2)
    padded = np.concatenate([np.zeros(reach), height, np.ones(reach)])
    smooth = np.convolve(padded, kernel / kernel.sum(), "valid")
    return np.asarray(np.interp(far, at, smooth))


def _best(step: FloatArray, around: FloatArray, seen: FloatArray) -> float:
    """Return the move at which a sum of both, with no negative part, is nearest to the profile."""
    ss, rr, sr = (step**2).sum(axis=1), (around**2).sum(axis=1), (step * around).sum(axis=1)
    sy, ry, yy = step @ seen, around @ seen, seen @ seen
    alone = yy - np.maximum(np.maximum(sy, 0) ** 2 / ss, np.maximum(ry, 0) ** 2 / rr)
    determinant = np.maximum(ss * rr - sr**2, 1e-9 * ss * rr)
    a, b = (sy * rr - ry * sr) / determinant, (ry * ss - sy * sr) / determinant
    both = np.where((a > 0) & (b > 0), yy - a * sy - b * ry, np.inf)
    return float(_MOVES[int(np.argmin(np.minimum(alone, both)))])
