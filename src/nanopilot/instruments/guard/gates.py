"""What each parameter may be set to: the instrument's own word, and the limits on top of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nanopilot.core.limits import Limits, Range, Violation
from nanopilot.core.parameters import Parameter
from nanopilot.instruments.guard.checks import out_of_range

#: Off or on, whether a driver says so or not.
_SWITCHES = frozenset(
    ("Approach.engaged", "Beam.blanked", "Feedback.enabled", "Vacuum.column_valve")
)
#: What makes an instrument safer: refused by nothing but another commander or a stop.
SAFE = {"Approach.engaged": 0.0, "Beam.blanked": 1.0}
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Gate:
    """What one parameter has to pass.

    Parameters
    ----------
    parameter : Parameter
        As declared.
    ranges : tuple of (Range, str)
        All must hold; whose each is.
    switch : bool
        0 or 1 and nothing between.
    safe : float, optional
        The value that makes the instrument safer.
    """

    parameter: Parameter
    ranges: tuple[tuple[Range, str], ...]
    switch: bool
    safe: float | None

    def check(self, value: float) -> list[Violation]:
        """List what speaks against a value; NaN and infinities never pass."""
        key = self.parameter.key
        if self.parameter.read_only:
            message = f"`{key}` can be read and not set."
            return [Violation(parameter=key, message=message, kind="unsupported")]
        if not -float("inf") < value < float("inf"):
            message = f"`{key}` is {value:g}; it must be finite."
            return [Violation(parameter=key, message=message)]
        if value == self.safe:
            return []
        if self.switch and value not in (0.0, 1.0):
            message = f"`{key}` is {value:g}; it is a switch, 1 or 0."
            return [Violation(parameter=key, message=message)]
        return [
            out_of_range(key, value, allowed, whose)
            for allowed, whose in self.ranges
            if not allowed.holds(value)
        ]


def gates(parameters: tuple[Parameter, ...], limits: Limits) -> dict[str, Gate]:
    """Return what the parameters of one capability have to pass, by name."""
    return {
        one.name: Gate(
            parameter=one,
            ranges=_ranges(one, limits),
            switch=one.switch or one.key in _SWITCHES,
            safe=SAFE.get(one.key),
        )
        for one in parameters
    }


def _ranges(parameter: Parameter, limits: Limits) -> tuple[tuple[Range, str], ...]:
    key, found = parameter.key, []
    if parameter.limits is not None:
        found.append((parameter.limits, "instrument accepts"))
    if key in limits.parameters:
        found.append((limits.parameters[key], "limits allow"))
    if key == "BiasSource.bias" and limits.bias is not None:
        found.append((limits.bias, "limits allow"))
    if limits.area is not None and key in ("Positioner.x", "Positioner.y"):
        low, high = limits.area.x if parameter.name == "x" else limits.area.y
        edges = Range(low=low - _ROUNDING, high=high + _ROUNDING, unit="m")
        found.append((edges, "limits allow"))
    return tuple(found)


def check_values(
    capability: str, known: Mapping[str, Gate], values: Mapping[str, float]
) -> list[Violation]:
    """List what speaks against values of one capability, whatever the state."""
    found = []
    for name, value in values.items():
        gate = known.get(name)
        if gate is None:
            there = ", ".join(known) or "none"
            message = f"`{capability}` has no {name!r}; it has {there}."
            found.append(
                Violation(
                    parameter=f"{capability}.{name}"[:200], message=message, kind="unsupported"
                )
            )
        else:
            found += gate.check(value)
    return found


def makes_safe(known: Mapping[str, Gate], values: Mapping[str, float]) -> bool:
    """Tell whether all that is set makes the instrument safer."""
    return all(
        name in known and known[name].safe is not None and known[name].safe == value
        for name, value in values.items()
    )
