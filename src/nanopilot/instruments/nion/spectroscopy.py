"""Energy-loss spectra of a Nion microscope."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import Any

import numpy as np
import xarray as xr

from nanopilot.core.acquiring import Filled, LiveAcquisition
from nanopilot.core.description import SpectrumMode
from nanopilot.core.geometry import FloatArray, corners, own_axes, places
from nanopilot.core.limits import Estimate, Violation
from nanopilot.core.parameters import Parameter
from nanopilot.core.requests import SpectrumRequest
from nanopilot.core.signals import SignalSet
from nanopilot.instruments.nion.part import Part, not_finite, not_positive, unknown

_CHANNELS = ("eels",)
_EXPOSURE = Parameter(
    capability="PointSpectroscopy", name="exposure", quantity="exposure", unit="s"
)
_POSITION = {"units": "m", "quantity": "position"}


class NionSpectroscopy(Part[SpectrumRequest]):
    """Spectra of the spectrometer's camera; on a grid, the beam is moved from place to place."""

    def mode(self) -> SpectrumMode:
        """Return the kind of spectra, its axis read from the microscope."""
        energies = self._energies()
        return SpectrumMode(
            kind="energy",
            dim="energy",
            quantity="energy loss",
            unit="eV",
            low=float(energies[0]),
            high=float(energies[-1]),
            points=len(energies),
            channels=_CHANNELS,
            parameters=(_EXPOSURE,),
        )

    def _energies(self) -> FloatArray:
        offset, scale = self._bench.link().call("axes", camera="eels")["x"]
        channels: FloatArray = np.arange(self._points, dtype=float)
        return float(offset) + float(scale) * channels

    @property
    def _points(self) -> int:
        return int(self._bench.facts["cameras"]["eels"]["shape"][1])

    def validate(self, request: SpectrumRequest) -> list[Violation]:
        """List what the spectrometer cannot do, and places the beam does not reach."""
        found = unknown((request.kind,), ("energy",), "kind")
        found += unknown(request.channels, _CHANNELS, "channels")
        found += unknown(request.parameters, (_EXPOSURE.name,), "parameters")
        found += not_positive("exposure", request.parameters.get("exposure"))
        found += not_finite("rotation", request.rotation)
        for extent in request.field_of_view:
            found += not_finite("field_of_view", extent)
        return found or self._outside(corners(request.grid), "position")

    def _exposure(self, request: SpectrumRequest) -> float:
        default = self._bench.facts["cameras"]["eels"]["exposure"]
        return float(request.parameters.get("exposure", default))

    def estimate(self, request: SpectrumRequest) -> Estimate:
        """Return time, size and electrons."""
        count = math.prod(request.shape)
        seconds = count * self._exposure(request)
        return Estimate(
            seconds=seconds,
            spectra=count,
            bytes=4 * self._points * count,
            electrons=self._electrons(seconds),
        )

    def start(self, request: SpectrumRequest) -> LiveAcquisition:
        """Begin to measure, place by place; the guard has already checked the request."""
        signals = self._empty(request)
        return self._begin(lambda: signals, lambda token: self._fill(request, signals, token))

    def _empty(self, request: SpectrumRequest) -> SignalSet:
        single = request.shape == (1, 1)
        pixels = () if single else ("y", "x")
        shape = () if single else request.shape
        energies, where = self._energies(), places(request.grid)
        values = np.full((*shape, len(energies)), np.nan, np.float32)
        coords: dict[str, Any] = {
            "energy": ("energy", energies, {"units": "eV", "quantity": "energy loss"}),
            "measured_x": (pixels, where[:, 0].reshape(shape), _POSITION),
            "measured_y": (pixels, where[:, 1].reshape(shape), _POSITION),
            "time": (pixels, np.full(shape, np.nan), {"units": "s", "quantity": "time"}),
        }
        x, y = (where[0, :1], where[0, 1:]) if single else own_axes(request.grid)
        coords |= {
            "x": ((), x[0], _POSITION) if single else ("x", x, _POSITION),
            "y": ((), y[0], _POSITION) if single else ("y", y, _POSITION),
        }
        label = {"quantity": "intensity", "units": "counts"}
        arrays = {"eels": ((*pixels, "energy"), values, label)}
        return xr.Dataset(arrays, coords, self._labels(request))

    def _fill(
        self, request: SpectrumRequest, signals: SignalSet, token: int
    ) -> Generator[Filled, None, None]:
        single = request.shape == (1, 1)
        asked = {
            "camera": "eels",
            "exposure": self._exposure(request),
            "wait": self._exposure(request),
            "binning": 1,
            "frames": math.prod(request.shape),
            "places": places(request.grid).tolist(),
        }
        values, times = signals["eels"].to_numpy(), signals["time"].to_numpy()
        for part, arrays in self._stream("expose", asked, token):
            if "index" not in part:
                continue
            row, column = divmod(part["index"], request.shape[1])
            at = () if single else (row, column)
            values[at] = arrays["eels"]
            times[at] = self._bench.clock.now()
            yield {} if single else {"y": row, "x": column}
