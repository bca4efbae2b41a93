"""What is taken from a frame, and how answers get its coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from nanopilot.core.errors import SignalError
from nanopilot.core.signals import Signal

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: Least rows and columns of an image.
LEAST = 96


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """A frame as numbers, plates dark, and its coordinates.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (rows, columns), plates darker than gaps.
    frame : Signal
        Where it came from, dims (y, x).
    step : float
        Length of a pixel, metres or 1.
    units : {"m", "1"}
        Of lengths.
    """

    values: FloatArray
    frame: Signal
    step: float
    units: str

    @property
    def calibrated(self) -> bool:
        """Whether lengths are in metres."""
        return self.units == "m"

    def position(self, pixels: FloatArray, dim: str) -> FloatArray:
        """Return coordinates of places along a dim, given in pixels."""
        axis = self.frame[dim].to_numpy().astype(float)
        pitch = (axis[-1] - axis[0]) / (len(axis) - 1)
        return np.asarray(axis[0] + pitch * pixels)

    def labels(self, values: IntArray) -> Signal:
        """Return a mask with the coordinates of the frame."""
        attrs = {"quantity": "label", "units": "1"}
        return xr.DataArray(values, dims=("y", "x"), attrs=attrs,
                            coords={d: self.frame[d] for d in ("y", "x")})  # fmt: skip


def read_frame(frame: Signal, plates: str) -> Reading:
    """Check a frame and take its numbers.

    Raises
    ------
    SignalError
        It has other dims, is small, has pixels that are not finite or not square, or is flat.
    """
    if set(frame.dims) != {"y", "x"}:
        raise SignalError(f"`frame` has dims {frame.dims}; it must have (y, x). Take one frame.")
    frame = frame.transpose("y", "x")
    if min(frame.shape) < LEAST:
        raise SignalError(
            f"`frame` has shape {frame.shape}; plates need at least {LEAST} rows and columns."
        )
    values = frame.to_numpy().astype(np.float64)
    lost = ~np.isfinite(values)
    if lost.any():
        raise SignalError(
            f"`frame` has {int(lost.sum())} values that are not finite; fill or crop them first."
        )
    if np.ptp(values) == 0:
        raise SignalError("`frame` has the same value everywhere; nothing was measured.")
    steps = [_step(frame, dim) for dim in ("y", "x")]
    if abs(steps[0] - steps[1]) > 0.02 * max(steps):
        raise SignalError(
            f"`frame` has pixels of {steps[0]:.3g} by {steps[1]:.3g}; resample it to square ones, "
            "so that lengths along and across the plates compare."
        )
    units = {str(frame[dim].attrs.get("units", "")) for dim in ("y", "x")}
    known = "m" if units == {"m"} else "1"
    scale = max(float(np.abs(values).max()), 1e-30)
    return Reading(values / scale if plates == "dark" else -values / scale, frame, steps[0], known)


def _step(frame: Signal, dim: str) -> float:
    axis = frame[dim].to_numpy().astype(float)
    step = abs(float(axis[-1] - axis[0])) / (len(axis) - 1)
    if step == 0:
        raise SignalError(f"`{dim}` of `frame` does not move; its calibration is broken.")
    return step
