"""An adjustable capability out of declared parameters and two functions for the wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nanopilot.core.clock import Clock
from nanopilot.core.errors import OutOfRange, Unsupported
from nanopilot.core.parameters import Parameter, Setting


@dataclass(frozen=True, slots=True)
class Knobs:
    """Any capability of `nanopilot.core.adjustables`, done the same way in every driver.

    Names, read-only parameters, the instrument's own limits and steps are looked after here;
    after writing it waits for the slowest parameter to settle and reads everything back.

    Parameters
    ----------
    declared : tuple of Parameter
        All of one capability.
    read : callable
        Takes a name, asks the instrument, returns the value in the declared unit.
    write : callable
        Takes values by name (in declared units, rounded to the step), sends them together, and
        returns when the instrument has taken them.
    clock : Clock
        Of the instrument.

    Examples
    --------
    >>> from nanopilot.core.clock import VirtualClock
    >>> lens = {"defocus": 0.0}
    >>> declared = Parameter(
    ...     capability="Focus", name="defocus", quantity="defocus", unit="m", step=1e-9
    ... )
    >>> focus = Knobs((declared,), read=lens.__getitem__, write=lens.update, clock=VirtualClock())
    >>> (setting,) = focus.set(defocus=50.4e-9)
    >>> round(setting.read_back * 1e9, 6)
    50.0
    """

    declared: tuple[Parameter, ...]
    read: Callable[[str], float]
    write: Callable[[Mapping[str, float]], None]
    clock: Clock

    def parameters(self) -> tuple[Parameter, ...]:
        """Return every parameter as declared."""
        return self.declared

    def get(self, name: str) -> float:
        """Read one parameter.

        Raises
        ------
        Unsupported
            There is no such parameter.
        """
        self._find(name)
        return float(self.read(name))

    def set(self, **values: float) -> tuple[Setting, ...]:
        """Write parameters together, let them settle, read them back.

        Raises
        ------
        Unsupported
            There is no such parameter, or it is read-only.
        OutOfRange
            The instrument does not accept the value.
        """
        commanded = {name: self._acceptable(name, value) for name, value in values.items()}
        self.write(commanded)
        self.clock.sleep(max((self._find(name).settling for name in values), default=0.0))
        found = {name: float(self.read(name)) for name in values}
        now = self.clock.now()
        return tuple(
            Setting(
                parameter=self._find(name).key,
                requested=values[name],
                commanded=commanded[name],
                read_back=found[name],
                unit=self._find(name).unit,
                time=now,
            )
            for name in values
        )

    def _find(self, name: str) -> Parameter:
        for parameter in self.declared:
            if parameter.name == name:
                return parameter
        known = ", ".join(parameter.name for parameter in self.declared)
        raise Unsupported(f"`{self.declared[0].capability}` has no {name!r}; it has {known}.")

    def _acceptable(self, name: str, value: float) -> float:
        parameter = self._find(name)
        if parameter.read_only:
            raise Unsupported(f"`{parameter.key}` can be read and not set.")
        limits = parameter.limits
        if limits is not None and not limits.holds(value):
            raise OutOfRange(
                f"`{parameter.key}` is {value:g} {parameter.unit}; the instrument accepts "
                f"{limits.low:g} {parameter.unit} to {limits.high:g} {parameter.unit}."
            )
        # Before the rounding to a step, which would make a truth value of anything.
        if parameter.switch and value not in (0, 1):
            raise OutOfRange(f"`{parameter.key}` is a switch: 0 or 1, not {value:g}.")
        if not parameter.step:
            return float(value)
        rounded = round(value / parameter.step) * parameter.step
        return rounded if limits is None else min(max(rounded, limits.low), limits.high)
