"""A parameter and the two functions that read and set it, for drivers of a vendor's package."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from nanopilot.core.clock import Clock
from nanopilot.core.errors import DeviceError, Unsupported
from nanopilot.core.knobs import Knobs
from nanopilot.core.limits import Range
from nanopilot.core.parameters import Parameter


@dataclass(frozen=True, slots=True)
class Wheel:
    """One parameter of a vendor's package.

    Parameters
    ----------
    parameter : Parameter
        As it is declared.
    read : callable
        Returns its value in the SI unit.
    write : callable, optional
        Sets it; None: it is read-only, or set together with others.
    """

    parameter: Parameter
    read: Callable[[], float]
    write: Callable[[float], None] | None = None


def declare(key: str, quantity: str, unit: str, **more: Any) -> Parameter:
    """Return a parameter by its key; a switch with ``switch=True``."""
    capability, name = key.split(".")
    if more.get("switch"):
        more |= {"limits": Range(low=0, high=1, unit="1"), "step": 1.0}
    return Parameter(capability=capability, name=name, quantity=quantity, unit=unit, **more)


def there(wheels: Iterable[Wheel]) -> list[Wheel]:
    """Return the wheels that can be read: what an instrument does not have is left out."""
    found = []
    for wheel in wheels:
        with suppress(DeviceError, Unsupported):
            wheel.read()
            found.append(wheel)
    return found


def together(
    wheels: Iterable[Wheel],
    clock: Clock,
    joint: Mapping[str, Callable[[Mapping[str, float]], None]],
) -> dict[str, Knobs]:
    """Return the wheels as capabilities.

    Parameters
    ----------
    wheels : iterable of Wheel
        All of the instrument.
    clock : Clock
        Of the instrument.
    joint : mapping of str to callable
        By capability: sets several parameters at once; else each is set by itself, in order.
    """
    owners: dict[str, dict[str, Wheel]] = {}
    for wheel in wheels:
        owners.setdefault(wheel.parameter.capability, {})[wheel.parameter.name] = wheel
    return {owner: _knobs(mine, clock, joint.get(owner)) for owner, mine in owners.items()}


def _knobs(
    mine: Mapping[str, Wheel],
    clock: Clock,
    joint: Callable[[Mapping[str, float]], None] | None,
) -> Knobs:
    def write(values: Mapping[str, float]) -> None:
        if joint is not None:
            joint(values)
            return
        # Blanking comes first and letting the beam through last, whatever else is set.
        later = {name: name == "blanked" and not value for name, value in values.items()}
        first = sorted(values, key=lambda name: (later[name], name != "blanked"))
        for name in first:
            one = mine[name].write
            if one is None:
                raise Unsupported(f"`{mine[name].parameter.key}` can be read and not set.")
            one(values[name])

    declared = tuple(wheel.parameter for wheel in mine.values())
    return Knobs(declared, lambda name: mine[name].read(), write, clock)
