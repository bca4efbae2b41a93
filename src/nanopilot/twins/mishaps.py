"""What goes wrong on any twin: links that drop, sensors that stick, detectors that fall silent."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from nanopilot.core.clock import Clock
from nanopilot.core.errors import LinkLost, UnknownName
from nanopilot.core.requests import from_outside
from nanopilot.core.units import Duration
from nanopilot.core.values import Value

FloatArray = np.ndarray[Any, np.dtype[np.float64]]


class Mishap(Value):
    """Something that goes wrong; a twin says which there are.

    Parameters
    ----------
    name : str
        Which.
    time : float
        When, in seconds on the instrument's clock.
    of : str
        The channel that drops out (empty: every one), or the parameter whose read-back sticks,
        such as ``"Stage.x"``.
    numbers : dict of str to float
        SI units. What is not given is drawn, or is for ever (a link: just once).
    """

    #: By name: the numbers it takes.
    known: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "detector-dropout": ("seconds",),
        "lost-link": ("seconds",),
        "stuck-sensor": ("seconds",),
    }
    #: Those that befall one channel or one parameter.
    aimed: ClassVar[tuple[str, ...]] = ("detector-dropout", "stuck-sensor")

    name: str
    time: Duration = 0.0
    of: str = ""
    numbers: dict[str, float] = {}

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.name not in self.known:
            raise ValueError(f"`name` is {self.name!r}; there are: {', '.join(self.known)}")
        unknown = sorted(set(self.numbers) - set(self.known[self.name]))
        if unknown:
            there = ", ".join(self.known[self.name]) or "none"
            raise ValueError(f"`{unknown[0]}` is no number of {self.name}; there are: {there}")
        if self.of and self.name not in self.aimed:
            raise ValueError(f"`of` goes with {' and '.join(self.aimed)} only")
        if self.name == "stuck-sensor" and not self.of:
            raise ValueError("`of` names the parameter that sticks, such as Stage.x")
        return self


class Mishaps(Value):
    """Mishaps in the order of their times; a twin says of which kind."""

    kind: ClassVar[type[Mishap]] = Mishap
    #: The sensor that sticks in a schedule that is drawn.
    sensor: ClassVar[str] = "Stage.x"

    faults: tuple[Mishap, ...] = Field(default=())

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        times = [one.time for one in self.faults]
        if times != sorted(times):
            raise ValueError("`faults` must be in the order of their `time`")
        return self

    @classmethod
    def drawn(
        cls, rng: np.random.Generator, *, seconds: float, per_hour: Mapping[str, float]
    ) -> Self:
        """Return a schedule with times of a Poisson process.

        Parameters
        ----------
        rng : numpy.random.Generator
            The same generator gives the same schedule.
        seconds : float
            From time 0 on.
        per_hour : mapping of str to float
            How often each happens.
        """
        found = []
        for name, numbers in cls.kind.known.items():
            times = rng.uniform(0, seconds, rng.poisson(per_hour.get(name, 0.0) * seconds / 3600))
            of = cls.sensor if name == "stuck-sensor" else ""
            limited = {"seconds": 60.0} if "seconds" in numbers else {}
            found += [cls.kind(name=name, time=t, of=of, numbers=limited) for t in times]
        return cls(faults=tuple(sorted(found, key=lambda one: one.time)))


@dataclass
class Luck:
    """What is wrong now, and what will be.

    Parameters
    ----------
    plan : Mishaps
        To come.
    clock : Clock
        Of the twin.
    befalls : callable
        Takes what only this twin knows how to suffer, and the time it happens.
    note : callable
        Takes the name of a mishap and its numbers, for the record.
    """

    plan: Mishaps
    clock: Clock
    befalls: Callable[[Mishap, float], None]
    note: Callable[..., None]
    #: How a parameter is read while its sensor works; set by those who read.
    reading: Callable[[str], float] = field(default=lambda _: math.nan, init=False)
    _to_come: list[Mishap] = field(init=False)
    _out: list[tuple[str, float, float]] = field(default_factory=list, init=False)
    _stuck: dict[str, tuple[float, float]] = field(default_factory=dict, init=False)
    _down: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._to_come = list(self.plan.faults)

    def inject(self, name: str, *, of: str = "", **numbers: float) -> None:
        """Let something go wrong now; names and numbers as of a `Mishap` of this twin.

        Raises
        ------
        UnknownName
            There is no such mishap.
        InvalidRequest
            It has no such number.
        """
        kind = type(self.plan).kind
        if name not in kind.known:
            raise UnknownName("fault", name, tuple(kind.known))
        now = max(self.clock.now(), 0.0)
        self._happens(from_outside(kind, name=name, of=of, numbers=numbers, time=now))

    def facts(self) -> dict[str, Any]:
        """Return what has happened and what is wrong now, as JSON; see `Memory.facts`."""
        return {
            "to_come": len(self._to_come),
            "out": [list(one) for one in self._out],
            "stuck": {key: list(one) for key, one in self._stuck.items()},
            "down": self._down,
        }

    def recall(self, facts: Mapping[str, Any]) -> None:
        """Take over what `facts` returned, of a twin with the same plan."""
        faults = self.plan.faults
        self._to_come = list(faults[len(faults) - facts["to_come"] :])
        self._out = [(of, began, until) for of, began, until in facts["out"]]
        self._stuck = {key: (value, until) for key, (value, until) in facts["stuck"].items()}
        self._down = facts["down"]

    def due(self) -> None:
        """Let happen what the schedule has for the time that has passed."""
        while self._to_come and self._to_come[0].time <= self.clock.now():
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
        until, now = self._down, self.clock.now()
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
        return frozen if self.clock.now() < until else value

    def dropped(self, channel: str, times: FloatArray, values: FloatArray) -> FloatArray:
        """Return a channel with 0 where its detector has dropped out."""
        for name, began, until in self._out:
            if name in ("", channel):
                values = np.where((times >= began) & (times < until), 0.0, values)
        return values

    def _happens(self, one: Mishap) -> None:
        now = max(self.clock.now(), one.time)
        until = now + one.numbers.get("seconds", math.inf)
        self.note(f"fault: {one.name}", **one.numbers)
        if one.name == "detector-dropout":
            self._out.append((one.of, now, until))
        elif one.name == "lost-link":
            self._down = now + one.numbers.get("seconds", 0.0)
        elif one.name == "stuck-sensor":
            self._stuck[one.of] = (self.reading(one.of), until)
        else:
            self.befalls(one, now)
