"""The picture that columns are found in: how much brighter than around them, in noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

#: Standard deviations to which a Gaussian is summed.
_REACH = 3.5
#: Sums may be taken in any order, so that several run at once.
_REORDERED = {"reassoc", "contract", "nsz"}


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Where a filtered frame has its tops.

    Parameters
    ----------
    response : numpy.ndarray
        Brightness of a Gaussian column that fits best, over what surrounds it, in counts, float32,
        shape (rows, columns).
    score : numpy.ndarray
        The same in standard deviations of its noise.
    """

    response: Array
    score: Array


def gaussian_taps(sigma: float) -> Array:
    """Return half of a Gaussian of unit sum: the middle, then one side; float32."""
    reach = max(1, math.ceil(_REACH * sigma))
    taps = np.exp(-0.5 * (np.arange(reach + 1) / sigma) ** 2)
    found: Array = (taps / (2 * taps.sum() - taps[0])).astype(np.float32)
    return found


@numba.njit(cache=True, parallel=True, fastmath=_REORDERED)
def blurred(image: Array, taps: Array) -> Array:
    """Return a frame blurred by a separable kernel, mirrored at its edges.

    Parameters
    ----------
    image : numpy.ndarray
        float32, shape (rows, columns), both larger than the kernel reaches.
    taps : numpy.ndarray
        Half of the kernel, as of `gaussian_taps`.
    """
    rows, columns = image.shape
    # Never past the far edge: there is no checking of indices in here.
    reach = min(len(taps), rows, columns) - 1
    out = np.empty((rows, columns), dtype=np.float32)
    for i in numba.prange(rows):
        row = np.int64(i)
        line = np.empty(columns + 2 * reach, dtype=np.float32)
        inner = line[reach : reach + columns]
        for j in range(columns):
            inner[j] = taps[0] * image[row, j]
        for t in range(1, reach + 1):
            up, down = row + t, row - t
            up = 2 * rows - 2 - up if up >= rows else up
            down = -down if down < 0 else down
            weight = taps[t]
            for j in range(columns):
                inner[j] += weight * (image[up, j] + image[down, j])
        for t in range(1, reach + 1):
            line[reach - t] = inner[t]
            line[reach + columns - 1 + t] = inner[columns - 1 - t]
        for j in range(columns):
            out[row, j] = taps[0] * inner[j]
        for t in range(1, reach + 1):
            weight = taps[t]
            for j in range(columns):
                out[row, j] += weight * (line[reach + j + t] + line[reach + j - t])
    return out


@numba.njit(cache=True)
def tops(score: Array, least: float, apart: int) -> Array:
    """Return local maxima above a threshold, strongest within a square about them.

    Parameters
    ----------
    score : numpy.ndarray
        Shape (rows, columns).
    least : float
        Threshold.
    apart : int
        Half the side of the square in pixels.

    Returns
    -------
    numpy.ndarray
        Rows and columns, shape (n, 2).
    """
    rows, columns = score.shape
    found = np.empty((rows * columns // 4 + 1, 2), dtype=np.int64)
    count = 0
    for i in range(rows):
        for j in range(columns):
            value = score[i, j]
            if not value > least:
                continue
            # Neighbours first: they settle nearly every pixel.
            if (j > 0 and score[i, j - 1] >= value) or (
                j < columns - 1 and score[i, j + 1] > value
            ):
                continue
            if (i > 0 and score[i - 1, j] >= value) or (i < rows - 1 and score[i + 1, j] > value):
                continue
            if _highest(score, i, j, apart):
                found[count, 0], found[count, 1] = i, j
                count += 1
    return found[:count].copy()


@numba.njit(cache=True, inline="always")
def _highest(score: Array, i: int, j: int, apart: int) -> bool:
    rows, columns = score.shape
    value = score[i, j]
    for a in range(max(0, i - apart), min(rows, i + apart + 1)):
        for b in range(max(0, j - apart), min(columns, j + apart + 1)):
            other = score[a, b]
            if other > value or (other == value and (a, b) < (i, j)):
                return False
    return True


@numba.njit(cache=True)
def between_pixels(values: Array, places: Array) -> Array:
    """Return tops between pixels: the top of a parabola along each axis; shape (n, 2)."""
    rows, columns = values.shape
    out = places.astype(np.float64)
    for n in range(len(places)):
        i, j = places[n, 0], places[n, 1]
        if 0 < i < rows - 1:
            low, mid, high = values[i - 1, j], values[i, j], values[i + 1, j]
            curve = low - 2 * mid + high
            if curve < 0:
                out[n, 0] += min(0.5, max(-0.5, 0.5 * (low - high) / curve))
        if 0 < j < columns - 1:
            low, mid, high = values[i, j - 1], values[i, j], values[i, j + 1]
            curve = low - 2 * mid + high
            if curve < 0:
                out[n, 1] += min(0.5, max(-0.5, 0.5 * (low - high) / curve))
    return out
