"""Plates of a strip taken apart: every row is a sum of blurred bars on a smooth ground."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import erf

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: Widths and blurs that are tried, as shares of the spacing.
_WIDTHS = (0.36, 0.44, 0.52)
_BLURS = (0.06, 0.12, 0.18, 0.24, 0.28, 0.33)
#: Distance of the knots of the ground in spacings.
_KNOTS = 3.5


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """Shape of the plates of a strip.

    Parameters
    ----------
    place : numpy.ndarray
        Middle of every plate in columns of the strip, shape (n,).
    error : numpy.ndarray
        Its standard error.
    width : numpy.ndarray
        Width of every plate in pixels.
    blur : float
        Standard deviation of the blur across, in pixels.
    """

    place: FloatArray
    error: FloatArray
    width: FloatArray
    blur: float


def bar(columns: FloatArray, place: FloatArray, width: FloatArray, blur: float) -> FloatArray:
    """Return blurred bars of height 1, shape (columns, n)."""
    away = columns[:, None] - place
    scale = np.sqrt(2) * max(blur, 1e-3)
    return np.asarray(0.5 * (erf((away + width / 2) / scale) - erf((away - width / 2) / scale)))


def slope(columns: FloatArray, place: FloatArray, width: FloatArray, blur: float) -> FloatArray:
    """Return the derivative of `bar` by its place, shape (columns, n)."""
    away = columns[:, None] - place
    two = 2 * max(blur, 1e-3) ** 2
    rise = np.exp(-((away - width / 2) ** 2) / two) - np.exp(-((away + width / 2) ** 2) / two)
    return np.asarray(rise / np.sqrt(np.pi * two))


def ground(columns: FloatArray, spacing: float) -> FloatArray:
    """Return tents over evenly spaced knots, shape (columns, knots)."""
    knots = np.linspace(
        columns[0], columns[-1], max(int(np.ptp(columns) / (_KNOTS * spacing)) + 1, 2)
    )
    apart = knots[1] - knots[0]
    return np.asarray(np.clip(1 - np.abs(columns[:, None] - knots) / apart, 0, None))


def around(place: FloatArray, spacing: float, wide: int) -> FloatArray:
    """Return the columns that the plates and the gaps beside them take."""
    first = max(int(np.ceil(place[0] - 0.75 * spacing)), 0)
    last = min(int(place[-1] + 0.75 * spacing), wide - 1)
    return np.arange(first, last + 1, dtype=float)


def fit_bars(
    profile: FloatArray, noise: FloatArray, start: FloatArray, even: BoolArray, spacing: float
) -> Bars:
    """Fit bars to the mean of many rows: one blur, a width for each kind, a place for each plate.

    Parameters
    ----------
    profile, noise : numpy.ndarray
        Darkness along the strip and its standard error, shape (columns,).
    start : numpy.ndarray
        Rough places, shape (n,).
    even : numpy.ndarray of bool
        Kind of every plate.
    spacing : float
        Distance of neighbours.
    """
    columns = around(start, spacing, len(profile))
    seen = profile[columns.astype(int)]
    flat = ground(columns, spacing)
    best = (np.inf, 0.0, 0.0, 0.0)
    for blur in _BLURS:
        for first in _WIDTHS:
            for second in _WIDTHS:
                width = spacing * np.where(even, first, second)
                rest = _rest(columns, seen, flat, (start, width, blur * spacing))
                best = min(best, (rest, blur, first, second))
    blur = best[1] * spacing
    width = spacing * np.where(even, best[2], best[3])
    place = start.copy()
    spread = np.zeros(len(start))
    for _ in range(3):
        shapes = bar(columns, place, width, blur)
        both = np.concatenate([shapes, flat], axis=1)
        height = np.linalg.lstsq(both, seen, rcond=1e-8)[0][: len(place)]
        moved = slope(columns, place, width, blur) * height
        whole = np.concatenate([both, moved], axis=1)
        found = np.linalg.lstsq(whole, seen, rcond=1e-8)[0][-len(place) :]
        place = place + np.clip(found, -0.15 * spacing, 0.15 * spacing)
        left = seen - whole @ np.linalg.lstsq(whole, seen, rcond=1e-8)[0]
        # What the model does not explain counts as noise.
        sigma = np.hypot(float(np.mean(noise)), float(np.std(left)))
        cover = np.linalg.pinv(whole.T @ whole, rcond=1e-8)
        spread = sigma * np.sqrt(np.clip(np.diag(cover)[-len(place) :], 0, None))
    return Bars(np.clip(place, start - 0.35 * spacing, start + 0.35 * spacing), spread, width, blur)


def _rest(
    columns: FloatArray, seen: FloatArray, flat: FloatArray,
    shape: tuple[FloatArray, FloatArray, float],
) -> float:  # fmt: skip
    both = np.concatenate([bar(columns, *shape), flat], axis=1)
    found = np.linalg.lstsq(both, seen, rcond=1e-8)[0]
    return float(np.sum((seen - both @ found) ** 2))


def heights(darkness: FloatArray, bars: Bars, spacing: float) -> FloatArray:
    """Return the height of every plate in every row, shape (rows, n): least squares, row by row."""
    columns = around(bars.place, spacing, darkness.shape[1])
    shapes = bar(columns, bars.place, bars.width, bars.blur)
    both = np.concatenate([shapes, ground(columns, spacing)], axis=1)
    solve = np.linalg.pinv(both, rcond=1e-8)[: len(bars.place)]
    return np.asarray(darkness[:, columns.astype(int)] @ solve.T)


def height_error(profile: FloatArray, bars: Bars, spacing: float) -> FloatArray:
    """Return the standard error of heights in a mean of rows, shape (n,), from what is left."""
    columns = around(bars.place, spacing, len(profile))
    shapes = bar(columns, bars.place, bars.width, bars.blur)
    both = np.concatenate([shapes, ground(columns, spacing)], axis=1)
    seen = profile[columns.astype(int)]
    left = seen - both @ np.linalg.lstsq(both, seen, rcond=1e-8)[0]
    sigma = np.sqrt(left @ left / max(len(seen) - both.shape[1], 1))
    cover = np.linalg.pinv(both.T @ both, rcond=1e-8)
    return np.asarray(sigma * np.sqrt(np.clip(np.diag(cover)[: len(bars.place)], 0, None)))
