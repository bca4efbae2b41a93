"""Bumps of atoms, and electron waves round defects, on pixels."""

from __future__ import annotations

import math

import numba
import numpy as np

from nanopilot.twins.spm.samples.recipe import FloatArray

#: How far a bump is drawn, in standard deviations.
REACH = 5.0
#: Of an electron at a defect, in radians: pi / 2 absorbs most.
PHASE_SHIFT = math.pi / 2


@numba.njit(cache=True)
def add_waves(states: FloatArray, places: FloatArray, wave: float, strength: float) -> None:
    """Add standing waves round places (row, column); the wave number is in 1/pixel.

    The difference of the two squared cosines is half that of the cosines of twice the angles.
    """
    rows, columns = states.shape
    for i in range(rows):
        for j in range(columns):
            total = 0.0
            for n in range(places.shape[0]):
                kr = wave * np.sqrt((i - places[n, 0]) ** 2 + (j - places[n, 1]) ** 2)
                angle = 2 * kr - np.pi / 2
                total += 0.5 * (np.cos(angle + 2 * PHASE_SHIFT) - np.cos(angle)) / max(kr, 1.0)
            states[i, j] += strength * total


@numba.njit(cache=True)
def add_bumps(height: FloatArray, places: FloatArray, width: float, amplitude: float) -> None:
    """Add Gaussian bumps at places (row, column), of one standard deviation in pixels."""
    rows, columns = height.shape
    reach = int(np.ceil(REACH * width))
    along = np.empty(2 * reach + 1)
    for n in range(places.shape[0]):
        row, column = round(places[n, 0]), round(places[n, 1])
        for m in range(along.size):
            along[m] = np.exp(-(((column + m - reach) - places[n, 1]) ** 2) / (2 * width**2))
        for i in range(max(row - reach, 0), min(row + reach + 1, rows)):
            factor = amplitude * np.exp(-((i - places[n, 0]) ** 2) / (2 * width**2))
            for j in range(max(column - reach, 0), min(column + reach + 1, columns)):
                height[i, j] += factor * along[j - column + reach]
