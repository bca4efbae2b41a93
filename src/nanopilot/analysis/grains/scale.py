"""How wide the grains of a frame are, before any has been found."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import fft

from nanopilot.analysis.grains.flattening import noise_of

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Diameters of a grain per correlation length, about: 2.1 to 4.3 on polycrystals of known grains.
DIAMETERS = 2.7
#: Narrower than so many pixels a grain is not told from its boundary.
LEAST_DIAMETER = 6.0
#: Correlation length in pixels that such grains have.
LEAST_LENGTH = LEAST_DIAMETER / DIAMETERS


def correlation_length(level: FloatArray) -> float:
    """Return the distance in pixels at which heights are correlated by 1/e, NaN if all is noise.

    White noise is taken off the correlation at no distance. Directions are averaged. Beyond the
    edge nothing is assumed: each distance is averaged over the pairs of pixels there are.

    Parameters
    ----------
    level : numpy.ndarray
        Levelled heights, shape (rows, columns).
    """
    rows, columns = level.shape
    shape = (fft.next_fast_len(2 * rows - 1), fft.next_fast_len(2 * columns - 1))
    centred = level - level.mean()
    sums, pairs = (
        fft.irfft2(np.abs(fft.rfft2(one, shape)) ** 2, shape)
        for one in (centred, np.ones(level.shape))
    )
    variance = float(np.mean(centred**2)) - noise_of(level) ** 2
    if not variance > 1e-3 * float(np.mean(centred**2)):
        return math.nan
    lags = [np.minimum(np.arange(size), size - np.arange(size)) for size in shape]
    distance = np.hypot(*np.meshgrid(*lags, indexing="ij"))
    ring = np.round(distance).astype(int)
    used = (ring <= min(rows, columns) // 2) & (pairs > 0.5)
    weight = np.bincount(ring[used], np.round(pairs[used]))
    mean = np.bincount(ring[used], sums[used]) / np.maximum(weight, 1) / variance
    mean[0] = 1.0
    below = np.flatnonzero(mean < math.exp(-1))
    if not below.size:
        return float(mean.size)
    last = int(below[0])
    high, low = mean[last - 1], mean[last]
    return float(last - 1 + (high - math.exp(-1)) / (high - low))


def usual_diameter(labels: np.ndarray[Any, np.dtype[np.int64]]) -> float:
    """Return the diameter of the grain that the middle pixel lies in, grains sorted by area.

    Many small fragments do not pull it down as they would a mean.
    """
    areas = np.sort(np.bincount(labels.ravel())[1:])
    areas = areas[areas > 0]
    if not areas.size:
        return math.nan
    total = np.cumsum(areas)
    return float(math.sqrt(4 / math.pi * areas[np.searchsorted(total, total[-1] / 2)]))
