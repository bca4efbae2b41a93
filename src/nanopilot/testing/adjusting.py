"""Rules of what is adjusted: reading and setting; and the contract of all of it."""

from __future__ import annotations

import math

from nanopilot.instruments import Guard
from nanopilot.testing.asking import CLOCK_SLACK
from nanopilot.testing.moving import KnobContract
from nanopilot.testing.refusing import RefusalTests
from nanopilot.testing.rules import not_applicable, rule


class SettingTests(KnobContract):
    """Rules of reading and setting."""

    @rule("every-parameter-can-be-read")
    def test_every_parameter_can_be_read(self, scope: Guard) -> None:
        """`get` gives a finite number for each declared parameter, 0 or 1 for a switch."""
        for one in self.declared(scope):
            value = self.part(scope).get(one.name)
            assert isinstance(value, float), f"`{one.key}` is {value!r}, no float"
            assert math.isfinite(value), f"`{one.key}` is {value}"
            assert not one.switch or value in (0.0, 1.0), f"`{one.key}` is a switch at {value}"

    @rule("setting-is-complete")
    def test_setting_tells_what_was_asked_sent_and_found(self, scope: Guard) -> None:
        """`set` gives one `Setting` per value: key, requested, commanded, read-back, unit, time."""
        with self.kept(scope):
            for one, value in self.targets(scope):
                before = scope.clock.now() - CLOCK_SLACK
                settings = self.move(scope, **{one.name: value})
                assert len(settings) == 1, f"one value gave {len(settings)} settings"
                (found,) = settings
                assert found.parameter == one.key, f"`{found.parameter}` is not `{one.key}`"
                assert found.requested == value, f"`requested` is {found.requested}, not {value}"
                assert found.commanded is not None, f"`{one.key}`: `commanded` is not told"
                assert found.read_back is not None, f"`{one.key}`: `read_back` is not told"
                assert found.unit == one.unit, f"`{one.key}` is in {found.unit}, not {one.unit}"
                after = scope.clock.now() + CLOCK_SLACK
                assert before <= found.time <= after, f"`time` is {found.time:g} s"

    @rule("set-reaches-the-value")
    def test_what_is_set_is_what_is_read(self, scope: Guard) -> None:
        """After `set`, read-back and `get` are what was asked for, within step and tolerance."""
        with self.kept(scope):
            for one, value in self.targets(scope):
                (found,) = self.move(scope, **{one.name: value})
                got = self.part(scope).get(one.name)
                assert one.reached(value, found.read_back or 0.0), (
                    f"`{one.key}` was set to {value:g} and read back as {found.read_back}"
                )
                assert one.reached(value, got), f"`{one.key}`: set to {value:g}, `get` says {got:g}"

    @rule("step-is-honoured")
    def test_commands_are_whole_steps(self, scope: Guard) -> None:
        """Where a step is declared, what is sent is a multiple of it, the nearest one."""
        stepped = [(one, value) for one, value in self.targets(scope) if one.step]
        stepped = [(one, value) for one, value in stepped if not one.switch]
        if not stepped:
            not_applicable("no parameter has a step")
        with self.kept(scope):
            for one, value in stepped:
                (found,) = self.move(scope, **{one.name: value - 0.3 * one.step})
                sent = found.commanded if found.commanded is not None else math.nan
                steps = sent / one.step
                assert abs(steps - round(steps)) < 1e-3, f"`{one.key}`: {sent!r} is no whole step"
                assert abs(sent - found.requested) <= 0.51 * one.step, f"`{one.key}`: {sent!r}"

    @rule("two-are-set-together")
    def test_two_parameters_are_set_together(self, scope: Guard) -> None:
        """Two parameters in one `set` give two settings, and both are reached."""
        both = self.targets(scope)[:2]
        if len(both) < 2:
            not_applicable("there is one parameter only")
        with self.kept(scope):
            found = self.move(scope, **{one.name: value for one, value in both})
            keys = {setting.parameter for setting in found}
            assert keys == {one.key for one, _ in both}, f"settings are of {sorted(keys)}"
            for one, value in both:
                got = self.part(scope).get(one.name)
                assert one.reached(value, got), f"`{one.key}`: set to {value:g}, is {got:g}"

    @rule("others-stay")
    def test_setting_one_leaves_the_others(self, scope: Guard) -> None:
        """Setting one parameter leaves the others of the capability where they were."""
        rest = self.settable(scope)
        if len(rest) < 2:
            not_applicable("there is one parameter only")
        with self.kept(scope):
            for one, value in self.targets(scope):
                before = {other.name: self.part(scope).get(other.name) for other in rest}
                self.move(scope, **{one.name: value})
                for other in rest:
                    got, old = self.part(scope).get(other.name), before[other.name]
                    moved = abs(got - old) > max(other.tolerance, other.step, 0.02 * abs(old))
                    assert other is one or not moved, (
                        f"`{other.key}` went from {old:g} to {got:g} when `{one.key}` was set"
                    )


class AdjustableTests(SettingTests, RefusalTests):
    """Rules of every capability that is adjusted; needs a fixture ``scope``."""
