"""What goes wrong with the instrument: on command, or when the schedule says so."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

import numpy as np

from nanopilot.core.errors import LinkLost, UnknownName
from nanopilot.core.requests import from_outside
from nanopilot.twins.spm import events
from nanopilot.twins.spm.motion import RealPath
from nanopilot.twins.spm.schedule import Fault, FaultName
from nanopilot.twins.spm.world import World

FloatArray = np.ndarray[Any, np.dtype[np.float64]]


@dataclass
class Faults:
    """What is wrong now; `twin.faults`, which no guard and no wire passes on.

    Parameters
    ----------
    world : World
        Tip and sample.
    path : RealPath
        How the tip really moves.

    Examples
    --------
    ``twin.faults.inject("drift-jump", x=20e-9)`` and
    ``twin.faults.inject("stuck-sensor", of="Positioner.x", seconds=10)``.
    """

    world: World
    path: RealPath
    #: How a parameter is read while its sensor works; set by those who read.
    reading: Callable[[str], float] = field(default=lambda _: math.nan, init=False)
    _to_come: list[Fault] = field(init=False)
    _out: list[tuple[str, float, float]] = field(default_factory=list, init=False)
    _stuck: dict[str, tuple[float, float]] = field(default_factory=dict, init=False)
    _down: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._to_come = list(self.world.settings.faults.faults)

    def inject(self, name: str, *, of: str = "", **numbers: float) -> None:
        """Let something go wrong now.

        Parameters
        ----------
        name : str
            One of `FaultName`.
        of : str
            Channel or parameter, as of a `Fault`.
        **numbers : float
            As of a `Fault`.

        Raises
        ------
        UnknownName
            There is no such fault.
        InvalidRequest
            It has no such number.
        """
        if name not in get_args(FaultName):
            raise UnknownName("fault", name, get_args(FaultName))
        now = self.world.clock.now()
        self._happens(from_outside(Fault, name=name, of=of, numbers=numbers, time=max(now, 0.0)))

    def facts(self) -> dict[str, Any]:
        """Return what has happened and what is wrong now, as JSON; see `Memory.facts`."""
        return {
            "to_come": len(self._to_come),
            "out": [list(one) for one in self._out],
            "stuck": {key: list(one) for key, one in self._stuck.items()},
            "down": self._down,
        }

    def recall(self, facts: Mapping[str, Any]) -> None:
        """Take over what `facts` returned, of a twin with the same schedule."""
        faults = self.world.settings.faults.faults
        self._to_come = list(faults[len(faults) - facts["to_come"] :])
        self._out = [(of, began, until) for of, began, until in facts["out"]]
        self._stuck = {key: (value, until) for key, (value, until) in facts["stuck"].items()}
        self._down = facts["down"]

    def due(self) -> None:
        """Let happen what the schedule has for the time that has passed."""
        while self._to_come and self._to_come[0].time <= self.world.clock.now():
            self._happens(self._to_come.pop(0))

    def check_link(self) -> None:
        """Raise if the line to the instrument is down.

        Raises
        ------
        LinkLost
            It is; a link that was cut for no time answers again after that.
        """
        self.due()
        if self._down is None:
            return
        until, now = self._down, self.world.clock.now()
        if until <= now:
            self._down = None
            if until < now:
                return
        raise LinkLost(
            "`link` to the twin is down, as it was told to be; connect again, read the "
            "instrument back, and decide then."
        )

    def read(self, key: str, value: float) -> float:
        """Return what the sensor of a parameter says, given what is true."""
        frozen, until = self._stuck.get(key, (value, -math.inf))
        return frozen if self.world.clock.now() < until else value

    def sensed(self, place: tuple[FloatArray, FloatArray]) -> FloatArray:
        """Return what the position sensors say, shape (n, 2), given where the piezos are."""
        now = self.world.clock.now()
        found = []
        for key, values in zip(("Positioner.x", "Positioner.y"), place, strict=True):
            frozen, until = self._stuck.get(key, (0.0, -math.inf))
            found.append(np.full_like(values, frozen) if now < until else values)
        return np.stack(found, axis=-1)

    def dropped(self, channel: str, times: FloatArray, values: FloatArray) -> FloatArray:
        """Return a channel with 0 where its detector has dropped out."""
        for name, began, until in self._out:
            if name in ("", channel):
                values = np.where((times >= began) & (times < until), 0.0, values)
        return values

    def _happens(self, fault: Fault) -> None:
        now, numbers = max(self.world.clock.now(), fault.time), fault.numbers
        until = now + numbers.get("seconds", math.inf)
        self.world.note(f"fault: {fault.name}", **numbers)
        if fault.name == "tip-crash":
            push = numbers.get("push", events.DEEPEST)
            events.crash(self.world, self.world.place, push)
        elif fault.name == "tip-change":
            events.change(self.world)
        elif fault.name == "double-tip":
            events.double(self.world, **numbers)
        elif fault.name == "drift-jump":
            self.path.slip(self._jump(numbers), now)
        elif fault.name == "detector-dropout":
            self._out.append((fault.of, now, until))
        elif fault.name == "lost-link":
            self._down = now + numbers.get("seconds", 0.0)
        else:
            self._stuck[fault.of] = (self.reading(fault.of), until)

    def _jump(self, numbers: dict[str, float]) -> tuple[float, float, float]:
        if not numbers:
            x, y = self.world.rng("fault").normal(0.0, 20e-9, 2)
            return float(x), float(y), 0.0
        return numbers.get("x", 0.0), numbers.get("y", 0.0), numbers.get("z", 0.0)
