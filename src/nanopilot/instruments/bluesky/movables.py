"""Parameters as bluesky devices: read, and moved where the instrument allows it."""

from __future__ import annotations

import math
from typing import Any, cast

from nanopilot.core.adjustables import ADJUSTABLE, Adjustable
from nanopilot.core.limits import Limits, Range
from nanopilot.core.parameters import Parameter
from nanopilot.core.requests import SetRequest
from nanopilot.instruments.bluesky.sharing import DIGITS, Shared
from nanopilot.instruments.bluesky.tasks import Task
from nanopilot.instruments.guard import refusal

Document = dict[str, Any]


class Readback:
    """A parameter as a ``Readable`` device.

    Parameters
    ----------
    shared : Shared
        The instrument.
    parameter : Parameter
        Which one.
    """

    parent = None

    def __init__(self, shared: Shared, parameter: Parameter) -> None:
        self._shared = shared
        self._parameter = parameter
        self.name = shared.named(parameter.capability.lower(), parameter.name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self._parameter.unit})"

    @property
    def hints(self) -> Document:
        """Tables and plots show where it is."""
        return {"fields": [self.name]}

    def read(self) -> dict[str, Document]:
        """Ask the instrument."""
        return {self.name: {"value": self._get(), "timestamp": self._shared.wall()}}

    def describe(self) -> dict[str, Document]:
        """Return type, unit, limits and source."""
        return {self.name: self._key()}

    def read_configuration(self) -> dict[str, Document]:
        """Return how long it settles and what counts as reached."""
        values = {"settling": self._parameter.settling, "tolerance": self._parameter.tolerance}
        now = self._shared.wall()
        return {
            f"{self.name}_{name}": {"value": value, "timestamp": now}
            for name, value in values.items()
        }

    def describe_configuration(self) -> dict[str, Document]:
        """Return type and unit of the configuration."""
        source = self._shared.source(self._parameter.key)
        return {
            f"{self.name}_{name}": {"source": source, "dtype": "number", "shape": [], "units": unit}
            for name, unit in (("settling", "s"), ("tolerance", self._parameter.unit))
        }

    def _part(self) -> Adjustable:
        part = self._shared.scope.capability(ADJUSTABLE[self._parameter.capability])
        return cast("Adjustable", part)

    def _get(self) -> float:
        return self._part().get(self._parameter.name)

    def _key(self) -> Document:
        parameter = self._parameter
        key: Document = {
            "source": self._shared.source(parameter.key),
            "dtype": "number",
            "dtype_numpy": "<f8",
            "shape": [],
            "units": parameter.unit,
            "precision": _digits(parameter),
        }
        low, high = allowed(parameter, self._shared.scope.limits)
        if math.isfinite(low) or math.isfinite(high):
            key["limits"] = {"control": {"low": _finite(low), "high": _finite(high)}}
        return key


class Movable(Readback):
    """A parameter as a ``Movable``, ``Locatable``, ``Stoppable`` and ``Checkable`` device.

    It is done when the instrument has read back that it arrived. What the guard refuses fails
    the plan with the guard's words, and nothing is sent.
    """

    def __init__(self, shared: Shared, parameter: Parameter) -> None:
        super().__init__(shared, parameter)
        self._setpoint: float | None = None
        self._asked: list[Task] = []

    def set(self, value: float) -> Task:
        """Go to a value in the parameter's SI unit."""

        def move() -> None:
            (found,) = self._part().set(**{self._parameter.name: float(value)})
            self._setpoint = found.requested

        what = f"{self.name} to {value:g} {self._parameter.unit}"
        task = self._shared.turn.carry_out(move, what)
        self._asked = [*(one for one in self._asked if not one.done), task]
        return task

    def read(self) -> dict[str, Document]:
        """Ask the instrument where it is; tell where it was sent."""
        location = self.locate()
        now = self._shared.wall()
        return {
            self.name: {"value": location["readback"], "timestamp": now},
            f"{self.name}_setpoint": {"value": location["setpoint"], "timestamp": now},
        }

    def describe(self) -> dict[str, Document]:
        """Return type, unit, limits and source of both."""
        return {self.name: self._key(), f"{self.name}_setpoint": self._key()}

    def locate(self) -> dict[str, float]:
        """Return where it was sent and where it is; before the first move both are the same."""
        found = self._get()
        return {"setpoint": found if self._setpoint is None else self._setpoint, "readback": found}

    def check_value(self, value: float) -> None:
        """Refuse what the guard would refuse now; nothing moves.

        Raises
        ------
        OutOfRange, Unsupported, Interlocked
            With every reason in the message.
        """
        values = {self._parameter.name: float(value)}
        request = SetRequest(capability=self._parameter.capability, values=values)
        found = self._shared.scope.violations(request)
        if found:
            raise refusal(found)

    def stop(self, success: bool = True) -> None:
        """Send nothing more, and drop a measurement in progress; needs no permission.

        A move that has begun ends where it was sent: an instrument that is set has no way to
        be held half-way. Its status tells what was read back.
        """
        if self._shared.turn.drop() or not success:
            self._shared.scope.stop()

    def pause(self) -> None:
        """Excuse what `stop` has dropped: the plan asks for it again when it is resumed."""
        for task in self._asked:
            task.excuse()

    def resume(self) -> None:
        """Nothing: the plan goes back to its last checkpoint."""


def allowed(parameter: Parameter, limits: Limits) -> tuple[float, float]:
    """Return the ends of what the instrument accepts and the limits in force allow."""
    ranges = [parameter.limits, limits.parameters.get(parameter.key)]
    if parameter.key == "BiasSource.bias":
        ranges.append(limits.bias)
    if limits.area is not None and parameter.key in ("Positioner.x", "Positioner.y"):
        low, high = limits.area.x if parameter.name == "x" else limits.area.y
        ranges.append(Range(low=low, high=high, unit="m"))
    known = [one for one in ranges if one is not None]
    return (
        max((one.low for one in known), default=-math.inf),
        min((one.high for one in known), default=math.inf),
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _digits(parameter: Parameter) -> int:
    if parameter.step > 0:
        return min(18, max(0, math.ceil(-math.log10(parameter.step))))
    return DIGITS.get(parameter.unit, 6)
