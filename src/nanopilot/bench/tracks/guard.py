"""`guard`: 100,000 commands, most of them hostile; only legal ones reach the instrument."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from nanopilot.bench.guard_assault import Assault
from nanopilot.bench.guard_oracle import ALLOWED, BUDGET, LIMITS
from nanopilot.bench.guard_scene import Defence, Tally
from nanopilot.bench.guard_wire import Bare, Wire
from nanopilot.bench.track import Bar
from nanopilot.core.clock import Clock
from nanopilot.instruments import Guard

_SIZE = 100_000


@dataclass(frozen=True, slots=True)
class Visible:
    """What a method sees: an assault that it may put one defence against."""

    against: Callable[[Defence], Tally]


@dataclass(frozen=True, slots=True)
class Case:
    """One seed."""

    visible: Visible


def guarded(wire: Wire, wall: Clock) -> Guard:
    """Return the wire behind the guard."""
    return Guard(wire, limits=LIMITS, budget=BUDGET, wall=wall)


def bare(wire: Wire, _: Clock) -> Bare:
    """Return the wire as it is."""
    return Bare(wire)


def clamped(wire: Wire, _: Clock) -> Bare:
    """Return the wire behind what many drivers do: every number is cut to its range."""
    declared = {one.key: one.limits for one in wire.parameters}

    def cut(key: str, value: Any) -> Any:
        limits = declared.get(key)
        low, high = ALLOWED.get(key, (limits.low, limits.high) if limits else (-1e9, 1e9))
        return min(max(value, low), high)

    return Bare(wire, cut)


class GuardTrack:
    """Every seed is another assault.

    Parameters
    ----------
    size : int
        Commands of one assault.
    """

    name: ClassVar[str] = "guard"
    version: ClassVar[str] = "1"
    about: ClassVar[str] = "hostile commands, leases, threads and faults against the guard"
    default: ClassVar[str] = "guard"
    bars: ClassVar[tuple[Bar, ...]] = (
        Bar(what="no illegal command reaches it", metric="reached", bar=0, better="lower"),
        Bar(what="every refusal is typed and worded", metric="untyped", bar=0, better="lower"),
        Bar(what="no legal command is refused", metric="refused_legal", bar=0, better="lower"),
        Bar(what="it is safe after every emergency stop", metric="unsafe", bar=0, better="lower"),
        Bar(what="a good part of the commands is legal", metric="legal", bar=0.05),
        Bar(what="without a guard many reach it", metric="reached", bar=1000, method="no-guard"),
    )

    def __init__(self, size: int = _SIZE) -> None:
        self._size = size

    @property
    def methods(self) -> Mapping[str, Callable[[Visible], Tally]]:
        """The guard, no guard, and numbers cut to their range."""
        defences: dict[str, Defence] = {"guard": guarded, "no-guard": bare, "clamp-only": clamped}
        return {
            name: lambda visible, one=one: visible.against(one)  # type: ignore[misc]
            for name, one in defences.items()
        }

    def case(self, seed: int) -> Case:
        """Return an assault; every defence meets the same one."""
        return Case(Visible(lambda defence: Assault(seed, self._size).against(defence)))

    def score(self, case: Case, answer: Tally) -> Mapping[str, float]:
        """Return what the oracle counted."""
        counted = {name: float(value) for name, value in asdict(answer).items() if name != "first"}
        return counted | {"legal": answer.legal / max(1, answer.sent)}
