"""What everything that the electron twin measures with has in common."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Generator
from typing import Any, Generic, TypeVar

import numpy as np

from nanopilot.core.acquiring import Filled, LiveAcquisition
from nanopilot.core.errors import OutOfRange, Unsupported
from nanopilot.core.limits import Violation
from nanopilot.core.signals import SignalSet
from nanopilot.core.values import Value
from nanopilot.twins.stem.world import World

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
RequestT = TypeVar("RequestT", bound=Value)


class StemPart(ABC, Generic[RequestT]):
    """A part that measures: it refuses what it cannot do, and fills arrays that begin as NaN.

    Parameters
    ----------
    world : World
        What is looked at, with what.
    name : str
        Of the instrument.
    """

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self._running: LiveAcquisition | None = None

    @abstractmethod
    def validate(self, request: RequestT) -> list[Violation]:
        """List every reason why the request cannot be carried out; moves nothing."""

    @abstractmethod
    def _empty(self, request: RequestT) -> SignalSet:
        """Return what will be measured, NaN everywhere."""

    @abstractmethod
    def _fill(self, request: RequestT, signals: SignalSet) -> Generator[Filled, None, None]:
        """Measure, and say after each block which part of `signals` it has filled."""

    def start(self, request: RequestT) -> LiveAcquisition:
        """Begin to measure.

        Raises
        ------
        OutOfRange, Unsupported
            What `validate` lists; a guard has asked before.
        LinkLost
            The line is down.
        """
        self.world.luck.check_link()
        for violation in self.validate(request):
            kind = Unsupported if violation.kind == "unsupported" else OutOfRange
            raise kind(violation.message)
        signals = self._empty(request)
        filling = self._fill(request, signals)
        self._running = LiveAcquisition(lambda: signals, filling, halt=lambda: None)
        return self._running

    def stop(self) -> None:
        """Abort what is in progress."""
        if self._running is not None:
            self._running.abort()

    def _labels(self, request: RequestT) -> dict[str, str]:
        """Return instrument, request, state and time, as every measurement carries them."""
        state = self.world.panel.state()
        return {
            "instrument": json.dumps(self.name),
            "request": request.model_dump_json(),
            "state": state.model_dump_json(),
            "time": json.dumps(state.time),
        }


def reached(world: World, spots: FloatArray, parameter: str) -> list[Violation]:
    """List the violation of places (m, shape (n, 2)) that the scan coils do not reach."""
    reach = world.settings.scan_range
    if bool((np.abs(spots) <= reach + 1e-12).all()):
        return []
    message = f"`{parameter}` leaves what the scan coils reach, -{reach:g} m to {reach:g} m; move "
    return [Violation(parameter=parameter, message=message + "the stage instead.")]
