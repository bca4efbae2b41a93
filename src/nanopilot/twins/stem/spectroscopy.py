"""Spectra of the electron twin: energy losses and X-rays, at a place or on a grid."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import Any

import numpy as np
import xarray as xr

from nanopilot.core.acquiring import Filled
from nanopilot.core.description import SpectrumMode
from nanopilot.core.geometry import corners, own_axes, places
from nanopilot.core.limits import Estimate, Range, Violation
from nanopilot.core.parameters import Parameter
from nanopilot.core.requests import SpectrumRequest
from nanopilot.core.signals import SignalSet
from nanopilot.twins.stem.exposing import rest_on
from nanopilot.twins.stem.part import StemPart, reached
from nanopilot.twins.stem.spectra.counting import energy_axis
from nanopilot.twins.stem.spectra.xrays import xray_axis
from nanopilot.twins.stem.spectrometer import SpectrumSource

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Seconds of a spectrum, and bytes that may be asked for at once.
_EXPOSURE, _MOST = Range(low=1e-6, high=1e4, unit="s"), 2**32
#: Places that are calculated together.
_TOGETHER = 256
_POSITION = {"units": "m", "quantity": "position"}
_TIME = {"units": "s", "quantity": "time"}
#: By kind: its channel, and what its axis is.
_KINDS = {"energy": ("eels", "energy loss"), "xray": ("eds", "X-ray energy")}


class StemSpectroscopy(StemPart[SpectrumRequest]):
    """The `PointSpectroscopy` of the electron twin.

    Parameters
    ----------
    world : World
        What is looked at, with what.
    name : str
        Of the instrument.
    """

    @property
    def modes(self) -> tuple[SpectrumMode, ...]:
        """Kinds of spectra it takes."""
        exposure = Parameter(
            capability="PointSpectroscopy", name="exposure", quantity="exposure", unit="s",
            limits=_EXPOSURE,
        )  # fmt: skip
        found = []
        for kind, (channel, quantity) in _KINDS.items():
            axis = self._axis(kind)
            found.append(
                SpectrumMode(
                    kind="energy" if kind == "energy" else "xray", dim="energy", quantity=quantity,
                    unit="eV", low=float(axis[0]), high=float(axis[-1]), points=len(axis),
                    channels=(channel,), parameters=(exposure,),
                )
            )  # fmt: skip
        return tuple(found)

    def _axis(self, kind: str) -> FloatArray:
        one = self.world.settings.spectrometer
        return energy_axis(one) if kind == "energy" else xray_axis(one)

    def validate(self, request: SpectrumRequest) -> list[Violation]:
        """List kinds, channels, settings and places that it has not."""
        if request.kind not in _KINDS:
            asked = f"`{request.kind}`; there are {', '.join(_KINDS)}"
            return [Violation.unsupported("kind", asked)]
        channel = _KINDS[request.kind][0]
        found = [
            Violation.unsupported("channels", f"`{name}`; of {request.kind} there is {channel}")
            for name in request.channels
            if name != channel
        ]
        found += [
            Violation.unsupported("parameters", f"`{name}`; there is exposure")
            for name in request.parameters
            if name != "exposure"
        ]
        exposure = self._exposure(request)
        if not _EXPOSURE.holds(exposure):
            said = f"`exposure` is {exposure:g} s; the spectrometer does {_EXPOSURE.low:g} s to "
            message = f"{said}{_EXPOSURE.high:g} s."
            found.append(Violation(parameter="exposure", message=message))
        if not found and self.estimate(request).bytes > _MOST:
            message = "`shape` asks for more spectra than fit into memory; ask row by row."
            found.append(Violation(parameter="shape", message=message))
        return found + reached(self.world, corners(request.grid), "position")

    def _exposure(self, request: SpectrumRequest) -> float:
        return request.parameters.get("exposure", self.world.settings.spectrometer.exposure)

    def estimate(self, request: SpectrumRequest) -> Estimate:
        """Return time, size and electrons."""
        count = math.prod(request.shape)
        seconds = count * self._exposure(request)
        return Estimate(
            seconds=seconds,
            spectra=count,
            bytes=8 * count * len(self._axis(request.kind)),
            electrons=self.world.rate * seconds,
        )

    def _empty(self, request: SpectrumRequest) -> SignalSet:
        single = request.shape == (1, 1)
        pixels, shape = ((), ()) if single else (("y", "x"), request.shape)
        channel, quantity = _KINDS[request.kind]
        axis, where = self._axis(request.kind), places(request.grid)
        coords: dict[str, Any] = {
            "energy": ("energy", axis, {"units": "eV", "quantity": quantity}),
            "measured_x": (pixels, where[:, 0].reshape(shape), _POSITION),
            "measured_y": (pixels, where[:, 1].reshape(shape), _POSITION),
            "time": (pixels, np.full(shape, np.nan), _TIME),
        }
        x, y = (where[0, :1], where[0, 1:]) if single else own_axes(request.grid)
        coords |= {
            "x": ((), x[0], _POSITION) if single else ("x", x, _POSITION),
            "y": ((), y[0], _POSITION) if single else ("y", y, _POSITION),
        }
        label = {"quantity": "intensity", "units": "counts"}
        values = np.full((*shape, len(axis)), np.nan)
        return xr.Dataset(
            {channel: ((*pixels, "energy"), values, label)}, coords, self._labels(request)
        )

    def _fill(self, request: SpectrumRequest, signals: SignalSet) -> Generator[Filled, None, None]:
        world, exposure = self.world, self._exposure(request)
        channel = _KINDS[request.kind][0]
        values = signals[channel].to_numpy().reshape(-1, signals.sizes["energy"])
        times = signals["time"].to_numpy().reshape(-1)
        told = places(request.grid) + np.array(world.panel.shift)
        source = SpectrumSource(world, request.kind, self._axis(request.kind))
        last = 0
        while last < len(told):
            world.luck.check_link()
            # A block never runs over the end of a line.
            first = last
            row, column = divmod(first, request.shape[1])
            last = min(first + _TOGETHER, (row + 1) * request.shape[1])
            when: FloatArray = world.clock.now() + exposure * np.arange(last - first, dtype=float)
            spots = world.path.on_sample(told[first:last], when)
            counts = source.counts(spots, when, exposure)
            values[first:last] = world.luck.dropped(channel, when[:, None], counts)
            times[first:last] = when
            rest_on(world, spots, when, exposure)
            world.clock.sleep(exposure * (last - first))
            if request.shape == (1, 1):
                yield {}
            else:
                yield {"y": row, "x": slice(column, column + last - first)}
