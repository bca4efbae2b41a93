"""The guard's books: what is allowed, what has been spent, and every verdict."""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from typing import Protocol, TypeVar

from nanopilot.core.capabilities import Acquisition, Instrument
from nanopilot.core.errors import BudgetExceeded, NanopilotError, OutOfRange, Unsupported
from nanopilot.core.events import Audit
from nanopilot.core.limits import Budget, Estimate, Limits, Spent, Violation
from nanopilot.core.requests import Request
from nanopilot.instruments.checks import check_budget, check_limits

RequestT = TypeVar("RequestT", bound=Request)
RequestT_contra = TypeVar("RequestT_contra", bound=Request, contravariant=True)


class Measuring(Protocol[RequestT_contra]):
    """What `Scanner` and `PointSpectroscopy` have in common."""

    def validate(self, request: RequestT_contra) -> list[Violation]:
        """List every reason why the request cannot be carried out."""

    def estimate(self, request: RequestT_contra) -> Estimate:
        """Return what the request will cost."""

    def start(self, request: RequestT_contra) -> Acquisition:
        """Begin to measure."""

    def stop(self) -> None:
        """Drop the measurement in progress."""


class Books:
    """Limits, budget and audit trail of one instrument.

    Parameters
    ----------
    instrument : Instrument
        Whose description and clock are used.
    limits, budget : Limits, Budget
        What is allowed.
    audit : callable
        Receives an `Audit` row for every verdict.
    """

    def __init__(
        self,
        instrument: Instrument,
        limits: Limits,
        budget: Budget,
        audit: Callable[[Audit], None],
    ) -> None:
        self.limits = limits
        self.spent = Spent()
        self._instrument = instrument
        self._budget = budget
        self._audit = audit
        self._turn = RLock()

    def begin_run(self, budget: Budget, audit: Callable[[Audit], None], spent: Spent) -> None:
        """Open the books of a run."""
        with self._turn:
            self._budget, self._audit, self.spent = budget, audit, spent

    def violations(self, request: RequestT, inner: Measuring[RequestT]) -> list[Violation]:
        """List every reason against a request: limits, the instrument's own, then budgets."""
        described = self._instrument.describe()
        found = check_limits(request, self.limits, described) + inner.validate(request)
        return found or check_budget(inner.estimate(request), self.spent, self._budget)

    def admit(self, request: RequestT, inner: Measuring[RequestT], capability: str) -> Acquisition:
        """Start a request that nothing speaks against, and book it; refuse any other.

        Raises
        ------
        OutOfRange, Unsupported, BudgetExceeded
            With every reason in the message.
        """
        with self._turn:
            found = self.violations(request, inner)
            row = Audit(
                verdict="refused" if found else "allowed",
                capability=capability,
                request=request.model_dump(mode="json"),
                reasons=tuple(violation.message for violation in found),
                time=self._instrument.clock.now(),
            )
            if not found:
                self.spent = self.spent.plus(inner.estimate(request))
            self._audit(row)
            if found:
                raise refusal(found)
            return inner.start(request)


def refusal(found: list[Violation]) -> NanopilotError:
    """Return the error that tells every reason against a request."""
    kinds = {violation.kind for violation in found}
    message = " ".join(violation.message for violation in found)
    if "unsupported" in kinds:
        return Unsupported(message)
    return OutOfRange(message) if "limit" in kinds else BudgetExceeded(message)
