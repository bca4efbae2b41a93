"""Pulses and paths of the plain twin."""

from __future__ import annotations

import math
from collections.abc import Generator
from itertools import pairwise

import numpy as np
import xarray as xr

from nanopilot.core.acquiring import Filled, LiveAcquisition
from nanopilot.core.limits import Estimate, Violation
from nanopilot.core.requests import Position, WriteRequest
from nanopilot.twins.plain.part import Part, outside


class PlainWriter(Part[WriteRequest]):
    """Pulses and paths; the plain surface does not remember them, the record does."""

    def validate(self, request: WriteRequest) -> list[Violation]:
        """List places out of range and voltages the source does not have."""
        found = outside(np.array(request.points))
        if any(not abs(value) <= 10 for value in request.bias):
            found.append(
                Violation(parameter="bias", message="`bias` leaves the source's -10 V to 10 V.")
            )
        return found

    def estimate(self, request: WriteRequest) -> Estimate:
        """Return time under bias."""
        count = len(request.points) - (request.mode == "path")
        under = count * request.duration
        return Estimate(seconds=under, bias_seconds=under, wear=_length(request.points))

    def start(self, request: WriteRequest) -> LiveAcquisition:
        """Begin to write."""
        where, state = np.array(request.points), self._state.read()
        applied, times = np.full(len(where), np.nan), np.full(len(where), np.nan)
        position, second = (
            {"units": "m", "quantity": "position"},
            {"units": "s", "quantity": "time"},
        )
        signals = xr.Dataset(
            {"bias": ("point", applied, {"quantity": "bias", "units": "V"})},
            coords={
                "x": ("point", where[:, 0], position), "y": ("point", where[:, 1], position),
                "time": ("point", times, second),
            },
            attrs={"request": request.model_dump_json(), "state": state.model_dump_json()},
        )  # fmt: skip

        def fill() -> Generator[Filled, None, None]:
            for point, bias in enumerate(request.bias_at_points):
                if point or request.mode == "pulses":
                    self._state.clock.sleep(request.duration)
                applied[point], times[point] = bias, self._state.clock.now()
                yield {"point": slice(point, point + 1)}

        return self.begin(lambda: signals, fill())


def _length(points: tuple[Position, ...]) -> float:
    return sum(math.dist(a, b) for a, b in pairwise(points))
