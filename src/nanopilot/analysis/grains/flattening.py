"""A height frame made level in a way that does not care how the frame is turned."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.ndimage import convolve

from nanopilot.analysis.levelling import SubtractPolynomial
from nanopilot.analysis.line_offsets import line_offsets

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Lines that jump this many times more than columns do are lines of a scan.
_JUMPS = 1.25


def flatten(heights: FloatArray) -> FloatArray:
    """Take tilt, bow and the offsets of scan lines off; mean 0.

    Scan lines may run along either axis: files are stored both ways. They run along the axis whose
    lines jump more from one to the next.

    Parameters
    ----------
    heights : numpy.ndarray
        Metres, shape (rows, columns), finite.
    """
    bow = SubtractPolynomial(2, 2, exclude=None)
    level = heights - bow.fit(heights)[0]
    rows, columns = (line_offsets(one, "differences") for one in (level, level.T))
    jumps = [float(np.median(np.abs(np.diff(one)))) for one in (rows, columns)]
    if jumps[0] > _JUMPS * jumps[1]:
        level = level - rows[:, None]
    elif jumps[1] > _JUMPS * jumps[0]:
        level = level - columns[None, :]
    level = level - bow.fit(level)[0]
    return np.asarray(level - level.mean())


def noise_of(level: FloatArray) -> float:
    """Return the standard deviation of white noise, robustly.

    J. Immerkær, Comput. Vis. Image Underst. 64 (1996) 300: a mask that is blind to planes and to
    parabolas along the axes gives 6 sigma of white noise.
    """
    mask = np.array([[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]])
    seen = convolve(level, mask, mode="nearest")[1:-1, 1:-1]
    return float(np.median(np.abs(seen)) / 0.6745 / 6) if seen.size else math.nan
