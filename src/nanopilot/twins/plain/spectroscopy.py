"""Spectra of the plain twin."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import Any

import numpy as np
import xarray as xr

from nanopilot.core.acquiring import Filled, LiveAcquisition
from nanopilot.core.description import SpectrumMode
from nanopilot.core.geometry import FloatArray, corners, places
from nanopilot.core.limits import Estimate, Violation
from nanopilot.core.requests import SpectrumRequest
from nanopilot.core.signals import SignalSet
from nanopilot.twins.plain.part import Part, outside, unknown
from nanopilot.twins.plain.surface import spectrum

#: Of the channels of spectra.
UNITS = {"current": "A", "force": "N", "eels": "counts"}


class PlainSpectroscopy(Part[SpectrumRequest]):
    """Spectra of the formula of `surface`."""

    @property
    def modes(self) -> tuple[SpectrumMode, ...]:
        """Kinds of spectra there are."""
        tip = (
            SpectrumMode(kind="bias", dim="bias", quantity="bias", unit="V", low=-2.0, high=2.0,
                         points=64, channels=("current",)),
            SpectrumMode(kind="force", dim="time", quantity="time", unit="s", low=0.0, high=1.0,
                         points=100, channels=("force",)),
        )  # fmt: skip
        beam = (
            SpectrumMode(kind="energy", dim="energy", quantity="energy loss", unit="eV", low=0.0,
                         high=1023.0, points=1024, channels=("eels",)),
        )  # fmt: skip
        world = self._state.world
        return (tip if world in ("tip", "both") else ()) + (
            beam if world in ("beam", "both") else ()
        )

    def _mode(self, request: SpectrumRequest) -> SpectrumMode | None:
        return next((mode for mode in self.modes if mode.kind == request.kind), None)

    def validate(self, request: SpectrumRequest) -> list[Violation]:
        """List unknown kinds, channels and settings, and places out of range."""
        mode = self._mode(request)
        if mode is None:
            kinds = ", ".join(mode.kind for mode in self.modes)
            return [Violation.unsupported("kind", f"`{request.kind}`; there are {kinds}")]
        found = unknown(request.channels, mode.channels) + outside(corners(request.grid))
        found += [
            Violation.unsupported("parameters", f"`{name}`; there are none")
            for name in request.parameters
        ]
        if any(not abs(value) <= 10 for value in request.bias):
            found.append(
                Violation(parameter="bias", message="`bias` leaves the source's -10 V to 10 V.")
            )
        return found

    def estimate(self, request: SpectrumRequest) -> Estimate:
        """Return time and size."""
        mode, count = self._mode(request), math.prod(request.shape)
        points = len(request.bias) or (mode.points if mode else 0)
        seconds = count * 1.0
        return Estimate(
            seconds=seconds,
            spectra=count,
            bytes=8 * points * count,
            bias_seconds=seconds if request.kind == "bias" else 0.0,
            electrons=self.electrons(seconds) if request.kind == "energy" else 0.0,
        )

    def start(self, request: SpectrumRequest) -> LiveAcquisition:
        """Begin to measure, place by place."""
        mode = self._mode(request)
        assert mode is not None, "the guard has checked the kind"  # noqa: S101
        axis = np.array(request.bias) if request.bias else np.linspace(
            mode.low, mode.high, mode.points
        )  # fmt: skip
        signals = self._empty(request, mode, axis)
        return self.begin(lambda: signals, self._fill(request, mode, signals))

    def _empty(self, request: SpectrumRequest, mode: SpectrumMode, axis: FloatArray) -> SignalSet:
        position = {"units": "m", "quantity": "position"}
        where = places(request.grid).reshape(*request.shape, 2)
        single = request.shape == (1, 1)
        dims = (mode.dim,) if single else ("y", "x", mode.dim)
        shape = axis.shape if single else (*request.shape, *axis.shape)
        arrays = {
            name: (dims, np.full(shape, np.nan), {"quantity": name, "units": UNITS[name]})
            for name in request.channels or mode.channels
        }
        coords: dict[str, Any] = {
            mode.dim: (mode.dim, axis, {"units": mode.unit, "quantity": mode.quantity})
        }
        if single:
            coords |= {"x": ((), where[0, 0, 0], position), "y": ((), where[0, 0, 1], position)}
        else:
            coords |= {"x": ("x", where[0, :, 0], position), "y": ("y", where[:, 0, 1], position)}
        if request.kind == "force":
            height = 1e-7 * np.abs(2 * axis / axis[-1] - 1)
            coords["z"] = (mode.dim, height, {"units": "m", "quantity": "height"})
        state = self._state.read()
        times = np.full(() if single else request.shape, state.time)
        if mode.dim != "time":
            coords["time"] = (dims[:-1], times, {"units": "s", "quantity": "time"})
        attrs = {"request": request.model_dump_json(), "state": state.model_dump_json()}
        return xr.Dataset(arrays, coords=coords, attrs=attrs)

    def _fill(
        self, request: SpectrumRequest, mode: SpectrumMode, signals: SignalSet
    ) -> Generator[Filled, None, None]:
        axis = signals[mode.dim].to_numpy()
        where = places(request.grid)
        for index, (x, y) in enumerate(where):
            self._state.clock.sleep(1.0)
            row, column = divmod(index, request.shape[1])
            for channel in signals.data_vars.values():
                target = channel.to_numpy()
                target[() if request.shape == (1, 1) else (row, column)] = spectrum(
                    request.kind, axis, x, y
                )
            yield {} if request.shape == (1, 1) else {"y": row, "x": column}
