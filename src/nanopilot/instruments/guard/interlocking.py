"""Interlocks: what must hold before a command, judged on a state that is fresh."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from nanopilot.core.capabilities import Instrument
from nanopilot.core.description import InstrumentDescription
from nanopilot.core.errors import Interlocked
from nanopilot.core.interlocks import Interlock
from nanopilot.core.limits import Violation
from nanopilot.core.parameters import Parameter, State, by_key


class Interlocking:
    """The rules that are in force on one instrument.

    Parameters
    ----------
    rules : tuple of Interlock
        All that might be.
    describe : callable
        Returns the instrument's description; a rule whose `needs` it does not declare is not
        in force.
    """

    def __init__(
        self, rules: tuple[Interlock, ...], describe: Callable[[], InstrumentDescription]
    ) -> None:
        self._rules = rules
        self._describe = describe
        self._parameters: Mapping[str, Parameter] = {}
        self._by_capability: dict[str, tuple[Interlock, ...]] = {}

    def concerning(
        self, capability: str, values: Mapping[str, float] | None = None
    ) -> tuple[Interlock, ...]:
        """Return the rules about a capability, or about these values of its parameters."""
        rules = self._by_capability.get(capability)
        if rules is None:
            rules = self._in_force(capability)
        if not rules or values is None:
            return rules
        return tuple(rule for rule in rules if self._speaks_of(rule, capability, values))

    def _in_force(self, capability: str) -> tuple[Interlock, ...]:
        described = self._describe()
        self._parameters = by_key(described.parameters)
        there = {*described.capabilities, *self._parameters}
        there |= {parameter.capability for parameter in described.parameters}
        rules = tuple(
            rule
            for rule in self._rules
            if rule.command.split(".")[0] == capability and there.issuperset(rule.needs)
        )
        self._by_capability[capability] = rules
        return rules

    def _speaks_of(self, rule: Interlock, capability: str, values: Mapping[str, float]) -> bool:
        concerned = {
            name: value
            for name, value in values.items()
            if rule.command in (capability, f"{capability}.{name}")
        }
        if rule.setting is None:
            return bool(concerned)
        return any(
            self._comes_to(f"{capability}.{name}", value, rule.setting)
            for name, value in concerned.items()
        )

    def _comes_to(self, key: str, value: float, setting: float) -> bool:
        """Tell whether the instrument could take a value for the setting, steps considered."""
        parameter = self._parameters.get(key)
        step = 0.0 if parameter is None else max(parameter.step / 2, parameter.tolerance)
        return abs(value - setting) <= step + 1e-9 * abs(setting)


def broken(rules: tuple[Interlock, ...], state: State) -> list[Violation]:
    """List the rules that a state does not fulfil, each with what was found."""
    found = []
    for rule in rules:
        for condition in rule.requires:
            if condition.holds(state):
                continue
            value = state.get(condition.parameter)
            stands = "is not known" if value is None else f"is {value:g}"
            message = (
                f"`{rule.command}` is held by the interlock {rule.name}: {condition} must hold, "
                f"and {condition.parameter} {stands}. {rule.why}"
            )
            found.append(Violation(parameter=rule.command, kind="interlock", message=message))
    return found


class FreshState:
    """Reads the state, and does not believe one that is old.

    Parameters
    ----------
    instrument : Instrument
        Is read.
    max_age : float
        Seconds of the instrument's clock that a reading may be away from now.
    pretended : dict of str to float, optional
        Values to be taken for set, in a rehearsal.
    """

    def __init__(
        self, instrument: Instrument, max_age: float, pretended: dict[str, float] | None = None
    ) -> None:
        self._instrument = instrument
        self._max_age = max_age
        self.pretended = {} if pretended is None else pretended

    def read(self) -> State:
        """Return how the instrument stands now.

        Raises
        ------
        Interlocked
            It does not say, or what it says is old.
        """
        try:
            state = self._instrument.state()
            age = self._instrument.clock.now() - state.time
            values = dict(state.values)
        except Exception as cause:
            raise Interlocked(
                f"`state` cannot be read ({type(cause).__name__}: {cause}), and what is not known "
                f"allows nothing. Restore the line to the instrument."
            ) from cause
        if not abs(age) <= self._max_age:
            old = "has no time" if math.isnan(age) else f"is {age:.3g} s old"
            raise Interlocked(
                f"`state` {old}; no more than {self._max_age:g} s is trusted. "
                f"See why the instrument does not report."
            )
        if not self.pretended:
            return state
        return State(time=state.time, values=values | self.pretended)
