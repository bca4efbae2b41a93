"""What speaks against a command: limits, the instrument's own word, budgets, interlocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from nanopilot.core.adjustables import Adjustable
from nanopilot.core.capabilities import Instrument, Measuring
from nanopilot.core.description import InstrumentDescription
from nanopilot.core.errors import DeviceError, NanopilotError
from nanopilot.core.interlocks import Interlock
from nanopilot.core.limits import Estimate, Limits, Violation
from nanopilot.core.parameters import State
from nanopilot.core.requests import Position, Request, SpectrumRequest
from nanopilot.instruments.guard.books import Books, refusal
from nanopilot.instruments.guard.checks import check_estimate, check_limits
from nanopilot.instruments.guard.gates import Gate, check_values
from nanopilot.instruments.guard.interlocking import FreshState, Interlocking, broken
from nanopilot.instruments.guard.motion import Motion
from nanopilot.instruments.guard.places import Deposit
from nanopilot.instruments.guard.trust import not_finite, trusted

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Meter:
    """A capability that measures, and what it is asked with."""

    name: str
    request: type[Request]
    inner: Measuring[Any]


@dataclass(frozen=True, slots=True)
class Dials:
    """A capability that is adjusted, and what its parameters have to pass."""

    name: str
    inner: Adjustable
    gates: Mapping[str, Gate]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a request would take from the books."""

    estimate: Estimate
    deposit: Deposit | Violation | None


@dataclass(frozen=True, slots=True)
class Rules:
    """What is in force on an instrument beside its own limits.

    Parameters
    ----------
    limits : Limits
        Absolute limits.
    interlocks : tuple of Interlock
        All that might apply.
    max_age : float
        Seconds that a reading of the state may be old.
    """

    limits: Limits
    interlocks: tuple[Interlock, ...]
    max_age: float


class Judge:
    """Lists what speaks against commands; sends nothing but questions.

    Parameters
    ----------
    instrument : Instrument
        Is asked for its description, its state, and what it thinks of a request.
    rules : Rules
        Limits and interlocks.
    books : Books
        Budgets.
    """

    def __init__(self, instrument: Instrument, rules: Rules, books: Books) -> None:
        self._instrument = instrument
        self._description: InstrumentDescription | None = None
        self.rules = rules
        self.books = books
        self.state = FreshState(instrument, rules.max_age)
        self.motion = Motion(rules.limits, instrument.clock)
        self._interlocking = Interlocking(rules.interlocks, self.describe)
        if self.motion.has_excursions:
            self.begin()

    def begin(self) -> None:
        """Note what excursions are counted from; what cannot be read now is read later."""
        try:
            self.motion.begin(self.state.read() if self.motion.has_excursions else None)
        except NanopilotError:
            self.motion.begin(None)

    def describe(self, *, fresh: bool = False) -> InstrumentDescription:
        """Return the description; the instrument is asked once, or whenever `fresh`."""
        found = self._description
        if found is None or fresh:
            found = self._description = self._instrument.describe()
        return found

    def request(self, meter: Meter, asked: Request) -> tuple[list[Violation], Cost | None]:
        """List what speaks against a request whatever the state, and what it would cost."""
        limits = self.rules.limits
        # The sweep that the instrument chooses may have been changed at its own panel.
        own = isinstance(asked, SpectrumRequest) and asked.kind == "bias" and not asked.bias
        described = self.describe(fresh=own and limits.bias is not None)
        found = check_limits(asked, limits, described)
        if found and (not_finite(asked) or any(one.parameter == "shape" for one in found)):
            return found, None  # too large, or too strange, even to ask the instrument about
        found += _asked(meter, "validate", lambda: list(meter.inner.validate(asked)))
        if found:
            return found, None
        estimate = _asked(meter, "estimate", lambda: meter.inner.estimate(asked))
        found = check_estimate(estimate)
        if found:
            return found, None
        cost = Cost(estimate, self._deposit(asked, estimate))
        return self.books.check(estimate, cost.deposit), cost

    def validate(self, meter: Meter, request: object) -> list[Violation]:
        """List what speaks against a request whatever the state."""
        return self.request(meter, trusted(request, meter.request))[0]

    def estimate(self, meter: Meter, request: object) -> Estimate:
        """Return what the instrument says a request costs.

        Raises
        ------
        OutOfRange
            It is too large, or not finite, so that it cannot even be asked about.
        """
        asked = trusted(request, meter.request)
        found = check_limits(asked, Limits(), self.describe())
        if found:
            raise refusal(found)
        return _asked(meter, "estimate", lambda: meter.inner.estimate(asked))

    def _deposit(self, asked: Request, estimate: Estimate) -> Deposit | Violation | None:
        places = self.books.places
        if places is None:
            return None
        rest = stage = (0.0, 0.0)
        if {"Positioner", "Stage"} & set(self.describe().capabilities):
            state = self.state.read()
            rest, stage = _position(state, "Positioner"), _position(state, "Stage")
        return places.deposit(asked, estimate, rest, stage)

    def interlocks(
        self, capability: str, values: Mapping[str, float] | None = None
    ) -> list[Violation]:
        """List interlocks, rates and excursions that forbid a command as things stand."""
        rules = self._interlocking.concerning(capability, values)
        keys = [] if values is None else [f"{capability}.{name}" for name in values]
        if not rules and not self.motion.concerns(keys):
            return []
        state = self.state.read()
        found = broken(rules, state)
        for name, value in (values or {}).items():
            found += self.motion.check(f"{capability}.{name}", value, state)
        return found

    def values(self, dials: Dials, numbers: Mapping[str, float], *, safe: bool) -> list[Violation]:
        """List what speaks against values; what makes the instrument safer is held by little."""
        found = check_values(dials.name, dials.gates, numbers)
        return found if found or safe else self.interlocks(dials.name, numbers)

    def copied(self, books: Books) -> Judge:
        """Return a judge for a rehearsal: it takes what was rehearsed for done."""
        other = Judge(self._instrument, self.rules, books)
        other.motion = self.motion.copied()
        other.state = FreshState(self._instrument, self.rules.max_age, dict(self.state.pretended))
        return other


def _position(state: State, capability: str) -> Position:
    x, y = state.get(f"{capability}.x"), state.get(f"{capability}.y")
    return (0.0 if x is None else x), (0.0 if y is None else y)


def _asked(meter: Meter, what: str, call: Callable[[], T]) -> T:
    """Return the instrument's answer; if it has none, the request is refused."""
    try:
        return call()
    except NanopilotError:
        raise
    except Exception as cause:
        raise DeviceError(
            f"`{meter.name}` cannot {what} the request ({type(cause).__name__}: {cause}), so it is "
            f"not sent. Ask for less, or see to the instrument."
        ) from cause
