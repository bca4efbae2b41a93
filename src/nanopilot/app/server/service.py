"""What the server does, apart from HTTP: every call blocks, and any thread may make it."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from nanopilot.app.server.approvals import Approvals
from nanopilot.app.server.events import Listeners
from nanopilot.app.server.leases import Leases
from nanopilot.app.server.measurements import Measurement, Measurements
from nanopilot.app.server.settings import ServerSettings
from nanopilot.core.adjustables import ADJUSTABLE, Adjustable
from nanopilot.core.capabilities import MEASURING
from nanopilot.core.clock import RealClock
from nanopilot.core.errors import (
    BudgetExceeded,
    OutOfRange,
    Stopped,
    Unsupported,
)
from nanopilot.core.events import Audit, Event, Note
from nanopilot.core.limits import Budget, Estimate, Violation
from nanopilot.core.requests import SetRequest
from nanopilot.instruments import Guard
from nanopilot.instruments.remote.messages import (
    AskLease,
    LeaseGiven,
    Measure,
    Progress,
    Settings,
)

_MAX_FRAMES = 1 << 20


class Service:
    """An instrument with its leases, measurements, proposals and listeners.

    Parameters
    ----------
    scope : Guard
        The instrument, guarded.
    settings : ServerSettings
        What is let in.
    record : callable
        Keeps an event for good; what it cannot keep is not carried out.
    """

    def __init__(
        self, scope: Guard, settings: ServerSettings, record: Callable[[Event], object]
    ) -> None:
        self.scope = scope
        self.settings = settings
        self.listeners = Listeners()
        self.wall = RealClock()
        self.leases = Leases(scope, self.wall)
        self.measurements = Measurements(settings)
        self.approvals = Approvals(settings.approval_seconds, self.wall.now)
        self.closing = threading.Event()
        self._record = record
        self._turn = threading.Condition()
        self._under_way = 0
        scope.begin_run(Budget(), self._audit)

    def _audit(self, row: Audit) -> None:
        if not row.by and row.verdict in ("allowed", "refused", "unverified"):
            row = row.model_copy(update={"by": "a client without a lease"})
        self._record(row)
        self.listeners.tell(row.model_dump_json())

    def note(self, topic: str, text: str) -> None:
        """Write down what happens to the server itself."""
        note = Note(topic=topic, text=text)
        self._record(note)
        self.listeners.tell(note.model_dump_json())

    def take(self, ask: AskLease) -> LeaseGiven:
        """Give command to one client."""
        with self._commanding():
            return self.leases.take(ask)

    def violations(
        self, command: Measure | SetRequest, secret: str | None
    ) -> tuple[Violation, ...]:
        """List everything that speaks against a command."""
        guard = self.leases.guard(secret)
        if isinstance(command, SetRequest):
            return tuple(guard.violations(command))
        self._bounded(command)
        kind, _ = MEASURING[command.capability]
        guard.capability(kind)
        return tuple(guard.violations(command.request))

    def estimate(self, command: Measure) -> Estimate:
        """Return what a measurement costs."""
        self._bounded(command)
        kind, _ = MEASURING[command.capability]
        return self.scope.capability(kind).estimate(command.request)

    def start(self, command: Measure, secret: str | None) -> Measurement:
        """Start a measurement and take it from the instrument, whoever reads it."""
        self._bounded(command)
        with self._commanding():
            return self._start(command, secret)

    def _start(self, command: Measure, secret: str | None) -> Measurement:
        kind, _ = MEASURING[command.capability]
        part = self.leases.guard(secret).capability(kind)
        size = part.estimate(command.request).bytes
        if not size <= self.settings.max_bytes:
            raise BudgetExceeded(
                f"`request` would measure {size} bytes; this server holds up to "
                f"{self.settings.max_bytes}. Ask for it in parts."
            )
        return self.measurements.add(command.capability, part.start(command.request))

    def set(self, request: SetRequest, secret: str | None) -> Settings:
        """Set parameters, and read them back."""
        with self._commanding():
            part = self.adjustable(request.capability, self.leases.guard(secret))
            return Settings(settings=part.set(**request.values))

    def get(self, capability: str, name: str) -> float:
        """Read one parameter."""
        return self.adjustable(capability, self.scope).get(name)

    def adjustable(self, name: str, guard: Guard) -> Adjustable:
        """Return a capability that can be adjusted, by its name."""
        if name not in ADJUSTABLE:
            there = ", ".join(ADJUSTABLE)
            raise Unsupported(f"`capability` is {name!r}; those that can be adjusted are {there}.")
        kind: type[Any] = ADJUSTABLE[name]
        part: Adjustable = guard.capability(kind)
        return part

    def carry_out(self, command: Measure | SetRequest, secret: str | None) -> Progress | Settings:
        """Do what was approved."""
        if isinstance(command, SetRequest):
            return self.set(command, secret)
        return self.start(command, secret).progress()

    def _bounded(self, command: Measure) -> None:
        """Refuse what could not even be estimated in the memory there is."""
        pixels = math.prod(getattr(command.request, "shape", (1, 1)))
        frames = getattr(command.request, "frames", 1)
        most = self.settings.max_pixels
        if pixels > most:
            raise OutOfRange(f"`shape` asks for {pixels} pixels; this server allows {most}.")
        if frames > _MAX_FRAMES:
            raise OutOfRange(f"`frames` is {frames}; this server allows {_MAX_FRAMES} at once.")

    def stop(self, why: str) -> tuple[str, ...]:
        """Drop every measurement; needs no lease."""
        self.scope.stop()
        self.note("stop", why)
        return ("all measurements dropped",)

    def make_safe(self, why: str) -> tuple[str, ...]:
        """Stop, blank the beam, retract the tip; needs no lease."""
        return self.scope.make_safe(why)

    def emergency_stop(self, by: str, why: str) -> tuple[str, ...]:
        """Make safe, and refuse every command until an approver releases it."""
        return self.scope.emergency_stop(by, why)

    def release_stop(self, by: str) -> tuple[str, ...]:
        """Allow commands again."""
        self.scope.release_stop(by)
        return ("released",)

    def secure(self, why: str) -> None:
        """Take no more commands, stop, and make the instrument safe; for the end of the server."""
        with self._turn:
            if self.closing.is_set():
                return
            self.closing.set()
        done = self.scope.make_safe(why)
        with self._turn:
            late = self._under_way > 0
            self._turn.wait_for(lambda: self._under_way == 0, timeout=10.0)
        if late:  # what was under way may have undone it
            done = self.scope.make_safe(f"{why}; a command was under way")
        self.note("finished", f"{why}: {'; '.join(done)}")
        self.leases.close()
        self.measurements.join(5.0)
        self.measurements.ring()
        self.listeners.ring()

    @contextmanager
    def _commanding(self) -> Iterator[None]:
        """Be a command under way, which the end of the server waits for; refused once it ends."""
        with self._turn:
            if self.closing.is_set():
                raise Stopped("the server is closing; start it again.")
            self._under_way += 1
        try:
            yield
        finally:
            with self._turn:
                self._under_way -= 1
                self._turn.notify_all()
