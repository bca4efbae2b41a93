"""What is to go wrong, and when: as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self, get_args

import numpy as np
from pydantic import Field, model_validator

from nanopilot.core.units import Duration
from nanopilot.core.values import Value

FaultName = Literal[
    "tip-crash", "tip-change", "double-tip", "drift-jump",
    "detector-dropout", "lost-link", "stuck-sensor",
]  # fmt: skip

#: By fault: its numbers, SI units.
NUMBERS: Mapping[str, tuple[str, ...]] = {
    "tip-crash": ("push",),
    "tip-change": (),
    "double-tip": ("offset", "height"),
    "drift-jump": ("x", "y", "z"),
    "detector-dropout": ("seconds",),
    "lost-link": ("seconds",),
    "stuck-sensor": ("seconds",),
}
#: Faults that befall one channel or one parameter.
AIMED = ("detector-dropout", "stuck-sensor")


class Fault(Value):
    """Something that goes wrong.

    Parameters
    ----------
    name : str
        Which of `FaultName`.
    time : float
        When, in seconds on the instrument's clock.
    of : str
        The channel that drops out (empty: every one), or the parameter whose read-back sticks,
        such as ``"Positioner.x"``.
    numbers : dict of str to float
        ``push`` of a crash in metres; ``offset`` and ``height`` of a second tip in metres;
        ``x, y, z`` of a jump in metres; ``seconds`` for which a detector, the link or a sensor
        fails. What is not given is drawn, or is for ever (a link: just once).
    """

    name: FaultName
    time: Duration = 0.0
    of: str = ""
    numbers: dict[str, float] = {}

    @model_validator(mode="after")
    def _known(self) -> Self:
        unknown = sorted(set(self.numbers) - set(NUMBERS[self.name]))
        if unknown:
            there = ", ".join(NUMBERS[self.name]) or "none"
            raise ValueError(f"`{unknown[0]}` is no number of {self.name}; there are: {there}")
        if self.of and self.name not in AIMED:
            raise ValueError(f"`of` goes with {' and '.join(AIMED)} only")
        if self.name == "stuck-sensor" and not self.of:
            raise ValueError("`of` names the parameter that sticks, such as Positioner.x")
        return self


class FaultSchedule(Value):
    """Faults in the order of their times.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> drawn = FaultSchedule.drawn(rng, seconds=3600, per_hour={"tip-change": 5})
    >>> {fault.name for fault in drawn.faults}
    {'tip-change'}
    """

    faults: tuple[Fault, ...] = Field(default=())

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        times = [fault.time for fault in self.faults]
        if times != sorted(times):
            raise ValueError("`faults` must be in the order of their `time`")
        return self

    @classmethod
    def drawn(
        cls, rng: np.random.Generator, *, seconds: float, per_hour: Mapping[FaultName, float]
    ) -> Self:
        """Return a schedule with times of a Poisson process.

        Parameters
        ----------
        rng : numpy.random.Generator
            The same generator gives the same schedule.
        seconds : float
            From time 0 on.
        per_hour : mapping of str to float
            How often each fault happens.
        """
        faults = []
        for name in get_args(FaultName):
            times = rng.uniform(0, seconds, rng.poisson(per_hour.get(name, 0.0) * seconds / 3600))
            of = "Positioner.x" if name == "stuck-sensor" else ""
            limited = {"seconds": 60.0} if "seconds" in NUMBERS[name] else {}
            faults += [Fault(name=name, time=t, of=of, numbers=limited) for t in times]
        return cls(faults=tuple(sorted(faults, key=lambda fault: fault.time)))
