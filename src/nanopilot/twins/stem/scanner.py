"""Frames of the electron twin."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np

from nanopilot.core.acquiring import Filled
from nanopilot.core.frames import Channel, Circumstances, frame_set
from nanopilot.core.geometry import corners, path
from nanopilot.core.limits import Estimate, Violation
from nanopilot.core.requests import ScanRequest
from nanopilot.core.signals import SignalSet
from nanopilot.twins.stem.exposing import Exposure, settle
from nanopilot.twins.stem.imaging import check_detectors
from nanopilot.twins.stem.part import StemPart, reached
from nanopilot.twins.stem.ways import ORDERS, Block, blocks_of, dwell_of, frame_seconds

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Seconds per pixel.
DWELL = (1e-8, 10.0)


class StemScanner(StemPart[ScanRequest]):
    """The `Scanner` of the electron twin: what the beam passes, it changes.

    Parameters
    ----------
    world : World
        What is scanned, with what.
    name : str
        Of the instrument.
    """

    @property
    def channels(self) -> tuple[str, ...]:
        """Detectors there are."""
        return tuple(self.world.settings.detectors.named())

    def validate(self, request: ScanRequest) -> list[Violation]:
        """List unknown channels and ways, times it cannot do, and places the coils do not reach."""
        there = ", ".join(self.channels)
        found = [
            Violation.unsupported("channels", f"`{name}`; there are {there}")
            for name in request.channels
            if name not in self.channels
        ]
        if "retrace" in request.directions:
            found.append(Violation.unsupported("directions", "retrace; the beam flies back dark"))
        if request.order not in ORDERS:
            found.append(Violation.unsupported("order", f"`{request.order}`"))
        dwell = dwell_of(request, self.world.settings.dwell_time)
        if not DWELL[0] <= dwell <= DWELL[1]:
            said = f"`dwell_time` is {dwell:g} s; the scan generator does {DWELL[0]:g} s to "
            found.append(Violation(parameter="dwell_time", message=said + f"{DWELL[1]:g} s."))
        if not found:
            found = check_detectors(self.world, request.channels or self.channels)
        return found + reached(self.world, corners(request), "field_of_view")

    def estimate(self, request: ScanRequest) -> Estimate:
        """Return time, size and electrons."""
        dwell = dwell_of(request, self.world.settings.dwell_time)
        pixels = len(path(request))
        seconds = frame_seconds(request, dwell, self.world.settings.motion.flyback_wait)
        return Estimate(
            seconds=seconds * request.frames,
            frames=request.frames,
            bytes=8 * pixels * len(request.channels or self.channels) * request.frames,
            electrons=self.world.rate * dwell * pixels * request.frames,
        )

    def _empty(self, request: ScanRequest) -> SignalSet:
        inner = (len(request.points),) if request.points else request.shape
        shape = (request.frames, *inner) if request.frames > 1 else inner
        channels = {
            name: Channel(np.full(shape, np.nan), "intensity", "counts")
            for name in request.channels or self.channels
        }
        seen = Circumstances(self.name, self.world.panel.state(), np.full(shape, np.nan))
        return frame_set(request, channels, seen)

    def _fill(self, request: ScanRequest, signals: SignalSet) -> Generator[Filled, None, None]:
        world = self.world
        dwell = dwell_of(request, world.settings.dwell_time)
        flat = (request.frames, -1) if request.frames > 1 else (-1,)
        times = signals["time"].to_numpy().reshape(flat)
        values = {str(name): one.to_numpy().reshape(flat) for name, one in signals.items()}
        for frame in range(request.frames):
            began, exposure = world.clock.now(), Exposure(world, dwell, tuple(values))
            for block in blocks_of(request, dwell, world.settings.motion.flyback_wait):
                world.luck.check_link()
                when = began + block.begins
                counts = exposure.read(self._spots(block, when, began, request), when)
                world.clock.sleep(block.seconds)
                at = (frame, block.pixels) if request.frames > 1 else (block.pixels,)
                times[at] = when
                for name, channel in values.items():
                    channel[at] = world.luck.dropped(name, when, counts[name])
                if block.filled is not None:
                    yield _of_frame(block.filled, frame, request)
            settle(world)

    def _spots(
        self, block: Block, when: FloatArray, began: float, request: ScanRequest
    ) -> FloatArray:
        """Return the places of the sample under the beam, (x, y) in metres, shape (n, 2)."""
        way, world = self.world.path, self.world
        told = way.deflected(block.told, request.centre) + np.array(world.panel.shift)
        lines, of = np.unique(block.line, return_inverse=True)
        along = np.array([np.cos(request.rotation), np.sin(request.rotation)])
        aside = way.jitter(began + lines)[of] + way.hum(when)
        told = told + np.multiply.outer(aside, along)
        if block.flown.any():
            told = told + np.multiply.outer(way.behind(block.begins - block.line, 1.0), block.flown)
        return way.on_sample(told, when)


def _of_frame(filled: Filled, frame: int, request: ScanRequest) -> Filled:
    return {**filled, "frame": frame} if request.frames > 1 else filled
