"""A rehearsal: every command is judged and written down, and none is sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import xarray as xr

from nanopilot.core.capabilities import Acquisition
from nanopilot.core.limits import Violation
from nanopilot.core.parameters import Setting, by_key
from nanopilot.core.requests import Request
from nanopilot.core.signals import SignalSet
from nanopilot.instruments.guard.command import Token
from nanopilot.instruments.guard.control import Control
from nanopilot.instruments.guard.gates import SAFE
from nanopilot.instruments.guard.judging import Dials, Meter


class Rehearsed:
    """The measurement of a rehearsal: over before it began, and empty."""

    progress = 1.0

    def __iter__(self) -> Iterator[SignalSet]:
        """Yield nothing."""
        return iter(())

    def abort(self) -> None:
        """Do nothing; there is nothing."""

    def result(self) -> SignalSet:
        """Return a measurement without channels."""
        return xr.Dataset()


class RehearsingControl(Control):
    """Judges as the real one does, on books of its own, and takes what was rehearsed for done."""

    allowed = "rehearsed"

    def objections(self, token: Token | None, *, safe: bool = False) -> list[Violation]:
        """List nothing: nothing is sent, so nobody has to be in command."""
        return []

    def make_safe(self, why: str, token: Token | None) -> tuple[str, ...]:
        """Take the instrument for safe."""
        declared = by_key(self.judge.describe().parameters)
        safe = {key: value for key, value in SAFE.items() if key in declared}
        self.judge.state.pretended |= safe
        done = tuple(f"rehearsed {key} = {value:g}" for key, value in safe.items())
        by = "" if token is None else token.holder
        self.judge.books.note(self.row(self.allowed, "", safe, (why, *done), by))
        return done

    def stop(self, meter: Meter) -> None:
        """Do nothing; nothing is being measured."""

    def _in_progress(self) -> None:
        return None

    def _start(self, meter: Meter, asked: Request, stops: int) -> Acquisition:
        return Rehearsed()

    def _send(
        self, dials: Dials, numbers: Mapping[str, float], by: str, stops: int
    ) -> tuple[Setting, ...]:
        now = self.clock.now()
        self.judge.state.pretended |= {f"{dials.name}.{name}": numbers[name] for name in numbers}
        self.judge.motion.moved(dials.name, numbers)
        return tuple(
            Setting(
                parameter=f"{dials.name}.{name}",
                requested=value,
                commanded=None,
                read_back=None,
                unit=dials.gates[name].parameter.unit,
                time=now,
            )
            for name, value in numbers.items()
        )
