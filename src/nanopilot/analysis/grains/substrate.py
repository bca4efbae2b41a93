"""Flat substrate between grains: never a grain itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter, gaussian_gradient_magnitude
from scipy.ndimage import label as connected
from scipy.ndimage import mean as mean_over

from nanopilot.analysis.frame_arrays import robust_std
from nanopilot.analysis.levelling import SubtractPolynomial

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: Width over which slopes are looked at, in diameters.
_WIDTH = 0.08
#: Slope of what is flat over the root mean square of all, and over that of noise.
_FLAT, _NOISY = 0.4, 1.6
#: Wider than this, in diameters, flat places are no tops of domes; and the ring round them that
#: is looked at.
_THICK, _RING = 0.15, (0.12, 0.35)
#: Share of the ring that has to lie higher, and share of the frame that substrate has at least.
_HIGHER, _SHARE = 0.85, 0.02
#: Substrate ends so many standard deviations above its middle, or at this share of the rise.
_WITHIN, _RISE = 3.0, 0.25


@dataclass(frozen=True, slots=True, eq=False)
class Substrate:
    """Where substrate is seen.

    Parameters
    ----------
    mask : numpy.ndarray of bool
        Shape of the frame.
    level : numpy.ndarray
        Heights over the substrate, in the unit of the frame.
    top : float
        Height up to which it reaches.
    """

    mask: BoolArray
    level: FloatArray
    top: float


def find_substrate(level: FloatArray, diameter: float, noise: float) -> Substrate | None:
    """Return the substrate of a frame, None if grains cover all of it.

    Substrate is flat, wider than a groove or the top of a dome, and lower than what lies round it.
    Heights alone do not tell it: where grains cover half of a frame, levelling leaves it bent.

    Parameters
    ----------
    level : numpy.ndarray
        Levelled heights, shape (rows, columns).
    diameter : float
        Of the grains, about, in pixels.
    noise : float
        Standard deviation of white noise.
    """
    width = max(1.0, _WIDTH * diameter)
    core = _cores(level, width, diameter, noise)
    if core.mean() < _SHARE:
        return None
    # Bent as the scanner's bow is, and level where it is seen.
    ground = SubtractPolynomial(2, 2, exclude=None)
    level = level - ground.fit(np.where(core, level, np.nan))[0]
    fine = gaussian_filter(level, max(0.7, width / 2), mode="nearest")
    away = np.asarray(distance_transform_edt(~core))
    ring = (away > _RING[0] * diameter) & (away < _RING[1] * diameter)
    rise = float(np.median(fine[ring])) if ring.any() else 0.0
    top = max(_WITHIN * robust_std(fine[core]), _RISE * rise)
    pieces, _ = connected(_opened(fine < top, 0.1 * diameter) | core)
    mask = np.isin(pieces, np.unique(pieces[core]))
    return None if mask.all() else Substrate(mask, level, top)


def _cores(level: FloatArray, width: float, diameter: float, noise: float) -> BoolArray:
    """Return what is certainly substrate, a little away from its edges."""
    slope = gaussian_gradient_magnitude(level, width, mode="nearest")
    # Mean length of a vector of two slopes, each sigma / (w² sqrt(8 pi)): times sqrt(pi / 2).
    grainy = noise / (4 * width**2)
    flat = slope < max(_FLAT * math.sqrt(float(np.mean(slope**2))), _NOISY * grainy)
    flat = _opened(flat, _THICK * diameter)
    pieces, count = connected(flat)
    if not count:
        return flat
    smooth = gaussian_filter(level, width, mode="nearest")
    names = np.arange(1, count + 1)
    middle = np.asarray(mean_over(smooth, pieces, names))
    away, nearest = distance_transform_edt(~flat, return_indices=True)
    own = pieces[tuple(np.asarray(nearest))]
    ring = (away > _RING[0] * diameter) & (away < _RING[1] * diameter)
    round_it = np.where(ring, own, 0)
    there = np.isin(names, round_it)
    higher = np.zeros(count)
    higher[there] = mean_over((smooth > middle[own - 1]).astype(float), round_it, names[there])
    return np.asarray(np.isin(pieces, names[higher > _HIGHER]))


def _opened(mask: BoolArray, radius: float) -> BoolArray:
    """Return what of a mask a disc can reach without leaving it; beyond the edge it goes on."""
    inside = np.asarray(distance_transform_edt(np.pad(mask, 1, mode="edge")))[1:-1, 1:-1] > radius
    if not inside.any():
        return inside
    return np.asarray(mask & (np.asarray(distance_transform_edt(~inside)) <= radius))
