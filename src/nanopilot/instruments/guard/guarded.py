"""Capabilities as the guard gives them out: every call goes through `Control`."""

from __future__ import annotations

from typing import Any

from nanopilot.core.capabilities import Acquisition
from nanopilot.core.errors import Unsupported
from nanopilot.core.limits import Estimate, Violation
from nanopilot.core.parameters import Parameter, Setting
from nanopilot.instruments.guard.command import Token
from nanopilot.instruments.guard.control import Control
from nanopilot.instruments.guard.judging import Dials, Meter


class GuardedMeasuring:
    """A capability that measures, as the guard lets it be used."""

    def __init__(self, control: Control, meter: Meter, token: Token | None) -> None:
        self.__control = control
        self.__meter = meter
        self.__token = token

    def validate(self, request: Any) -> list[Violation]:
        """List what speaks against a request, now or later: limits, instrument, budget."""
        return self.__control.judge.validate(self.__meter, request)

    def estimate(self, request: Any) -> Estimate:
        """Return what the request will cost."""
        return self.__control.judge.estimate(self.__meter, request)

    def start(self, request: Any) -> Acquisition:
        """Begin to measure, if nothing speaks against it."""
        return self.__control.measure(self.__meter, request, self.__token)

    def stop(self) -> None:
        """Drop the measurement in progress; needs no permission."""
        self.__control.stop(self.__meter)


class GuardedAdjustable:
    """A capability that is adjusted, as the guard lets it be used."""

    def __init__(self, control: Control, dials: Dials, token: Token | None) -> None:
        self.__control = control
        self.__dials = dials
        self.__token = token

    def parameters(self) -> tuple[Parameter, ...]:
        """Return every parameter as the instrument declared it."""
        return tuple(gate.parameter for gate in self.__dials.gates.values())

    def get(self, name: str) -> float:
        """Read one parameter; needs no permission."""
        if type(name) is not str or name not in self.__dials.gates:
            there = ", ".join(self.__dials.gates) or "none"
            raise Unsupported(f"`{self.__dials.name}` has no {name!r}; it has {there}.")
        return self.__dials.inner.get(name)

    def set(self, **values: Any) -> tuple[Setting, ...]:
        """Set parameters together, if nothing speaks against it, and verify the read-back."""
        return self.__control.adjust(self.__dials, values, self.__token)
