"""The guard: every instrument, twin or real, is reached through it and only through it.

Software limits are not a safety system. They keep a plan, a script and a language
model honest; what must never happen to people or hardware belongs into hardware.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self, cast

from nanopilot.core.capabilities import (
    CapabilityT,
    Closable,
    Instrument,
    InstrumentDescription,
    Restorable,
)
from nanopilot.core.clock import Clock, RealClock
from nanopilot.core.diary import Diary
from nanopilot.core.errors import Unsupported
from nanopilot.core.events import Audit
from nanopilot.core.interlocks import STANDARD_INTERLOCKS, Interlock
from nanopilot.core.limits import Budget, Limits, Spent, Violation
from nanopilot.core.memory import Memory
from nanopilot.core.parameters import State
from nanopilot.core.requests import Command
from nanopilot.core.signals import Signal
from nanopilot.instruments.guard.command import Token
from nanopilot.instruments.guard.desk import Desk
from nanopilot.instruments.guard.guarded import GuardedAdjustable, GuardedMeasuring
from nanopilot.instruments.guard.judging import Dials, Rules

if TYPE_CHECKING:
    from nanopilot.instruments.guard.lease import Lease


class Guard:
    """An instrument with limits, interlocks, budgets and an audit trail in front of it.

    Parameters
    ----------
    instrument : Instrument
        What is guarded. It is not reachable through the guard.
    limits : Limits
        Absolute limits, rates and excursions, checked when a request is validated and again
        when it starts.
    budget : Budget
        What may be spent in all. A request counts from the moment it is let through,
        whether or not it succeeds.
    audit : callable
        Receives an `Audit` row for every verdict, before anything is sent; if it raises,
        nothing is. Rows about leases and stops may come from other threads.
    source : mapping
        How the instrument was connected, so that a dead run can find it again.
    interlocks : tuple of Interlock
        Rules about the state; those whose `needs` the instrument has are in force.
    wall : Clock, optional
        Real time, for leases and the watchdog; a clock of its own when not given.
    max_age : float
        Seconds on the instrument's clock after which a reading of the state is not trusted.

    Notes
    -----
    A capability the guard does not know how to check is refused, not passed through. Any
    thread may use it: commands take turns, `stop` and `emergency_stop` wait for nobody.

    Examples
    --------
    >>> from nanopilot.core.adjustables import Stage
    >>> from nanopilot.workflows.connect import connect
    >>> scope = connect("plain", world="tip")
    >>> scope.capability(Stage).set(x=1e-6)
    Traceback (most recent call last):
    ...
    nanopilot.core.errors.Interlocked: `Stage` is held by the interlock no-stage-while-engaged: ...
    """

    def __init__(  # noqa: PLR0913 - all but the first have a default that is right for most
        self,
        instrument: Instrument,
        *,
        limits: Limits | None = None,
        budget: Budget | None = None,
        audit: Callable[[Audit], None] = lambda row: None,
        source: Mapping[str, Any] | None = None,
        interlocks: tuple[Interlock, ...] = STANDARD_INTERLOCKS,
        wall: Clock | None = None,
        max_age: float = 1.0,
    ) -> None:
        rules = Rules(limits or Limits(), tuple(interlocks), max_age)
        desk = Desk.of(instrument, rules, budget or Budget(), audit, wall or RealClock())
        self._sit(desk, dict(source or {}), None)

    def _sit(self, desk: Desk, source: dict[str, Any], token: Token | None) -> None:
        self.__desk = desk
        self.__token = token
        self.source = source

    @property
    def name(self) -> str:
        """Name of the instrument."""
        return self.__desk.instrument.name

    @property
    def clock(self) -> Clock:
        """Clock of the instrument."""
        return self.__desk.instrument.clock

    @property
    def limits(self) -> Limits:
        """Absolute limits in force."""
        return self.__desk.judge.rules.limits

    @property
    def spent(self) -> Spent:
        """What has been let through so far."""
        return self.__desk.judge.books.spent

    def dose_map(self) -> Signal:
        """Return the dose that each place has been given, dims (y, x), electrons per m^2.

        Raises
        ------
        Unsupported
            The budget has no part for places, so nothing was counted.
        """
        places = self.__desk.judge.books.places
        if places is None:
            raise Unsupported("`budget.place` is not set, so no dose was counted; give one.")
        return places.dose_map()

    def describe(self, *, fresh: bool = False) -> InstrumentDescription:
        """Return the description of the instrument, asked for once unless `fresh`."""
        return self.__desk.judge.describe(fresh=fresh)

    def state(self) -> State:
        """Read every parameter from the instrument; needs no permission."""
        return self.__desk.instrument.state()

    def begin_run(
        self, budget: Budget, audit: Callable[[Audit], None], spent: Spent | None = None
    ) -> None:
        """Open the books of a run: its budget, its audit trail, what it has spent before.

        Raises
        ------
        NotInCommand
            Somebody else holds the instrument.
        """
        with self.__desk.control.turn(self.__token):
            self.__desk.require_command(self.__token)
            self.__desk.judge.books.begin_run(budget, audit, spent or Spent())
            self.__desk.judge.begin()

    def capability(self, kind: type[CapabilityT]) -> CapabilityT:
        """Return a capability of the instrument, with the guard in front of it.

        Raises
        ------
        Unsupported
            The instrument does not have it, or the guard cannot check it.
        """
        part, control = self.__desk.parts.find(kind), self.__desk.control
        guarded: object
        if isinstance(part, Dials):
            guarded = GuardedAdjustable(control, part, self.__token)
        else:
            guarded = GuardedMeasuring(control, part, self.__token)
        return cast("CapabilityT", guarded)

    def violations(self, command: Command) -> list[Violation]:
        """List everything that speaks against a command as things stand now; send nothing.

        Raises
        ------
        InvalidRequest
            It is no command, or was made without its checks and does not pass them.
        """
        return self.__desk.violations(command, self.__token)

    def lease(self, holder: str, seconds: float = 60.0, *, silence: float | None = None) -> Lease:
        """Take command: until the lease ends, only whoever has what is returned commands.

        Parameters
        ----------
        holder : str
            Who takes it, for journals.
        seconds : float
            How long it lasts unless it is renewed, in real seconds.
        silence : float, optional
            After so many real seconds without a command or a sign of life everything is
            stopped, the beam blanked, the tip retracted, and the lease is over.

        Raises
        ------
        NotInCommand
            Somebody has it.
        """
        from nanopilot.instruments.guard.lease import Lease

        return Lease(self.__desk, self.source, self.__desk.grant(holder, seconds, silence))

    def restore(
        self, time: float, position: tuple[float, float], memory: Memory | None = None
    ) -> None:
        """Put a twin back where a run left it; an instrument that kept its state is left alone."""
        with self.__desk.control.turn(self.__token):
            self.__desk.require_command(self.__token)
            try:
                twin = self.__desk.instrument.capability(Restorable)
            except Unsupported:
                return
            twin.restore(time, position, memory)

    def diary(self) -> Diary | None:
        """Return what writes down, for a run, what a twin becomes; None: it is no twin.

        Its entries are bytes; what they say of the sample is not reachable through the guard.
        """
        try:
            twin = self.__desk.instrument.capability(Restorable)
        except Unsupported:
            return None
        return Diary(twin.memory, self.restore, self.clock)

    def rehearsal(self) -> Guard:
        """Return a guard that judges and writes down as this one does, and sends nothing.

        It has books of its own, which begin where these stand, and takes for done what was
        rehearsed: after a rehearsed retraction a stage may be moved. Only its `emergency_stop`
        is real.
        """
        other = Guard.__new__(Guard)
        other._sit(self.__desk.rehearsing(), dict(self.source), None)  # noqa: SLF001
        return other

    def close(self) -> None:
        """Give back the line, the process or the lease behind the instrument, if there is any."""
        try:
            line = self.__desk.instrument.capability(Closable)
        except Unsupported:
            return
        line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def stop(self) -> None:
        """Stop whatever is being measured; needs no permission and waits for nobody."""
        self.__desk.stop()

    def make_safe(self, why: str) -> tuple[str, ...]:
        """Stop, blank the beam, retract the tip; return what came of it. Needs no permission."""
        return self.__desk.control.make_safe(str(why), self.__token)

    def emergency_stop(self, by: str, why: str) -> tuple[str, ...]:
        """Make safe, and refuse every command until `release_stop`; return what came of it.

        Needs no permission and waits for nobody. A command that is under way at that moment
        is followed by a second making safe.
        """
        return self.__desk.securing.press(str(by), str(why))

    def release_stop(self, by: str) -> None:
        """Allow commands again; for whoever has seen what the matter was."""
        self.__desk.securing.release(str(by))
