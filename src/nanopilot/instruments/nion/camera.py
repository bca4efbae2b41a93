"""Ronchigrams of a Nion microscope."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import xarray as xr

from nanopilot.core.acquiring import Filled, LiveAcquisition
from nanopilot.core.geometry import FloatArray
from nanopilot.core.limits import Estimate, Violation, no_grid
from nanopilot.core.requests import CameraRequest
from nanopilot.core.signals import SignalSet
from nanopilot.instruments.nion.part import Part, not_positive, unknown

#: Channels of the `Camera`; the spectrometer's camera gives spectra instead.
CAMERAS = ("ronchigram",)
_ANGLE = {"units": "rad", "quantity": "scattering angle"}


class NionCamera(Part[CameraRequest]):
    """Patterns, dims (frame, ky, kx), the beam where it rests."""

    def validate(self, request: CameraRequest) -> list[Violation]:
        """List unknown cameras, and binnings the camera does not offer."""
        found = unknown(request.channels, CAMERAS, "channels") + no_grid(request.position)
        found += not_positive("exposure", request.exposure)
        offered = self._bench.facts["cameras"]["ronchigram"]["binning"]
        if request.binning not in offered:
            there = ", ".join(str(one) for one in offered)
            found.append(Violation.unsupported("binning", f"{request.binning}; there are {there}"))
        return found

    def _exposure(self, request: CameraRequest) -> float:
        return request.exposure or float(self._bench.facts["cameras"]["ronchigram"]["exposure"])

    def _shape(self, request: CameraRequest) -> tuple[int, int]:
        rows, columns = self._bench.facts["cameras"]["ronchigram"]["shape"]
        return rows // request.binning, columns // request.binning

    def estimate(self, request: CameraRequest) -> Estimate:
        """Return time, size and electrons."""
        seconds = self._exposure(request) * request.frames
        rows, columns = self._shape(request)
        return Estimate(
            seconds=seconds,
            frames=request.frames,
            bytes=4 * rows * columns * request.frames,
            electrons=self._electrons(seconds),
        )

    def start(self, request: CameraRequest) -> LiveAcquisition:
        """Begin to expose; the guard has already checked the request."""
        signals = self._empty(request)
        return self._begin(lambda: signals, lambda token: self._fill(request, signals, token))

    def _empty(self, request: CameraRequest) -> SignalSet:
        rows, columns = self._shape(request)
        axes = self._bench.link().call("axes", camera="ronchigram")
        ky, kx = (
            _centres(axes[axis], request.binning, count)
            for axis, count in (("y", rows), ("x", columns))
        )
        values = np.full((request.frames, rows, columns), np.nan, np.float32)
        number = {"units": "1", "quantity": "frame"}
        return xr.Dataset(
            {
                "ronchigram": (
                    ("frame", "ky", "kx"), values, {"quantity": "intensity", "units": "counts"}
                )
            },
            coords={
                "frame": ("frame", np.arange(request.frames, dtype=float), number),
                "ky": ("ky", ky, _ANGLE),
                "kx": ("kx", kx, _ANGLE),
                "time": (
                    "frame", np.full(request.frames, np.nan), {"units": "s", "quantity": "time"}
                ),
            },
            attrs=self._labels(request),
        )  # fmt: skip

    def _fill(
        self, request: CameraRequest, signals: SignalSet, token: int
    ) -> Generator[Filled, None, None]:
        asked = {
            "camera": "ronchigram",
            "exposure": self._exposure(request),
            "wait": self._exposure(request),
            "binning": request.binning,
            "frames": request.frames,
            "places": [],
        }
        values, times = signals["ronchigram"].to_numpy(), signals["time"].to_numpy()
        for part, arrays in self._stream("expose", asked, token):
            if "index" not in part:
                continue
            frame = part["index"]
            values[frame] = arrays["ronchigram"]
            times[frame] = self._bench.clock.now()
            yield {"frame": slice(frame, frame + 1)}


def _centres(calibration: tuple[float, float], binning: int, count: int) -> FloatArray:
    """Return the angles of pixel centres; the calibration (offset, scale) is of their edges."""
    offset, scale = calibration
    pixels: FloatArray = np.arange(count, dtype=float)
    return offset + scale * binning * (pixels + 0.5)
