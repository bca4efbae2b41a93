"""Bias spectra of a Nanonis controller."""

from __future__ import annotations

import json
import math
from collections.abc import Generator
from threading import Event
from typing import Any

import numpy as np
import xarray as xr

from nanopilot.core.acquiring import Filled, LiveAcquisition
from nanopilot.core.description import SpectrumMode
from nanopilot.core.errors import DeviceError
from nanopilot.core.geometry import FloatArray, corners, places
from nanopilot.core.limits import Estimate, Violation
from nanopilot.core.requests import SpectrumRequest
from nanopilot.core.signals import SignalSet, check_set
from nanopilot.instruments.nanonis.desk import Desk, Stopping, unknown

_POSITION = {"units": "m", "quantity": "position"}
_TIME = {"units": "s", "quantity": "time"}
_BIAS = {"units": "V", "quantity": "bias"}


class NanonisSpectroscopy:
    """The `PointSpectroscopy` of a Nanonis controller: one forward bias sweep per place.

    Parameters
    ----------
    desk : Desk
        What there is.
    sweep : (float, float, int)
        Start, end and points as the controller was set up: the instrument's own sweep.
    """

    def __init__(self, desk: Desk, sweep: tuple[float, float, int]) -> None:
        self._desk = desk
        self._own = sweep
        self._channels = desk.controller.named(desk.controller.spectrum)
        self._stopping = Stopping(lambda: desk.urgent.ask("BiasSpectr.Stop"))

    @property
    def mode(self) -> SpectrumMode:
        """What its spectra are like."""
        low, high, points = self._own
        return SpectrumMode(
            kind="bias", dim="bias", quantity="bias", unit="V", low=min(low, high),
            high=max(low, high), points=points, channels=tuple(self._channels),
        )  # fmt: skip

    def validate(self, request: SpectrumRequest) -> list[Violation]:
        """List what the controller does not do."""
        if request.kind != "bias":
            return [Violation.unsupported("kind", f"`{request.kind}`; there is bias")]
        found = unknown(request.channels, tuple(self._channels))
        found += self._desk.outside(corners(request.grid), "position")
        found += [
            Violation.unsupported("parameters", f"`{name}`; there are none")
            for name in request.parameters
        ]
        return found + self._bad_sweep(request.bias)

    def estimate(self, request: SpectrumRequest) -> Estimate:
        """Return time and size, as the controller's timing is set."""
        count, points = math.prod(request.shape), len(request.bias) or self._own[2]
        before, start, settle, integrate, after = (
            self._desk.link.ask("BiasSpectr.TimingGet")[index] for index in (0, 2, 4, 5, 6)
        )
        seconds = count * (before + start + points * (settle + integrate) + after)
        size = 4 * points * count * len(request.channels or self._channels)
        return Estimate(seconds=seconds, spectra=count, bytes=size, bias_seconds=seconds)

    def start(self, request: SpectrumRequest) -> LiveAcquisition:
        """Set the controller up, and begin to measure, place by place."""
        link = self._desk.link
        names = request.channels or tuple(self._channels)
        low, high, points = self._own
        if request.bias:
            low, high, points = request.bias[0], request.bias[-1], len(request.bias)
        link.ask("BiasSpectr.ChsSet", [self._channels[name][0] for name in names])
        link.ask("BiasSpectr.LimitsSet", low, high)
        link.ask("BiasSpectr.PropsSet", 0, 0, 0, points, 0.0, 0, 0)
        found = _Spectra(request, names, np.linspace(low, high, points))
        found.attrs = {
            "instrument": json.dumps(self._desk.name),
            "request": request.model_dump_json(),
            "state": self._desk.state().model_dump_json(),
        }
        found.units = {name: self._channels[name][1].unit for name in names}
        return self._stopping.watch(found.whole, self._fill(found), found.halted)

    def stop(self) -> None:
        """Tell the controller to drop the spectrum; on a line of its own."""
        self._stopping.stop()

    def _bad_sweep(self, bias: tuple[float, ...]) -> list[Violation]:
        limits = self._desk.controller.bias
        if limits is not None and any(not limits.holds(value) for value in bias):
            message = f"`bias` leaves the source's {limits.low:g} V to {limits.high:g} V."
            return [Violation(parameter="bias", message=message)]
        if bias and not _even(bias):
            asked = "a sweep that is not a row of even steps; a controller makes no other"
            return [Violation.unsupported("bias", asked)]
        return []

    def _fill(self, found: _Spectra) -> Generator[Filled, None, None]:
        desk = self._desk
        single = found.request.shape == (1, 1)
        for index, (x, y) in enumerate(places(found.request.grid)):
            if found.halted.is_set():
                return
            desk.move(float(x), float(y))
            labels, data, _ = desk.link.ask("BiasSpectr.Start", 1, "", timeout=desk.pace.patience)
            if data.shape[1:] != found.axis.shape or len(data) != len(labels):
                raise DeviceError(
                    f"`BiasSpectr.Start` gave data of shape {data.shape} under {labels}; "
                    f"{found.axis.size} points were asked for."
                )
            found.axis[:] = data[0]
            row, column = divmod(index, found.request.shape[1])
            found.times[row, column] = desk.clock.now()
            for name, values in found.values.items():
                number, named = self._channels[name]
                label = desk.controller.labels[number]
                if label not in labels:
                    raise DeviceError(f"`BiasSpectr.Start` gave no {label!r}; it gave {labels}.")
                values[row, column] = named.factor * data[labels.index(label)]
            yield {} if single else {"y": row, "x": column}


class _Spectra:
    """Arrays that are being filled: of each channel (rows, columns, points)."""

    def __init__(self, request: SpectrumRequest, names: tuple[str, ...], axis: FloatArray) -> None:
        self.request = request
        self.axis = axis
        self.times = np.full(request.shape, np.nan)
        self.values = {name: np.full((*request.shape, axis.size), np.nan) for name in names}
        self.units: dict[str, str] = {}
        self.attrs: dict[str, str] = {}
        self.halted = Event()

    def whole(self) -> SignalSet:
        """Return the spectra as they stand."""
        where = places(self.request.grid).reshape(*self.request.shape, 2)
        coords: dict[str, Any] = {"bias": ("bias", self.axis.copy(), _BIAS)}
        if self.request.shape == (1, 1):
            dims: tuple[str, ...] = ()
            coords |= {"x": ((), where[0, 0, 0], _POSITION), "y": ((), where[0, 0, 1], _POSITION)}
        else:
            dims = ("y", "x")
            coords |= {"x": ("x", where[0, :, 0], _POSITION), "y": ("y", where[:, 0, 1], _POSITION)}
        shape = self.request.shape if dims else ()
        coords["time"] = (dims, self.times.reshape(shape), _TIME)
        arrays = {
            name: (
                (*dims, "bias"), values.reshape(*shape, -1),
                {"quantity": name, "units": self.units.get(name, "a.u.")},
            )
            for name, values in self.values.items()
        }  # fmt: skip
        return check_set(xr.Dataset(arrays, coords=coords, attrs=self.attrs))


def _even(bias: tuple[float, ...]) -> bool:
    if len(bias) < 2:
        return False
    line = np.linspace(bias[0], bias[-1], len(bias))
    span = max(abs(value) for value in bias)
    return bool(np.allclose(bias, line, rtol=0, atol=1e-6 * span))
