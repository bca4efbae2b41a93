"""The guard's books: what may be spent, what has been, and every verdict."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from threading import RLock

from nanopilot.core.errors import (
    BudgetExceeded,
    Interlocked,
    NanopilotError,
    NotInCommand,
    OutOfRange,
    Stopped,
    StoreError,
    Unsupported,
)
from nanopilot.core.events import Audit
from nanopilot.core.limits import Budget, Estimate, Spent, Violation
from nanopilot.instruments.guard.checks import check_budget
from nanopilot.instruments.guard.places import Deposit, Places

#: Seconds that a row about safety waits for another that is being written.
_PATIENCE = 1.0
#: What a refusal is called when there is more than one reason: the first kind that is there.
_ERRORS: tuple[tuple[str, type[NanopilotError]], ...] = (
    ("stopped", Stopped),
    ("command", NotInCommand),
    ("unsupported", Unsupported),
    ("limit", OutOfRange),
    ("interlock", Interlocked),
    ("budget", BudgetExceeded),
)


class Books:
    """Budget, expenses and audit trail of one instrument.

    Parameters
    ----------
    budget : Budget
        What may be spent in all; the budget of a run comes on top.
    audit : callable
        Receives an `Audit` row for every verdict.
    """

    def __init__(self, budget: Budget, audit: Callable[[Audit], None]) -> None:
        self._waiting: deque[Audit] = deque(maxlen=10_000)
        self._one = RLock()
        self._house, self._total = budget, Spent()
        self.places = None if budget.place is None else Places(budget.place)
        self._budget, self._audit, self.spent = Budget(), audit, Spent()

    def begin_run(self, budget: Budget, audit: Callable[[Audit], None], spent: Spent) -> None:
        """Open the books of a run.

        What the house allows each place stays in force, and what it has been given stays counted;
        a run's own budget of places is kept where the house has none.
        """
        self._budget, self._audit, self.spent = budget, audit, spent
        if self._house.place is None:
            self.places = None if budget.place is None else Places(budget.place)

    def check(self, estimate: Estimate, deposit: Deposit | Violation | None) -> list[Violation]:
        """List the budgets that a request would overdraw, of the run and of places."""
        found = check_budget(estimate, self.spent, self._budget)
        found += check_budget(estimate, self._total, self._house)
        if isinstance(deposit, Violation):
            return [*found, deposit]
        if self.places is not None and deposit is not None:
            found += self.places.check(deposit)
        return found

    def book(self, estimate: Estimate, deposit: Deposit | Violation | None) -> None:
        """Count a request as spent, whether or not it will succeed."""
        self.spent, self._total = self.spent.plus(estimate), self._total.plus(estimate)
        if self.places is not None and isinstance(deposit, Deposit):
            self.places.book(deposit)

    def write(self, row: Audit) -> None:
        """Put a row into the audit trail, after those that could not be put there before.

        Raises
        ------
        StoreError
            It cannot be written; what it is about must not happen.
        """
        try:
            with self._one:
                while self._waiting:
                    self._audit(self._waiting[0])
                    self._waiting.popleft()
                self._audit(row)
        except NanopilotError:
            raise
        except Exception as cause:
            raise StoreError(
                f"`audit` cannot be written ({type(cause).__name__}: {cause}), and nothing is done "
                f"that is not written down. See to the run's journal."
            ) from cause

    def note(self, row: Audit) -> None:
        """Put down what was done for safety; if that fails, the row waits for the next one.

        Making an instrument safe must not depend on a disk, nor on the thread it happens in.
        """
        written = False
        if self._one.acquire(timeout=_PATIENCE):
            try:
                self._audit(row)
                written = True
            except Exception:  # noqa: BLE001 - whatever it is, the row is kept
                written = False
            finally:
                self._one.release()
        if not written:
            self._waiting.append(row)

    def copied(self) -> Books:
        """Return books of their own for a rehearsal, which begin where these stand."""
        other = copy(self)
        other._waiting = deque()  # noqa: SLF001
        other.places = None if self.places is None else replace(self.places)
        return other


def refusal(found: list[Violation]) -> NanopilotError:
    """Return the error that tells every reason against a request."""
    kinds = {violation.kind for violation in found}
    message = " ".join(violation.message for violation in found)
    return next(error for kind, error in _ERRORS if kind in kinds)(message)
