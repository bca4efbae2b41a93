"""What all parts of the driver that measure have in common."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from threading import Event

from nanopilot.core.acquiring import Filled, LiveAcquisition
from nanopilot.core.clock import Clock
from nanopilot.core.geometry import FloatArray
from nanopilot.core.limits import Area, Violation
from nanopilot.core.parameters import State
from nanopilot.core.signals import SignalSet
from nanopilot.instruments.nanonis.controller import Controller
from nanopilot.instruments.nanonis.link import Link


@dataclass(frozen=True, slots=True)
class Pace:
    """How long the driver waits.

    Parameters
    ----------
    poll : float
        Seconds between two looks at a scan in progress.
    patience : float
        Seconds after which a move, a spectrum or an approach is given up, as an error: it is
        never taken for done.
    """

    poll: float = 0.1
    patience: float = 600.0


@dataclass(frozen=True, slots=True)
class Desk:
    """What all parts of the driver that measure share.

    Parameters
    ----------
    name : str
        Of the instrument.
    link, urgent : Link
        For everything, and for what must not wait behind it.
    controller : Controller
        What there is.
    clock : Clock
        Of the instrument.
    state : callable
        Reads every parameter.
    move : callable
        Moves the tip to (x, y) in metres, and waits.
    pace : Pace
        How long it waits.
    """

    name: str
    link: Link
    urgent: Link
    controller: Controller
    clock: Clock
    state: Callable[[], State]
    move: Callable[[float, float], None]
    pace: Pace

    def outside(self, found: FloatArray, parameter: str) -> list[Violation]:
        """List the violation of leaving the scanner's range; places (x, y), shape (n, 2)."""
        area = self.controller.area
        away = [place for place in found if not area.holds((float(place[0]), float(place[1])))]
        if not away:
            return []
        message = (
            f"`{parameter}` reaches ({away[0][0]:.4g} m, {away[0][1]:.4g} m); the scanner reaches "
            f"{_text(area)}."
        )
        return [Violation(parameter=parameter, message=message)]


def _text(area: Area) -> str:
    return f"x {area.x[0]:.4g} m to {area.x[1]:.4g} m, y {area.y[0]:.4g} m to {area.y[1]:.4g} m"


def unknown(asked: tuple[str, ...], known: tuple[str, ...]) -> list[Violation]:
    """List every channel that is not selected on the controller."""
    there = ", ".join(known)
    return [
        Violation.unsupported("channels", f"`{name}`; selected on the controller are {there}")
        for name in asked
        if name not in known
    ]


class Stopping:
    """Stops what is being measured, whoever asks, and lets the measurement know.

    Parameters
    ----------
    halt : callable
        Tells the controller, from any thread.
    """

    def __init__(self, halt: Callable[[], object]) -> None:
        self._halt = halt
        self._running: LiveAcquisition | None = None

    def watch(
        self,
        whole: Callable[[], SignalSet],
        filling: Generator[Filled, None, None],
        halted: Event,
    ) -> LiveAcquisition:
        """Return the acquisition that `stop` will end; `halted` is set before it does."""

        def halt() -> None:
            halted.set()
            self._halt()

        self._running = LiveAcquisition(whole, filling, halt)
        return self._running

    def stop(self) -> None:
        """End it."""
        running = self._running
        if running is not None:
            running.abort()
        else:
            self._halt()
