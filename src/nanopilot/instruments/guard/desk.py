"""The desk: everything the guard and the leases of one instrument share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from nanopilot.core.capabilities import Instrument
from nanopilot.core.clock import Clock
from nanopilot.core.errors import Interlocked, NanopilotError, Unsupported
from nanopilot.core.events import Audit
from nanopilot.core.limits import Budget, Violation
from nanopilot.core.requests import SetRequest
from nanopilot.instruments.guard.books import Books, refusal
from nanopilot.instruments.guard.command import Token
from nanopilot.instruments.guard.control import Control
from nanopilot.instruments.guard.judging import Dials, Judge, Rules
from nanopilot.instruments.guard.parts import Parts
from nanopilot.instruments.guard.rehearsal import RehearsingControl
from nanopilot.instruments.guard.securing import Securing
from nanopilot.instruments.guard.trust import trusted, trusted_set


@dataclass(frozen=True, slots=True)
class Desk:
    """One instrument, its parts, and the one way to it.

    Parameters
    ----------
    instrument : Instrument
        What is guarded.
    parts : Parts
        Its capabilities.
    control : Control
        What every command passes.
    """

    instrument: Instrument
    parts: Parts
    control: Control

    @classmethod
    def of(
        cls,
        instrument: Instrument,
        rules: Rules,
        budget: Budget,
        audit: Callable[[Audit], None],
        wall: Clock,
    ) -> Self:
        """Return the desk of an instrument that nobody has commanded yet."""
        books = Books(budget, audit)
        judge = Judge(instrument, rules, books)
        control = Control(judge, Securing(instrument, books), instrument.clock, wall)
        return cls(instrument, Parts(instrument, rules.limits), control)

    def rehearsing(self) -> Desk:
        """Return a desk at which nothing is sent."""
        judge = self.judge.copied(self.judge.books.copied())
        control = RehearsingControl(judge, self.securing, self.control.clock, self.control.wall)
        return Desk(self.instrument, self.parts, control)

    @property
    def judge(self) -> Judge:
        """What says what speaks against a command."""
        return self.control.judge

    @property
    def securing(self) -> Securing:
        """What stops and makes safe."""
        return self.control.securing

    def stop(self) -> None:
        """Drop whatever is being measured; at a rehearsal nothing is."""
        if not isinstance(self.control, RehearsingControl):
            self.securing.stop_all()

    def require_command(self, token: Token | None) -> None:
        """Refuse whoever is not in command.

        Raises
        ------
        NotInCommand
            Somebody else is.
        """
        found = self.control.commander.objection(token)
        if found is not None:
            raise refusal([found])

    def grant(self, holder: str, seconds: float, silence: float | None) -> Token:
        """Return a new lease; there is none that is not written down."""
        token = self.control.commander.grant(holder, seconds, silence)
        try:
            self.control.write_lease(token)
        except NanopilotError:
            self.control.commander.end(token, "could not be written down")
            raise
        return token

    def secure_after(self, token: Token) -> None:
        """Make safe after a commander has fallen silent."""
        self.securing.secure(f"the lease {token.ended}", token.holder)

    def violations(self, command: Any, token: Token | None) -> list[Violation]:
        """List everything that speaks against a command as things stand."""
        asked = trusted_set(command) if type(command) is SetRequest else command
        try:
            part = self.parts.asked_by(asked)
            if isinstance(part, Dials):
                return self.control.judge_values(part, asked.values, token)
            return self.control.judge_request(part, trusted(asked, part.request), token)[0]
        except Unsupported as refused:
            return [Violation(parameter="capability", message=str(refused), kind="unsupported")]
        except Interlocked as refused:
            return [Violation(parameter="state", message=str(refused), kind="interlock")]
