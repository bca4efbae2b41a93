"""The watchdog: a commander who falls silent loses the instrument, and it is made safe."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from threading import Event, Thread, current_thread

#: How long it sleeps at most, in real seconds: the wall clock of a test may jump.
_NAP = 0.05
#: Oversleeping by more than this (s), the process itself was held up (a compiler, a swap); signs
#: of life may be waiting: they have so many seconds to be read.
_HELD_UP, _SECOND_CHANCE = 0.25, 1.5


class Watchdog:
    """Looks after one lease from a thread of its own until the lease is over.

    Parameters
    ----------
    left : callable
        Returns how long the commander may still be silent, in seconds; infinite: the lease is
        over otherwise; 0: he has been silent too long.
    bite : callable
        Makes the instrument safe; called at most once.
    """

    def __init__(self, left: Callable[[], float], bite: Callable[[], None]) -> None:
        self._left = left
        self._bite = bite
        self._over = Event()
        self._thread = Thread(target=self._watch, name="nanopilot-watchdog", daemon=True)
        self._thread.start()

    def dismiss(self) -> None:
        """End it, and wait a little for its thread; it may be at work on a slow instrument."""
        self._over.set()
        if self._thread is not current_thread():
            self._thread.join(timeout=5.0)

    def _watch(self) -> None:
        held_up = False
        while not self._over.is_set():
            left = self._left()
            if left == math.inf:
                return
            if left <= 0 and not held_up:
                self._bite()
                return
            nap = _SECOND_CHANCE if left <= 0 else min(left, _NAP)
            began = time.monotonic()
            self._over.wait(nap)
            held_up = time.monotonic() - began > nap + _HELD_UP
