"""Frames of a Nion microscope."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np

from nanopilot.core.acquiring import Filled, LiveAcquisition
from nanopilot.core.frames import Channel, Circumstances, frame_set
from nanopilot.core.geometry import FloatArray, corners, visit_times
from nanopilot.core.limits import Estimate, Violation
from nanopilot.core.requests import ScanRequest
from nanopilot.instruments.nion.part import Part, not_finite, not_positive, unknown

#: How far pixels may be from square, as a fraction of their size.
_SQUARE = 1e-6


class NionScanner(Part[ScanRequest]):
    """Frames, several detectors at once; lines come while the scan goes on.

    A Nion scan has square pixels and one field of view; frames are rasters, recorded one way.
    """

    @property
    def channels(self) -> tuple[str, ...]:
        """Detectors there are, in lower case."""
        return tuple(name.lower() for name in self._bench.facts["channels"])

    def validate(self, request: ScanRequest) -> list[Violation]:
        """List what the scan cannot do, and places it does not reach."""
        found = unknown(request.channels, self.channels, "channels")
        found += unknown(request.directions, ("trace",), "directions")
        found += unknown((request.order,), ("raster",), "order")
        found += not_positive("dwell_time", request.dwell_time)
        found += not_finite("rotation", request.rotation)
        found += self._square(request)
        return found or self._outside(corners(request), "centre")

    def _square(self, request: ScanRequest) -> list[Violation]:
        sizes = _pixels(request)
        if not sizes or not min(sizes) > 0:
            message = "`field_of_view` gives the pixels no size; make it larger than 0."
            return [Violation(parameter="field_of_view", message=message)]
        if max(sizes) - min(sizes) <= _SQUARE * max(sizes):
            return []
        rows, columns = request.shape
        width, side = request.field_of_view[0], sizes[0]
        asked = (
            f"pixels of {sizes[0]:.4g} m by {sizes[1]:.4g} m; a Nion scan has square ones. Ask for "
            f"({width:.6g} m, {side * (rows - 1):.6g} m) with {rows} x {columns} pixels"
        )
        return [Violation.unsupported("field_of_view", asked)]

    def _dwell_time(self, request: ScanRequest) -> float:
        if request.line_rate is not None:
            return 1.0 / (request.line_rate * request.shape[1])
        return request.dwell_time or float(self._bench.facts["dwell_time"])

    def estimate(self, request: ScanRequest) -> Estimate:
        """Return time, size and electrons; the beam flies back in no time, as the simulator's."""
        pixels = request.shape[0] * request.shape[1] * request.frames
        seconds = pixels * self._dwell_time(request)
        return Estimate(
            seconds=seconds,
            frames=request.frames,
            bytes=4 * pixels * len(request.channels or self.channels),
            electrons=self._electrons(seconds),
        )

    def start(self, request: ScanRequest) -> LiveAcquisition:
        """Begin to scan; the guard has already checked the request."""
        shape = (request.frames, *request.shape) if request.frames > 1 else request.shape
        names = dict(zip(self.channels, self._bench.facts["channels"], strict=True))
        channels = {
            name: Channel(
                np.full(shape, np.nan, np.float32), "intensity", "1",
                details={"channel": names[name]},
            )
            for name in request.channels or self.channels
        }  # fmt: skip
        times = np.full(shape, np.nan)
        seen = Circumstances(self._bench.name, self._state(), times)
        return self._begin(
            lambda: frame_set(request, channels, seen),
            lambda token: self._fill(request, channels, times, token),
        )

    def _asked(self, request: ScanRequest) -> dict[str, Any]:
        wanted = request.channels or self.channels
        return {
            "shape": request.shape,
            "pixel": max(_pixels(request)),
            "centre": request.centre,
            "rotation": request.rotation,
            "dwell_time": self._dwell_time(request),
            "wait": self._dwell_time(request) * request.shape[1],
            "channels": [self.channels.index(name) for name in wanted],
        }

    def _fill(
        self, request: ScanRequest, channels: dict[str, Channel], times: FloatArray, token: int
    ) -> Generator[Filled, None, None]:
        asked = self._asked(request)
        pixels = request.shape[0] * request.shape[1]
        when = visit_times(request, pixels * self._dwell_time(request))
        for frame in range(request.frames):
            parts, start = self._stream("scan", asked, token), self._bench.clock.now()
            for part, arrays in parts:
                if "rows" not in part:
                    start = self._bench.clock.now()
                    continue
                rows = slice(*part["rows"])
                at = (frame, rows) if request.frames > 1 else rows
                times[at] = start + when[rows]
                for channel in channels.values():
                    channel.values[at] = arrays[channel.details["channel"]]
                yield {"y": rows} | ({"frame": frame} if request.frames > 1 else {})
            if np.isnan(times[frame] if request.frames > 1 else times).any():
                return  # stopped from elsewhere


def _pixels(request: ScanRequest) -> tuple[float, ...]:
    """Return the size of a pixel in metres, along each axis that has more than one."""
    counts = (request.shape[1], request.shape[0])
    pairs = zip(request.field_of_view, counts, strict=True)
    return tuple(extent / (count - 1) for extent, count in pairs if count > 1)
