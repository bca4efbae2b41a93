"""What the guard adds to one `set`: limits, interlocks, lease, audit row, read-back.

Beside it the bare driver of the plain twin, which costs next to nothing, so that what is left
is the guard.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from nanopilot.core.adjustables import Approach, Focus, Stage
from nanopilot.core.clock import VirtualClock
from nanopilot.core.events import Audit
from nanopilot.instruments import Guard
from nanopilot.twins.plain import PlainTwin

GOAL = 50e-6
_SETS = 2_000
_ROUNDS = 9


def row() -> dict[str, Any]:
    """Return the row of the guard.

    `ours_s` is seconds per `set` of the defocus through the guard, `peer_s` the same on the
    bare driver; the goal stands on the difference, `overhead_s`. `interlocked_s` is the
    difference for a stage, whose interlock has the state read each time.
    """
    bare, guarded, stage, free = [], [], [], []
    twin = PlainTwin(VirtualClock(), world="beam")
    trail: list[Audit] = []
    scope = Guard(twin, audit=trail.append)
    with scope.lease("benchmark", 3600.0) as mine:
        for _ in range(_ROUNDS):
            bare.append(_seconds(lambda at: twin.capability(Focus).set(defocus=at)))
            focus = mine.capability(Focus)
            guarded.append(_seconds(lambda at, focus=focus: focus.set(defocus=at)))
            trail.clear()
    tip = PlainTwin(VirtualClock(), world="tip")
    held = Guard(tip)
    tip.capability(Approach).set(engaged=0)
    for _ in range(3):
        free.append(_seconds(lambda at: tip.capability(Stage).set(z=at)))
        stage.append(_seconds(lambda at: held.capability(Stage).set(z=at)))
    overhead = min(guarded) - min(bare)
    return {
        "kernel": "guard: one set, beyond the bare driver",
        "ours_s": min(guarded),
        "peer": "the bare driver",
        "peer_s": min(bare),
        "ratio": min(guarded) / min(bare),
        "ours_accuracy": None,
        "peer_accuracy": None,
        "goal": f"at most {GOAL * 1e6:.0f} us more",
        "overhead_s": overhead,
        "interlocked_s": min(stage) - min(free),
        "ok": overhead <= GOAL,
    }


def _seconds(call: Callable[[float], object]) -> float:
    """Return seconds per call."""
    begin = time.perf_counter()
    for number in range(_SETS):
        call(1e-9 * (number % 100))
    return (time.perf_counter() - begin) / _SETS


if __name__ == "__main__":
    print(row())
