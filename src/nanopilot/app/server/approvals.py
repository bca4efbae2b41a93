"""Commands on file: who may only propose writes them down, who may approve carries them out."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass

from nanopilot.core.errors import BudgetExceeded, InvalidRequest, NanopilotError, UnknownName
from nanopilot.core.limits import Violation
from nanopilot.core.requests import SetRequest
from nanopilot.instruments.remote.messages import Ask, Measure, Progress, Proposal, Settings
from nanopilot.instruments.remote.problems import problem_of

_MAX_WAITING = 100
_MAX_KEPT = 1000

#: Carries a command out, under the guard.
CarryOut = Callable[[Measure | SetRequest], Progress | Settings]


def digest_of(command: Measure | SetRequest) -> str:
    """Return what an approval is bound to: SHA-256 of the command as JSON."""
    return hashlib.sha256(command.model_dump_json().encode()).hexdigest()


@dataclass
class _Entry:
    proposal: Proposal
    until: float


class Approvals:
    """All proposals, and what became of them.

    Parameters
    ----------
    seconds : float
        How long one can be approved.
    now : callable
        Seconds that pass.
    """

    def __init__(self, seconds: float, now: Callable[[], float]) -> None:
        self._seconds = seconds
        self._now = now
        self._turn = threading.Lock()
        self._all: dict[str, _Entry] = {}

    def file(self, ask: Ask, violations: tuple[Violation, ...]) -> Proposal:
        """Put a command on file.

        Raises
        ------
        BudgetExceeded
            Too many wait already.
        """
        proposal = Proposal(
            id=secrets.token_hex(8),
            digest=digest_of(ask.command),
            command=ask.command,
            why=ask.why,
            violations=violations,
        )
        with self._turn:
            waiting = sum(self._status(entry) == "waiting" for entry in self._all.values())
            if waiting >= _MAX_WAITING:
                raise BudgetExceeded(
                    f"`proposals`: {waiting} wait for approval already; have some decided first."
                )
            while len(self._all) >= _MAX_KEPT:
                decided = (k for k, e in self._all.items() if e.proposal.status != "waiting")
                del self._all[next(decided)]
            self._all[proposal.id] = _Entry(proposal, self._now() + self._seconds)
            return self._current(self._all[proposal.id])

    def all(self) -> tuple[Proposal, ...]:
        """Return all that are remembered, oldest first."""
        with self._turn:
            return tuple(self._current(entry) for entry in self._all.values())

    def deny(self, name: str) -> Proposal:
        """Decide against a proposal."""
        with self._turn:
            entry = self._waiting(name)
            entry.proposal = entry.proposal.model_copy(update={"status": "denied"})
            return self._current(entry)

    def approve(self, name: str, digest: str, carry_out: CarryOut) -> Proposal:
        """Carry out a proposal, once.

        It can be approved again, while its time lasts, if the guard refused it.

        Raises
        ------
        InvalidRequest
            The digest is of another command, or the proposal is decided or has expired.
        NanopilotError
            The guard refused it, or it failed.
        """
        with self._turn:
            entry = self._waiting(name)
            if not secrets.compare_digest(digest.encode(), entry.proposal.digest.encode()):
                raise InvalidRequest(
                    "`digest` is of another command than the one on file; read the proposal again."
                )
            # Until it is decided nobody else can approve it: it must not be done twice.
            entry.proposal = entry.proposal.model_copy(update={"status": "done", "error": None})
        try:
            came = carry_out(entry.proposal.command)
        except NanopilotError as error:
            moved = type(error).__name__ in ("DeviceError", "LinkLost", "NotReached")
            self._update(entry, status="failed" if moved else "waiting", error=problem_of(error))
            raise
        except BaseException:
            self._update(entry, status="failed")
            raise
        if isinstance(came, Progress):
            return self._update(entry, acquisition=came.id)
        return self._update(entry, settings=came.settings)

    def _update(self, entry: _Entry, **changes: object) -> Proposal:
        with self._turn:
            entry.proposal = entry.proposal.model_copy(update=changes)
            return self._current(entry)

    def _waiting(self, name: str) -> _Entry:
        entry = self._all.get(name)
        if entry is None:
            raise UnknownName("proposal", name, ())
        status = self._status(entry)
        if status != "waiting":
            raise InvalidRequest(f"`proposal` {name} is {status}; only one that waits is decided.")
        return entry

    def _status(self, entry: _Entry) -> str:
        if entry.proposal.status == "waiting" and entry.until <= self._now():
            entry.proposal = entry.proposal.model_copy(update={"status": "expired"})
        return entry.proposal.status

    def _current(self, entry: _Entry) -> Proposal:
        self._status(entry)
        left = max(0.0, entry.until - self._now())
        return entry.proposal.model_copy(update={"expires_in": left})
