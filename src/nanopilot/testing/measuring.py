"""Rules of everything that measures: what is asked for is checked, and comes back labelled."""

from __future__ import annotations

import math

from nanopilot.core.errors import NanopilotError
from nanopilot.core.limits import Violation
from nanopilot.core.signals import check_set, metadata
from nanopilot.instruments import Guard
from nanopilot.testing.asking import CLOCK_SLACK, MeasuringContract
from nanopilot.testing.rules import refused, rule
from nanopilot.testing.running import AcquisitionTests

#: Measurements of which one has to take as long as `estimate` says.
_TRIES = 3


class RequestTests(MeasuringContract):
    """Rules of requests and of what they give."""

    @rule("signals-are-calibrated")
    def test_every_signal_has_unit_and_quantity(self, scope: Guard) -> None:
        """Every channel and coordinate carries an SI unit and a quantity, dims are known."""
        check_set(self.measure(scope, self.small(scope)))

    @rule("units-as-declared")
    def test_channels_have_the_units_that_are_declared(self, scope: Guard) -> None:
        """A channel that `units` of the description names has that unit."""
        declared = scope.describe().units
        for name, channel in self.measure(scope, self.small(scope)).data_vars.items():
            unit, said = channel.attrs.get("units"), declared.get(str(name))
            assert said in (None, unit), f"`{name}` is in {unit!r}; declared is {said!r}"

    @rule("request-comes-back")
    def test_the_measurement_says_what_was_asked(self, scope: Guard) -> None:
        """`metadata` of the measurement holds the request as it was made."""
        request = self.small(scope)
        facts = metadata(self.measure(scope, request))
        assert "request" in facts, f"`metadata` has {', '.join(facts) or 'nothing'}, no `request`"
        assert type(request).model_validate(facts["request"]) == request, (
            f"`request` came back as {facts['request']}"
        )

    @rule("state-comes-along")
    def test_the_measurement_says_in_what_state(self, scope: Guard) -> None:
        """`metadata` of the measurement holds the instrument's state when it began."""
        before = scope.clock.now()
        facts = metadata(self.measure(scope, self.small(scope)))
        assert "state" in facts, f"`metadata` has {', '.join(facts) or 'nothing'}, no `state`"
        time, keys = facts["state"]["time"], {one.key for one in scope.describe().parameters}
        assert before - CLOCK_SLACK <= time <= scope.clock.now() + CLOCK_SLACK, (
            f"`state` was read at {time} s, which is not when the measurement began"
        )
        assert set(facts["state"]["values"]) == keys, "`state` has other parameters than declared"

    @rule("validate-moves-nothing")
    def test_validating_moves_nothing_and_lists_what_is_wrong(self, scope: Guard) -> None:
        """`validate` and `estimate` leave the state alone; a bad request has a worded violation."""
        before = scope.state().values
        part, good = self.part(scope), self.small(scope)
        self.supported(scope, good)
        part.estimate(good)
        for what, request in self.impossible(scope).items():
            try:
                found = part.validate(request)
            except NanopilotError as error:  # it is not even a request
                found = [Violation(parameter="request", message=str(error))]
            assert found, f"{what}: `validate` finds nothing wrong"
            assert all(_worded(violation) for violation in found), f"{what}: no word of why"
        assert not moved(scope, before), "; ".join(moved(scope, before))

    @rule("impossible-is-refused")
    def test_an_impossible_request_is_refused(self, scope: Guard) -> None:
        """What `validate` objects to, `start` refuses with a `NanopilotError`: NaN, outside, ..."""
        for what, request in self.impossible(scope).items():
            refused(lambda request=request: self.part(scope).start(request), what)  # type: ignore[misc]

    @rule("estimate-is-plausible")
    def test_estimate_is_about_what_it_takes(self, scope: Guard) -> None:
        """`estimate` gives the time within a factor of three and a second, and the right counts."""
        request = self.small(scope)
        self.supported(scope, request)
        expected = self.part(scope).estimate(request)
        assert math.isfinite(expected.seconds), f"`seconds` is {expected.seconds}"
        # Of an instrument in real time, the computer may be late once: it is not late every time.
        for _ in range(_TRIES):
            before = scope.clock.now()
            self.part(scope).start(request).result()
            took = scope.clock.now() - before
            if took / 3 - 1 <= expected.seconds:
                break
        assert took / 3 - 1 <= expected.seconds <= 3 * took + 1, (
            f"`estimate` says {expected.seconds:g} s; it took {took:g} s"
        )
        self.check_counts(request, expected)


class MeasuringTests(RequestTests, AcquisitionTests):
    """Rules of every capability that measures; see the classes that inherit from it."""


def _worded(violation: Violation) -> bool:
    return bool(violation.message.strip()) and bool(violation.parameter)


def moved(scope: Guard, before: dict[str, float]) -> list[str]:
    """Return what can be set and no longer has the value it had, but for noise."""
    now, changed = scope.state().values, []
    for one in scope.describe().parameters:
        old, new = before.get(one.key), now.get(one.key)
        if one.read_only or old is None or new is None:
            continue
        span = one.limits.high - one.limits.low if one.limits else abs(old)
        slack = max(one.tolerance, one.step, 1e-6 * span, 1e-9 * abs(old))
        if not abs(new - old) <= slack:
            changed.append(f"`{one.key}` went from {old:g} to {new:g} {one.unit}")
    return changed
