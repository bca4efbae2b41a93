"""Spectra of the scanning-probe twin."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass, field

import numpy as np

from nanopilot.core.acquiring import Filled, LiveAcquisition
from nanopilot.core.description import SpectrumMode
from nanopilot.core.geometry import FloatArray, corners, places
from nanopilot.core.limits import Estimate, Sweep, Violation
from nanopilot.core.requests import SpectrumRequest
from nanopilot.core.signals import SignalSet
from nanopilot.twins.spm.faults import Faults
from nanopilot.twins.spm.function.mode import Asked, Mode
from nanopilot.twins.spm.function.modes import MODES
from nanopilot.twins.spm.function.places import (
    SETTLING,
    misplaced,
    refuse,
    too_high,
    travel,
    withdrawn,
)
from nanopilot.twins.spm.function.plan import Plan, declare, unacceptable
from nanopilot.twins.spm.knobs import TRAVEL, Hands


@dataclass
class SpmSpectroscopy:
    """The `PointSpectroscopy` of the scanning-probe twin: place by place, row by row.

    Parameters
    ----------
    hands : Hands
        The instrument's other parts: world, real path, and how they are set.
    faults : Faults
        What goes wrong meanwhile.
    name : str
        Of the instrument.
    modes : tuple of Mode
        Kinds of spectra; those that this instrument on this sample lacks are left out.
    """

    hands: Hands
    faults: Faults
    name: str
    modes: tuple[Mode, ...] = MODES
    _running: LiveAcquisition | None = field(default=None, init=False)

    def _there(self) -> dict[str, Mode]:
        world = self.hands.world
        return {mode.kind: mode for mode in self.modes if mode.channels(world)}

    @property
    def declared(self) -> tuple[SpectrumMode, ...]:
        """Kinds of spectra there are, for the description."""
        return tuple(declare(mode, self.hands.world) for mode in self._there().values())

    @property
    def sweep(self) -> Sweep | None:
        """The instrument's own bias spectrum, if it takes any."""
        for mode in self.declared:
            if mode.kind == "bias":
                return Sweep(low=mode.low, high=mode.high, points=mode.points)
        return None

    @property
    def units(self) -> dict[str, str]:
        """SI unit of every channel."""
        world = self.hands.world
        return {
            name: unit
            for mode in self._there().values()
            for name, (_, unit) in mode.channels(world).items()
        }

    def validate(self, request: SpectrumRequest) -> list[Violation]:
        """List unknown kinds, channels and settings, and what is out of range."""
        world, there = self.hands.world, self._there()
        if request.kind not in there:
            kinds = ", ".join(there) or "none"
            return [Violation.unsupported("kind", f"`{request.kind}`; there are {kinds}")]
        found = unacceptable(declare(there[request.kind], world), request)
        found += misplaced(corners(request.grid), world.sample.area)
        return found + too_high(request.bias) + withdrawn(self.hands)

    def estimate(self, request: SpectrumRequest) -> Estimate:
        """Return time, size, time under bias, and the way of the tip."""
        world, mode = self.hands.world, self._there().get(request.kind)
        if mode is None or unacceptable(declare(mode, world), request):
            return Estimate(seconds=0.0)
        plan, count = Plan.of(mode, world, request), math.prod(request.shape)
        gone = math.dist(corners(request.grid)[0], self.hands.position) + _rows(request)
        cost = mode.cost(plan.axis.values, plan.values)
        return Estimate(
            seconds=count * (cost.seconds + SETTLING) + gone / TRAVEL,
            spectra=count,
            bytes=8 * plan.axis.values.size * len(plan.channels) * count,
            bias_seconds=count * cost.bias_seconds,
            wear=gone if world.settings.loop.mode == "contact" else 0.0,
        )

    def start(self, request: SpectrumRequest) -> LiveAcquisition:
        """Begin to measure.

        Raises
        ------
        OutOfRange, Unsupported, Interlocked
            What `validate` lists; a guard has asked before.
        LinkLost
            The line is down.
        """
        self.faults.check_link()
        refuse(self.validate(request))
        world, mode = self.hands.world, self._there()[request.kind]
        plan = Plan.of(mode, world, request)
        signals, times = plan.empty(request, mode.channels(world), self.hands.state())
        self._running = LiveAcquisition(
            lambda: signals, self._fill(request, plan, signals, times), halt=lambda: None
        )
        return self._running

    def stop(self) -> None:
        """Abort the spectra in progress."""
        if self._running is not None:
            self._running.abort()

    def _fill(
        self, request: SpectrumRequest, plan: Plan, signals: SignalSet, times: FloatArray
    ) -> Generator[Filled, None, None]:
        world, single = self.hands.world, request.shape == (1, 1)
        targets = {name: signals[name].to_numpy() for name in plan.channels}
        axis = plan.axis.values
        seconds = plan.mode.cost(axis, plan.values).seconds
        for index, (x, y) in enumerate(places(request.grid)):
            self.faults.check_link()
            place = travel(self.hands, (float(x), float(y)))
            began, (row, column) = world.clock.now(), divmod(index, request.shape[1])
            found = plan.mode.take(world, Asked(place, axis, plan.values), world.rng("spectra"))
            world.clock.sleep(seconds)
            at: tuple[int, ...] = () if single else (row, column)
            for name, target in targets.items():
                target[at] = self.faults.dropped(name, np.full(axis.size, began), found[name])
            times[at] = began
            yield {} if single else {"y": row, "x": column}


def _rows(request: SpectrumRequest) -> float:
    """Return how far it is along all rows of a grid and back to the beginning of each, in m."""
    (rows, columns), (width, height) = request.shape, request.field_of_view
    across = width if columns > 1 else 0.0
    if rows == 1:
        return across
    return rows * across + (rows - 1) * math.hypot(across, height / (rows - 1))
