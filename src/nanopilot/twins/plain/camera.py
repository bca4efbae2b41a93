"""Patterns of the plain twin."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import xarray as xr

from nanopilot.core.acquiring import Filled, LiveAcquisition
from nanopilot.core.limits import Estimate, Violation, no_grid
from nanopilot.core.requests import CameraRequest
from nanopilot.twins.plain.part import Part, unknown

_CAMERA_PIXELS = 64


class PlainCamera(Part[CameraRequest]):
    """A pattern: the round central disc, and nothing else."""

    def validate(self, request: CameraRequest) -> list[Violation]:
        """List unknown cameras."""
        return unknown(request.channels, ("ronchigram",)) + no_grid(request.position)

    def estimate(self, request: CameraRequest) -> Estimate:
        """Return time, size and electrons."""
        seconds = (request.exposure or 0.1) * request.frames
        side = _CAMERA_PIXELS // request.binning
        return Estimate(
            seconds=seconds,
            frames=request.frames,
            bytes=8 * side * side * request.frames,
            electrons=self.electrons(seconds),
        )

    def start(self, request: CameraRequest) -> LiveAcquisition:
        """Begin to expose."""
        angle = 0.05 * np.linspace(-1, 1, _CAMERA_PIXELS // request.binning)
        disc = np.hypot(*np.meshgrid(angle, angle)) < self._state.values["Beam.convergence_angle"]
        one = 1000.0 * disc
        values = np.full((request.frames, *one.shape), np.nan)
        labels = {"units": "rad", "quantity": "scattering angle"}
        state = self._state.read()
        signals = xr.Dataset(
            {"ronchigram": (("frame", "ky", "kx"), values, {"quantity": "intensity",
                                                            "units": "counts"})},
            coords={
                "frame": ("frame", np.arange(request.frames, dtype=float),
                          {"units": "1", "quantity": "frame"}),
                "ky": ("ky", angle, labels), "kx": ("kx", angle, labels),
            },
            attrs={"request": request.model_dump_json(), "state": state.model_dump_json()},
        )  # fmt: skip

        def fill() -> Generator[Filled, None, None]:
            for frame in range(request.frames):
                self._state.clock.sleep(request.exposure or 0.1)
                values[frame] = one
                yield {"frame": slice(frame, frame + 1)}

        return self.begin(lambda: signals, fill())
