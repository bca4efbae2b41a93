"""Steps per second that the journal takes, each acknowledged before the next begins.

A step is what the engine writes for one measurement: decision and intent in one transaction,
the outcome in another.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from nanopilot.core.events import Decision, Event, Intent, Outcome, SignalRef
from nanopilot.core.history import Action
from nanopilot.core.limits import Spent
from nanopilot.core.requests import SpectrumRequest
from nanopilot.io import Durability, Journal

GOAL = 5_000.0
_STEPS = 4_000
_ROUNDS = 3


def row() -> dict[str, Any]:
    """Return the row of the journal.

    `rate` is steps per second with durability ``"process"`` (what a kill leaves), on which
    the goal stands; `rate_power` the same with every transaction flushed to the disk, where
    two flushes per step set the limit, not the journal.
    """
    seconds = min(_seconds("process", _STEPS) for _ in range(_ROUNDS))
    flushed = min(_seconds("power", _STEPS // 4) for _ in range(_ROUNDS))
    return {
        "kernel": "journal: one step, hash-chained",
        "ours_s": seconds,
        "peer": None,
        "peer_s": None,
        "ratio": None,
        "ours_accuracy": None,
        "peer_accuracy": None,
        "goal": f"{GOAL:.0f} steps/s",
        "rate": 1 / seconds,
        "rate_power": 1 / flushed,
        "ok": 1 / seconds >= GOAL,
    }


def _seconds(durability: Durability, steps: int) -> float:
    """Return seconds per step."""
    with tempfile.TemporaryDirectory(prefix="nanopilot-") as folder:
        path = Path(folder, "run.sqlite")
        with Journal.create(path, durability) as journal:
            begin = time.perf_counter()
            for number in range(steps):
                before, after = _step(number)
                journal.append(*before)
                journal.append(after)
            seconds = (time.perf_counter() - begin) / steps
            assert journal.check_chain() is None
    return seconds


def _step(number: int) -> tuple[tuple[Event, Event], Event]:
    position = (number * 1e-9, number * 2e-9)
    action = Action(
        index=number, position=position, why="ucb", expected=0.1, uncertainty=0.2, utility=0.5
    )
    request = SpectrumRequest(position=position).model_dump(mode="json")
    before = (
        Decision(step=number, action=action),
        Intent(step=number, capability="PointSpectroscopy", request=request),
    )
    after = Outcome(
        step=number,
        signals=(SignalRef(array="spectra/piezoresponse", index=number, sha256="0" * 64),),
        features={"area": 0.1, "coercive_bias": 2.5, "imprint": -0.1},
        reward=0.1,
        time=0.7 * number,
        spent=Spent(spectra=number, seconds=0.7 * number),
    )
    return before, after


if __name__ == "__main__":
    print(row())
