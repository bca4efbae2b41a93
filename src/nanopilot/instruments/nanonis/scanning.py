"""Frames of a Nanonis controller."""

from __future__ import annotations

import math

import numpy as np

from nanopilot.core.acquiring import LiveAcquisition
from nanopilot.core.errors import DeviceError
from nanopilot.core.frames import Channel, Circumstances, channel_name, frame_set
from nanopilot.core.geometry import corners
from nanopilot.core.limits import Estimate, Violation
from nanopilot.core.requests import ScanRequest
from nanopilot.instruments.nanonis.desk import Desk, Stopping, unknown
from nanopilot.instruments.nanonis.growing import Growing, begin

_STOP, _UP = 1, 1
_KEEP_TIME = 2
#: Smallest frame that is sent: a controller takes none of no size.
_SMALLEST = 1e-12
#: How far a frame may be from what was sent, in pixels and in degrees.
_PIXELS, _DEGREES = 0.05, 0.01


class NanonisScanner:
    """The `Scanner` of a Nanonis controller: raster scans, upwards.

    A Nanonis frame runs from edge to edge of the outermost pixels, turns clockwise and counts
    in degrees; a request runs from centre to centre, turns counter-clockwise and counts in
    radians.

    Parameters
    ----------
    desk : Desk
        What there is.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._channels = desk.controller.named(desk.controller.scan)
        self._stopping = Stopping(lambda: desk.urgent.ask("Scan.Action", _STOP, _UP))

    def validate(self, request: ScanRequest) -> list[Violation]:
        """List what the controller does not do."""
        found = unknown(request.channels, tuple(self._channels))
        if request.order != "raster":
            return [*found, Violation.unsupported("order", f"`{request.order}`; there is raster")]
        return found + self._desk.outside(corners(request), "field_of_view")

    def estimate(self, request: ScanRequest) -> Estimate:
        """Return time and size; unless the request says, as fast as the controller is set."""
        seconds = sum(self._line_times(request)) * request.shape[0] * request.frames
        count = len(request.channels or self._channels) * max(1, len(request.directions))
        size = 4 * math.prod(request.shape) * count * request.frames
        return Estimate(seconds=seconds, frames=request.frames, bytes=size)

    def start(self, request: ScanRequest) -> LiveAcquisition:
        """Set the controller up, see that it took it, and begin to scan."""
        desk = self._desk
        self._set_up(request)
        shape = request.shape if request.frames == 1 else (request.frames, *request.shape)
        seen = Circumstances(desk.name, desk.state(), np.full(shape, np.nan))
        channels: dict[str, Channel] = {}
        for name in request.channels or tuple(self._channels):
            index, named = self._channels[name]
            details = {"controller": desk.controller.labels[index]}
            for direction in request.directions or ("trace",):
                values = np.full(shape, np.nan)
                channels[channel_name(name, direction)] = Channel(
                    values, named.name, named.unit, direction, details
                )
        growing = Growing(desk, request, channels, seen.times)
        begin(desk)
        return self._stopping.watch(
            lambda: frame_set(request, channels, seen), growing.fill(), growing.halted
        )

    def stop(self) -> None:
        """Tell the controller to drop the scan; on a line of its own, so it need not wait."""
        self._stopping.stop()

    def _set_up(self, request: ScanRequest) -> None:
        link, (rows, columns) = self._desk.link, request.shape
        chosen = [self._channels[name][0] for name in request.channels or self._channels]
        link.ask("Scan.BufferSet", chosen, columns, rows)
        taken = link.ask("Scan.BufferGet")[1:]
        if taken != [columns, rows]:
            raise DeviceError(
                f"`shape` is {request.shape}; the controller makes it {tuple(taken[::-1])}. Ask "
                "for columns in multiples of 16."
            )
        width = _edge_to_edge(request.field_of_view[0], columns)
        height = _edge_to_edge(request.field_of_view[1], rows)
        frame = (*request.centre, width, height, -math.degrees(request.rotation))
        link.ask("Scan.FrameSet", *frame)
        _same_frame(frame, link.ask("Scan.FrameGet"), min(width / columns, height / rows))
        if request.line_rate is not None or request.dwell_time is not None:
            there, back = self._line_times(request)
            speeds = (width / there, width / back)
            link.ask("Scan.SpeedSet", *speeds, there, back, _KEEP_TIME, there / back)

    def _line_times(self, request: ScanRequest) -> tuple[float, float]:
        """Return the seconds of a line there and back."""
        if request.line_rate is not None:
            return 0.5 / request.line_rate, 0.5 / request.line_rate
        if request.dwell_time is not None:
            return request.dwell_time * request.shape[1], request.dwell_time * request.shape[1]
        there, back = self._desk.link.ask("Scan.SpeedGet")[2:4]
        return there, back


def _edge_to_edge(between_centres: float, pixels: int) -> float:
    """Return the size of a Nanonis frame: half a pixel further out at both ends."""
    size = between_centres * pixels / (pixels - 1) if pixels > 1 else between_centres
    return max(size, _SMALLEST)


def _same_frame(sent: tuple[float, ...], found: list[float], pixel: float) -> None:
    """See that the controller took the frame; it moves and shrinks what it cannot reach."""
    rounding = 1e-6 * max(abs(value) for value in sent[:4])
    slack = [_PIXELS * pixel + rounding] * 4 + [_DEGREES]
    off = np.abs(np.subtract(found, sent))
    off[4] = abs(math.remainder(off[4], 360.0))
    if not (off <= slack).all():
        raise DeviceError(
            f"`Scan.FrameGet` says {found} where {list(sent)} was sent (m and degrees): the "
            "controller does not take the frame. Ask for a smaller `field_of_view`: it scans to "
            "the outer edges of the outermost pixels."
        )
