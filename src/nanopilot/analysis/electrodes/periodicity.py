"""Where in an image, and along which axis, something repeats: local autocorrelation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import find_objects, gaussian_filter1d, label, uniform_filter

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Lags in pixels that are tried: neighbours of one kind are 4 to 28 pixels apart.
LAGS = (4, 28)
#: Correlation that counts as repeating, 0 to 1.
LEAST = 0.4
#: Rows that are put together before anything is correlated.
_ROWS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """Part of an image where something repeats across the columns.

    Parameters
    ----------
    rows, columns : slice
        Where.
    lag : float
        Distance of repetition in pixels.
    weight : float
        Sum of the correlation over its pixels.
    score : numpy.ndarray
        The correlation itself, shape (rows, columns) of the patch.
    """

    rows: slice
    columns: slice
    lag: float
    weight: float
    score: FloatArray


def find_patches(image: FloatArray) -> list[Patch]:
    """Return the parts of an image that repeat across the columns, heaviest first.

    The image is smoothed along the columns, freed of what varies slowly, and divided by its local
    strength, so that one strong edge counts no more than a weak stripe. Then the local mean of
    products at every lag is compared with that at lag 0.

    Parameters
    ----------
    image : numpy.ndarray
        Shape (rows, columns).
    """
    score, lag = repetition(image)
    numbered, _ = label(score > LEAST)
    found = []
    for number, where in enumerate(find_objects(numbered), start=1):
        inside = numbered[where] == number
        middle = float(np.median(lag[where][inside]))
        high = (where[0].stop - where[0].start) * _ROWS
        wide = where[1].stop - where[1].start
        if high >= 12 and wide >= 2 * middle:
            rows = slice(where[0].start * _ROWS, where[0].stop * _ROWS)
            weight = float(score[where][inside].sum()) * _ROWS
            seen = np.repeat(np.where(inside, score[where], 0.0), _ROWS, axis=0)
            found.append(Patch(rows, where[1], middle, weight, seen))
    return sorted(found, key=lambda one: -one.weight)


def repetition(image: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the largest local autocorrelation across columns, and its lag.

    Returns
    -------
    score, lag : numpy.ndarray
        Shape (rows // 4, columns); four rows of the image are one of the result.
    """
    rows = image.shape[0] // _ROWS * _ROWS
    low = image[:rows].reshape(-1, _ROWS, image.shape[1]).mean(axis=1)
    low = gaussian_filter1d(low, 1.0, axis=0)
    fine = low - gaussian_filter1d(low, LAGS[1] / 3, axis=1)
    strength = np.sqrt(uniform_filter(fine**2, (5, 21)))
    floor = np.median(strength) * 0.3 + 1e-12 * (1.0 + np.abs(image).max())
    fine /= strength + floor
    fine = fine.astype(np.float32)
    wide = (15, 61)
    energy = uniform_filter(fine**2, wide) + np.float32(1e-6)
    score, lag = np.zeros_like(fine), np.zeros_like(fine)
    before, lowest = np.full_like(fine, np.inf), np.full_like(fine, np.inf)
    last = np.full_like(fine, np.inf)
    for now in range(LAGS[0] - 1, LAGS[1] + 2):
        product = np.zeros_like(fine)
        half = now // 2
        product[:, half : half + fine.shape[1] - now] = fine[:, now:] * fine[:, :-now]
        here = uniform_filter(product, wide) / energy
        # `last` is a maximum over the lags, with a dip before it: a repetition.
        top = (last >= before) & (last > here) & (last > score) & (lowest < last - 0.3)
        score = np.where(top, last, score)
        lag = np.where(top, now - 1, lag)
        lowest = np.minimum(lowest, here)
        before, last = last, here
    return score.astype(float), lag.astype(float)
