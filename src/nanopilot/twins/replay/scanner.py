"""Frames out of recorded frames: bilinear between recorded pixels, nothing outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.ndimage import map_coordinates

from nanopilot.core.clock import Clock
from nanopilot.core.frames import Channel, Circumstances, frame_set
from nanopilot.core.geometry import path, places, visit_times
from nanopilot.core.history import FloatArray
from nanopilot.core.limits import Estimate, Violation
from nanopilot.core.parameters import State
from nanopilot.core.requests import ScanRequest
from nanopilot.core.signals import Signal, SignalSet, metadata
from nanopilot.twins.replay.acquisition import ReplayAcquisition
from nanopilot.twins.replay.recording import Recording, pixel_coordinates

BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: Places closer than this fraction of a pixel to a recorded one count as recorded.
_ON_PIXEL = 1e-6


class ReplayScanner:
    """The `Scanner` of a recording.

    Parameters
    ----------
    recording : Recording
        Holds the frames.
    clock : Clock
        Passes the time.
    name : str
        Of the instrument.
    line_rate : float
        Lines per second, trace and retrace together, unless a request says otherwise.
    state : callable
        Tells how the instrument stands.
    """

    def __init__(
        self,
        recording: Recording,
        clock: Clock,
        *,
        name: str,
        line_rate: float,
        state: Callable[[], State],
    ) -> None:
        self._recording = recording
        self._clock = clock
        self._name = name
        self._line_rate = line_rate
        self._state = state
        self._running: ReplayAcquisition | None = None

    def validate(self, request: ScanRequest) -> list[Violation]:
        """List what the recording cannot answer."""
        found = self._unsupported(request)
        area = self._recording.area
        outside = [place for place in places(request) if not area.holds((place[0], place[1]))]
        if outside:
            x, y = outside[0]
            found.append(
                Violation(
                    parameter="centre",
                    message=f"`centre` and `field_of_view` reach ({x:.4g} m, {y:.4g} m); recorded "
                    f"was x {area.x[0]:.4g} m to {area.x[1]:.4g} m, y {area.y[0]:.4g} m to "
                    f"{area.y[1]:.4g} m. Ask for a place inside.",
                )
            )
        return found

    def estimate(self, request: ScanRequest) -> Estimate:
        """Return time and size of the frames."""
        pixels = len(path(request))
        if request.dwell_time is not None:
            seconds = pixels * request.dwell_time
        else:
            seconds = pixels / request.shape[1] / (request.line_rate or self._line_rate)
        channels = len(request.channels) or len(self._recording.frames)
        return Estimate(
            seconds=seconds * request.frames,
            frames=request.frames,
            bytes=8 * pixels * channels * request.frames,
        )

    def start(self, request: ScanRequest) -> ReplayAcquisition:
        """Begin to replay; the blocks are lines."""
        began = self._state()
        dim = "point" if request.points else ("frame" if request.frames > 1 else "y")
        size = len(request.points) or (request.frames if dim == "frame" else request.shape[0])
        self._running = ReplayAcquisition(
            lambda: self._measure(request, began),
            dim=dim,
            blocks=min(size, 64),
            seconds=self.estimate(request).seconds,
            clock=self._clock,
        )
        return self._running

    def stop(self) -> None:
        """Abort the scan in progress."""
        if self._running is not None:
            self._running.abort()

    def _unsupported(self, request: ScanRequest) -> list[Violation]:
        found = []
        known = self._recording.frames
        for channel in request.channels:
            if channel not in known:
                found.append(("channels", f"`{channel}`; recorded were {', '.join(known)}"))
        recorded = {self._recording.direction(name) or "trace" for name in known}
        for direction in request.directions:
            if direction not in recorded:
                found.append(("directions", f"`{direction}`; recorded was {', '.join(recorded)}"))
        return [Violation.unsupported(parameter, asked) for parameter, asked in found]

    def _measure(self, request: ScanRequest, began: State) -> SignalSet:
        chosen = request.channels or tuple(self._recording.frames)
        seconds = self.estimate(request).seconds / request.frames
        times = began.time + visit_times(request, seconds)
        if request.frames > 1:
            later = seconds * np.arange(request.frames)
            times = later.reshape(-1, *(1,) * times.ndim) + times
        channels = {name: _sample(self._recording.frames[name], request) for name in chosen}
        return frame_set(request, channels, Circumstances(self._name, began, times))


def _sample(recorded: Signal, request: ScanRequest) -> Channel:
    pixels = pixel_coordinates(recorded, places(request))
    between = np.abs(pixels - np.round(pixels)).max(axis=0) > _ON_PIXEL
    angle = recorded.attrs["units"] == "rad"
    values = (_turn if angle else _bilinear)(recorded.to_numpy().astype(float), pixels, between)
    facts = metadata(recorded)
    if request.order == "lines":
        values = np.where(np.isfinite(visit_times(request, 1.0)).ravel(), values, np.nan)
    shape = (len(request.points),) if request.points else request.shape
    values = values.reshape(shape)
    if request.frames > 1:
        values = np.repeat(values[None], request.frames, axis=0)
    return Channel(
        values,
        quantity=recorded.attrs["quantity"],
        units=recorded.attrs["units"],
        direction=facts.pop("direction", "trace"),
        details=facts
        | {
            "interpolated_fraction": float(between.mean()),
            "interpolation": "bilinear",
            "bias_replayed": False,
        },
    )


def _bilinear(image: FloatArray, pixels: FloatArray, between: BoolArray) -> FloatArray:
    """Interpolate; a recorded pixel is taken as it is, whatever its neighbours hold."""
    rows, columns = np.round(pixels).astype(int)
    values: FloatArray = image[rows, columns]
    values[between] = map_coordinates(image, pixels[:, between], order=1, mode="nearest")
    return values


def _turn(image: FloatArray, pixels: FloatArray, between: BoolArray) -> FloatArray:
    """Interpolate angles as directions: halfway between 179° and -179° lies 180°, not 0°."""
    cos, sin = (_bilinear(part(image), pixels, between) for part in (np.cos, np.sin))
    nearest: FloatArray = image[tuple(np.round(pixels).astype(int))]
    turned = np.angle(np.exp(1j * (np.arctan2(sin, cos) - nearest)))
    return nearest + np.where(between, turned, 0.0)
