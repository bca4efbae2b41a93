"""Smooth noise that is a function of place: the same wherever and however often it is asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nanopilot.twins.stem.samples.recipe import FloatArray

#: White numbers along each edge of the table; beyond it the noise repeats.
_TABLE = 512
#: Variance of white noise under a cubic B-spline, on average over places: (151/315)² per plane.
_VARIANCE = (151 / 315) ** 2
#: White numbers along a line that meanders.
_LINE = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Smooth:
    """Noise of mean 0 and variance 1 over a plane, twice differentiable.

    White numbers on a square grid under cubic B-splines.

    Parameters
    ----------
    white : numpy.ndarray
        Standard normal numbers, shape (n, n).
    length : float
        Metres from one to the next: about the correlation length.
    """

    white: FloatArray
    length: float

    def __call__(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return the noise at places in metres, shape as x."""
        from scipy.ndimage import map_coordinates

        x, y = np.broadcast_arrays(x, y)
        at = np.stack([y.ravel(), x.ravel()]).astype(float) / self.length
        found = map_coordinates(self.white, at, order=3, mode="grid-wrap", prefilter=False)
        smooth: FloatArray = found.reshape(x.shape) / np.sqrt(_VARIANCE)
        return smooth


def smooth(rng: np.random.Generator, length: float) -> Smooth:
    """Return smooth noise of this correlation length (m)."""
    return Smooth(rng.standard_normal((_TABLE, _TABLE)), length)


@dataclass(frozen=True, slots=True, eq=False)
class Meander:
    """A line that wanders: deviation in metres along its way.

    Parameters
    ----------
    amplitude : float
        Standard deviation in metres.
    white : numpy.ndarray
        Standard normal numbers, shape (n,), under cubic B-splines.
    length : float
        Metres from one to the next: about the correlation length.
    """

    amplitude: float
    white: FloatArray
    length: float

    def __call__(self, along: FloatArray) -> FloatArray:
        """Return the deviation at distances along the line in metres, shape as `along`."""
        from scipy.ndimage import map_coordinates

        along = np.asarray(along, dtype=float)
        if not self.amplitude:
            return np.zeros(along.shape)
        at = along.reshape(1, -1) / self.length
        found = map_coordinates(self.white, at, order=3, mode="grid-wrap", prefilter=False)
        deviation: FloatArray = self.amplitude * found.reshape(along.shape) / _VARIANCE**0.25
        return deviation


def meander(rng: np.random.Generator, amplitude: float, length: float) -> Meander:
    """Return a line of this standard deviation and correlation length (m)."""
    return Meander(amplitude, rng.standard_normal(_LINE), length)
