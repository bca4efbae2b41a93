"""The scene of the `guard` track: back end, oracle, clocks, and what is counted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from nanopilot.bench.guard_oracle import BUDGET, Oracle
from nanopilot.bench.guard_wire import Wire
from nanopilot.core.clock import Clock, VirtualClock

#: Makes what stands in front of the wire; is given the wire and the wall clock.
Defence = Callable[[Wire, Clock], Any]


@dataclass
class Tally:
    """What came of it.

    Parameters
    ----------
    sent, legal : int
        Commands sent one after the other, and those of them that were legal beyond doubt.
    together : int
        Commands sent by several threads at once.
    reached : int
        Commands that reached the instrument and were not legal then.
    refused_legal : int
        Legal commands that were refused.
    untyped : int
        Refusals that say nothing, or are no error of ours.
    unsafe : int
        Times that the instrument was not safe after an emergency stop or a silent commander.
    first : list of str
        The first few of them, in words.
    """

    sent: int = 0
    legal: int = 0
    together: int = 0
    reached: int = 0
    refused_legal: int = 0
    untyped: int = 0
    unsafe: int = 0
    first: list[str] = field(default_factory=list)

    def count(self, what: str, said: str) -> None:
        """Count one; remember it if it is among the first."""
        setattr(self, what, getattr(self, what) + 1)
        if len(self.first) < 20:
            self.first.append(f"{what}: {said}"[:300])


class Scene:
    """A wire behind a defence, and everything that is known about both.

    Parameters
    ----------
    defence : callable
        Makes what stands in front of the wire.
    """

    def __init__(self, defence: Defence) -> None:
        self.wall = VirtualClock()
        self.actor = threading.local()
        self.tally = Tally()
        self.wire = Wire(VirtualClock(), self._witness)
        self.oracle = Oracle(self.wire)
        self.scope = defence(self.wire, self.wall)
        self.oracle.begin_run()

    def _witness(self, capability: str, asked: Any) -> None:
        """Judge what arrives, in the moment it does."""
        actor = getattr(self.actor, "name", "")
        safe = self.oracle.safe(capability, asked)
        entitled = self.oracle.in_command(actor, self.wall.now(), safe=safe)
        if self.oracle.legal(capability, asked) is False or not (safe or entitled):
            self.tally.count("reached", f"{capability} {words(asked)} from {actor!r}")
        if not getattr(self.actor, "securing", False):
            self.oracle.arrived(capability, asked)

    def new_run(self) -> None:
        """Wait for the end of any lease, and open the books of another run."""
        self.no_faults()
        if self.oracle.holder is not None and self.wall.now() < self.oracle.expires:
            self.wall.set(self.oracle.expires)
        self.oracle.holder = None
        self.scope.begin_run(BUDGET, lambda row: None)
        self.oracle.begin_run()

    def no_faults(self) -> None:
        """Let the instrument report the truth."""
        self.wire.age, self.wire.broken, self.wire.hidden = 0.0, False, frozenset()
        self.wire.truth["Vacuum.pressure"] = 1e-6

    def stop(self) -> None:
        """Press the emergency stop."""
        self.actor.securing = True
        self.scope.emergency_stop("somebody", "to see what happens")
        self.actor.securing = False
        self.oracle.stopped = True
        self.see_that_it_is_safe("after an emergency stop")

    def release_stop(self) -> None:
        """Release it."""
        self.scope.release_stop("somebody")
        self.oracle.stopped = False

    def see_that_it_is_safe(self, when: str) -> None:
        """Count it if the instrument is not."""
        truth = self.wire.truth
        if truth["Beam.blanked"] != 1 or truth["Approach.engaged"] != 0 or self.wire.running:
            self.tally.count("unsafe", when)


def pass_time(clock: VirtualClock, seconds: float) -> None:
    """Let time pass without giving the processor away, as `sleep` would."""
    clock.set(clock.now() + seconds)


def words(asked: Any) -> str:
    """Return what was asked as text, if it can be."""
    try:
        return repr(asked)
    except Exception:  # noqa: BLE001 - some cannot be printed on purpose
        return type(asked).__name__
