"""What everything that the plain twin measures with has in common."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Generic, TypeVar

import numpy as np

from nanopilot.core.acquiring import Filled, LiveAcquisition
from nanopilot.core.geometry import FloatArray
from nanopilot.core.limits import Violation
from nanopilot.core.signals import SignalSet
from nanopilot.twins.plain.knobs import SCAN_RANGE, PlainState

RequestT = TypeVar("RequestT")
_ELEMENTARY_CHARGE = 1.602176634e-19


def outside(found: FloatArray) -> list[Violation]:
    """List the violation of leaving the scan range; `found` is (x, y) in metres, shape (n, 2)."""
    if bool((np.abs(found) <= SCAN_RANGE + 1e-12).all()):
        return []
    reach = f"{SCAN_RANGE:g} m"
    message = f"`position` leaves the scan range, which is -{reach} to {reach} in x and y."
    return [Violation(parameter="position", message=message)]


def unknown(asked: tuple[str, ...], known: tuple[str, ...]) -> list[Violation]:
    """List every channel that is not there."""
    there = ", ".join(known)
    return [
        Violation.unsupported("channels", f"`{name}`; there are {there}")
        for name in asked
        if name not in known
    ]


class Part(Generic[RequestT]):
    """What all of them have in common: the state, and the acquisition in progress."""

    def __init__(self, state: PlainState, name: str) -> None:
        self._state = state
        self._name = name
        self._running: LiveAcquisition | None = None

    def stop(self) -> None:
        """Abort what is in progress."""
        running = self._running
        if running is not None:
            running.abort()

    def begin(
        self, whole: Callable[[], SignalSet], filling: Generator[Filled, None, None]
    ) -> LiveAcquisition:
        """Note what is in progress, so that it can be stopped."""
        self._running = LiveAcquisition(whole, filling, halt=lambda: None)
        return self._running

    def electrons(self, seconds: float) -> float:
        """Return how many electrons reach the sample in `seconds`."""
        values = self._state.values
        if values.get("Beam.blanked", 1.0):
            return 0.0
        return seconds * values["Beam.current"] / _ELEMENTARY_CHARGE
