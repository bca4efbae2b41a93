"""The lattice of a frame, from the peaks of its power spectrum."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from scipy.ndimage import maximum_filter, median_filter, uniform_filter

from nanopilot.core.errors import SignalError

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: A peak has this much more power than what is near it, and this share of the strongest's.
_ABOVE, _SHARE = 40.0, 4e-3
#: Peaks that must lie on the lattice, and by how many bins they may miss it.
_PEAKS, _MISS = 14, 1.3
#: So many of the strongest must, and so large a share of all power: weak ones may be noise.
_SURE, _MOST = 3, 0.9
#: A peak beside one so many times as strong may be its hum's.
_FAINTER = 2.0


def find_lattice(frame: FloatArray, pixel: float) -> FloatArray | None:
    """Return two reciprocal vectors, as rows in 1/m, that index the peaks of a power spectrum.

    Parameters
    ----------
    frame : numpy.ndarray
        Counts, shape (rows, columns).
    pixel : float
        Metres.

    Returns
    -------
    numpy.ndarray or None
        Shape (2, 2); None: there are no peaks, or not all of the strong ones lie on one lattice.

    Raises
    ------
    SignalError
        The frame is too small to have a spectrum.
    """
    peaks, power = _peaks(frame, pixel)
    step = 1 / (pixel * np.array(frame.shape[::-1], dtype=float))
    # A hum draws every peak out along y, to wherever its frequency is; those are no lattice's.
    across = peaks[:, 0]
    # Every peak has a twin at the opposite frequency.
    aside = (
        np.minimum(np.abs(across[:, None] - across), np.abs(across[:, None] + across))
        < 1.5 * step[0]
    )
    drawn = (aside & (power[None, :] > _FAINTER * power[:, None])).any(axis=1)
    plain = _indexing(peaks[~drawn], step, _MOST, power[~drawn])
    return _indexing(peaks, step, 1.0, power) if plain is None else plain


def _hits(basis: FloatArray, peaks: FloatArray, step: FloatArray) -> BoolArray:
    part = peaks @ np.linalg.inv(basis)
    found: BoolArray = np.abs((part - np.rint(part)) @ basis / step).max(axis=1) < _MISS
    return found


def _indexing(
    peaks: FloatArray, step: FloatArray, most: float, power: FloatArray
) -> FloatArray | None:
    """Return the basis with the largest cell that indexes so large a share of the power."""
    if len(peaks) < 2:
        return None
    found, largest = None, 0.0
    for one, other in combinations(_with_remainders(peaks), 2):
        basis = np.array([one, other])
        area = abs(float(np.linalg.det(basis)))
        if area < 16 * step.prod() or area <= largest * (1 + 1e-3):
            continue
        hit = _hits(basis, peaks, step)
        if hit[:_SURE].all() and hit @ power >= most * power.sum() * (1 - 1e-9):
            found, largest = basis, area
    return None if found is None else _reduced(found)


def _peaks(frame: FloatArray, pixel: float) -> tuple[FloatArray, FloatArray]:
    """Return places of peaks of the spectrum, (n, 2) in 1/m, strongest first, and their power.

    One of each pair.
    """
    if frame.ndim != 2 or min(frame.shape) < 32:
        raise SignalError(f"`frame` has shape {frame.shape}; a lattice takes 32 x 32 or more.")
    rows, columns = frame.shape
    window = np.hanning(rows + 2)[1:-1, None] * np.hanning(columns + 2)[None, 1:-1]
    level = frame - uniform_filter(frame, max(5, min(frame.shape) // 6), mode="reflect")
    power = np.fft.fftshift(np.abs(np.fft.fft2(level * window)) ** 2)
    middle = rows // 2, columns // 2
    floor = median_filter(power, 15)
    y, x = np.indices(power.shape)
    x, y = x - middle[1], y - middle[0]
    inside = (np.hypot(x, y) >= 3) & ((y > 0) | ((y == 0) & (x > 0)))
    inside &= (abs(x) < columns // 2 - 1) & (abs(y) < rows // 2 - 1)
    top = inside & (power == maximum_filter(power, 5)) & (power > _ABOVE * floor)
    top &= power > _SHARE * power[inside].max()
    at = np.argwhere(top)
    at = at[np.argsort(-power[top])][:_PEAKS]
    places = [
        ((column + _vertex(power[row, column - 1 : column + 2]) - middle[1]) / (columns * pixel),
         (row + _vertex(power[row - 1 : row + 2, column]) - middle[0]) / (rows * pixel))
        for row, column in at
    ]  # fmt: skip
    return np.array(places).reshape(-1, 2), np.array([power[tuple(one)] for one in at])


def _vertex(three: FloatArray) -> float:
    low, mid, high = np.log(three + 1e-300)
    bend = low - 2 * mid + high
    return float(0.5 * (low - high) / bend) if bend < 0 else 0.0


def _with_remainders(peaks: FloatArray) -> list[FloatArray]:
    """Return peaks and differences of the strongest: the basis may have no strong peak."""
    few = peaks[:6]
    more = [a + sign * b for a, b in combinations(few, 2) for sign in (1, -1)]
    return [*peaks, *more]


def _reduced(basis: FloatArray) -> FloatArray:
    """Return the two shortest vectors of a lattice (Gauss), the first one towards +x."""
    one, other = basis
    while True:
        if one @ one > other @ other:
            one, other = other, one
        times = round(float(one @ other / (one @ one)))
        if times == 0:
            break
        other = other - times * one
    one = one if one[0] > 0 else -one
    other = other if one[0] * other[1] - one[1] * other[0] > 0 else -other
    return np.array([one, other])
