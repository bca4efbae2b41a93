"""The guard: every instrument, twin or real, is reached through it and only through it.

Software limits are not a safety system. They keep a plan, a script and a language
model honest; what must never happen to people or hardware belongs into hardware.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar, cast

from nanopilot.core.capabilities import (
    Acquisition,
    CapabilityT,
    Instrument,
    InstrumentDescription,
    PointSpectroscopy,
    Restorable,
    Scanner,
)
from nanopilot.core.clock import Clock
from nanopilot.core.errors import Unsupported
from nanopilot.core.events import Audit
from nanopilot.core.limits import Budget, Estimate, Limits, Spent, Violation
from nanopilot.core.requests import Request
from nanopilot.instruments.books import Books, Measuring

RequestT = TypeVar("RequestT", bound=Request)

_GUARDED: tuple[type[Any], ...] = (Scanner, PointSpectroscopy)


class Guard:
    """An instrument with limits, a budget and an audit trail in front of it.

    Parameters
    ----------
    instrument : Instrument
        What is guarded. It is not reachable through the guard.
    limits : Limits
        Absolute limits, checked when a request is validated and again when it starts.
    budget : Budget
        What may be spent in all. A request counts from the moment it is let through,
        whether or not it succeeds.
    audit : callable
        Receives an `Audit` row for every verdict.
    source : mapping
        How the instrument was connected, so that a dead run can find it again.

    Notes
    -----
    A capability the guard does not know how to check is refused, not passed through.
    """

    def __init__(
        self,
        instrument: Instrument,
        *,
        limits: Limits | None = None,
        budget: Budget | None = None,
        audit: Callable[[Audit], None] = lambda row: None,
        source: Mapping[str, Any] | None = None,
    ) -> None:
        self.__instrument = instrument
        self.__books = Books(instrument, limits or Limits(), budget or Budget(), audit)
        self.source = dict(source or {})

    @property
    def name(self) -> str:
        """Name of the instrument."""
        return self.__instrument.name

    @property
    def clock(self) -> Clock:
        """Clock of the instrument."""
        return self.__instrument.clock

    @property
    def limits(self) -> Limits:
        """Absolute limits in force."""
        return self.__books.limits

    @property
    def spent(self) -> Spent:
        """What has been let through so far."""
        return self.__books.spent

    def describe(self) -> InstrumentDescription:
        """Return the description of the instrument."""
        return self.__instrument.describe()

    def begin_run(
        self, budget: Budget, audit: Callable[[Audit], None], spent: Spent | None = None
    ) -> None:
        """Open the books of a run: its budget, its audit trail, what it has spent before."""
        self.__books.begin_run(budget, audit, spent or Spent())

    def capability(self, kind: type[CapabilityT]) -> CapabilityT:
        """Return a capability of the instrument, with the guard in front of it.

        Raises
        ------
        Unsupported
            The instrument does not have it, or the guard cannot check it.
        """
        inner = self.__instrument.capability(kind)
        if kind not in _GUARDED:
            raise Unsupported(f"`{kind.__name__}` cannot be guarded yet, so it cannot be used.")
        return cast("CapabilityT", _Guarded(cast("Any", inner), kind.__name__, self.__books))

    def restore(self, time: float, position: tuple[float, float]) -> None:
        """Put a twin back where a run left it; an instrument that kept its state is left alone."""
        try:
            self.__instrument.capability(Restorable).restore(time, position)
        except Unsupported:
            return

    def stop(self) -> None:
        """Stop whatever is being measured; needs no permission."""
        for kind in _GUARDED:
            try:
                self.__instrument.capability(kind).stop()
            except Unsupported:
                continue


class _Guarded(Generic[RequestT]):
    """One capability as the guard lets it be used."""

    def __init__(self, inner: Measuring[RequestT], name: str, books: Books) -> None:
        self.__inner: Measuring[RequestT] = inner
        self.__name = name
        self.__books = books

    def validate(self, request: RequestT) -> list[Violation]:
        return self.__books.violations(request, self.__inner)

    def estimate(self, request: RequestT) -> Estimate:
        return self.__inner.estimate(request)

    def start(self, request: RequestT) -> Acquisition:
        return self.__books.admit(request, self.__inner, self.__name)

    def stop(self) -> None:
        self.__inner.stop()
