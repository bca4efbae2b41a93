"""A periodic piece of the sample: atoms to Fourier coefficients, and those to values.

Atoms are spread over a grid with a smooth bump and the transform is divided by that of the bump, so
that sub-pixel places are kept: A. Dutt and V. Rokhlin, SIAM J. Sci. Comput. 14 (1993) 1368. Only
frequencies up to a highest one are kept, which is all that a beam of that cutoff can show.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import fft

from nanopilot.twins.stem.render_kernels import (
    FINER,
    GATHER,
    SPREAD,
    bump_spectrum,
    bump_table,
    spread,
)

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(eq=False)
class Lattice:
    """A rectangle that repeats, and the frequencies of it that are kept.

    Parameters
    ----------
    corner : (float, float)
        x and y in metres of the grid point (0, 0).
    period : (float, float)
        How wide and how high it is, in metres.
    highest : float
        Highest frequency that is kept, 1/m.
    points : (int, int), optional
        Rows and columns of the grid; without it as few as `gather` needs.
    """

    corner: tuple[float, float]
    period: tuple[float, float]
    highest: float
    points: tuple[int, int] | None = None
    #: Rows and columns of the grid.
    shape: tuple[int, int] = field(init=False)
    #: Frequencies along y and x that are kept, in cycles per period.
    rows: Array = field(init=False)
    columns: Array = field(init=False)

    def __post_init__(self) -> None:
        wide, high = (math.floor(self.highest * length) for length in self.period)
        self.columns = np.arange(wide + 1)
        self.rows = np.concatenate([np.arange(high + 1), np.arange(-high, 0)])
        least = [max(math.ceil(2 * FINER * self.highest * one), 16) for one in self.period]
        self.shape = self.points or (good_size(least[1]), good_size(least[0]))

    @property
    def step(self) -> tuple[float, float]:
        """Distance of grid points along x and y in metres."""
        return self.period[0] / self.shape[1], self.period[1] / self.shape[0]

    def frequencies(self) -> tuple[Array, Array]:
        """Return (ky, kx) in 1/m, shapes (rows, 1) and (1, columns)."""
        return self.rows[:, None] / self.period[1], self.columns[None, :] / self.period[0]

    def in_steps(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Return rows and columns in grid steps of places in metres."""
        across, down = self.step
        return (y - self.corner[1]) / down, (x - self.corner[0]) / across

    def coefficients(self, x: Array, y: Array, weights: Array) -> Array:
        """Return ``sum_i w_i exp(-2 pi i k r_i)``, shape (rows, columns), complex64.

        Parameters
        ----------
        x, y : numpy.ndarray
            Where the atoms are, in metres, shape (n,); outside the rectangle they come in again on
            the other side.
        weights : numpy.ndarray
            Shape (n,).
        """
        grid = np.zeros(self.shape, dtype=np.float32)
        rows, columns = self.in_steps(x, y)
        spread(rows, columns, weights, _SPREAD, grid)
        half = fft.rfft(grid, axis=1)[:, : len(self.columns)]
        found = fft.fft(half, axis=0)[self.rows] * self._sharpened(SPREAD)
        return np.asarray(found, dtype=np.complex64)

    def one(self, x: float, y: float) -> Array:
        """Return the coefficients of one atom of weight 1, exactly."""
        down = np.exp(-2j * math.pi * self.rows * ((y - self.corner[1]) / self.period[1]))
        across = np.exp(-2j * math.pi * self.columns * ((x - self.corner[0]) / self.period[0]))
        return np.multiply.outer(down, across).astype(np.complex64)

    def grid(self, coefficients: Array, times: int = 1) -> Array:
        """Return what `gather` reads at places, from coefficients; float32, shape `shape`.

        Parameters
        ----------
        coefficients : numpy.ndarray
            Shape (rows, columns), of a density whose transform they are.
        times : int
            How often it will be gathered: 2 for a patch that is stamped on a grid.
        """
        return self.sampled(coefficients * self._sharpened(GATHER) ** times, self.shape)

    def sampled(self, coefficients: Array, shape: tuple[int, int]) -> Array:
        """Return values at `shape` even points, the first in the corner; float32.

        `shape` has to be large enough for all frequencies that are kept.
        """
        high = len(self.rows) // 2
        tall = np.zeros((shape[0], len(self.columns)), dtype=np.complex64)
        tall[: high + 1] = coefficients[: high + 1]
        if high:
            tall[-high:] = coefficients[high + 1 :]
        scale = shape[0] * shape[1] / (self.period[0] * self.period[1])
        columns = fft.ifft(tall, axis=0, overwrite_x=True)
        columns *= np.float32(scale)
        return np.asarray(fft.irfft(columns, n=shape[1], axis=1), dtype=np.float32)

    def _sharpened(self, width: int) -> Array:
        """Return one over the transform of a bump, shape (rows, columns), float32."""
        down = bump_spectrum(width, self.rows / self.shape[0])
        across = bump_spectrum(width, self.columns / self.shape[1])
        return (1 / np.multiply.outer(down, across)).astype(np.float32)


def good_size(least: int) -> int:
    """Return a length that transforms quickly, even, and not below one."""
    return 2 * int(fft.next_fast_len((least + 1) // 2, real=True))


_SPREAD = bump_table(SPREAD)
#: Table of the bump that values are gathered with.
GATHERED = bump_table(GATHER)
