"""Where and when the pixels of a frame were scanned."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nanopilot.core.errors import SignalError
from nanopilot.core.history import FloatArray
from nanopilot.core.signals import Signal, metadata


@dataclass(frozen=True, slots=True, eq=False)
class ScanTimes:
    """Time as a linear function of the place in the frame.

    Parameters
    ----------
    pitch, size, centre : numpy.ndarray
        (x, y) in metres: of pixels, of the frame, and where its middle is; shape (2,).
    slope : numpy.ndarray
        Seconds per metre along (x, y) of the frame, shape (2,).
    middle : float
        When the middle was passed, in seconds.
    rotation : float
        Of the frame, counter-clockwise, in radians.
    shape : (int, int)
        Rows and columns.
    """

    pitch: FloatArray
    size: FloatArray
    centre: FloatArray
    slope: FloatArray
    middle: float
    rotation: float
    shape: tuple[int, int]

    @classmethod
    def of(cls, frame: Signal) -> ScanTimes:
        """Read a frame, dims (y, x) in any order.

        Raises
        ------
        SignalError
            It has other dims, uneven axes, or no times.
        """
        if set(frame.dims) != {"y", "x"}:
            raise SignalError(
                f"`frame` has dims {frame.dims}; it must have (y, x). Take one frame."
            )
        frame = frame.transpose("y", "x")
        axes = [frame[dim].to_numpy() for dim in ("x", "y")]
        pitch = np.array([_pitch(name, axis) for name, axis in zip("xy", axes, strict=True)])
        centre = np.array([(axis[0] + axis[-1]) / 2 for axis in axes])
        x, y = np.meshgrid(*(axis - middle for axis, middle in zip(axes, centre, strict=True)))
        times = _times(frame)
        known = np.isfinite(times)
        basis = np.stack([np.ones_like(x), x / pitch[0], y / pitch[1]], axis=-1)[known]
        begun = float(times[known].min())
        terms, *_ = np.linalg.lstsq(basis, times[known] - begun, rcond=None)
        size = np.array([axis[-1] - axis[0] for axis in axes])
        rotation = float(metadata(frame).get("rotation", 0.0))
        slope = terms[1:] / pitch
        rows, columns = frame.shape
        return cls(pitch, size, centre, slope, begun + terms[0], rotation, (rows, columns))

    @property
    def turn(self) -> FloatArray:
        """The matrix from axes of the frame to those of the instrument."""
        cos, sin = np.cos(self.rotation), np.sin(self.rotation)
        return np.array([[cos, -sin], [sin, cos]])

    def at(self, place: FloatArray) -> float:
        """Return when a place (x, y) in metres from the middle of the frame was passed."""
        return self.middle + float(self.slope @ place)

    def frozen(self) -> ScanTimes:
        """Return the same frame, as if scanned all at once."""
        return replace(self, slope=np.zeros(2))

    def comparable(self, other: ScanTimes) -> None:
        """Raise a `SignalError` unless the other frame has the same shape, pitch and rotation."""
        same = np.allclose(self.pitch, other.pitch, rtol=1e-6)
        if not (same and self.shape == other.shape and self.rotation == other.rotation):
            raise SignalError(
                f"`second` has shape {other.shape}, pitch {other.pitch} m and rotation "
                f"{other.rotation} rad, but `first` {self.shape}, {self.pitch} m and "
                f"{self.rotation} rad; scan both alike."
            )


def _pitch(name: str, axis: FloatArray) -> float:
    steps = np.diff(axis)
    if not steps.size or not np.allclose(steps, steps.mean(), rtol=1e-3) or steps.mean() <= 0:
        raise SignalError(f"`{name}` must ascend evenly in at least two steps; resample the frame.")
    return float(steps.mean())


def _times(frame: Signal) -> FloatArray:
    if "time" not in frame.coords or set(frame["time"].dims) != {"y", "x"}:
        raise SignalError("`time` is no coordinate of every pixel; drift acts in time, so give it.")
    times = frame["time"].transpose("y", "x").to_numpy().astype(float)
    if not np.isfinite(times).any():
        raise SignalError("`time` has no finite value; give a frame that was measured.")
    return times
