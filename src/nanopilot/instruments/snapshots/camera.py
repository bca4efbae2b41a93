"""Patterns and images of a camera that gives them whole."""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import xarray as xr

from nanopilot.core.acquiring import Filled, LiveAcquisition
from nanopilot.core.clock import Clock
from nanopilot.core.errors import DeviceError
from nanopilot.core.limits import Estimate, Violation, no_grid
from nanopilot.core.parameters import State
from nanopilot.core.requests import CameraRequest
from nanopilot.core.signals import SignalSet, check_set
from nanopilot.instruments.snapshots.frames import ELEMENTARY_CHARGE, unknown


@dataclass(frozen=True, slots=True)
class Plate:
    """What a camera's pixels mean as the instrument is set now.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns, binned as asked for.
    pitch : (float, float)
        Distance of neighbouring pixels along columns and rows, in `unit`.
    pattern : bool
        It sees the diffraction plane, pixels in radians, dims (ky, kx); else the image plane,
        pixels in metres at the sample, dims (y, x).
    """

    shape: tuple[int, int]
    pitch: tuple[float, float]
    pattern: bool

    @property
    def dims(self) -> tuple[str, str]:
        """Rows and columns."""
        return ("ky", "kx") if self.pattern else ("y", "x")

    @property
    def labels(self) -> dict[str, str]:
        """Unit and quantity of its axes."""
        if self.pattern:
            return {"units": "rad", "quantity": "scattering angle"}
        return {"units": "m", "quantity": "position"}


class CameraSource(Protocol):
    """What a driver has to do so that its cameras can be read."""

    @property
    def name(self) -> str:
        """Name of the instrument."""

    @property
    def clock(self) -> Clock:
        """Clock of the instrument."""

    @property
    def cameras(self) -> tuple[str, ...]:
        """Cameras there are."""

    def plate(self, camera: str, binning: int) -> Plate:
        """Return what the pixels mean now."""

    def faults(self, camera: str, request: CameraRequest) -> list[Violation]:
        """List what only this camera has against a request."""

    def exposure(self, camera: str, request: CameraRequest) -> float:
        """Return the exposure of one frame in seconds."""

    def beam_current(self) -> float:
        """Return the current onto the sample in amperes, 0 where it is not known."""

    def state(self) -> State:
        """Read every parameter."""

    def expose(self, camera: str, request: CameraRequest) -> np.ndarray[Any, np.dtype[Any]]:
        """Take one frame, shape (rows, columns)."""

    def halt(self) -> None:
        """Drop the exposure in progress, where that is possible; any thread may call it."""


class SnapshotCamera:
    """A `Camera` that reads one camera at a time, dims (frame, ky, kx) or (frame, y, x).

    Parameters
    ----------
    source : CameraSource
        Who exposes.
    """

    def __init__(self, source: CameraSource) -> None:
        self._source = source
        self._running: LiveAcquisition | None = None

    def validate(self, request: CameraRequest) -> list[Violation]:
        """List every reason against a request; moves nothing."""
        found = unknown(request.channels, self._source.cameras) + no_grid(request.position)
        if len(request.channels) > 1:
            found.append(Violation.unsupported("channels", "several cameras; read them in turn"))
        return found or self._source.faults(self._camera(request), request)

    def estimate(self, request: CameraRequest) -> Estimate:
        """Return time, size and electrons; moves nothing."""
        camera = self._camera(request)
        seconds = self._source.exposure(camera, request) * request.frames
        rows, columns = self._source.plate(camera, request.binning).shape
        return Estimate(
            seconds=seconds,
            frames=request.frames,
            bytes=8 * rows * columns * request.frames,
            electrons=seconds * self._source.beam_current() / ELEMENTARY_CHARGE,
        )

    def start(self, request: CameraRequest) -> LiveAcquisition:
        """Begin to expose; each frame comes as one block."""
        camera = self._camera(request)
        plate = self._source.plate(camera, request.binning)
        values = np.full((request.frames, *plate.shape), np.nan)
        times = np.full(request.frames, np.nan)
        signals = _described(plate, {camera: values}, times)
        state = self._source.state()
        signals.attrs |= {
            "instrument": json.dumps(self._source.name),
            "request": request.model_dump_json(),
            "state": state.model_dump_json(),
            "time": json.dumps(state.time),
        }

        def fill() -> Generator[Filled, None, None]:
            for frame in range(request.frames):
                began = self._source.clock.now()
                taken = self._source.expose(camera, request)
                if taken.shape != plate.shape:
                    raise DeviceError(
                        f"`{camera}` gave shape {taken.shape}; announced was {plate.shape}."
                    )
                times[frame] = (began + self._source.clock.now()) / 2
                values[frame] = taken
                yield {"frame": slice(frame, frame + 1)}

        self._running = LiveAcquisition(lambda: signals, fill(), self._source.halt)
        return self._running

    def stop(self) -> None:
        """Take no further frame, and drop the exposure in progress where that is possible."""
        if self._running is not None:
            self._running.abort()

    def _camera(self, request: CameraRequest) -> str:
        return (request.channels or self._source.cameras)[0]


def _described(
    plate: Plate, channels: dict[str, np.ndarray[Any, Any]], times: np.ndarray[Any, Any]
) -> SignalSet:
    number = {"units": "1", "quantity": "frame"}
    second = {"units": "s", "quantity": "time"}
    coordinates: dict[str, Any] = {
        "frame": ("frame", np.arange(len(times), dtype=float), number),
        "time": ("frame", times, second),
    }
    for dim, size, pitch in zip(plate.dims, plate.shape, reversed(plate.pitch), strict=True):
        coordinates[dim] = (dim, (np.arange(size) - (size - 1) / 2) * pitch, plate.labels)
    labels = {"units": "counts", "quantity": "intensity"}
    dims = ("frame", *plate.dims)
    return check_set(
        xr.Dataset(
            {name: (dims, values, labels) for name, values in channels.items()},
            coords=coordinates,
        )
    )
