"""Diffraction patterns of the electron twin: at rest, or at every place of a grid."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from typing import Any

import numpy as np
import xarray as xr

from nanopilot.core.acquiring import Filled
from nanopilot.core.geometry import corners, own_axes, places
from nanopilot.core.limits import Estimate, Violation
from nanopilot.core.requests import CameraRequest
from nanopilot.core.signals import SignalSet
from nanopilot.twins.stem.exposing import rest_on
from nanopilot.twins.stem.part import StemPart, reached
from nanopilot.twins.stem.patterns import PatternSource

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

CAMERAS = ("pattern", "ronchigram")
_ANGLE = {"units": "rad", "quantity": "scattering angle"}
_POSITION = {"units": "m", "quantity": "position"}
_TIME = {"units": "s", "quantity": "time"}
#: Seconds a pattern is exposed, and bytes that may be asked for at once.
_EXPOSURE, _MOST = (1e-6, 1e3), 2**32


class StemCamera(StemPart[CameraRequest]):
    """The `Camera` of the electron twin.

    Parameters
    ----------
    world : World
        What is looked at, with what.
    name : str
        Of the instrument.
    """

    def validate(self, request: CameraRequest) -> list[Violation]:
        """List unknown cameras, exposures and binnings it cannot do, and places out of reach."""
        there = ", ".join(CAMERAS)
        found = [
            Violation.unsupported("channels", f"`{name}`; there are {there}")
            for name in request.channels
            if name not in CAMERAS
        ]
        pixels = self.world.settings.camera.pixels
        if pixels % request.binning:
            found.append(Violation.unsupported("binning", f"{request.binning} of {pixels} pixels"))
        exposure = self._exposure(request)
        if not _EXPOSURE[0] <= exposure <= _EXPOSURE[1]:
            said = f"`exposure` is {exposure:g} s; the camera does {_EXPOSURE[0]:g} s to "
            message = f"{said}{_EXPOSURE[1]:g} s."
            found.append(Violation(parameter="exposure", message=message))
        if not found and self.estimate(request).bytes > _MOST:
            message = "`shape` asks for more patterns than fit into memory; ask row by row."
            found.append(Violation(parameter="shape", message=message))
        for name in request.channels or CAMERAS:
            found += [] if found else PatternSource(self.world).check(name)
        grid = request.grid
        return found if grid is None else found + reached(self.world, corners(grid), "position")

    def _exposure(self, request: CameraRequest) -> float:
        return request.exposure or self.world.settings.camera.exposure

    def estimate(self, request: CameraRequest) -> Estimate:
        """Return time, size and electrons."""
        count = request.frames * math.prod(request.shape)
        seconds = self._exposure(request) * count
        side = self.world.settings.camera.pixels // request.binning
        return Estimate(
            seconds=seconds,
            frames=request.frames,
            bytes=4 * side**2 * count * len(request.channels or CAMERAS),
            electrons=self.world.rate * seconds,
        )

    def _outer(self, request: CameraRequest) -> dict[str, int]:
        if request.shape != (1, 1):
            return {"y": request.shape[0], "x": request.shape[1]}
        return {"frame": request.frames}

    def _empty(self, request: CameraRequest) -> SignalSet:
        camera, outer = self.world.settings.camera, self._outer(request)
        side = camera.pixels // request.binning
        angle = (np.arange(camera.pixels) - camera.pixels // 2) * camera.angle_per_pixel
        angle = angle.reshape(side, request.binning).mean(axis=1)
        coords: dict[str, Any] = {
            "ky": ("ky", angle, _ANGLE),
            "kx": ("kx", angle, _ANGLE),
            "time": (tuple(outer), np.full(tuple(outer.values()), np.nan), _TIME),
        }
        if "x" in outer and request.grid is not None:
            x, y = own_axes(request.grid)
            coords |= {"x": ("x", x, _POSITION), "y": ("y", y, _POSITION)}
        else:
            number = {"units": "1", "quantity": "frame"}
            coords["frame"] = ("frame", np.arange(request.frames, dtype=float), number)
        label = {"quantity": "intensity", "units": "counts"}
        shape = (*outer.values(), side, side)
        data = {
            name: ((*outer, "ky", "kx"), np.full(shape, np.nan, np.float32), label)
            for name in request.channels or CAMERAS
        }
        return xr.Dataset(data, coords, self._labels(request))

    def _fill(self, request: CameraRequest, signals: SignalSet) -> Generator[Filled, None, None]:
        world, exposure = self.world, self._exposure(request)
        grid = request.grid
        told = np.array([world.panel.rest]) if grid is None else places(grid)
        told = np.repeat(told, request.frames, axis=0) + np.array(world.panel.shift)
        per = request.shape[1] if request.shape != (1, 1) else 1
        times = signals["time"].to_numpy().reshape(-1)
        for row, first in enumerate(range(0, len(told), per)):
            world.luck.check_link()
            chosen = np.arange(first, first + per)
            when: FloatArray = world.clock.now() + exposure * np.arange(per, dtype=float)
            times[chosen] = when
            spots = world.path.on_sample(told[chosen], when)
            for name, values in signals.data_vars.items():
                flat = values.to_numpy().reshape(-1, *values.shape[-2:])
                for at, counts in zip(
                    chosen, self._read(str(name), spots, when, request), strict=True
                ):
                    dark = world.luck.dropped(str(name), when[at - first], np.array(1.0))
                    flat[at] = counts * dark
            rest_on(world, spots, when, exposure)
            world.clock.sleep(exposure * per)
            yield {"y": row} if request.shape != (1, 1) else {"frame": slice(row, row + 1)}

    def _read(
        self, name: str, spots: FloatArray, when: FloatArray, request: CameraRequest
    ) -> Iterator[FloatArray]:
        """Yield the counts of every place, binned."""
        world, camera = self.world, self.world.settings.camera
        rng = world.rng("camera", name)
        source = PatternSource(world)
        exposure = self._exposure(request)
        electrons = world.electrons(when, exposure)
        side = camera.pixels // request.binning
        for pattern, count in zip(source.patterns(name, spots), electrons, strict=True):
            drawn = rng.poisson(np.clip(pattern, 0, None) * count).astype(float)
            binned = drawn.reshape(side, request.binning, side, request.binning).sum(axis=(1, 3))
            yield camera.gain * binned + rng.normal(0.0, camera.noise, binned.shape)
