"""Which part of the offsets of lines is the lines' own, and which the surface's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.fft import dct, idct

from nanopilot.analysis.frame_arrays import BoolArray
from nanopilot.core.history import FloatArray

#: Parts of a frame that must agree, and columns that each must have.
PARTS, _LEAST = 4, 8

Estimate = Callable[[FloatArray, BoolArray], FloatArray]


def shared_offsets(heights: FloatArray, used: BoolArray, estimate: Estimate) -> FloatArray:
    """Return offsets of lines as far as all parts of the lines have them.

    An offset lifts a whole line; hills lift a part of it. So the offsets are estimated over and
    over from parts of the columns, side by side. What differs from part to part is the surface,
    and how much of it is left in the mean follows; that part of every wave along the slow axis
    is kept from being taken off (N. Wiener, Extrapolation, Interpolation, and Smoothing of
    Stationary Time Series, 1949: gain = own power / all power). Where parts agree, as on the
    ground between particles or on terraces, everything is taken off.

    Parameters
    ----------
    heights : numpy.ndarray
        Shape (rows, columns), tilt and bow taken out.
    used : numpy.ndarray of bool
        Which pixels have a say, same shape.
    estimate : callable
        Offsets, shape (rows,), from heights and mask.

    Returns
    -------
    numpy.ndarray
        Shape (rows,).
    """
    whole = estimate(heights, used)
    if heights.shape[1] < PARTS * _LEAST:
        return whole
    columns = np.array_split(np.arange(heights.shape[1]), PARTS)
    parts = np.stack([estimate(heights[:, one], used[:, one]) for one in columns])
    waves = dct(whole, norm="ortho")
    differ = dct(parts - parts.mean(axis=0), axis=1, norm="ortho")
    surface = _smooth((differ**2).sum(axis=0) / (PARTS * (PARTS - 1)))
    power = _smooth(waves**2)
    share = np.divide(surface, power, out=np.zeros_like(power), where=power > 0)
    return np.asarray(idct(waves * np.clip(1.0 - share, 0.0, 1.0), norm="ortho"))


def _smooth(power: FloatArray) -> FloatArray:
    """Return means over waves a third shorter and longer, and over the next ones at least."""
    index = np.arange(power.size)
    reach = np.maximum(1, index // 3)
    first, behind = np.maximum(0, index - reach), np.minimum(power.size, index + reach + 1)
    total = np.concatenate([[0.0], np.cumsum(power)])
    return np.asarray((total[behind] - total[first]) / (behind - first))
