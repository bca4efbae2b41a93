"""Kernel of `scars`: the run of a line that lies a constant height off both lines beside it."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

#: Differences count as explained within so many times the noise.
NEAR = 3.0
#: Or within `NEAR` times this part of the height of the run.
PART = 1 / 6
#: Lines over which to look for one that is no stroke itself.
REACH = 4
#: Columns of what `best_runs` returns: gain, first column, one behind the last, height.
GAIN, BEGIN, END, HEIGHT = range(4)
#: Most that a pixel can gain, against both lines.
SIDES = 2 * NEAR**2


@numba.njit(cache=True)
def best_runs(level: Array, width: int, length: int, noise: float, least: float) -> Array:
    """Return the best run that begins in every line.

    A run of one height J gains, at every pixel and against either line beside it, what a squared
    difference d, cut off at `NEAR` times the noise or half of J, loses when J is taken off: the
    run that gains most is the segment of largest sum (J. Bentley, Commun. ACM 27 (1984) 865). The
    cut lets pixels that fit neither way, on the flank of a particle, have no say.

    Parameters
    ----------
    level : numpy.ndarray
        Heights without the offsets of lines, shape (rows, columns); NaN: known to be none.
    width : int
        Lines of a run.
    length : int
        Pixels over which a height is guessed by the median.
    noise : float
        Standard deviation of differences of lines.
    least : float
        Smallest height of a run.

    Returns
    -------
    numpy.ndarray
        Shape (rows, 4); gain 0 where there is none.
    """
    rows, columns = level.shape
    found = np.zeros((rows, 4))
    for row in range(1, rows - width):
        above, below = _beside(level, row, width)
        for side in (above, below):
            for first in range(0, columns - length + 1, max(1, length // 2)):
                height = np.nanmedian(side[first : first + length])
                if not abs(height) >= least:
                    continue
                gain, begin, end = _largest(above, below, height, max(noise, PART * abs(height)))
                if gain > found[row, GAIN] and _ends(above, below, (begin, end), height):
                    found[row] = np.array([gain, float(begin), float(end), height])
    return found


@numba.njit(cache=True)
def _beside(level: Array, row: int, width: int) -> tuple[Array, Array]:
    """Return by how much lines lie over the nearest known pixel above and below them."""
    rows, columns = level.shape
    above, below = np.full(columns, np.nan), np.full(columns, np.nan)
    last = row + width - 1
    for j in range(columns):
        for i in range(row - 1, max(-1, row - 1 - REACH), -1):
            if np.isfinite(level[i, j]):
                above[j] = level[row, j] - level[i, j]
                break
        for i in range(last + 1, min(rows, last + 1 + REACH)):
            if np.isfinite(level[i, j]):
                below[j] = level[last, j] - level[i, j]
                break
    return above, below


@numba.njit(cache=True)
def _largest(above: Array, below: Array, height: float, noise: float) -> tuple[float, int, int]:
    best, begin, end = 0.0, 0, 0
    total, since = 0.0, 0
    for j in range(above.size):
        if np.isfinite(above[j]) and np.isfinite(below[j]):
            total += _gain(above[j], height, noise) + _gain(below[j], height, noise)
        if total <= 0.0:
            total, since = 0.0, j + 1
        elif total > best:
            best, begin, end = total, since, j + 1
    return best, begin, end


@numba.njit(cache=True)
def _ends(above: Array, below: Array, run: tuple[int, int], height: float) -> bool:
    """Return whether a run ends with a jump, at one end at least if any is seen."""
    seen = False
    for inside, outside in ((run[0], run[0] - 2), (run[1] - 2, run[1])):
        if outside < 0 or outside + 2 > above.size or run[1] - run[0] < 2:
            continue
        for side in (above, below):
            fall = 0.5 * (side[inside] + side[inside + 1] - side[outside] - side[outside + 1])
            if fall / height > 0.5:
                return True
            seen = seen or np.isfinite(fall)
    return not seen


@numba.njit(cache=True)
def _gain(apart: float, height: float, noise: float) -> float:
    plain = min(NEAR**2, (apart / noise) ** 2)
    return plain - min(NEAR**2, ((apart - height) / noise) ** 2)
