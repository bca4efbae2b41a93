"""Every parameter of the plain twin: they go where they are told, exactly and in known time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from nanopilot.core.clock import Clock
from nanopilot.core.errors import OutOfRange
from nanopilot.core.knobs import Knobs
from nanopilot.core.limits import Range
from nanopilot.core.parameters import Parameter, State

#: What can be scanned, in metres either way from the middle.
SCAN_RANGE = 5e-6
_MM, _DEGREE = 1e-3, math.pi / 180


def _number(
    key: str, quantity: str, low: float, high: float, unit: str, **more: float
) -> Parameter:
    capability, name = key.split(".")
    return Parameter(
        capability=capability,
        name=name,
        quantity=quantity,
        unit=unit,
        limits=Range(low=low, high=high, unit=unit),
        read_only=bool(more.get("read_only")),
        step=more.get("step", 0.0),
        settling=more.get("settling", 0.0),
    )


def _switch(key: str, quantity: str, settling: float = 0.0) -> Parameter:
    capability, name = key.split(".")
    return Parameter(
        capability=capability,
        name=name,
        quantity=quantity,
        unit="1",
        limits=Range(low=0, high=1, unit="1"),
        step=1.0,
        switch=True,
        settling=settling,
    )


def _both() -> dict[Parameter, float]:
    return {
        _number("Stage.x", "position", -2 * _MM, 2 * _MM, "m", step=1e-9, settling=0.1): 0.0,
        _number("Stage.y", "position", -2 * _MM, 2 * _MM, "m", step=1e-9, settling=0.1): 0.0,
        _number("Stage.z", "position", -0.4 * _MM, 0.4 * _MM, "m", step=1e-9, settling=0.1): 0.0,
        _number("Stage.alpha", "tilt", -30 * _DEGREE, 30 * _DEGREE, "rad", settling=0.1): 0.0,
        _number("Stage.beta", "tilt", -30 * _DEGREE, 30 * _DEGREE, "rad", settling=0.1): 0.0,
        _number("Positioner.x", "position", -SCAN_RANGE, SCAN_RANGE, "m"): 0.0,
        _number("Positioner.y", "position", -SCAN_RANGE, SCAN_RANGE, "m"): 0.0,
    }


def _tip() -> dict[Parameter, float]:
    return {
        _switch("Feedback.enabled", "feedback"): 1.0,
        _number("Feedback.setpoint", "current", 1e-12, 1e-8, "A"): 1e-10,
        _number("Feedback.proportional", "proportional gain", 0.0, 1e-6, "m"): 1e-9,
        _number("Feedback.integral", "integral gain", 0.0, 1e-3, "m/s"): 1e-6,
        _number("Feedback.z", "height", -1e-6, 1e-6, "m", read_only=True): 0.0,
        _switch("Approach.engaged", "tip at the surface", settling=1.0): 1.0,
        _number("BiasSource.bias", "bias", -10.0, 10.0, "V"): 0.5,
    }


def _beam() -> dict[Parameter, float]:
    return {
        _switch("Beam.blanked", "beam blanked"): 1.0,
        _number("Beam.current", "beam current", 1e-13, 1e-9, "A"): 5e-11,
        _number("Beam.voltage", "voltage", 2e4, 3e5, "V", read_only=True): 2e5,
        _number("Beam.shift_x", "beam shift", -SCAN_RANGE, SCAN_RANGE, "m"): 0.0,
        _number("Beam.shift_y", "beam shift", -SCAN_RANGE, SCAN_RANGE, "m"): 0.0,
        _number("Beam.convergence_angle", "convergence angle", 0.0, 0.05, "rad"): 0.025,
        _number("Focus.defocus", "defocus", -2e-5, 2e-5, "m", step=1e-10): 0.0,
        _number("Corrector.A1_x", "astigmatism", -1e-6, 1e-6, "m"): 0.0,
        _number("Corrector.A1_y", "astigmatism", -1e-6, 1e-6, "m"): 0.0,
        _number("Corrector.C3", "spherical aberration", -3e-3, 3e-3, "m"): 0.0,
        _switch("Detectors.haadf_inserted", "detector inserted"): 1.0,
        _number("Detectors.haadf_gain", "gain", 0.0, 100.0, "1"): 1.0,
        _number("Vacuum.pressure", "pressure", 0.0, 1e5, "Pa", read_only=True): 1e-6,
        _switch("Vacuum.column_valve", "column valve open", settling=0.5): 1.0,
    }


@dataclass
class PlainState:
    """All parameters and their values.

    Parameters
    ----------
    world : {"tip", "beam", "both"}
        Which of them there are.
    clock : Clock
        For the time of a reading.
    """

    world: str
    clock: Clock
    parameters: dict[str, Parameter] = field(init=False)
    values: dict[str, float] = field(init=False)

    def __post_init__(self) -> None:
        start = _both()
        if self.world in ("tip", "both"):
            start |= _tip()
        if self.world in ("beam", "both"):
            start |= _beam()
        self.parameters = {parameter.key: parameter for parameter in start}
        self.values = {parameter.key: value for parameter, value in start.items()}

    def read(self) -> State:
        """Return every value, now."""
        return State(time=self.clock.now(), values=dict(self.values))

    def knobs(self) -> dict[str, Knobs]:
        """Return every capability that is adjusted, by name."""
        owners = dict.fromkeys(parameter.capability for parameter in self.parameters.values())
        return {owner: self._of(owner) for owner in owners}

    def _of(self, owner: str) -> Knobs:
        declared = tuple(one for one in self.parameters.values() if one.capability == owner)

        def read(name: str) -> float:
            return self.values[f"{owner}.{name}"]

        def write(values: Mapping[str, float]) -> None:
            for name, value in values.items():
                if self.parameters[f"{owner}.{name}"].switch and value not in (0.0, 1.0):
                    raise OutOfRange(f"`{owner}.{name}` is a switch: 0 or 1, not {value:g}.")
            self.values.update({f"{owner}.{name}": value for name, value in values.items()})

        return Knobs(declared, read, write, self.clock)
