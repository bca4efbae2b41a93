"""What scan, cameras and spectra of a Nion microscope have in common."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from nanopilot.core.acquiring import Filled, LiveAcquisition
from nanopilot.core.clock import Clock
from nanopilot.core.errors import LinkLost
from nanopilot.core.geometry import FloatArray
from nanopilot.core.limits import Area, Violation
from nanopilot.core.parameters import State
from nanopilot.core.requests import CameraRequest, SpectrumRequest
from nanopilot.core.signals import SignalSet
from nanopilot.instruments.nion.link import Arrays, Link
from nanopilot.instruments.nion.panel import Panel

RequestT = TypeVar("RequestT")
_ELEMENTARY_CHARGE = 1.602176634e-19


@dataclass(frozen=True, slots=True)
class Bench:
    """What every part works with.

    Parameters
    ----------
    name : str
        Of the instrument.
    link : callable
        Returns the line that is up now.
    facts : mapping
        What the worker told of the microscope.
    panel : Panel
        Its parameters.
    clock : Clock
        Its clock.
    tokens : iterator of int
        Numbers of measurements, so that stopping one does not stop another.
    """

    name: str
    link: Callable[[], Link]
    facts: Mapping[str, Any]
    panel: Panel
    clock: Clock
    tokens: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def area(self) -> Area:
        """Where the beam can be sent: the largest field of view the scan offers."""
        half = self.facts["reach"] / 2
        return Area(x=(-half, half), y=(-half, half))


class Part(Generic[RequestT]):
    """Keeps the measurement in progress, so that it can be stopped."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._running: LiveAcquisition | None = None

    def stop(self) -> None:
        """Abort what is in progress."""
        running = self._running
        if running is not None and running.progress < 1.0:
            running.abort()

    def _begin(
        self,
        whole: Callable[[], SignalSet],
        filling: Callable[[int], Generator[Filled, None, None]],
    ) -> LiveAcquisition:
        """Return a measurement that can be stopped; `filling` takes its token."""
        token = next(self._bench.tokens)

        def halt() -> None:
            self._bench.link().call("stop", token=token)

        self._running = LiveAcquisition(whole, filling(token), halt)
        return self._running

    def _stream(
        self, verb: str, asked: Mapping[str, Any], token: int
    ) -> Generator[tuple[Any, Arrays], None, bool]:
        """Yield what the worker measures; return whether it came to its end.

        Whoever stops listening stops the measurement.
        """
        link, complete = self._bench.link(), None
        try:
            complete = yield from link.stream(verb, asked={**asked, "token": token})
        finally:
            if complete is None:
                with contextlib.suppress(LinkLost):
                    link.call("stop", token=token)
        return bool(complete)

    def _state(self) -> State:
        return self._bench.panel.state()

    def _labels(self, request: CameraRequest | SpectrumRequest) -> dict[str, str]:
        """Return what `frame_set` writes into ``attrs``, for measurements that are no frames."""
        state = self._state()
        return {
            "instrument": json.dumps(self._bench.name),
            "request": request.model_dump_json(),
            "state": state.model_dump_json(),
            "time": json.dumps(state.time),
        }

    def _electrons(self, seconds: float) -> float:
        """Return how many electrons reach the sample in `seconds`."""
        values = self._state().values
        if values.get("Beam.blanked", 0.0):
            return 0.0
        return seconds * values.get("Beam.current", 0.0) / _ELEMENTARY_CHARGE

    def _outside(self, corners: FloatArray, parameter: str) -> list[Violation]:
        """List the violation of leaving the area; `corners` is (x, y) in metres, shape (n, 2)."""
        area = self._bench.area
        if all(area.holds((float(x), float(y))) for x, y in corners):
            return []
        reach = f"{area.x[1]:g} m"
        return [
            Violation(
                parameter=parameter,
                message=f"`{parameter}` reaches ({corners[0][0]:.4g} m, {corners[0][1]:.4g} m) or "
                f"further; the scan reaches -{reach} to {reach} in x and y. Ask for a place "
                "inside, or move the stage.",
            )
        ]


def unknown(asked: Iterable[str], known: Iterable[str], parameter: str) -> list[Violation]:
    """List everything asked for that is not there."""
    there = ", ".join(known)
    return [
        Violation.unsupported(parameter, f"`{name}`; there are {there}")
        for name in asked
        if name not in known
    ]


def not_positive(parameter: str, value: float | None) -> list[Violation]:
    """List the violation of a time that is no time."""
    if value is None or (math.isfinite(value) and value > 0):
        return []
    message = f"`{parameter}` is {value:g} s; it must be positive and finite."
    return [Violation(parameter=parameter, message=message)]


def not_finite(parameter: str, value: float) -> list[Violation]:
    """List the violation of an angle or a length that is none."""
    if math.isfinite(value):
        return []
    return [
        Violation(parameter=parameter, message=f"`{parameter}` is {value:g}; it must be finite.")
    ]
