"""Frames of the plain twin."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from nanopilot.core.acquiring import Filled, LiveAcquisition
from nanopilot.core.frames import Channel, Circumstances, channel_name, frame_set
from nanopilot.core.geometry import FloatArray, corners, path, places, visit_times
from nanopilot.core.limits import Estimate, Violation
from nanopilot.core.requests import ScanRequest
from nanopilot.twins.plain.part import Part, outside, unknown
from nanopilot.twins.plain.surface import CHANNELS, response

_LINE_RATE = 10.0


class PlainScanner(Part[ScanRequest]):
    """Frames of the formula of `surface`, line by line."""

    @property
    def channels(self) -> tuple[str, ...]:
        """Detectors there are."""
        world = self._state.world
        return tuple(name for name, of in CHANNELS.items() if world in (of[2], "both"))

    def validate(self, request: ScanRequest) -> list[Violation]:
        """List unknown channels and places out of range."""
        return unknown(request.channels, self.channels) + outside(corners(request))

    def estimate(self, request: ScanRequest) -> Estimate:
        """Return time, size and what the sample gets."""
        pixels = len(path(request))
        lines = pixels / request.shape[1]
        one = lines / (request.line_rate or _LINE_RATE)
        if request.dwell_time is not None:
            one = pixels * request.dwell_time * max(1, len(request.directions))
        channels = len(request.channels or self.channels) * max(1, len(request.directions))
        tip = self._state.values.get("Approach.engaged", 0.0)
        return Estimate(
            seconds=one * request.frames,
            frames=request.frames,
            bytes=8 * pixels * channels * request.frames,
            electrons=self.electrons(one * request.frames),
            wear=2 * lines * request.field_of_view[0] * request.frames if tip else 0.0,
        )

    def start(self, request: ScanRequest) -> LiveAcquisition:
        """Begin to scan."""
        began = self._state.read()
        inner = (len(request.points),) if request.points else request.shape
        shape = (request.frames, *inner) if request.frames > 1 else inner
        channels = {}
        for name in request.channels or self.channels:
            quantity, unit, _ = CHANNELS[name]
            for direction in request.directions or ("trace",):
                empty = np.full(shape, np.nan)
                channels[channel_name(name, direction)] = Channel(empty, quantity, unit, direction)
        times = np.full(shape, np.nan)
        seen = Circumstances(self._name, began, times)
        return self.begin(
            lambda: frame_set(request, channels, seen), self._fill(request, channels, times)
        )

    def _fill(
        self, request: ScanRequest, channels: dict[str, Channel], times: FloatArray
    ) -> Generator[Filled, None, None]:
        clock, seconds = self._state.clock, self.estimate(request).seconds / request.frames
        inner = times.shape[1:] if request.frames > 1 else times.shape
        where = places(request).reshape(*inner, 2)
        when = visit_times(request, seconds)
        lines = request.order in ("raster", "serpentine", "lines")
        rows = request.lines or range(request.shape[0])
        for frame in range(request.frames):
            blocks = [np.s_[row] for row in rows] if lines else [np.s_[:]]
            start = clock.now()
            for block in blocks:
                clock.sleep(seconds / len(blocks))
                at = (frame, block) if request.frames > 1 else block
                times[at] = start + when[block]
                for name, channel in channels.items():
                    here = where[block]
                    base = name.removesuffix("_retrace")
                    channel.values[at] = response(base, here[..., 0], here[..., 1])
                filled: dict[str, int | slice] = {"y": block} if lines else {}
                yield filled | ({"frame": frame} if request.frames > 1 else {})
