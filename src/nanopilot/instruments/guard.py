"""The guard: every instrument, twin or real, is reached through it and only through it.

Software limits are not a safety system. They keep a plan, a script and a language
model honest; what must never happen to people or hardware belongs into hardware.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import RLock
from typing import Any, Generic, Protocol, TypeVar, cast

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
from nanopilot.core.errors import BudgetExceeded, OutOfRange, Unsupported
from nanopilot.core.events import Audit
from nanopilot.core.limits import Budget, Estimate, Limits, Spent, Violation
from nanopilot.core.requests import Request, ScanRequest, SpectrumRequest
from nanopilot.instruments.checks import check_budget, check_limits

RequestT = TypeVar("RequestT", ScanRequest, SpectrumRequest)
_RequestT_contra = TypeVar("_RequestT_contra", bound=Request, contravariant=True)

_GUARDED: tuple[type[Any], ...] = (Scanner, PointSpectroscopy)


class _Measuring(Protocol[_RequestT_contra]):
    def validate(self, request: _RequestT_contra) -> list[Violation]: ...
    def estimate(self, request: _RequestT_contra) -> Estimate: ...
    def start(self, request: _RequestT_contra) -> Acquisition: ...
    def stop(self) -> None: ...


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
        self.limits = limits or Limits()
        self.budget = budget or Budget()
        self.source = dict(source or {})
        self.audit = audit
        self._spent = Spent()
        self._lock = RLock()

    @property
    def name(self) -> str:
        """Name of the instrument."""
        return self.__instrument.name

    @property
    def clock(self) -> Clock:
        """Clock of the instrument."""
        return self.__instrument.clock

    @property
    def spent(self) -> Spent:
        """What has been let through so far."""
        return self._spent

    def describe(self) -> InstrumentDescription:
        """Return the description of the instrument."""
        return self.__instrument.describe()

    def begin_run(
        self, budget: Budget, audit: Callable[[Audit], None], spent: Spent | None = None
    ) -> None:
        """Open the books of a run: its budget, its audit trail, what it has spent before."""
        with self._lock:
            self.budget, self.audit, self._spent = budget, audit, spent or Spent()

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
        return cast("CapabilityT", _Guarded(cast("Any", inner), kind.__name__, self))

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

    def _violations(self, request: Request, inner: _Measuring[Any]) -> list[Violation]:
        found = check_limits(request, self.limits, self.describe()) + inner.validate(request)
        if not found:
            found = check_budget(inner.estimate(request), self._spent, self.budget)
        return found

    def _admit(self, request: Request, inner: _Measuring[Any], capability: str) -> Acquisition:
        with self._lock:
            found = self._violations(request, inner)
            row = Audit(
                verdict="refused" if found else "allowed",
                capability=capability,
                request=request.model_dump(mode="json"),
                reasons=tuple(violation.message for violation in found),
                time=self.clock.now(),
            )
            if not found:
                self._spent = self._spent.plus(inner.estimate(request))
            self.audit(row)
            if found:
                raise _error(found)
            return inner.start(request)


class _Guarded(Generic[RequestT]):
    """One capability as the guard lets it be used."""

    def __init__(self, inner: _Measuring[RequestT], name: str, guard: Guard) -> None:
        self.__inner: _Measuring[RequestT] = inner
        self.__name = name
        self.__guard = guard

    def validate(self, request: RequestT) -> list[Violation]:
        return self.__guard._violations(request, self.__inner)

    def estimate(self, request: RequestT) -> Estimate:
        return self.__inner.estimate(request)

    def start(self, request: RequestT) -> Acquisition:
        return self.__guard._admit(request, self.__inner, self.__name)

    def stop(self) -> None:
        self.__inner.stop()


def _error(found: list[Violation]) -> Exception:
    kinds = {violation.kind for violation in found}
    message = " ".join(violation.message for violation in found)
    if "unsupported" in kinds:
        return Unsupported(message)
    return OutOfRange(message) if "limit" in kinds else BudgetExceeded(message)
