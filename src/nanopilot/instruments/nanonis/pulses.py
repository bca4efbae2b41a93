"""Bias pulses of a Nanonis controller."""

from __future__ import annotations

import json
from collections.abc import Generator
from threading import Event

import numpy as np
import xarray as xr

from nanopilot.core.acquiring import Filled, LiveAcquisition
from nanopilot.core.limits import Estimate, Violation
from nanopilot.core.requests import WriteRequest
from nanopilot.core.signals import check_set
from nanopilot.instruments.nanonis.desk import Desk, Stopping

_WAIT, _HOLD, _ABSOLUTE = 1, 1, 2


class NanonisWriter:
    """The `BiasWriter` of a Nanonis controller: pulses, the loop on hold meanwhile.

    Parameters
    ----------
    desk : Desk
        What there is.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._stopping = Stopping(lambda: None)

    def validate(self, request: WriteRequest) -> list[Violation]:
        """List what the controller does not do."""
        found = self._desk.outside(np.array(request.points), "points")
        if request.mode != "pulses":
            found.append(Violation.unsupported("mode", f"`{request.mode}`; there are pulses"))
        limits = self._desk.controller.bias
        if limits is not None and any(not limits.holds(value) for value in request.bias):
            message = f"`bias` leaves the source's {limits.low:g} V to {limits.high:g} V."
            found.append(Violation(parameter="bias", message=message))
        return found

    def estimate(self, request: WriteRequest) -> Estimate:
        """Return time under bias; the way from point to point is not counted."""
        seconds = len(request.points) * request.duration
        return Estimate(seconds=seconds, bias_seconds=seconds)

    def start(self, request: WriteRequest) -> LiveAcquisition:
        """Begin to write."""
        desk, where = self._desk, np.array(request.points)
        applied, times = np.full(len(where), np.nan), np.full(len(where), np.nan)
        position = {"units": "m", "quantity": "position"}
        signals = check_set(
            xr.Dataset(
                {"bias": ("point", applied, {"quantity": "bias", "units": "V"})},
                coords={
                    "x": ("point", where[:, 0], position),
                    "y": ("point", where[:, 1], position),
                    "time": ("point", times, {"units": "s", "quantity": "time"}),
                },
                attrs={
                    "instrument": json.dumps(desk.name),
                    "request": request.model_dump_json(),
                    "state": desk.state().model_dump_json(),
                },
            )
        )

        halted = Event()

        def fill() -> Generator[Filled, None, None]:
            for point, bias in enumerate(request.bias_at_points):
                if halted.is_set():
                    return
                desk.move(float(where[point, 0]), float(where[point, 1]))
                desk.link.ask(
                    "Bias.Pulse", _WAIT, request.duration, bias, _HOLD, _ABSOLUTE,
                    timeout=desk.pace.patience + request.duration,
                )  # fmt: skip
                applied[point], times[point] = bias, desk.clock.now()
                yield {"point": slice(point, point + 1)}

        return self._stopping.watch(lambda: signals, fill(), halted)

    def stop(self) -> None:
        """Keep the next pulse from being written; one on its way cannot be called back."""
        self._stopping.stop()
