"""Frames of the scanning-probe twin."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nanopilot.core.acquiring import Filled, LiveAcquisition
from nanopilot.core.errors import Interlocked, OutOfRange, Unsupported
from nanopilot.core.frames import Channel, Circumstances, channel_name, frame_set
from nanopilot.core.geometry import corners, path, places
from nanopilot.core.limits import Estimate, Violation
from nanopilot.core.requests import Order, ScanRequest
from nanopilot.twins.spm.channels import Detector
from nanopilot.twins.spm.faults import Faults
from nanopilot.twins.spm.knobs import Hands
from nanopilot.twins.spm.line import Follower
from nanopilot.twins.spm.ways import Part, Ways, ways_of
from nanopilot.twins.spm.world import World

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

ORDERS: tuple[Order, ...] = ("raster", "serpentine", "spiral", "lines", "points")
#: Samples of the loop in a line, one way, at most: what is computed at once.
LONGEST = 2_000_000


@dataclass
class Recording:
    """The arrays of a scan while they are being filled.

    Parameters
    ----------
    channels : dict of str to Channel
        By name, `channel_name` where there is a retrace.
    times : numpy.ndarray
        Seconds, shape as the channels.
    measured : numpy.ndarray or None
        Where the piezos were, shape (n, 2); of several frames, in the last one.
    rngs : dict of str to numpy.random.Generator
        Of each detector; a channel reads the same whichever others are recorded.
    """

    channels: dict[str, Channel]
    times: FloatArray
    measured: FloatArray | None
    rngs: dict[str, np.random.Generator] = field(default_factory=dict)


@dataclass
class SpmScanner:
    """The `Scanner` of the scanning-probe twin: line by line, trace and retrace.

    Parameters
    ----------
    hands : Hands
        The instrument's other parts: world, real path, and how they are set.
    detectors : mapping of str to Detector
        Every channel there may be.
    name : str
        Of the instrument.
    faults : Faults
        What goes wrong meanwhile.
    """

    hands: Hands
    detectors: Mapping[str, Detector]
    name: str
    faults: Faults
    _running: LiveAcquisition | None = None

    @property
    def world(self) -> World:
        """What is scanned, with what."""
        return self.hands.world

    @property
    def channels(self) -> tuple[str, ...]:
        """Detectors that this instrument on this sample has."""
        return tuple(name for name, one in self.detectors.items() if one.there(self.world))

    @property
    def units(self) -> dict[str, str]:
        """SI unit of every channel."""
        return {name: self.detectors[name].unit for name in self.channels}

    def validate(self, request: ScanRequest) -> list[Violation]:
        """List unknown channels, ways it has not, places off the sample, and a tip that is up."""
        there = ", ".join(self.channels)
        found = [
            Violation.unsupported("channels", f"`{name}`; there are {there}")
            for name in request.channels
            if name not in self.channels
        ]
        if "retrace" in request.directions and request.order not in ("raster", "lines"):
            way = f"retrace in order `{request.order}`, which goes every way once"
            found.append(Violation.unsupported("directions", way))
        found.extend(self._speed(request))
        area = self.world.sample.area
        if any(not area.holds((x, y)) for x, y in corners(request)):
            found.append(
                Violation(
                    parameter="field_of_view",
                    message=f"`field_of_view` leaves the sample, which is x {area.x[0]:.4g} m to "
                    f"{area.x[1]:.4g} m, y {area.y[0]:.4g} m to {area.y[1]:.4g} m.",
                )
            )
        if not self.hands.engaged:
            message = "the tip is retracted. Approach first: set `Approach.engaged` to 1."
            found.append(Violation(parameter="Approach.engaged", message=message, kind="interlock"))
        return found

    def _speed(self, request: ScanRequest) -> list[Violation]:
        asked = request.dwell_time is not None or request.line_rate is not None
        if request.order in ("points", "spiral") and not asked:
            return []
        rate, loop = self.line_rate(request), self.world.settings.loop.rate
        slowest, fastest = loop / (2 * LONGEST), loop / 4
        if slowest <= rate <= fastest:
            return []
        if request.dwell_time is None:
            said = f"`line_rate` is {rate:g} Hz; the loop allows {slowest:g} Hz to {fastest:g} Hz."
            return [Violation(parameter="line_rate", message=said)]
        low, high = (0.5 / (one * request.shape[1]) for one in (fastest, slowest))
        said = (
            f"`dwell_time` is {request.dwell_time:g} s; with {request.shape[1]} columns the loop "
            f"allows {low:g} s to {high:g} s."
        )
        return [Violation(parameter="dwell_time", message=said)]

    def line_rate(self, request: ScanRequest) -> float:
        """Return lines per second, there and back."""
        if request.dwell_time is not None:
            return 0.5 / (request.dwell_time * request.shape[1])
        return self.world.settings.line_rate if request.line_rate is None else request.line_rate

    def _ways(self, request: ScanRequest) -> Ways:
        rate = self.world.settings.loop.rate
        return ways_of(request, self.hands.path, self.line_rate(request), rate)

    def estimate(self, request: ScanRequest) -> Estimate:
        """Return time, size, and the way of the tip."""
        directions, pixels = max(1, len(request.directions)), request.shape[0] * request.shape[1]
        rows = len(request.lines) or request.shape[0]
        if request.order in ("points", "spiral"):
            ways = self._ways(request)
            seconds = sum(ways.seconds(number) for number in range(len(ways)))
            visited = places(request)[path(request)]
            way = float(np.hypot(*np.diff(visited, axis=0).T).sum())
            pixels = len(request.points) or pixels
        else:
            passes = 1 if request.order == "serpentine" else 2
            seconds = rows * passes * 0.5 / self.line_rate(request)
            way = passes * rows * request.field_of_view[0]
        channels = len(request.channels or self.channels) * directions
        touching = self.world.settings.loop.mode == "contact"
        return Estimate(
            seconds=seconds * request.frames,
            frames=request.frames,
            bytes=8 * pixels * channels * request.frames,
            wear=way * request.frames if touching else 0.0,
        )

    def start(self, request: ScanRequest) -> LiveAcquisition:
        """Begin to scan.

        Raises
        ------
        OutOfRange, Unsupported, Interlocked
            What `validate` lists; a guard has asked before.
        LinkLost
            The line is down.
        """
        self.faults.check_link()
        for violation in self.validate(request):
            raise _ERRORS.get(violation.kind, OutOfRange)(violation.message)
        recording = self._recording(request)
        seen = Circumstances(self.name, self.hands.state(), recording.times, recording.measured)
        whole = frame_set(request, recording.channels, seen)
        self._running = LiveAcquisition(
            lambda: whole, self._fill(request, recording), halt=lambda: None
        )
        return self._running

    def stop(self) -> None:
        """Abort the scan in progress."""
        if self._running is not None:
            self._running.abort()

    def _recording(self, request: ScanRequest) -> Recording:
        inner = (len(request.points),) if request.points else request.shape
        shape = (request.frames, *inner) if request.frames > 1 else inner
        channels = {}
        for name in request.channels or self.channels:
            one = self.detectors[name]
            for direction in request.directions or ("trace",):
                empty = np.full(shape, np.nan)
                channels[channel_name(name, direction)] = Channel(
                    empty, one.quantity, one.unit, direction
                )
        sensors = self.world.settings.motion.sensors
        return Recording(channels, np.full(shape, np.nan), places(request) if sensors else None)

    def _fill(self, request: ScanRequest, recording: Recording) -> Generator[Filled, None, None]:
        clock = self.world.clock
        self.hands.arrive(request.points[0] if request.points else request.centre)
        follower, ways = Follower(self.world, self.hands.path), self._ways(request)
        for frame in range(request.frames):
            self.world.live()
            follower.settle()
            for number in range(len(ways)):
                self.faults.check_link()
                gone = follower.go(ways.way(number, clock.now()))
                clock.sleep(ways.seconds(number))
                for part in ways.parts(number, gone):
                    self._record(recording, part, request, frame)
                filled = ways.filled(number)
                if filled is not None:
                    yield {**filled, "frame": frame} if request.frames > 1 else filled

    def _record(self, recording: Recording, part: Part, request: ScanRequest, frame: int) -> None:
        line, wanted = part.line, request.directions or ("trace",)
        if line.direction not in wanted:
            return
        at: Any = part.at
        if recording.measured is not None and line.direction == wanted[0]:
            grid = recording.measured.reshape(*recording.times.shape[-len(_inner(request)) :], 2)
            grid[at] = self.faults.sensed(part.sensed)
        if request.frames > 1:
            at = (frame, *at) if isinstance(at, tuple) else (frame, at)
        if line.direction == wanted[0]:
            recording.times[at] = line.time
        for name, channel in recording.channels.items():
            if channel.direction != line.direction:
                continue
            base = name.removesuffix("_retrace") if line.direction == "retrace" else name
            if base not in recording.rngs:
                recording.rngs[base] = self.world.rng("noise", base)
            read = self.detectors[base].record(self.world, line, recording.rngs[base])
            channel.values[at] = self.faults.dropped(base, line.time, read)


def _inner(request: ScanRequest) -> tuple[int, ...]:
    return (len(request.points),) if request.points else request.shape


_ERRORS: dict[str, type[Exception]] = {"unsupported": Unsupported, "interlock": Interlocked}
