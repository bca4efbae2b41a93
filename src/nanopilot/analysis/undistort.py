"""Frames as they would be without drift, lag and hysteresis."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Literal

import numpy as np
from scipy.ndimage import distance_transform_edt, map_coordinates

from nanopilot.analysis.frame_arrays import rows_of
from nanopilot.analysis.scan_times import ScanTimes
from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.core.history import FloatArray
from nanopilot.core.signals import Signal, metadata

#: Pixels by which a place may lie beyond the outermost and still count as that.
_SLACK = 1e-6


@dataclass(frozen=True, slots=True)
class CorrectDrift:
    """Put every pixel where it belongs on the sample, from when it was measured.

    Parameters
    ----------
    velocity : (float, float)
        As of `Drift`: (x, y) in metres per second.
    at : float, optional
        The frame shows the sample as it lay at this time, in seconds; None: when the middle of
        the frame was passed.

    Raises
    ------
    OutOfRange
        The velocity is no number.
    """

    velocity: tuple[float, float]
    at: float | None = None

    def __post_init__(self) -> None:
        if not all(isfinite(one) for one in self.velocity):
            raise OutOfRange(
                f"`velocity` is {self.velocity}; it must be finite. Frames that do not "
                "match tell none."
            )

    def __call__(self, frame: Signal) -> Signal:
        """Return the frame on the same grid, dims (y, x); NaN where nothing was measured.

        ``time`` says when each place was passed. ``measured_x`` and ``measured_y`` are left out.

        Raises
        ------
        SignalError
            The frame has other dims, uneven axes or no times, or the drift is as fast as the scan.
        """
        scan = ScanTimes.of(frame)
        frame, heights = rows_of(frame)
        velocity = scan.turn.T @ np.array(self.velocity)
        bend = np.eye(2) + np.outer(velocity, scan.slope)
        if abs(np.linalg.det(bend)) < 0.1:
            raise SignalError(
                f"`velocity` is {self.velocity} m/s, as fast as the scan; nothing can be told."
            )
        at = scan.middle if self.at is None else self.at
        rows, columns = np.indices(frame.shape, dtype=float)
        middle = (np.array(frame.shape) - 1) / 2
        places = np.stack(
            [(columns - middle[1]) * scan.pitch[0], (rows - middle[0]) * scan.pitch[1]]
        )
        # A place p on the sample was passed at r: r + v (t(r) - at) = p, with t linear in r.
        wanted = places.reshape(2, -1) - (velocity * (scan.middle - at))[:, None]
        x, y = np.linalg.solve(bend, wanted).reshape(places.shape)
        row, column = y / scan.pitch[1] + middle[0], x / scan.pitch[0] + middle[1]
        # The fit of the times is exact for a raster; what another order adds is small.
        times = resampled(_times(frame), row, column, order=1)
        found = frame.drop_vars(["measured_x", "measured_y"], errors="ignore")
        found = found.copy(data=resampled(heights, row, column))
        return found.assign_coords(time=(("y", "x"), times, frame["time"].attrs))


@dataclass(frozen=True, slots=True)
class CorrectLag:
    """Bring trace and retrace on each other: take lag and hysteresis out of either.

    Parameters
    ----------
    lag : float
        How far the direction lags behind, in metres: `TraceLag.lag`.
    bend : float
        Largest difference of trace and retrace from hysteresis, in metres: `TraceLag.bend`.
    """

    lag: float
    bend: float = 0.0

    def __post_init__(self) -> None:
        for name in ("lag", "bend"):
            if not isfinite(getattr(self, name)):
                raise OutOfRange(f"`{name}` is {getattr(self, name)}; it must be finite.")

    def __call__(self, frame: Signal) -> Signal:
        """Return the frame on the same grid, dims (y, x); NaN where nothing was measured.

        Raises
        ------
        SignalError
            The frame has other dims, or does not say in which direction it was recorded.
        """
        frame, heights = rows_of(frame, least=(1, 2))
        direction = metadata(frame).get("direction")
        if direction not in ("trace", "retrace"):
            raise SignalError(f"`direction` is {direction!r}; it must be 'trace' or 'retrace'.")
        pitch = float(np.diff(frame["x"].to_numpy()).mean())
        rows, columns = np.indices(frame.shape, dtype=float)
        along = columns / (frame.shape[1] - 1)
        late = (self.lag + 2 * along * (1 - along) * self.bend) / pitch
        shift = late if direction == "trace" else -late
        return frame.copy(data=resampled(heights, rows, columns + shift))


def _times(frame: Signal) -> FloatArray:
    return frame["time"].transpose("y", "x").to_numpy().astype(float)


def resampled(
    values: FloatArray, row: FloatArray, column: FloatArray, order: Literal[1, 3] = 3
) -> FloatArray:
    """Return values between pixels by splines, NaN beyond the outermost and next to NaN.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (rows, columns).
    row, column : numpy.ndarray
        Where, in pixels; any shape, that of the result.
    order : int
        Of the spline.
    """
    gone = ~np.isfinite(values)
    places = np.stack([row, column])
    limits = np.array(values.shape).reshape(2, *(1,) * row.ndim) - 1
    outside = ((places < -_SLACK) | (places > limits + _SLACK)).any(axis=0)
    if gone.any():
        nearest = distance_transform_edt(gone, return_distances=False, return_indices=True)
        values = values[tuple(nearest)]
        outside |= map_coordinates(gone.astype(float), places, order=1, mode="nearest") > _SLACK
    found = map_coordinates(values, places, order=order, mode="mirror")
    return np.where(outside, np.nan, found)
