"""Rules of what must not be set."""

from __future__ import annotations

import math

from nanopilot.instruments import Guard
from nanopilot.testing.moving import KnobContract
from nanopilot.testing.rules import not_applicable, refused, rule


class RefusalTests(KnobContract):
    """Rules of what must not be set."""

    @rule("unknown-parameter-is-refused")
    def test_a_parameter_that_is_not_there_is_refused(self, scope: Guard) -> None:
        """`get` and `set` refuse a name that is not declared."""
        part = self.part(scope)
        refused(lambda: part.get("no_such_parameter"), "to get what is not declared")
        refused(lambda: part.set(no_such_parameter=0.0), "to set what is not declared")

    @rule("limits-are-held")
    def test_a_value_outside_the_declared_limits_is_refused(self, scope: Guard) -> None:
        """A value outside the declared limits is refused, and nothing moves."""
        bounded = [one for one in self.settable(scope) if one.limits]
        if not bounded:
            not_applicable("no parameter has limits")
        with self.kept(scope):
            for one in bounded:
                assert one.limits is not None
                span = one.limits.high - one.limits.low or 1.0
                for value in (one.limits.high + 0.1 * span, one.limits.low - 0.1 * span):
                    self.refuses(scope, one, value)

    @rule("nan-is-refused")
    def test_a_value_that_is_no_number_is_refused(self, scope: Guard) -> None:
        """NaN and infinity are refused, and nothing moves."""
        with self.kept(scope):
            for one in self.declared(scope):
                for value in (math.nan, math.inf, -math.inf):
                    self.refuses(scope, one, value)

    @rule("read-only-is-refused")
    def test_a_read_only_parameter_cannot_be_set(self, scope: Guard) -> None:
        """Setting a parameter that is declared read-only is refused, even to its own value."""
        fixed = [one for one in self.declared(scope) if one.read_only]
        if not fixed:
            not_applicable("no parameter is read-only")
        for one in fixed:
            self.refuses(scope, one, self.part(scope).get(one.name))

    @rule("switch-is-off-or-on")
    def test_a_switch_takes_0_and_1_only(self, scope: Guard) -> None:
        """A switch takes the value it has, and refuses anything but 0 and 1."""
        switches = [one for one in self.settable(scope) if one.switch]
        if not switches:
            not_applicable("there is no switch")
        with self.kept(scope):
            for one in switches:
                now = self.part(scope).get(one.name)
                self.move(scope, **{one.name: now})
                assert self.part(scope).get(one.name) == now, f"`{one.key}` left {now:g}"
                for value in (0.5, 2.0, -1.0):
                    self.refuses(scope, one, value)

    @rule("refused-as-a-whole")
    def test_a_refused_set_moves_nothing(self, scope: Guard) -> None:
        """If one of several values is refused, none is set."""
        movable = self.movable(scope)
        bad = [one for one in self.declared(scope) if one not in movable[:1]]
        if not movable or not bad:
            not_applicable("there are not two parameters")
        one, value = self.targets(scope)[0]
        with self.kept(scope):
            before = self.part(scope).get(one.name)
            wrong = {one.name: value, bad[0].name: math.nan}
            refused(lambda: self.part(scope).set(**wrong), f"{wrong}")
            got = self.part(scope).get(one.name)
            assert one.reached(before, got), f"`{one.key}` went to {got:g} all the same"
