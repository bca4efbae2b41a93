"""A request for spectra, worked out: its mode, settings, axis, channels, and an empty result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from nanopilot.core.description import SpectrumMode
from nanopilot.core.geometry import own_axes
from nanopilot.core.limits import Violation
from nanopilot.core.parameters import State
from nanopilot.core.requests import SpectrumRequest
from nanopilot.core.signals import Axis, SignalSet
from nanopilot.twins.spm.function.mode import FloatArray, Mode, Setting
from nanopilot.twins.spm.world import World

_POSITION = {"units": "m", "quantity": "position"}
_TIME = {"units": "s", "quantity": "time"}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured at every place.

    Parameters
    ----------
    mode : Mode
        How.
    values : dict of str to float
        Every setting.
    axis : Axis
        Of the spectrum.
    channels : tuple of str
        Those that were asked for.
    """

    mode: Mode
    values: dict[str, float]
    axis: Axis
    channels: tuple[str, ...]

    @classmethod
    def of(cls, mode: Mode, world: World, request: SpectrumRequest) -> Plan:
        """Return what a request comes to."""
        values = valued(mode.settings(world), request.parameters)
        axis = mode.axis(world, values)
        if request.bias:
            axis = Axis(np.array(request.bias), axis.units, axis.quantity)
        return cls(mode, values, axis, request.channels or tuple(mode.channels(world)))

    def empty(
        self, request: SpectrumRequest, labels: Mapping[str, tuple[str, str]], state: State
    ) -> tuple[SignalSet, FloatArray]:
        """Return the spectra before anything is measured, and the times in them, to be filled.

        Parameters
        ----------
        request : SpectrumRequest
            Gives the places.
        labels : mapping of str to (str, str)
            Quantity and unit of every channel.
        state : State
            Of the instrument as it begins.
        """
        single = request.shape == (1, 1)
        pixels: tuple[str, ...] = () if single else ("y", "x")
        shape = () if single else request.shape
        arrays = {
            name: ((*pixels, self.mode.dim), np.full((*shape, self.axis.values.size), np.nan),
                   {"quantity": labels[name][0], "units": labels[name][1]})
            for name in self.channels
        }  # fmt: skip
        along = {self.mode.dim: self.axis} | self.mode.along(self.axis.values, self.values)
        coords: dict[str, Any] = {
            name: (self.mode.dim, one.values, {"units": one.units, "quantity": one.quantity})
            for name, one in along.items()
        }
        for name, own in zip(("x", "y"), own_axes(request.grid), strict=True):
            coords[name] = ((), own[0], _POSITION) if single else (name, own, _POSITION)
        times = np.full(shape, np.nan)
        if self.mode.dim != "time":
            coords["time"] = (pixels, times, _TIME)
        attrs = {"request": request.model_dump_json(), "state": state.model_dump_json()}
        return xr.Dataset(arrays, coords=coords, attrs=attrs), times


def declare(mode: Mode, world: World) -> SpectrumMode:
    """Return a mode as the description of the instrument has it."""
    settings = mode.settings(world)
    axis = mode.axis(world, valued(settings, {}))
    return SpectrumMode(
        kind=mode.kind,
        dim=mode.dim,
        quantity=axis.quantity,
        unit=axis.units,
        low=float(axis.values.min()),
        high=float(axis.values.max()),
        points=axis.values.size,
        channels=tuple(mode.channels(world)),
        parameters=tuple(one.declared for one in settings),
    )


def valued(settings: tuple[Setting, ...], given: Mapping[str, float]) -> dict[str, float]:
    """Return every setting, whole where it has to be."""
    values = {one.name: given.get(one.name, one.default) for one in settings}
    whole = {one.name for one in settings if one.step}
    return {name: round(one) if name in whole else one for name, one in values.items()}


def unacceptable(mode: SpectrumMode, request: SpectrumRequest) -> list[Violation]:
    """List channels and settings that the mode has not, and values beyond their limits."""
    declared = {one.name: one for one in mode.parameters}
    known = ", ".join(mode.channels)
    found = [
        Violation.unsupported("channels", f"`{name}`; there are {known}")
        for name in request.channels
        if name not in mode.channels
    ]
    there = ", ".join(declared) or "none"
    for name, value in request.parameters.items():
        if name not in declared:
            found.append(Violation.unsupported("parameters", f"`{name}`; there are {there}"))
            continue
        limits = declared[name].limits
        if limits is not None and not limits.holds(value):
            message = (
                f"`{name}` is {value:g} {limits.unit}; the instrument accepts {limits.low:g} to "
                f"{limits.high:g} {limits.unit}."
            )
            found.append(Violation(parameter=name, message=message))
    return found
