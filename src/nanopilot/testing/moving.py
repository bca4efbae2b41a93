"""How parameters are moved a little, and put back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nanopilot.core.adjustables import Adjustable
from nanopilot.core.errors import Interlocked, NanopilotError
from nanopilot.core.parameters import Parameter, Setting
from nanopilot.instruments import Guard
from nanopilot.testing.readiness import Contract, adjustable
from nanopilot.testing.rules import not_applicable, refused


class KnobContract(Contract):
    """What every contract of a capability that is adjusted needs: small moves, and the way back.

    Parameters are moved by `fraction` of what is declared, within it, and put back after every
    test. A switch is set to what it is already.
    """

    fraction = 0.01

    def part(self, scope: Guard) -> Adjustable:
        """Return the guarded capability."""
        return adjustable(scope, self.capability)

    def declared(self, scope: Guard) -> tuple[Parameter, ...]:
        """Return its parameters."""
        return self.part(scope).parameters()

    def settable(self, scope: Guard) -> list[Parameter]:
        """Return parameters that can be set as the instrument stands."""
        return [one for one in self.declared(scope) if not one.read_only]

    def movable(self, scope: Guard) -> list[Parameter]:
        """Return parameters that can be moved a little and put back."""
        found = [one for one in self.settable(scope) if not one.switch]
        return [one for one in found if self.target(scope, one) is not None]

    def target(self, scope: Guard, one: Parameter) -> float | None:
        """Return a value a little away from the present one, None where there is no room."""
        now = self.part(scope).get(one.name)
        span = one.limits.high - one.limits.low if one.limits else abs(now)
        move = self.fraction * span
        if now:
            move = min(move, 0.1 * abs(now))
        move = max(move, 4 * one.step, 4 * one.tolerance)
        for value in (now + move, now - move):
            if move and (one.limits is None or one.limits.holds(value)):
                return value
        return None

    def move(self, scope: Guard, **values: float) -> tuple[Setting, ...]:
        """Set parameters; leave the rule aside if an interlock forbids it."""
        try:
            return self.part(scope).set(**values)
        except Interlocked as error:
            not_applicable(str(error))

    @contextmanager
    def kept(self, scope: Guard) -> Iterator[None]:
        """Put everything that can be set back to what it was."""
        part = self.part(scope)
        before = [(one, part.get(one.name)) for one in self.settable(scope)]
        try:
            yield
        finally:
            for one, value in before:
                if not one.reached(value, part.get(one.name)):
                    part.set(**{one.name: value})

    def targets(self, scope: Guard) -> list[tuple[Parameter, float]]:
        """Return everything that can be set with a value to set it to; switches stay."""
        found = [(one, self.target(scope, one)) for one in self.movable(scope)]
        switches = [one for one in self.settable(scope) if one.switch]
        stay = [(one, self.part(scope).get(one.name)) for one in switches]
        targets = [(one, value) for one, value in found if value is not None] + stay
        if not targets:
            not_applicable("nothing can be set")
        return targets

    def refuses(self, scope: Guard, one: Parameter, value: float) -> None:
        """Check that a value is refused and that nothing has moved."""
        before = self.part(scope).get(one.name)
        error = refused(lambda: self.part(scope).set(**{one.name: value}), f"`{one.key}` = {value}")
        assert isinstance(error, NanopilotError)
        got = self.part(scope).get(one.name)
        span = one.limits.high - one.limits.low if one.limits else abs(before)
        slack = max(one.tolerance, one.step, 0.02 * span)
        assert one.read_only or abs(got - before) <= slack, f"`{one.key}` went to {got:g}"
