"""Where plates begin and end along a straightened strip, roughly, and which end is free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import map_coordinates

from nanopilot.analysis.electrodes.slots import Slots, core

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: Pixels by which long and short plates must differ, and how many standard errors, for an end to
#: be told to be the free one.
_APART, _SURE = 1.5, 4.0


@dataclass(frozen=True, slots=True, eq=False)
class Ends:
    """Rough ends of every place of a strip.

    Parameters
    ----------
    level : numpy.ndarray
        Contrast of plate against gaps, shape (n,).
    noise : numpy.ndarray
        Standard deviation of that contrast from row to row.
    top, bottom : numpy.ndarray
        Row where the contrast begins and ends, edges of pixels.
    """

    level: FloatArray
    noise: FloatArray
    top: FloatArray
    bottom: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A line of ends across the stack: a parabola, and a step between neighbours.

    Parameters
    ----------
    bow : numpy.ndarray
        Coefficients of the parabola, highest power first.
    step : float
        Row of even places less row of odd ones.
    error : float
        Its standard error.
    scatter : float
        Standard deviation of the ends about the line.
    """

    bow: FloatArray
    step: float
    error: float
    scatter: float

    def rows(self, place: FloatArray, even: BoolArray) -> FloatArray:
        """Return where ends are expected."""
        return np.asarray(np.polyval(self.bow, place) + self.step * np.where(even, 0.5, -0.5))

    @property
    def staggered(self) -> bool:
        """Whether even and odd places end in different rows beyond doubt."""
        return abs(self.step) > max(_APART, _SURE * self.error)


def contrast(darkness: FloatArray, slots: Slots, ways: tuple[int, ...] = (-1, 1)) -> FloatArray:
    """Return plate less gaps of every row and place, shape (rows, n).

    Parameters
    ----------
    darkness : numpy.ndarray
        Larger where plates are, shape (rows, columns).
    slots : Slots
        The places.
    ways : tuple of int
        Which gaps: -1 the one before, 1 the one after.
    """
    height = darkness.shape[0]

    def at(offsets: tuple[float, ...]) -> FloatArray:
        rows = np.arange(height, dtype=float)[:, None, None]
        columns = slots.place[None, :, None] + slots.spacing * np.array(offsets)
        rows, columns = np.broadcast_arrays(rows, columns)
        found = map_coordinates(darkness, [rows, columns], order=1, mode="nearest")
        return np.asarray(found.mean(axis=-1))

    return at((-0.12, 0.0, 0.12)) - at(
        tuple(0.49 * way + off for way in ways for off in (-0.05, 0.05))
    )


def find_ends(contrasts: FloatArray, body: slice) -> Ends:
    """Return both ends of every place: the most likely change from plate to nothing.

    For normal noise that is where the sum of contrast less half the level is largest: the CUSUM
    of E. S. Page, Biometrika 41 (1954) 100.
    """
    rows = core(body)
    level = contrasts[rows].mean(axis=0)
    noise = np.std(np.diff(contrasts, axis=0), axis=0) / np.sqrt(2)
    middle = (rows.start + rows.stop) // 2
    excess = contrasts - level / 2
    up = np.cumsum(excess[:middle][::-1], axis=0)
    down = np.cumsum(excess[middle:], axis=0)
    top = middle - 1 - np.argmax(up, axis=0) - 0.5
    bottom = middle + np.argmax(down, axis=0) + 0.5
    return Ends(level, noise, top, bottom)


def fit_line(place: FloatArray, even: BoolArray, rows: FloatArray, good: BoolArray) -> Line | None:
    """Fit ends by a parabola and a step between even and odd places; outliers count little.

    Returns
    -------
    Line or None
        None where fewer than six places are good.
    """
    if good.sum() < 6:
        return None
    both = len(np.unique(even[good])) == 2
    # Few plates say too little about a bow.
    powers = 2 if good.sum() >= 12 else 1
    centre = place[good].mean()
    wide = max(np.ptp(place[good]), 1.0)
    x = (place[good] - centre) / wide
    basis = np.stack([x**k for k in range(powers, -1, -1)] + [np.where(even[good], 0.5, -0.5)], 1)
    seen, weight = rows[good], np.ones(int(good.sum()))
    spread = 1.0
    for _ in range(8):
        found, *_ = np.linalg.lstsq(basis * weight[:, None], seen * weight, rcond=None)
        away = seen - basis @ found
        spread = max(1.4826 * float(np.median(np.abs(away))), 0.4)
        weight = 1 / np.sqrt(1 + (away / (2 * spread)) ** 2)
    if not both:
        # Only one kind is seen well: nothing is known of the step.
        found[-2] += found[-1] * (0.5 if even[good][0] else -0.5)
        found[-1] = 0.0
    cover = np.linalg.pinv((basis * weight[:, None]).T @ (basis * weight[:, None]))
    bow = np.polynomial.polynomial.Polynomial(found[:-1][::-1], domain=(centre, centre + wide),
                                              window=(0, 1)).convert().coef[::-1]  # fmt: skip
    error = spread * float(np.sqrt(cover[-1, -1])) if both else np.inf
    return Line(np.asarray(bow), float(found[-1]), error, spread)
