"""Clocks: twins run on virtual time, instruments on real time; both are passed in."""

from __future__ import annotations

import math
import time
from typing import Protocol


class Clock(Protocol):
    """Where a piece of code gets the time from, and how it waits."""

    def now(self) -> float:
        """Return seconds since the clock's start."""

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass."""


class RealClock:
    """Seconds as they pass, monotonic, from the moment of its making."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def now(self) -> float:
        """Return seconds since the clock was made."""
        return time.monotonic() - self._start

    def sleep(self, seconds: float) -> None:
        """Block for `seconds`."""
        time.sleep(max(0.0, seconds))


class VirtualClock:
    """Time that passes only when somebody waits.

    Parameters
    ----------
    start : float
        Time to begin at, in seconds; a resumed run begins where it stopped.
    speed : float
        Virtual seconds per real second while sleeping; infinite: do not wait at all.

    Examples
    --------
    >>> clock = VirtualClock()
    >>> clock.sleep(3600.0)
    >>> clock.now()
    3600.0
    """

    def __init__(self, start: float = 0.0, speed: float = float("inf")) -> None:
        self._now = start
        self._speed = speed

    def now(self) -> float:
        """Return virtual seconds."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Advance by `seconds`; waits in real time only if `speed` is finite."""
        if seconds > 0:
            # Even a sleep of 0 s gives the processor away, which can take half a millisecond.
            if math.isfinite(self._speed):
                time.sleep(seconds / self._speed)
            self._now += seconds

    def set(self, now: float) -> None:
        """Jump to a time, as when a run is resumed."""
        self._now = now


def jump(clock: Clock, time: float) -> None:
    """Let a twin's clock show a time in seconds, without waiting for it where it is virtual."""
    if isinstance(clock, VirtualClock):
        clock.set(time)
    else:
        clock.sleep(time - clock.now())
