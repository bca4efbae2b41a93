"""The time of an instrument that is somewhere else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

#: Seconds for which a time that was heard of counts as now.
_FRESH = 0.02


class RemoteClock:
    """Tells the time of the server's instrument, which may be virtual.

    Every answer of the server brings its time along. Where the last one is older than a fiftieth
    of a second, the server is asked: a twin's time may stand still or leap, so it is never
    extrapolated.

    Parameters
    ----------
    ask : callable
        Asks the server anything, so that `heard` is told.
    """

    def __init__(self, ask: Callable[[], object]) -> None:
        self._ask = ask
        self._turn = threading.Lock()
        self._last = 0.0
        self._when = float("-inf")

    def heard(self, seconds: float) -> None:
        """Take note of a time that came with an answer; they may overtake each other."""
        with self._turn:
            self._last = max(self._last, seconds)
            self._when = time.monotonic()

    def now(self) -> float:
        """Return seconds on the instrument's clock.

        Raises
        ------
        LinkLost
            The server does not answer.
        """
        if time.monotonic() - self._when > _FRESH:
            self._ask()
        return self._last

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds` as they pass here; nobody else's time is moved."""
        time.sleep(max(0.0, seconds))
