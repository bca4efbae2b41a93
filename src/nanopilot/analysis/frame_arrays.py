"""What operators on frames ask of a frame, and hand back."""

from __future__ import annotations

from typing import Any

import numpy as np

from nanopilot.core.errors import SignalError
from nanopilot.core.history import FloatArray
from nanopilot.core.signals import Signal

BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: Turns a median absolute deviation into the standard deviation of normal noise.
NORMAL_MAD = 1.4826


def rows_of(frame: Signal, *, least: tuple[int, int] = (1, 1)) -> tuple[Signal, FloatArray]:
    """Return a frame with dims (y, x) and its values as numbers, a copy.

    Parameters
    ----------
    frame : Signal
        Dims y and x.
    least : (int, int)
        Rows and columns it must have.

    Raises
    ------
    SignalError
        It has other dims, is too small, or has no finite pixel.
    """
    if set(frame.dims) != {"y", "x"}:
        raise SignalError(f"`frame` has dims {frame.dims}; it must have (y, x). Take one frame.")
    turned = frame.transpose("y", "x")
    if turned.shape[0] < least[0] or turned.shape[1] < least[1]:
        raise SignalError(
            f"`frame` has shape {turned.shape}; at least {least[0]} rows and {least[1]} columns "
            "are needed."
        )
    values = turned.to_numpy().astype(np.float64)
    if not np.isfinite(values).any():
        raise SignalError("`frame` has no finite pixel; give one that was measured.")
    return turned, values


def robust_std(values: FloatArray) -> float:
    """Return the standard deviation that the median absolute deviation stands for; NaN left out."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0
    return float(NORMAL_MAD * np.median(np.abs(finite - np.median(finite))))
