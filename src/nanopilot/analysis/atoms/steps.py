"""What lies under columns where it is no constant: a background whose steps stay sharp."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

from nanopilot.analysis.atoms.filters import blurred, gaussian_taps

Array = np.ndarray[Any, np.dtype[Any]]

#: Half the side of the square that takes columns away, in their widths.
_GAP = 2.0
#: How far a step is near, in widths of a column; what is a step, in standard deviations of pixels.
_NEAR, _STEP = 3.0, 0.8
#: By how much a frame is blurred before, in widths of a column.
_SOFT = 0.7


@numba.njit(cache=True, parallel=True)
def _lowest(image: Array, reach: int, sign: float) -> Array:
    """Return the least of a square about every pixel (sign 1), or the largest (sign -1)."""
    rows, columns = image.shape
    across = np.empty((rows, columns), dtype=np.float32)
    out = np.empty((rows, columns), dtype=np.float32)
    factor = np.float32(sign)
    for i in numba.prange(rows):
        line = np.empty(columns, dtype=np.float32)
        for j in range(columns):
            line[j] = factor * image[i, j]
        _slid(line, reach, across[i])
    for i in numba.prange(rows):
        row = np.int64(i)
        low, high = max(0, int(row) - reach), min(rows, int(row) + reach + 1)
        for j in range(columns):
            out[i, j] = across[low, j]
        for k in range(low + 1, high):
            for j in range(columns):
                out[i, j] = min(out[i, j], across[k, j])
        for j in range(columns):
            out[i, j] *= factor
    return out


@numba.njit(cache=True)
def _slid(line: Array, reach: int, out: Array) -> None:
    count = len(line)
    for j in range(count):
        out[j] = line[j]
    for t in range(1, reach + 1):
        for j in range(count - t):
            out[j] = min(out[j], line[j + t])
        for j in range(t, count):
            out[j] = min(out[j], line[j - t])


def opened(image: Array, reach: int) -> Array:
    """Return a frame without what is brighter and narrower than a square; steps stay sharp.

    J. Serra, Image Analysis and Mathematical Morphology (1982), chapter 2.

    Parameters
    ----------
    image : numpy.ndarray
        float32, shape (rows, columns).
    reach : int
        Half the side of the square in pixels.
    """
    found: Array = _lowest(_lowest(image, reach, 1.0), reach, -1.0)
    return found


def background(image: Array, sigma: float) -> Array:
    """Return what lies under columns before any has been fitted, float32, shape (rows, columns).

    The frame blurred by less than a column, and opened by a square that no column fills. Noise, and
    the feet of neighbours, put it beside the truth by a little.

    Parameters
    ----------
    image : numpy.ndarray
        Counts, float32, shape (rows, columns).
    sigma : float
        Width of a column in pixels (standard deviation).
    """
    return opened(
        blurred(image, gaussian_taps(max(0.7, _SOFT * sigma))), max(1, round(_GAP * sigma))
    )


@dataclass(frozen=True, slots=True, eq=False)
class Below:
    """What a fit has left under its columns.

    Parameters
    ----------
    level : numpy.ndarray
        In counts, shape (rows, columns), float64.
    uneven : numpy.ndarray of bool
        Where a step is near, shape (rows, columns).
    """

    level: Array
    uneven: Array


def below(left: Array, sigma: float, noise: Array) -> Below:
    """Return the background that a fit has left: constant nearly everywhere, steps sharp.

    A first idea is the mean of opening after closing and closing after opening: one is too high by
    the noise, the other too low. Where it changes by more than the noise within a few widths, the
    pixels are told into two sides at half the change, and every pixel is put at the mean of its
    own side about it.

    Parameters
    ----------
    left : numpy.ndarray
        The frame without its columns, shape (rows, columns).
    sigma : float
        Width of a column in pixels (standard deviation).
    noise : numpy.ndarray
        Variance of the pixels, shape (rows, columns).
    """
    small = left.astype(np.float32)
    soft = blurred(small, gaussian_taps(max(0.7, _SOFT * sigma)))
    reach = max(1, round(_GAP * sigma))
    after = opened(-opened(-soft, reach), reach)
    before = -opened(-opened(soft, reach), reach)
    idea = 0.5 * (after + before)
    about = max(1, round(_NEAR * sigma))
    lowest, highest = _lowest(idea, about, 1.0), _lowest(idea, about, -1.0)
    uneven = highest - lowest > _STEP * np.sqrt(noise)
    high = idea > 0.5 * (lowest + highest)
    taps = gaussian_taps(_NEAR * sigma / 2)
    level = idea.copy()
    for side in (uneven & high, uneven & ~high):
        own = side.astype(np.float32)
        mean = blurred(small * own, taps) / np.maximum(blurred(own, taps), 1e-6)
        level[side] = mean[side]
    return Below(level.astype(np.float64), uneven)
