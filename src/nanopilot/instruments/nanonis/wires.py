"""Every parameter of a Nanonis controller, as knobs."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from nanopilot.core.clock import Clock
from nanopilot.core.errors import DeviceError
from nanopilot.core.knobs import Knobs
from nanopilot.core.limits import Range
from nanopilot.core.parameters import Parameter
from nanopilot.instruments.nanonis.controller import Controller
from nanopilot.instruments.nanonis.link import Link

#: Where a parameter is read: command, what it takes, which of its values.
_READ: dict[str, tuple[str, tuple[int, ...], int]] = {
    "BiasSource.bias": ("Bias.Get", (), 0),
    "Positioner.x": ("FolMe.XYPosGet", (1,), 0),
    "Positioner.y": ("FolMe.XYPosGet", (1,), 1),
    "Feedback.enabled": ("ZCtrl.OnOffGet", (), 0),
    "Feedback.setpoint": ("ZCtrl.SetpntGet", (), 0),
    "Feedback.proportional": ("ZCtrl.GainGet", (), 0),
    "Feedback.integral": ("ZCtrl.GainGet", (), 2),
    "Feedback.z": ("ZCtrl.ZPosGet", (), 0),
}
#: A tip this close to the upper end of its range, as a fraction of it, is retracted.
_AT_THE_END = 1e-3
_POLL = 0.05
_SWITCH = Range(low=0, high=1, unit="1")


class Wires:
    """Reads and writes parameters over a link.

    Parameters
    ----------
    link, urgent : Link
        To the controller; the second one for retracting, which must not wait for the first.
    controller : Controller
        What it has.
    clock : Clock
        Waits between two looks at it.
    patience : float
        Seconds after which a move, an approach or a retraction is given up as an error.
    """

    def __init__(
        self, link: Link, urgent: Link, controller: Controller, clock: Clock, *, patience: float
    ) -> None:
        self._link = link
        self._urgent = urgent
        self._clock = clock
        self._patience = patience
        self._z = controller.z
        self._sent: dict[str, float] = {}
        self._declared = declared(controller)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Everything that can be read."""
        return self._declared

    def knobs(self) -> dict[str, Knobs]:
        """Return every capability that is adjusted, by name."""
        owners = dict.fromkeys(parameter.capability for parameter in self._declared)
        return {owner: self._of(owner) for owner in owners}

    def read(self, key: str) -> float:
        """Read a parameter.

        The wire carries float32. A value that comes back as the same 32 bits is the value that
        was sent, not its neighbour.
        """
        if key == "Approach.engaged":
            return self._engaged()
        command, takes, which = _READ[key]
        found = float(self._link.ask(command, *takes)[which])
        sent = self._sent.get(key)
        return found if sent is None or np.float32(sent) != np.float32(found) else sent

    def move(self, x: float, y: float) -> None:
        """Move the tip, and wait until it is there."""
        self._sent |= {"Positioner.x": x, "Positioner.y": y}
        self._link.ask("FolMe.XYPosSet", x, y, 1, timeout=self._patience)

    def _of(self, owner: str) -> Knobs:
        mine = tuple(one for one in self._declared if one.capability == owner)
        write = {
            "BiasSource": self._set_bias, "Positioner": self._set_position,
            "Feedback": self._set_feedback, "Approach": self._set_approach,
        }[owner]  # fmt: skip
        return Knobs(mine, lambda name: self.read(f"{owner}.{name}"), write, self._clock)

    def _set_bias(self, values: Mapping[str, float]) -> None:
        self._sent["BiasSource.bias"] = values["bias"]
        self._link.ask("Bias.Set", values["bias"])

    def _set_position(self, values: Mapping[str, float]) -> None:
        x, y = (
            values[name] if name in values else self.read(f"Positioner.{name}") for name in "xy"
        )
        self.move(x, y)

    def _set_feedback(self, values: Mapping[str, float]) -> None:
        self._sent |= {f"Feedback.{name}": value for name, value in values.items()}
        if "setpoint" in values:
            self._link.ask("ZCtrl.SetpntSet", values["setpoint"])
        if "proportional" in values or "integral" in values:
            gain, integral = (
                values[name] if name in values else self.read(f"Feedback.{name}")
                for name in ("proportional", "integral")
            )
            self._link.ask(
                "ZCtrl.GainSet", gain, gain / integral if integral else math.inf, integral
            )
        if "enabled" in values:
            self._link.ask("ZCtrl.OnOffSet", values["enabled"])
            self._until("ZCtrl.OnOffGet", int(values["enabled"]))

    def _set_approach(self, values: Mapping[str, float]) -> None:
        if not values["engaged"]:
            self._urgent.ask("ZCtrl.Withdraw", 1, -1, timeout=self._patience)
            return
        self._link.ask("AutoApproach.Open")
        self._link.ask("AutoApproach.OnOffSet", 1, timeout=self._patience)
        self._until("AutoApproach.OnOffGet", 0)

    def _until(self, command: str, wanted: int) -> None:
        """Wait until the controller says so; running out of patience is an error."""
        end = self._clock.now() + self._patience
        while (found := self._link.ask(command)[0]) != wanted:
            if self._clock.now() > end:
                raise DeviceError(
                    f"`{command}` still says {found} after {self._patience:g} s; wanted was "
                    f"{wanted}. Look at the instrument."
                )
            self._clock.sleep(_POLL)

    def _engaged(self) -> float:
        """Tell whether the tip is down: it is unless it stands at the upper end of its range."""
        if self._z is None:
            return math.nan
        margin = _AT_THE_END * (self._z.high - self._z.low)
        return float(self.read("Feedback.z") < self._z.high - margin)


def declared(controller: Controller) -> tuple[Parameter, ...]:
    """Return the parameters of a controller, with its own limits."""
    found = [_parameter("Positioner.x", "position", "m", _edges(controller.area.x)),
             _parameter("Positioner.y", "position", "m", _edges(controller.area.y))]  # fmt: skip
    if controller.bias is not None:
        found.append(_parameter("BiasSource.bias", "bias", "V", controller.bias))
    held = controller.setpoint
    if held is not None:
        found += [
            _switch("Feedback.enabled", "feedback"),
            _parameter("Feedback.setpoint", held.name or "set-point", held.unit),
            _parameter("Feedback.proportional", "proportional gain", "m"),
            _parameter("Feedback.integral", "integral gain", "m/s"),
            _parameter("Feedback.z", "height", "m", controller.z, read_only=True),
        ]
    if controller.z is not None:
        found.append(_switch("Approach.engaged", "tip at the surface"))
    return tuple(found)


def _edges(edges: tuple[float, float]) -> Range:
    return Range(low=edges[0], high=edges[1], unit="m")


def _parameter(
    key: str, quantity: str, unit: str, limits: Range | None = None, *, read_only: bool = False
) -> Parameter:
    capability, name = key.split(".")
    return Parameter(
        capability=capability, name=name, quantity=quantity, unit=unit, limits=limits,
        read_only=read_only,
    )  # fmt: skip


def _switch(key: str, quantity: str) -> Parameter:
    capability, name = key.split(".")
    return Parameter(
        capability=capability, name=name, quantity=quantity, unit="1", limits=_SWITCH, step=1.0,
        switch=True,
    )  # fmt: skip
