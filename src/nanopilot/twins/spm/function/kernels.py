"""Means of a layer over what is under the tip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
import numpy as np

if TYPE_CHECKING:
    from nanopilot.twins.spm.world import World

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Turn from one place of a sunflower to the next: the golden angle.
_GOLDEN = np.pi * (3 - np.sqrt(5))
#: Places under a spot, and under what reaches further.
SPOT, WIDE = 64, 128


def gaussian(sigma: float, places: int = SPOT) -> FloatArray:
    """Return places (x, y) in metres that stand for a Gaussian, shape (places, 2).

    All have the same weight: their distances are quantiles of it, their directions turn by the
    golden angle (Vogel, Math. Biosci. 44, 179 (1979)).
    """
    if sigma == 0:
        return np.zeros((1, 2))
    share = _shares(places)
    return _sunflower(sigma * np.sqrt(-2 * np.log1p(-share)))


def lorentzian(width: float, places: int = WIDE) -> FloatArray:
    """Return places (x, y) in metres that stand for width² / pi / (width² + r²)²; as `gaussian`.

    Half of it lies within `width`.
    """
    share = _shares(places)
    return _sunflower(width * np.sqrt(share / (1 - share)))


def _shares(places: int) -> FloatArray:
    share: FloatArray = (np.arange(places) + 0.5) / places
    return share


def _sunflower(radii: FloatArray) -> FloatArray:
    angles = _GOLDEN * np.arange(radii.size)
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=-1)


def under(
    world: World, layer: FloatArray, x: FloatArray, y: FloatArray, kernel: FloatArray
) -> FloatArray:
    """Return the mean of a layer over a kernel round every place, shape as `x`.

    Parameters
    ----------
    world : World
        Knows where the pixels are.
    layer : numpy.ndarray
        Shape (rows, columns).
    x, y : numpy.ndarray
        Places in metres, shape (n,).
    kernel : numpy.ndarray
        Displacements (x, y) in metres, shape (k, 2).

    Notes
    -----
    Beyond the edge of the sample its rim goes on.
    """
    row, column = world.sample.pixels(np.asarray(x, float), np.asarray(y, float))
    return averaged(layer, row, column, kernel / world.sample.pitch)


@numba.njit(cache=True)
def averaged(
    layer: FloatArray, row: FloatArray, column: FloatArray, kernel: FloatArray
) -> FloatArray:
    """Return means of a layer, bilinear between pixels; the rim goes on beyond the edge.

    Parameters
    ----------
    layer : numpy.ndarray
        Shape (rows, columns).
    row, column : numpy.ndarray
        Fractional pixels, shape (n,).
    kernel : numpy.ndarray
        Displacements (x, y) in pixels, shape (k, 2).
    """
    rows, columns = layer.shape
    means = np.empty(row.size)
    for n in range(row.size):
        total = 0.0
        for k in range(kernel.shape[0]):
            r = min(max(row[n] + kernel[k, 1], 0.0), rows - 1.0)
            c = min(max(column[n] + kernel[k, 0], 0.0), columns - 1.0)
            i, j = min(int(r), rows - 2), min(int(c), columns - 2)
            u, v = r - i, c - j
            low = layer[i, j] + v * (layer[i, j + 1] - layer[i, j])
            high = layer[i + 1, j] + v * (layer[i + 1, j + 1] - layer[i + 1, j])
            total += low + u * (high - low)
        means[n] = total / kernel.shape[0]
    return means
