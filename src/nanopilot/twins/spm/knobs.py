"""What can be adjusted on the scanning-probe twin."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from nanopilot.core.errors import OutOfRange
from nanopilot.core.knobs import Knobs
from nanopilot.core.limits import Range
from nanopilot.core.parameters import Parameter, State
from nanopilot.twins.spm.faults import Faults
from nanopilot.twins.spm.feedback import Controller
from nanopilot.twins.spm.line import Way, under
from nanopilot.twins.spm.motion import RealPath
from nanopilot.twins.spm.world import World

#: Metres per second of the tip between places, and seconds of an approach.
TRAVEL, APPROACH = 2e-6, 2.0
#: How far the tip is withdrawn when it is not engaged, in metres.
WITHDRAWN = 10e-6
_UNIT_OF_SETPOINT = {"contact": ("deflection", "m"), "tapping": ("amplitude", "m"),
                     "stm": ("current", "A")}  # fmt: skip


def _declare(
    key: str, quantity: str, span: tuple[float, float], unit: str, **more: Any
) -> Parameter:
    capability, name = key.split(".")
    limits = Range(low=span[0], high=span[1], unit=unit)
    return Parameter(
        capability=capability, name=name, quantity=quantity, unit=unit, limits=limits, **more
    )


@dataclass
class Hands:
    """Everything on the instrument that a hand could turn.

    Parameters
    ----------
    world : World
        What there is.
    path : RealPath
        How the tip really moves.
    faults : Faults
        What goes wrong meanwhile.
    position : (float, float)
        Where the tip rests, in metres.
    engaged : bool
        Whether it is at the surface.
    enabled : bool
        Whether the loop is on.
    """

    world: World
    path: RealPath
    faults: Faults
    position: tuple[float, float] = (0.0, 0.0)
    engaged: bool = True
    enabled: bool = True

    def __post_init__(self) -> None:
        self.faults.reading = self._truly

    def parameters(self) -> tuple[Parameter, ...]:
        """Return everything that can be read or set."""
        area, loop = self.world.sample.area, self.world.settings.loop
        signal, unit = _UNIT_OF_SETPOINT[loop.mode]
        span = (1e-12, 1e-7) if unit == "A" else (1e-10, 500e-9)
        switch = {"switch": True, "step": 1.0}
        return (
            _declare("Positioner.x", "position", area.x, "m"),
            _declare("Positioner.y", "position", area.y, "m"),
            _declare("Feedback.enabled", "feedback", (0, 1), "1", **switch),
            _declare("Feedback.setpoint", signal, span, unit),
            _declare("Feedback.proportional", "proportional gain", (0.0, 10.0), "1"),
            _declare("Feedback.integral", "integral gain", (0.0, 1e5), "1/s"),
            _declare("Feedback.z", "height", (-loop.z_range, WITHDRAWN), "m", read_only=True),
            _declare("Approach.engaged", "tip at the surface", (0, 1), "1", **switch),
            _declare("BiasSource.bias", "bias", (-10.0, 10.0), "V"),
        )

    def state(self) -> State:
        """Return all values."""
        values = {one.key: self._read(one.key) for one in self.parameters()}
        return State(time=self.world.clock.now(), values=values)

    def knobs(self) -> dict[str, Knobs]:
        """Return every capability that is adjusted, by name."""
        declared = self.parameters()
        owners = dict.fromkeys(one.capability for one in declared)
        return {
            owner: Knobs(
                tuple(one for one in declared if one.capability == owner),
                read=partial(self._read_of, owner),
                write=partial(self._write, owner),
                clock=self.world.clock,
            )
            for owner in owners
        }

    def _read_of(self, owner: str, name: str) -> float:
        return self._read(f"{owner}.{name}")

    def _read(self, key: str) -> float:
        self.faults.check_link()
        return self.faults.read(key, self._truly(key))

    def _truly(self, key: str) -> float:
        loop, world = self.world.settings.loop, self.world
        found = {
            "Positioner.x": self.position[0],
            "Positioner.y": self.position[1],
            "Feedback.enabled": float(self.enabled),
            "Feedback.setpoint": loop.setpoint,
            "Feedback.proportional": loop.proportional,
            "Feedback.integral": loop.integral,
            "Approach.engaged": float(self.engaged),
            "BiasSource.bias": world.settings.electrics.bias,
        }
        return found[key] if key in found else self._height()

    def _height(self) -> float:
        """Return where the piezo is, in metres."""
        if not self.engaged:
            return WITHDRAWN
        return self._followed() if self.world.held is None else self.world.held

    def _followed(self) -> float:
        """Return where the piezo is once the loop has settled, in metres."""
        now = np.array([self.world.clock.now()])
        offset = self.path.offset(now)[0]
        x, y = (np.array([at + by]) for at, by in zip(self.position, offset, strict=True))
        surface, current = under(self.world, self.path, Way(x, y, now))
        controller = Controller.of(self.world.settings)
        return float(controller.at_rest(float(surface[0]), float(current[0]))[0])

    def _write(self, owner: str, values: Mapping[str, float]) -> None:
        self.faults.check_link()
        for name, value in values.items():
            if name in ("enabled", "engaged") and value not in (0.0, 1.0):
                raise OutOfRange(f"`{owner}.{name}` is a switch: 0 or 1, not {value:g}.")
        settings = self.world.settings
        if owner == "Positioner":
            target = (values.get("x", self.position[0]), values.get("y", self.position[1]))
            self.world.clock.sleep(math.dist(target, self.position) / TRAVEL)
            self.arrive(target)
        elif owner == "Approach":
            self.world.clock.sleep(APPROACH if bool(values["engaged"]) != self.engaged else 0.0)
            self.engaged = bool(values["engaged"])
        elif owner == "BiasSource":
            electrics = settings.electrics.model_copy(update=dict(values))
            self.world.settings = settings.model_copy(update={"electrics": electrics})
        else:
            self._switch(bool(values.get("enabled", self.enabled)))
            of_loop = {name: value for name, value in values.items() if name != "enabled"}
            loop = settings.loop.model_copy(update=of_loop)
            self.world.settings = settings.model_copy(update={"loop": loop})

    def _switch(self, enabled: bool) -> None:
        """Switch the loop; while it is off the piezo stays where it was."""
        if self.enabled and not enabled:
            self.world.held = self._followed()
        elif enabled:
            self.world.held = None
        self.enabled = enabled

    def arrive(self, position: tuple[float, float]) -> None:
        """Note where the tip has gone."""
        self.path.move(position, self.world.clock.now())
        self.position = self.world.place = position
