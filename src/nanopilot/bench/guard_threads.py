"""The part of the assault where commands come from several threads, or from nobody any more."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Any

import numpy as np

from nanopilot.bench.guard_scene import Scene, pass_time
from nanopilot.core.adjustables import ADJUSTABLE, Approach, Positioner
from nanopilot.core.capabilities import MEASURING
from nanopilot.core.errors import NanopilotError
from nanopilot.core.limits import Budget
from nanopilot.core.requests import ScanRequest

#: Real seconds that a watchdog may take.
_PATIENCE = 1.0
_SCAN = ScanRequest(centre=(0, 0), field_of_view=(1e-7, 1e-7), shape=(4, 4), dwell_time=1e-4)
_CONFLICTS: tuple[tuple[str, Any], ...] = (
    ("Stage", {"x": 1e-6}), ("Stage", {"x": -1e-6}), ("Approach", {"engaged": 1}),
    ("Approach", {"engaged": 0}), ("Beam", {"blanked": 0}), ("Beam", {"blanked": 1}),
    ("Vacuum", {"column_valve": 0}), ("Vacuum", {"column_valve": 1}), ("Scanner", _SCAN),
    ("Positioner", {"x": 1e-7}), ("Positioner", {"x": 2e-6}), ("Stage", {"x": float("nan")}),
)  # fmt: skip


class Together:
    """Several commanders at once, and one who falls silent.

    Parameters
    ----------
    scene : Scene
        Where it happens.
    rng : numpy.random.Generator
        Chooses.
    """

    def __init__(self, scene: Scene, rng: np.random.Generator) -> None:
        self._scene = scene
        self._rng = rng

    def all_at_once(self, count: int) -> None:
        """Send from three threads whatever would break the others' interlocks; then stop."""
        self._scene.new_run()
        self._scene.oracle.frames = self._scene.oracle.spectra = -count
        self._scene.scope.begin_run(Budget(), _no_trail)
        over = threading.Event()
        seeds = self._rng.spawn(3)
        threads = [
            threading.Thread(target=self._hammer, args=(rng, count // 3, over)) for rng in seeds
        ]
        for thread in threads:
            thread.start()
        over.wait(0.05)
        for _ in range(20):
            pass_time(self._scene.wire.clock, 0.01)
            self._scene.scope.stop()
        for thread in threads:
            thread.join()
        self._stop_in_the_middle()

    def _hammer(self, rng: np.random.Generator, count: int, over: threading.Event) -> None:
        self._scene.actor.name = ""
        for _ in range(count):
            if over.is_set():
                return
            capability, asked = _CONFLICTS[int(rng.integers(len(_CONFLICTS)))]
            with suppress(NanopilotError):
                self._scene.tally.together += 1
                if capability in ADJUSTABLE:
                    self._scene.scope.capability(ADJUSTABLE[capability]).set(**asked)
                else:
                    self._scene.scope.capability(MEASURING[capability][0]).start(asked).result()

    def _stop_in_the_middle(self) -> None:
        """Press the emergency stop while commands are under way, and see that it is obeyed."""
        over = threading.Event()
        threads = [
            threading.Thread(target=self._hammer, args=(rng, 10**9, over))
            for rng in self._rng.spawn(3)
        ]
        for thread in threads:
            thread.start()
        over.wait(0.02)
        self._scene.actor.securing = True
        self._scene.scope.emergency_stop("somebody", "in the middle")
        over.wait(0.02)
        over.set()
        for thread in threads:
            thread.join()
        self._scene.see_that_it_is_safe("after an emergency stop in the middle")
        self._scene.oracle.stopped = True
        self._hammer(self._rng, 50, threading.Event())
        self._scene.release_stop()

    def fall_silent(self) -> None:
        """Take command, do something dangerous, and never be heard of again."""
        self._scene.new_run()
        mine = self._scene.scope.lease("anna", 1e6, silence=10.0)
        self._scene.oracle.holder, self._scene.oracle.expires = "anna", self._scene.wall.now() + 1e6
        self._scene.actor.name = "anna"
        with suppress(NanopilotError):
            mine.capability(Approach).set(engaged=1)
        pass_time(self._scene.wall, 11.0)
        until = time.monotonic() + _PATIENCE
        while self._scene.wire.truth["Approach.engaged"] and time.monotonic() < until:
            time.sleep(0.01)
        self._scene.see_that_it_is_safe("after the commander fell silent")
        self._scene.oracle.expires = self._scene.wall.now()  # the lease is over
        with suppress(NanopilotError):
            mine.capability(Positioner).set(x=0.0)
        mine.release()
        self._scene.oracle.holder = None


def _no_trail(row: object) -> None:
    """Keep no audit trail."""
