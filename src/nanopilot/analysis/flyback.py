"""How the beam lags at the beginning of lines, from how a lattice is drawn out there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nanopilot.analysis.lattice_waves import LatticeFit

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Part of a line that the lattice is not fitted on, and drop of chi squared that is a lag.
PART, _SEEN = 0.25, 25.0


@dataclass(frozen=True, slots=True)
class Flyback:
    """A lag that dies away.

    Parameters
    ----------
    time, std : float
        Time constant in seconds and its error.
    seen : bool
        Whether the beginning of lines is the better for it.
    bound : float
        Seconds that it has at most if it was not seen.
    """

    time: float
    std: float
    seen: bool
    bound: float


def lag(columns: int, pixel: float, dwell: float, wait: float, time: float) -> FloatArray:
    """Return metres by which the beam is further along x than it was told, shape (columns,).

    An exponential approach from the end of the last line: ``width exp(-t / time)``.

    Parameters
    ----------
    columns : int
        Of a line.
    pixel, dwell, wait : float
        Metres and seconds per pixel, and seconds between lines.
    time : float
        Time constant in seconds; 0: no lag.
    """
    if not time > 0:
        return np.zeros(columns)
    since = wait + dwell * np.arange(columns)
    found: FloatArray = pixel * (columns - 1) * np.exp(-np.minimum(since / time, 700.0))
    return found


def find_flyback(
    frames: Sequence[tuple[FloatArray, LatticeFit]], dwell: float, wait: float, variance: float
) -> Flyback:
    """Estimate the time constant with which the beam follows after it has flown back.

    Parameters
    ----------
    frames : sequence of (numpy.ndarray, LatticeFit)
        Counts, and a fit that did not use the first quarter of every line.
    dwell, wait : float
        Seconds per pixel, and between lines.
    variance : float
        Of a pixel in counts².
    """
    columns, pixel = frames[0][0].shape[1], frames[0][1].pixel
    early = slice(0, int(PART * columns))

    def misfit(time: float) -> float:
        late = lag(columns, pixel, dwell, wait, time)
        return float(sum(np.sum((counts[:, early] - fit.seen_with(late, early)) ** 2)
                         for counts, fit in frames)) / variance  # fmt: skip

    none = misfit(0.0)
    # A lag of a twentieth of a pixel at the first pixel is none.
    first = (wait + 0.5 * dwell) / np.log(20.0 * columns)
    last = max(wait + PART * columns * dwell, 2 * first) / 4
    grid = np.geomspace(first, last, 40)
    found = np.array([misfit(one) for one in grid])
    best = int(np.argmin(found))
    if none - found[best] < _SEEN:
        bound = float(grid[found < none + 4][-1]) if (found < none + 4).any() else float(first)
        return Flyback(0.0, 0.0, False, bound)
    time, width = float(grid[best]), float(np.log(grid[1] / grid[0]))
    curve = 0.0
    for _ in range(5):
        near = time * np.exp(width * np.array([-1.0, 0.0, 1.0]))
        low, mid, high = (misfit(one) for one in near)
        bend = low - 2 * mid + high
        if bend <= 0:
            width /= 2
            continue
        time *= float(np.exp(np.clip(width * 0.5 * (low - high) / bend, -width, width)))
        curve, width = bend / width**2, width / 2.5
    return Flyback(time, time * float(np.sqrt(2 / max(curve, 1e-12))), True, time)
