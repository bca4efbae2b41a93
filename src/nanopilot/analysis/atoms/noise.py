"""How noisy a frame is, place by place, and how its noise goes with its brightness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

from nanopilot.analysis.atoms.filters import blurred, gaussian_taps

Array = np.ndarray[Any, np.dtype[Any]]

#: Pixels over which noise is averaged for a map of it.
_WIDE = 8.0
#: Blocks of pixels whose variance and mean are held against each other.
_BLOCK = 16
#: Rounds of weighting in a fit of variance over mean.
_ROUNDS = 4
#: Variance that no pixel falls below, as a share of that of the middling one.
_FLOOR = 0.02


@dataclass(frozen=True, slots=True)
class NoiseModel:
    """Variance of a pixel: ``gain * counts + dark``, and no less than `floor`.

    Parameters
    ----------
    gain : float
        Counts per electron: the variance that a count more brings.
    dark : float
        Variance where there are no counts; negative where counts come with an offset, which no
        frame tells from it.
    floor : float
        Least variance.
    """

    gain: float = 1.0
    dark: float = 0.0
    floor: float = 0.02

    def variance(self, counts: Array) -> Array:
        """Return the variance of pixels that are expected to have so many counts."""
        found: Array = np.maximum(self.gain * counts + self.dark, self.floor)
        return found


@numba.njit(cache=True)
def _ripple(image: Array) -> Array:
    """Return the squared mixed second difference, of variance 1 where noise has variance 1."""
    rows, columns = image.shape
    out = np.empty((rows, columns), dtype=np.float32)
    across = np.empty((3, columns), dtype=np.float32)
    for i in range(rows):
        up, down = (i - 1 if i else 1), (i + 1 if i < rows - 1 else rows - 2)
        for j in range(columns):
            across[0, j] = image[up, j] - 2 * image[i, j] + image[down, j]
        for j in range(1, columns - 1):
            value = across[0, j - 1] - 2 * across[0, j] + across[0, j + 1]
            out[i, j] = value * value * np.float32(1 / 36)
        first = 2 * (across[0, 1] - across[0, 0])
        last = 2 * (across[0, columns - 2] - across[0, columns - 1])
        out[i, 0] = first * first * np.float32(1 / 48)
        out[i, columns - 1] = last * last * np.float32(1 / 48)
    return out


def noise_map(image: Array) -> Array:
    """Return the variance of the noise at every pixel, float32, shape (rows, columns).

    From what neighbours have not in common: J. Immerkaer, Comput. Vis. Image Underst. 64 (1996)
    300, here squared and averaged over some ten pixels. Structure as small as two pixels counts as
    noise.

    Parameters
    ----------
    image : numpy.ndarray
        Counts, float32, shape (rows, columns).
    """
    found: Array = np.maximum(blurred(_ripple(image), gaussian_taps(_WIDE)), 1e-12)
    return found


def first_noise(image: Array) -> NoiseModel:
    """Return a first idea of how the noise of a frame goes with its brightness.

    Variance over mean of blocks, or their ratio where all blocks are about as bright. Narrow
    columns count as noise here; `noise_of_residuals` knows better once columns have been fitted.

    Parameters
    ----------
    image : numpy.ndarray
        Counts, float32, shape (rows, columns).
    """
    rows, columns = (max(_BLOCK, size // _BLOCK * _BLOCK) for size in image.shape)
    ripple = _ripple(image)
    level = max(float(ripple.mean()), 1e-12)
    if min(image.shape) < 2 * _BLOCK:
        return NoiseModel(0.0, level, _FLOOR * level)
    shape = (rows // _BLOCK, _BLOCK, columns // _BLOCK, _BLOCK)
    means, noise = (
        part[:rows, :columns].reshape(shape).mean(axis=(1, 3)).ravel() for part in (image, ripple)
    )
    if np.ptp(np.quantile(means, (0.05, 0.95))) < 0.5 * abs(float(means.mean())):
        # Counts below the darkest are offset for all we know.
        base = float(np.quantile(image, 0.001))
        gain = level / max(float(means.mean()) - max(base, 0.0), 1e-12)
        return NoiseModel(gain, -gain * max(base, 0.0) + 0.02 * level, _FLOOR * level)
    return _line(means.astype(float), noise.astype(float), 1.0)


def noise_of_residuals(values: Array, means: Array, lost: float) -> NoiseModel:
    """Return how the squared residuals of a fit go with the fitted mean.

    A straight line by weighted least squares, the weights from the line itself: for normal noise
    that is the likelihood of its variance.

    Parameters
    ----------
    values, means : numpy.ndarray
        Counts and what the fit says, any shape.
    lost : float
        Share of the degrees of freedom that the fit has taken.
    """
    squared = ((values - means) ** 2).ravel() / (1 - lost)
    return _line(np.ascontiguousarray(means, dtype=float).ravel(), squared, 1.0)


def _line(means: Array, squared: Array, power: float) -> NoiseModel:
    level = max(float(np.mean(squared)), 1e-12)
    floor = _FLOOR * level
    middle = float(means.mean())
    away, slope, base = means - middle, 0.0, level
    for _ in range(_ROUNDS):
        weight = np.maximum(slope * away + base, 0.05 * level) ** (-2 * power)
        s, sx, sxx = weight.sum(), (weight * away).sum(), (weight * away**2).sum()
        sy, sxy = (weight * squared).sum(), (weight * away * squared).sum()
        spread = s * sxx - sx * sx
        slope = max((s * sxy - sx * sy) / spread, 0.0) if spread > 1e-9 * s * sxx else 0.0
        base = (sy - slope * sx) / s
    return NoiseModel(float(slope), float(base - slope * middle), floor)
