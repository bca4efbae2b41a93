"""An instrument that takes grids of patterns at once, each of which tells where it was taken."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from nanopilot.core.acquiring import Filled, LiveAcquisition
from nanopilot.core.clock import VirtualClock
from nanopilot.core.description import InstrumentDescription
from nanopilot.core.geometry import own_axes, places
from nanopilot.core.limits import Estimate, Violation
from nanopilot.core.requests import CameraRequest
from nanopilot.instruments import Guard
from nanopilot.twins.plain import PlainTwin
from nanopilot.twins.plain.part import Part, unknown
from nanopilot.workflows import record_patterns as recording

#: Added to a place in picometres, so that its number is never negative.
ZERO = 10_000.0


class GridCamera(Part[CameraRequest]):
    """The first two pixels of a pattern are its place in picometres, the others 1, 2, 3, ..."""

    pixels = 16
    fractions_from = math.inf
    stop_at = math.inf
    taken = 0

    def validate(self, request: CameraRequest) -> list[Violation]:
        return unknown(request.channels, ("pattern", "other"))

    def estimate(self, request: CameraRequest) -> Estimate:
        count = request.frames * math.prod(request.shape)
        seconds = (request.exposure or 0.1) * count
        each = 4 * self.pixels**2 * len(request.channels or ("pattern", "other"))
        electrons = self.electrons(seconds)
        return Estimate(seconds=seconds, frames=1, bytes=each * count, electrons=electrons)

    def pattern(self, x: float, y: float) -> Any:
        one = np.arange(self.pixels**2, dtype=np.float32).reshape(self.pixels, -1)
        one[0, :2] = np.array([x, y]) * 1e12 + ZERO
        return np.round(one) + (0.5 if self.taken >= self.fractions_from else 0.0)

    def start(self, request: CameraRequest) -> LiveAcquisition:
        grid = request.grid
        assert grid is not None
        outer = request.shape if request.shape != (1, 1) else (1,)
        dims = ("y", "x") if len(outer) == 2 else ("frame",)
        values = np.full((*outer, self.pixels, self.pixels), np.nan, np.float32)
        times = np.full(outer, np.nan)
        label = {"units": "rad", "quantity": "scattering angle"}
        angle = 1e-3 * (np.arange(self.pixels) - self.pixels // 2)
        x, y = own_axes(grid)
        at: dict[str, Any] = {"frame": ("frame", [0.0], {"units": "1", "quantity": "frame"})}
        if len(outer) == 2:
            at = {
                dim: (dim, one, {"units": "m", "quantity": "position"})
                for dim, one in (("y", y), ("x", x))
            }
        told = {"units": "counts", "quantity": "intensity"}
        signals = xr.Dataset(
            dict.fromkeys(request.channels or ("pattern",), ((*dims, "ky", "kx"), values, told)),
            {**at, "ky": ("ky", angle, label), "kx": ("kx", angle, label),
             "time": (dims, times, {"units": "s", "quantity": "time"})},
            {"state": self._state.read().model_dump_json(), "request": request.model_dump_json()},
        )  # fmt: skip

        def fill() -> Generator[Filled, None, None]:
            for number, (left, low) in enumerate(places(grid)):
                if self.taken >= self.stop_at:
                    running.abort()
                    return
                self._state.clock.sleep(request.exposure or 0.1)
                values.reshape(-1, self.pixels, self.pixels)[number] = self.pattern(left, low)
                times.reshape(-1)[number] = self._state.clock.now()
                self.taken += 1
                where: Filled = {"frame": slice(0, 1)}
                if len(outer) == 2:
                    row, column = divmod(number, outer[1])
                    where = {"y": row, "x": column}
                yield where

        running = self.begin(lambda: signals, fill())
        return running


class Patterned(PlainTwin):
    """A plain twin with that camera."""

    def __init__(self) -> None:
        super().__init__(VirtualClock(), world="beam", name="patterned")
        self.camera = GridCamera(self._state, self._name)
        self._parts["Camera"] = self.camera
        self._state.values["Beam.blanked"] = 0.0

    def describe(self) -> InstrumentDescription:
        told = super().describe()
        cameras = ("pattern", "other")
        return told.model_copy(update={"camera_grids": True, "cameras": cameras})


def grid(**changes: Any) -> CameraRequest:
    """Return a request for 5 x 7 patterns, 100 pm apart."""
    usual: dict[str, Any] = {
        "position": (1e-9, -2e-9), "shape": (5, 7), "field_of_view": (6e-10, 4e-10),
        "channels": ("pattern",), "exposure": 1e-3,
    }  # fmt: skip
    return CameraRequest(**(usual | changes))


def main() -> None:
    """Record slowly, telling each part that is acknowledged; somebody kills this."""
    recording.PART_BYTES = 3 * 16 * 16 * 4

    def tell(done: int, total: int, text: str) -> None:
        sys.stdout.write(f"{done}\n")
        sys.stdout.flush()
        if done >= int(sys.argv[2]):
            os.kill(os.getpid(), 9)

    recording.record_patterns(Guard(Patterned()), grid(), Path(sys.argv[1]), progress=tell)


if __name__ == "__main__":
    main()
