"""Writing with the tip of the scanning-probe twin; the sample remembers."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import xarray as xr

from nanopilot.core.acquiring import Filled, LiveAcquisition
from nanopilot.core.geometry import FloatArray
from nanopilot.core.limits import Estimate, Violation
from nanopilot.core.requests import WriteRequest
from nanopilot.twins.spm.faults import Faults
from nanopilot.twins.spm.function.places import (
    SETTLING,
    misplaced,
    really,
    refuse,
    rub,
    too_high,
    travel,
    way,
    withdrawn,
)
from nanopilot.twins.spm.function.switching import along, pulse, switchable
from nanopilot.twins.spm.knobs import TRAVEL, Hands

_POSITION = {"units": "m", "quantity": "position"}


@dataclass
class SpmWriter:
    """The `BiasWriter` of the scanning-probe twin.

    Parameters
    ----------
    hands : Hands
        The instrument's other parts: world, real path, and how they are set.
    faults : Faults
        What goes wrong meanwhile.
    name : str
        Of the instrument.
    """

    hands: Hands
    faults: Faults
    name: str
    _running: LiveAcquisition | None = field(default=None, init=False)

    @property
    def there(self) -> bool:
        """Tell whether the tip touches something that remembers a bias."""
        world = self.hands.world
        return world.settings.loop.mode == "contact" and switchable(world)

    def validate(self, request: WriteRequest) -> list[Violation]:
        """List places off the sample and voltages that the source does not have."""
        area = self.hands.world.sample.area
        found = misplaced(np.array(request.points), area) + too_high(request.bias)
        return found + withdrawn(self.hands)

    def estimate(self, request: WriteRequest) -> Estimate:
        """Return time, time under bias, and the way of the tip."""
        drawn = request.mode == "path"
        under = (len(request.points) - drawn) * request.duration
        gone = way(self.hands.position, request.points)
        # A path is drawn within its durations; only the way to its beginning is travelled.
        travelled = way(self.hands.position, request.points[:1]) if drawn else gone
        stops = 1 if drawn else len(request.points)
        return Estimate(
            seconds=under + travelled / TRAVEL + stops * SETTLING,
            bytes=8 * len(request.points),
            bias_seconds=under,
            wear=gone,
        )

    def start(self, request: WriteRequest) -> LiveAcquisition:
        """Begin to write.

        Raises
        ------
        OutOfRange, Unsupported, Interlocked
            What `validate` lists; a guard has asked before.
        LinkLost
            The line is down.
        """
        self.faults.check_link()
        refuse(self.validate(request))
        where = np.array(request.points)
        applied, times = np.full(len(where), np.nan), np.full(len(where), np.nan)
        signals = xr.Dataset(
            {"bias": ("point", applied, {"quantity": "bias", "units": "V"})},
            coords={
                "x": ("point", where[:, 0], _POSITION),
                "y": ("point", where[:, 1], _POSITION),
                "time": ("point", times, {"units": "s", "quantity": "time"}),
            },
            attrs={
                "request": request.model_dump_json(),
                "state": self.hands.state().model_dump_json(),
            },
        )
        filling = self._pulses if request.mode == "pulses" else self._path
        self._running = LiveAcquisition(
            lambda: signals, filling(request, applied, times), halt=lambda: None
        )
        return self._running

    def stop(self) -> None:
        """Abort the writing in progress; what has been written stays."""
        if self._running is not None:
            self._running.abort()

    def _pulses(
        self, request: WriteRequest, applied: FloatArray, times: FloatArray
    ) -> Generator[Filled, None, None]:
        world = self.hands.world
        for point, (place, bias) in enumerate(
            zip(request.points, request.bias_at_points, strict=True)
        ):
            self.faults.check_link()
            x, y = travel(self.hands, place)
            world.clock.sleep(request.duration)
            rng = world.rng("writing")
            switched = pulse(world, (x, y), bias, request.duration, rng)
            world.note("pulse", x=x, y=y, bias=bias, seconds=request.duration, switched=switched)
            applied[point], times[point] = bias, world.clock.now()
            yield {"point": slice(point, point + 1)}

    def _path(
        self, request: WriteRequest, applied: FloatArray, times: FloatArray
    ) -> Generator[Filled, None, None]:
        world, biases = self.hands.world, request.bias_at_points
        travel(self.hands, request.points[0])
        applied[0], times[0] = biases[0], world.clock.now()
        yield {"point": slice(0, 1)}
        for point, ends in enumerate(pairwise(request.points), start=1):
            self.faults.check_link()
            begin, volts = really(self.hands, ends[0]), (biases[point - 1], biases[point])
            world.clock.sleep(request.duration)
            rub(world, math.dist(*ends))
            self.hands.arrive(ends[1])
            end, rng = really(self.hands, ends[1]), world.rng("writing")
            switched = along(world, (begin, end), volts, request.duration, rng)
            world.note("line", x=end[0], y=end[1], bias=volts[1], seconds=request.duration,
                       switched=switched)  # fmt: skip
            applied[point], times[point] = volts[1], world.clock.now()
            yield {"point": slice(point, point + 1)}
