"""Frames of an instrument that gives them whole, in the form every instrument gives them."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from dataclasses import replace
from typing import Protocol

import numpy as np

from nanopilot.core.acquiring import Filled, LiveAcquisition
from nanopilot.core.clock import Clock
from nanopilot.core.errors import DeviceError
from nanopilot.core.frames import Channel, Circumstances, frame_set
from nanopilot.core.geometry import FloatArray, corners, visit_times
from nanopilot.core.limits import Area, Estimate, Violation
from nanopilot.core.parameters import State
from nanopilot.core.requests import ScanRequest
from nanopilot.core.signals import SignalSet
from nanopilot.instruments.snapshots.sampling import Picture, sample

ELEMENTARY_CHARGE = 1.602176634e-19  # coulombs, exact by definition of the ampere (SI 2019)


class FrameSource(Protocol):
    """What a driver has to do so that it can be scanned with."""

    @property
    def name(self) -> str:
        """Name of the instrument."""

    @property
    def clock(self) -> Clock:
        """Clock of the instrument."""

    @property
    def channels(self) -> tuple[str, ...]:
        """Detectors there are."""

    @property
    def at_once(self) -> bool:
        """All pixels of a frame are exposed together; else one after the other."""

    def area(self) -> Area:
        """Return what the largest frame covers as the instrument is set now, in metres."""

    def refusals(self, request: ScanRequest) -> list[Violation]:
        """List what only this instrument has against a request."""

    def seconds(self, request: ScanRequest) -> float:
        """Return what one frame takes."""

    def beam_current(self) -> float:
        """Return the current onto the sample in amperes, 0 where it is not known."""

    def state(self) -> State:
        """Read every parameter."""

    def take(self, request: ScanRequest, channels: tuple[str, ...]) -> Mapping[str, Picture]:
        """Measure one frame with all the channels at once; may take its time."""

    def halt(self) -> None:
        """Drop the frame in progress, where that is possible; any thread may call it."""


class SnapshotScanner:
    """A `Scanner` whose frames arrive whole.

    Every pixel of a frame is the nearest one of the picture that came. Where that is not
    exactly the place asked for, ``measured_x`` and ``measured_y`` say where it is.

    Parameters
    ----------
    source : FrameSource
        Who takes the pictures.
    """

    def __init__(self, source: FrameSource) -> None:
        self._source = source
        self._running: LiveAcquisition | None = None

    def validate(self, request: ScanRequest) -> list[Violation]:
        """List every reason against a request; moves nothing."""
        found = _unsupported(request) + unknown(request.channels, self._source.channels)
        if found:
            return found
        area = self._source.area()
        if not all(area.holds((float(x), float(y))) for x, y in corners(request)):
            low, high = (area.x[0], area.y[0]), (area.x[1], area.y[1])
            found.append(
                Violation(
                    parameter="field_of_view",
                    message=f"`field_of_view` {request.field_of_view} m about {request.centre} "
                    f"reaches out of what this instrument covers as it is set, "
                    f"{low} to {high} m. Lower the magnification, or move the stage.",
                )
            )
        return found + self._source.refusals(request)

    def estimate(self, request: ScanRequest) -> Estimate:
        """Return time, size and electrons; moves nothing."""
        seconds = self._source.seconds(request) * request.frames
        channels = len(request.channels or self._source.channels)
        return Estimate(
            seconds=seconds,
            frames=request.frames,
            bytes=8 * request.shape[0] * request.shape[1] * channels * request.frames,
            electrons=seconds * self._source.beam_current() / ELEMENTARY_CHARGE,
        )

    def start(self, request: ScanRequest) -> LiveAcquisition:
        """Begin; each frame comes as one block."""
        shape = (request.frames, *request.shape) if request.frames > 1 else request.shape
        live = _Live(self._source, request, request.channels or self._source.channels, shape)
        self._running = LiveAcquisition(live.whole, live.fill(), self._source.halt)
        return self._running

    def stop(self) -> None:
        """Take no further frame, and drop the one in progress where that is possible."""
        if self._running is not None:
            self._running.abort()


class _Live:
    """Frames as they come in."""

    def __init__(
        self,
        source: FrameSource,
        request: ScanRequest,
        names: tuple[str, ...],
        shape: tuple[int, ...],
    ) -> None:
        self._source, self._request, self._names = source, request, names
        self._channels = {
            name: Channel(np.full(shape, np.nan), "intensity", "counts") for name in names
        }
        self._seen = Circumstances(source.name, source.state(), np.full(shape, np.nan))

    def whole(self) -> SignalSet:
        return frame_set(self._request, self._channels, self._seen)

    def fill(self) -> Generator[Filled, None, None]:
        for frame in range(self._request.frames):
            began = self._source.clock.now()
            pictures = self._source.take(self._request, self._names)
            missing = [name for name in self._names if name not in pictures]
            if missing:
                raise DeviceError(f"`{', '.join(missing)}` was asked for and did not come.")
            seconds = self._source.clock.now() - began
            at: tuple[int, ...] = (frame,) if self._request.frames > 1 else ()
            when = visit_times(self._request, seconds)
            self._seen.times[at] = began + (seconds / 2 if self._source.at_once else when)
            self._place(at, pictures)
            yield {"frame": frame} if at else {}

    def _place(self, at: tuple[int, ...], pictures: Mapping[str, Picture]) -> None:
        measured: FloatArray | None = None
        for name in self._names:
            values, measured = sample(self._request, pictures[name])
            self._channels[name].values[at] = values
            self._channels[name] = replace(
                self._channels[name],
                details={
                    **pictures[name].details,
                    "recorded_shape": list(pictures[name].values.shape),
                    "resampled": "no" if measured is None else "nearest recorded pixel",
                },
            )
        self._seen = replace(self._seen, measured=measured)


def unknown(asked: Iterable[str], known: tuple[str, ...]) -> list[Violation]:
    """List every channel that is asked for and not there."""
    there = ", ".join(known) or "none"
    return [
        Violation.unsupported("channels", f"`{name}`; there are {there}")
        for name in asked
        if name not in known
    ]


def _unsupported(request: ScanRequest) -> list[Violation]:
    found = []
    if request.order != "raster":
        found.append(Violation.unsupported("order", f"`{request.order}`; there is raster"))
    if "retrace" in request.directions:
        found.append(Violation.unsupported("directions", "`retrace`; there is trace"))
    if min(request.field_of_view) <= 0:
        message = f"`field_of_view` is {request.field_of_view} m; a frame needs an extent."
        found.append(Violation(parameter="field_of_view", message=message))
    return found
