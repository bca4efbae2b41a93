"""The tip of a recording: where it rests, and the bias it is told to hold."""

from __future__ import annotations

import math

from nanopilot.core.clock import Clock
from nanopilot.core.errors import OutOfRange, Unsupported
from nanopilot.core.limits import Area, Range
from nanopilot.core.parameters import Parameter, Setting
from nanopilot.core.requests import Position


class ReplayTip:
    """The `Positioner` of a recording: the tip goes anywhere that was recorded.

    Parameters
    ----------
    area : Area
        What was recorded.
    clock : Clock
        Passes the time of travel.
    speed : float
        Metres per second.
    """

    def __init__(self, area: Area, clock: Clock, speed: float) -> None:
        self.position: Position = area.centre
        self.sent = False
        self._area = area
        self._clock = clock
        self._speed = speed

    def arrive(self, position: Position) -> None:
        """Note where a measurement has left the tip."""
        self.position, self.sent = position, False

    def send(self, position: Position) -> None:
        """Note where the tip was told to go; takes no time."""
        self.position, self.sent = position, True

    def parameters(self) -> tuple[Parameter, ...]:
        """Return ``x`` and ``y``, limited to what was recorded."""
        return tuple(
            Parameter(
                capability="Positioner",
                name=name,
                quantity="position",
                unit="m",
                limits=Range(low=edges[0], high=edges[1], unit="m"),
            )
            for name, edges in (("x", self._area.x), ("y", self._area.y))
        )

    def get(self, name: str) -> float:
        """Return where the tip rests."""
        if name not in ("x", "y"):
            raise Unsupported(f"`Positioner` has no {name!r}; it has x, y.")
        return self.position[0] if name == "x" else self.position[1]

    def set(self, **values: float) -> tuple[Setting, ...]:
        """Travel in a straight line; takes time by the speed of the tip."""
        for name in values:
            self.get(name)
        target = (values.get("x", self.position[0]), values.get("y", self.position[1]))
        if not self._area.holds(target):
            raise OutOfRange(f"`position` {target} lies outside what was recorded.")
        self._clock.sleep(math.dist(target, self.position) / self._speed)
        self.send(target)
        return tuple(
            Setting(
                parameter=f"Positioner.{name}",
                requested=values[name],
                commanded=values[name],
                read_back=self.get(name),
                unit="m",
                time=self._clock.now(),
            )
            for name in values
        )


class ReplayBias:
    """The `BiasSource` of a recording: it can be set, and changes nothing that was recorded.

    Frames say so: their ``details`` hold ``"bias_replayed": false``.

    Parameters
    ----------
    limits : Range
        Voltages the instrument applied while it recorded.
    clock : Clock
        For the time of a setting.
    """

    def __init__(self, limits: Range, clock: Clock) -> None:
        self._bias = min(max(0.0, limits.low), limits.high)
        self._limits = limits
        self._clock = clock

    def rest(self, bias: float) -> None:
        """Note the bias at rest, in volts, of a run that goes on."""
        self._bias = bias

    def parameters(self) -> tuple[Parameter, ...]:
        """Return ``bias``, limited to what was applied while recording."""
        return (
            Parameter(
                capability="BiasSource",
                name="bias",
                quantity="bias",
                unit="V",
                limits=self._limits,
            ),
        )

    def get(self, name: str) -> float:
        """Return the bias at rest."""
        if name != "bias":
            raise Unsupported(f"`BiasSource` has no {name!r}; it has bias.")
        return self._bias

    def set(self, **values: float) -> tuple[Setting, ...]:
        """Hold another bias."""
        for name, value in values.items():
            self.get(name)
            if not self._limits.holds(value):
                low, high = self._limits.low, self._limits.high
                raise OutOfRange(f"`{name}` is {value} V; recorded was {low:g} V to {high:g} V.")
            self._bias = value
        return tuple(
            Setting(
                parameter="BiasSource.bias",
                requested=value,
                commanded=value,
                read_back=self._bias,
                unit="V",
                time=self._clock.now(),
            )
            for value in values.values()
        )
