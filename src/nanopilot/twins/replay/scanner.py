"""Frames out of recorded frames: bilinear between recorded pixels, nothing outside."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr
from scipy.ndimage import map_coordinates

from nanopilot.core.clock import Clock
from nanopilot.core.history import FloatArray
from nanopilot.core.limits import Estimate, Violation
from nanopilot.core.requests import ScanRequest
from nanopilot.core.signals import Axis, Signal, SignalSet, make_signal, metadata
from nanopilot.twins.replay.acquisition import ReplayAcquisition
from nanopilot.twins.replay.recording import Recording, pixel_coordinates

BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: Places closer than this fraction of a pixel to a recorded one count as recorded.
_ON_PIXEL = 1e-6


class ReplayScanner:
    """The `Scanner` of a recording."""

    def __init__(self, recording: Recording, line_rate: float, clock: Clock) -> None:
        self._recording = recording
        self._line_rate = line_rate
        self._clock = clock
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
        pixels = len(request.points) or request.shape[0] * request.shape[1]
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
        dim = "point" if request.points else ("frame" if request.frames > 1 else "y")
        size = len(request.points) or (request.frames if dim == "frame" else request.shape[0])
        self._running = ReplayAcquisition(
            lambda: self._measure(request),
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
        if request.order not in ("raster", "serpentine", "points"):
            found.append(("order", f"`{request.order}`; replayed are raster, serpentine, points"))
        return [Violation.unsupported(parameter, asked) for parameter, asked in found]

    def _measure(self, request: ScanRequest) -> SignalSet:
        chosen = request.channels or tuple(self._recording.frames)
        return xr.Dataset(
            {name: _sample(self._recording.frames[name], request) for name in chosen},
            attrs={
                "request": request.model_dump_json(),
                "time": json.dumps(self._clock.now()),
            },
        )


def places(request: ScanRequest) -> FloatArray:
    """Return every place a scan visits on the sample, (x, y) in metres, shape (n, 2)."""
    if request.points:
        return np.array(request.points, dtype=float)
    x, y = _own_axes(request)
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2) - request.centre
    cos, sin = np.cos(request.rotation), np.sin(request.rotation)
    turned: FloatArray = grid @ np.array([[cos, sin], [-sin, cos]]) + np.array(request.centre)
    return turned


def _own_axes(request: ScanRequest) -> tuple[FloatArray, FloatArray]:
    """Return the axes of the frame as if it were not rotated."""
    (rows, columns), (width, height) = request.shape, request.field_of_view
    x = np.linspace(-0.5, 0.5, columns) if columns > 1 else np.zeros(1)
    y = np.linspace(-0.5, 0.5, rows) if rows > 1 else np.zeros(1)
    return request.centre[0] + width * x, request.centre[1] + height * y


def _sample(recorded: Signal, request: ScanRequest) -> Signal:
    visited = places(request)
    pixels = pixel_coordinates(recorded, visited)
    between = np.abs(pixels - np.round(pixels)).max(axis=0) > _ON_PIXEL
    angle = recorded.attrs["units"] == "rad"
    values = (_turn if angle else _bilinear)(recorded.to_numpy().astype(float), pixels, between)
    facts = metadata(recorded) | {
        "interpolated_fraction": float(between.mean()),
        "interpolation": "bilinear",
        "origin": list(request.centre),
        "rotation": request.rotation,
    }
    labels = {"quantity": recorded.attrs["quantity"], "units": recorded.attrs["units"]}
    if request.points:
        signal = xr.DataArray(
            values,
            dims=("point",),
            coords={
                name: ("point", visited[:, column], {"units": "m", "quantity": "position"})
                for column, name in enumerate(("x", "y"))
            },
            attrs=labels | {key: json.dumps(value) for key, value in facts.items()},
        )
        return signal if request.frames == 1 else _repeat(signal, request.frames)
    x, y = _own_axes(request)
    axes = {"y": Axis(y, "m", "position"), "x": Axis(x, "m", "position")}
    signal = make_signal(values.reshape(request.shape), axes, metadata=facts, **labels)
    return signal if request.frames == 1 else _repeat(signal, request.frames)


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


def _repeat(signal: Signal, frames: int) -> Signal:
    number = xr.DataArray(
        np.arange(frames, dtype=float), dims="frame", attrs={"units": "1", "quantity": "frame"}
    )
    return signal.expand_dims(frame=number)
