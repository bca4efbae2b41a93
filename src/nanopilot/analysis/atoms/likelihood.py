"""Columns fitted by their likelihood, all of them a step at a time.

Every column is an elliptical Gaussian of one common shape on a background of its own. Fisher
scoring of the Poisson likelihood (for a detector with gain and read noise: of the quasi-
likelihood with that variance, R. W. M. Wedderburn, Biometrika 61 (1974) 439) over a round window,
the neighbours where the last step put them; A. van den Bos, Parameter Estimation for Scientists
and Engineers (2007), chapter 6.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from nanopilot.analysis.atoms.stamps import (
    COLUMN,
    GROUND,
    HEIGHT,
    PARTS,
    REORDERED,
    ROW,
    draw,
    factored,
    solved,
    window,
)

Array = np.ndarray[Any, np.dtype[Any]]
#: Reach of the window in pixels; gain, dark and floor of the variance.
Setting = tuple[int, float, float, float]

#: Pixels that a column may move in one step.
_FARTHEST = 0.7
#: Pixels of a window that say anything: as many as a column has unknowns.
_FEWEST = 4
#: Steps in which background and height are found anew.
_STEPS = 3


@numba.njit(cache=True, inline="always")
def half_chord(row: int, middle: int, reach: int) -> int:
    """Return how far a round window goes to either side in one of its rows."""
    away = row - middle
    return int(math.sqrt((reach + 0.5) ** 2 - away * away))


@numba.njit(cache=True, fastmath=REORDERED)
def gathered(  # noqa: PLR0913, PLR0917 - a kernel: what it needs, one by one
    image: Array,
    model: Array,
    own: Array,
    inverse: Array,
    setting: Setting,
    space: Array,
    fisher: Array,
) -> None:
    """Fill in Fisher matrix (lower triangle) and score (row 4) of one column, shape (5, 4)."""
    reach, gain, dark, floor = setting
    low, high = window(own[ROW], reach, image.shape[0])
    left, right = window(own[COLUMN], reach, image.shape[1])
    middle, centre = math.floor(own[ROW] + 0.5), math.floor(own[COLUMN] + 0.5)
    stamp = space[: high - low + 1, : right - left]
    draw(own, (low, left), inverse, stamp)
    f00, f10, f11, f20, f21, f22, f30, f31, f32, f33 = 10 * (0.0,)
    s0, s1, s2, s3 = 4 * (0.0,)
    for i in range(low, high):
        dy = i - own[ROW]
        chord = half_chord(i, middle, reach)
        for j in range(max(left, centre - chord), min(right, centre + chord + 1)):
            dx = j - own[COLUMN]
            shape = stamp[i - low, j - left]
            mean = own[GROUND] + model[i, j]
            weight = 1.0 / max(gain * mean + dark, floor)
            a = own[HEIGHT] * shape * (inverse[0] * dy + inverse[1] * dx)
            b = own[HEIGHT] * shape * (inverse[1] * dy + inverse[2] * dx)
            away = (image[i, j] - mean) * weight
            s0, s1, s2, s3 = s0 + a * away, s1 + b * away, s2 + shape * away, s3 + away
            f00, f10, f11 = f00 + a * a * weight, f10 + a * b * weight, f11 + b * b * weight
            f30, f31, f33 = f30 + a * weight, f31 + b * weight, f33 + weight
            weight *= shape
            f20, f21 = f20 + a * weight, f21 + b * weight
            f22, f32 = f22 + shape * weight, f32 + weight
    fisher[0, 0], fisher[1, 0], fisher[1, 1] = f00, f10, f11
    fisher[2, 0], fisher[2, 1], fisher[2, 2] = f20, f21, f22
    fisher[3, 0], fisher[3, 1], fisher[3, 2], fisher[3, 3] = f30, f31, f32, f33
    fisher[4, 0], fisher[4, 1], fisher[4, 2], fisher[4, 3] = s0, s1, s2, s3


@numba.njit(cache=True, parallel=True)
def step(
    image: Array, table: Array, model: Array, inverse: Array, setting: Setting
) -> tuple[Array, Array]:
    """Take one step of scoring for every column, the others where they are.

    Parameters
    ----------
    image : numpy.ndarray
        Counts, float64, shape (rows, columns).
    table : numpy.ndarray
        Shape (n, 4).
    model : numpy.ndarray
        `painted` of the table, and what else is under the columns.
    inverse : numpy.ndarray
        As of `painted`.
    setting : (int, float, float, float)
        Reach of the window in pixels; gain, dark and floor of the variance.

    Returns
    -------
    (numpy.ndarray, numpy.ndarray)
        Steps, shape (n, 4), and the Fisher matrix of each column, shape (n, 4, 4).
    """
    steps, matrices = np.zeros_like(table), np.zeros((len(table), 4, 4))
    for part in numba.prange(PARTS):
        first = np.int64(part) * len(table) // PARTS
        last = (np.int64(part) + 1) * len(table) // PARTS
        size = 2 * setting[0] + 1
        space, work = np.empty((size + 1, size)), np.zeros((5, 4))
        for n in range(first, last):
            gathered(image, model, table[n], inverse, setting, space, work)
            for u in range(4):
                for v in range(u + 1):
                    matrices[n, u, v] = matrices[n, v, u] = work[u, v]
            if not factored(work, 4):
                continue
            solved(work, work[4], 4)
            far = max(abs(work[4, ROW]), abs(work[4, COLUMN])) / _FARTHEST
            for u in range(4):
                steps[n, u] = work[4, u] / max(1.0, far) if u < HEIGHT else work[4, u]
    return steps, matrices


@numba.njit(cache=True, parallel=True)
def gains(
    image: Array, table: Array, model: Array, inverse: Array, setting: Setting
) -> tuple[Array, Array]:
    """Return what every column is worth: twice the logarithm of likelihoods with and without it.

    With and without it, the background follows. Parameters as of `step`; a wider window knows the
    background better.

    Returns
    -------
    (numpy.ndarray, numpy.ndarray)
        The gain, shape (n,), and how much the residuals about each column tilt: the sum of two
        squared normal deviates where they do not, shape (n,).
    """
    found, tilts = np.zeros(len(table)), np.zeros(len(table))
    for part in numba.prange(PARTS):
        first = np.int64(part) * len(table) // PARTS
        last = (np.int64(part) + 1) * len(table) // PARTS
        size = 2 * setting[0] + 1
        space, pixels = np.empty((size + 1, size)), np.empty((5, size * size))
        for n in range(first, last):
            count = listed(image, model, table[n], inverse, setting, space, pixels)
            found[n], tilts[n] = _compared(pixels[:, :count], table[n], setting)
    return found, tilts


@numba.njit(cache=True)
def listed(  # noqa: PLR0913, PLR0917 - a kernel: what it needs, one by one
    image: Array,
    model: Array,
    own: Array,
    inverse: Array,
    setting: Setting,
    space: Array,
    out: Array,
) -> int:
    """List count, mean without own background, own stamp, dy and dx of the window's pixels.

    They are the rows of `out`, shape (5, pixels).
    """
    reach = setting[0]
    low, high = window(own[ROW], reach, image.shape[0])
    left, right = window(own[COLUMN], reach, image.shape[1])
    middle, centre = math.floor(own[ROW] + 0.5), math.floor(own[COLUMN] + 0.5)
    stamp = space[: high - low + 1, : right - left]
    draw(own, (low, left), inverse, stamp)
    count = 0
    for i in range(low, high):
        chord = half_chord(i, middle, reach)
        for j in range(max(left, centre - chord), min(right, centre + chord + 1)):
            out[0, count], out[1, count] = image[i, j], model[i, j]
            out[2, count], out[3, count] = stamp[i - low, j - left], i - own[ROW]
            out[4, count] = j - own[COLUMN]
            count += 1
    return count


@numba.njit(cache=True, fastmath=REORDERED)
def _levels(pixels: Array, ground: float, height: float, setting: Setting) -> tuple[float, float]:
    """Return background and height that fit best; a height of 0 stays 0."""
    _, gain, dark, floor = setting
    free = height > 0
    for _ in range(_STEPS):
        s0, s1, f00, f01, f11 = 5 * (0.0,)
        for k in range(pixels.shape[1]):
            value, others, shape = pixels[0, k], pixels[1, k], pixels[2, k]
            mean = others + height * shape + ground
            weight = 1.0 / max(gain * mean + dark, floor)
            away = (value - mean) * weight
            s0, s1 = s0 + away, s1 + shape * away
            f00, f01 = f00 + weight, f01 + shape * weight
            f11 += shape * shape * weight
        if not free:
            ground += s0 / f00
            continue
        spread = f00 * f11 - f01 * f01
        if spread <= 1e-12 * f00 * f11:  # the column is as flat as the background here
            break
        ground += (f11 * s0 - f01 * s1) / spread
        height = max(height + (f00 * s1 - f01 * s0) / spread, 1e-9)
    return ground, height


@numba.njit(cache=True, fastmath=REORDERED)
def _compared(pixels: Array, own: Array, setting: Setting) -> tuple[float, float]:
    """Return gain and tilt of one column from the pixels of its window.

    Where too little of it is within the frame nothing speaks for it.
    """
    if pixels.shape[1] < _FEWEST:
        return 0.0, 0.0
    _, gain, dark, floor = setting
    pixels[1] -= own[HEIGHT] * pixels[2]
    level, height = _levels(pixels, own[GROUND], max(own[HEIGHT], 1e-9), setting)
    bare, _ = _levels(pixels, level + height * pixels[2].mean(), 0.0, setting)
    total, t0, t1, f0, f1 = 5 * (0.0,)
    for k in range(pixels.shape[1]):
        value, others, dy, dx = pixels[0, k], pixels[1, k], pixels[3, k], pixels[4, k]
        mean = others + height * pixels[2, k] + level
        total += likelier(value, mean, others + bare, setting)
        weight = 1.0 / max(gain * mean + dark, floor)
        away = (value - mean) * weight
        t0, t1 = t0 + away * dy, t1 + away * dx
        f0, f1 = f0 + weight * dy * dy, f1 + weight * dx * dx
    tilt = (t0 * t0 / f0 if f0 > 0 else 0.0) + (t1 * t1 / f1 if f1 > 0 else 0.0)
    return 2.0 * total, tilt


@numba.njit(cache=True, inline="always")
def likelier(value: float, mean: float, other: float, setting: Setting) -> float:
    """Return how much more likely a count is by one mean than by another, as a logarithm.

    The integral of (value - m) / variance(m) over m from `other` to `mean`.
    """
    _, gain, dark, floor = setting
    if gain * abs(mean - other) < 1e-6 * floor or gain < 1e-9 * dark:
        variance = max(gain * 0.5 * (mean + other) + dark, floor)
        return (mean - other) * (value - 0.5 * (mean + other)) / variance
    up, low = max(gain * mean + dark, floor), max(gain * other + dark, floor)
    return ((gain * value + dark) * math.log(up / low) - (up - low)) / gain**2
