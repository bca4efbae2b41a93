"""Spikes out of cyclic curves: a sliding median that wraps round the ends."""

from __future__ import annotations

import numpy as np

from nanopilot.core.errors import OutOfRange
from nanopilot.core.history import FloatArray, IntArray

#: Turns a median absolute deviation into the standard deviation of normal noise.
NORMAL_MAD = 1.4826


def cyclic_median(values: FloatArray, width: int = 5) -> FloatArray:
    """Return the sliding median along the last axis of curves that close on themselves.

    Spikes of up to ``width // 2`` points within a window vanish whatever their height.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (..., points). NaN in a window makes its median NaN.
    width : int
        Points in the window: odd and not more than there are points.

    Returns
    -------
    numpy.ndarray
        Shape (..., points).

    Raises
    ------
    OutOfRange
        The width is even or too large.

    Examples
    --------
    >>> cyclic_median(np.array([1.0, 100.0, 1.0, 2.0, 2.0, 2.0])).tolist()
    [2.0, 2.0, 2.0, 2.0, 2.0, 2.0]
    """
    points = values.shape[-1]
    if width % 2 == 0 or not 1 <= width <= points:
        raise OutOfRange(f"`width` is {width}; it has to be odd and at most {points}.")
    half = width // 2
    wrapped = np.concatenate([values[..., points - half :], values, values[..., :half]], axis=-1)
    windows = np.lib.stride_tricks.sliding_window_view(wrapped, width, axis=-1)
    # Sorting puts NaN last, where it would pass for a large number.
    middle = np.sort(windows, axis=-1)[..., half]
    return np.where(np.isnan(windows).any(axis=-1), np.nan, middle)


def count_spikes(values: FloatArray, smooth: FloatArray) -> IntArray:
    """Count the points of each curve that stick out of its smooth version.

    A spike differs by more than six robust standard deviations of the difference and by
    more than a tenth of the smooth curve's range, so that neither noise nor a steep flank
    passes for one.

    Parameters
    ----------
    values, smooth : numpy.ndarray
        Shape (..., points).

    Returns
    -------
    numpy.ndarray of int
        Shape (...).
    """
    away = np.abs(values - smooth)
    noise = NORMAL_MAD * np.median(away, axis=-1, keepdims=True)
    span = np.ptp(smooth, axis=-1, keepdims=True)
    return np.asarray((away > np.maximum(6.0 * noise, 0.1 * span)).sum(axis=-1), dtype=np.int64)
