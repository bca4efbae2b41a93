"""Where every command passes: one at a time, judged, written down, and only then sent.

Judging and sending are one turn under one lock, so that nobody can break in between what an
interlock has just found. `stop` and the emergency stop do not take that lock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import RLock
from typing import Any, ClassVar, Literal

from nanopilot.core.capabilities import Acquisition
from nanopilot.core.clock import Clock
from nanopilot.core.errors import InvalidRequest, NanopilotError, NotReached, OutOfRange
from nanopilot.core.events import Audit
from nanopilot.core.limits import Violation
from nanopilot.core.parameters import Setting
from nanopilot.core.requests import Request
from nanopilot.instruments.guard.books import refusal
from nanopilot.instruments.guard.command import Commander, Token
from nanopilot.instruments.guard.gates import makes_safe
from nanopilot.instruments.guard.judging import Cost, Dials, Judge, Meter
from nanopilot.instruments.guard.readback import not_reached
from nanopilot.instruments.guard.running import Running, busy
from nanopilot.instruments.guard.securing import Securing
from nanopilot.instruments.guard.trust import trusted, trusted_numbers

Verdict = Literal["allowed", "refused", "rehearsed", "unverified", "command"]


class Control:
    """The one way to an instrument.

    Parameters
    ----------
    judge : Judge
        Says what speaks against a command.
    securing : Securing
        Stops and makes safe.
    clock, wall : Clock
        The instrument's time, for journals; real time, for leases.
    """

    allowed: ClassVar[Verdict] = "allowed"

    def __init__(self, judge: Judge, securing: Securing, clock: Clock, wall: Clock) -> None:
        self.judge = judge
        self.securing = securing
        self.clock = clock
        self.wall = wall
        self.commander = Commander(wall, self.tell)
        self._turn = RLock()

    def measure(self, meter: Meter, request: object, token: Token | None) -> Acquisition:
        """Start a request that nothing speaks against, and book it; refuse any other."""
        with self.turn(token):
            by, stops = _name(token), self.securing.emergency.count
            with self._refusing(meter.name, type(request).__name__, by):
                asked = trusted(request, meter.request)
                found, cost = self.judge_request(meter, asked, token)
            self._rule(meter.name, asked.model_dump(mode="json"), found, by)
            assert cost is not None  # noqa: S101 - there is one where nothing speaks against it
            self.judge.books.book(cost.estimate, cost.deposit)
            return self._start(meter, asked, stops)

    def adjust(
        self, dials: Dials, values: Mapping[str, Any], token: Token | None
    ) -> tuple[Setting, ...]:
        """Set what nothing speaks against, and verify the read-back; refuse any other.

        Raises
        ------
        NotReached
            It was set, and the instrument reads back another value.
        """
        with self.turn(token):
            by, stops = _name(token), self.securing.emergency.count
            with self._refusing(dials.name, "values", by):
                numbers = trusted_numbers(values)
                found = self.judge_values(dials, numbers, token)
            if not found and makes_safe(dials.gates, numbers):
                self.judge.books.note(self.row(self.allowed, dials.name, numbers, (), by))
            else:
                self._rule(dials.name, numbers, found, by)
            return self._send(dials, numbers, by, stops)

    def judge_request(
        self, meter: Meter, asked: Request, token: Token | None
    ) -> tuple[list[Violation], Cost | None]:
        """List everything that speaks against a request, and what it would cost."""
        found = self.objections(token)
        if found:
            return found, None
        running = self._in_progress()
        found = [] if running is None else busy(running, meter.name, measures=True)
        against, cost = self.judge.request(meter, asked)
        return found + against + self.judge.interlocks(meter.name), cost

    def judge_values(
        self, dials: Dials, numbers: Mapping[str, float], token: Token | None
    ) -> list[Violation]:
        """List everything that speaks against values."""
        if not numbers:
            raise InvalidRequest(f"`{dials.name}` is told nothing to set; name a parameter.")
        safe = makes_safe(dials.gates, numbers)
        found = self.objections(token, safe=safe) or self.judge.values(dials, numbers, safe=safe)
        running = None if safe else self._in_progress()
        return found if running is None else found + busy(running, dials.name, measures=False)

    def objections(self, token: Token | None, *, safe: bool = False) -> list[Violation]:
        """List what speaks against a person rather than a command: a stop, another's lease."""
        stop = self.securing.emergency.objection()
        if stop is not None:
            return [stop]
        found = self.commander.objection(token, safe=safe)
        return [] if found is None else [found]

    @contextmanager
    def turn(self, token: Token | None) -> Iterator[None]:
        """Be the only one who commands; the holder of the lease is not silent meanwhile."""
        self.commander.begin(token)
        try:
            with self._turn:
                yield
        finally:
            self.commander.finish(token)

    def write_lease(self, token: Token) -> None:
        """Write down that a lease was given.

        Raises
        ------
        StoreError
            It cannot be written down.
        """
        said = (f"a lease of {token.length:g} s was given",)
        self.judge.books.write(self.row("command", "", {}, said, token.holder))

    def tell(self, by: str, said: str) -> None:
        """Note what became of a lease, now or later."""
        self.judge.books.note(self.row("command", "", {}, (said,), by))

    def make_safe(self, why: str, token: Token | None) -> tuple[str, ...]:
        """Stop, blank the beam, retract the tip; needs no permission, and waits for nobody."""
        return self.securing.secure(why, _name(token))

    def stop(self, meter: Meter) -> None:
        """Drop what one capability is measuring; needs no permission, and waits for nobody."""
        self.securing.stop(meter)

    def _in_progress(self) -> Running | None:
        running = self.securing.running
        return running if running is not None and running.goes_on() else None

    def _abort_dropped(self) -> None:
        """Abort a measurement that goes on and that nobody has any more."""
        running = self.securing.running
        if running is not None and running.dropped():
            running.abort()

    def _start(self, meter: Meter, asked: Request, stops: int) -> Acquisition:
        self._abort_dropped()
        try:
            inner = meter.inner.start(asked)
        except MemoryError as cause:
            raise OutOfRange(
                f"`{meter.name}` has no memory for what was asked; ask for less at once."
            ) from cause
        self.securing.running = running = Running(meter.name, inner)
        if self.securing.emergency.count != stops:
            running.abort()
            self.securing.again()
        return running.handle()

    def _send(
        self, dials: Dials, numbers: Mapping[str, float], by: str, stops: int
    ) -> tuple[Setting, ...]:
        self._abort_dropped()
        try:
            settings = dials.inner.set(**numbers)
        finally:
            self.judge.motion.moved(dials.name, numbers)
            if self.securing.emergency.count != stops:
                self.securing.again()
        wrong = not_reached(dials.gates, numbers, settings)
        if wrong:
            self.judge.books.note(self.row("unverified", dials.name, numbers, wrong, by))
            raise NotReached(" ".join(wrong))
        return settings

    def _rule(self, name: str, asked: Mapping[str, Any], found: list[Violation], by: str) -> None:
        """Write the verdict down; raise it if it is a refusal."""
        reasons = tuple(violation.message for violation in found)
        verdict: Verdict = "refused" if found else self.allowed
        self.judge.books.write(self.row(verdict, name, asked, reasons, by))
        if found:
            raise refusal(found)

    @contextmanager
    def _refusing(self, name: str, kind: str, by: str) -> Iterator[None]:
        """Write down a refusal that came as an error: no valid request, no state to go by."""
        try:
            yield
        except NanopilotError as refused:
            row = self.row("refused", name, {"type": kind}, (str(refused),), by)
            self.judge.books.write(row)
            raise

    def row(
        self,
        verdict: Verdict,
        name: str,
        asked: Mapping[str, Any],
        reasons: tuple[str, ...],
        by: str,
    ) -> Audit:
        """Return a row for the audit trail."""
        return Audit(
            verdict=verdict,
            capability=name,
            request=dict(asked),
            reasons=reasons,
            time=self.clock.now(),
            by=by,
        )


def _name(token: Token | None) -> str:
    return "" if token is None else token.holder
