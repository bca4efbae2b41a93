"""Rules of every instrument: it is what it says it is."""

from __future__ import annotations

import math
import re

from nanopilot.core.adjustables import ADJUSTABLE, STANDARD
from nanopilot.core.capabilities import MEASURING, InstrumentDescription
from nanopilot.core.errors import Unsupported
from nanopilot.core.parameters import Parameter, State
from nanopilot.core.units import is_si
from nanopilot.instruments import Guard
from nanopilot.testing.asking import CLOCK_SLACK
from nanopilot.testing.readiness import Contract, adjustable
from nanopilot.testing.rules import refused, rule

KNOWN = {name: kind for name, (kind, _) in MEASURING.items()} | ADJUSTABLE


class DescriptionTests(Contract):
    """Rules of what an instrument says of itself."""

    @rule("declared-capability-is-there")
    def test_every_declared_capability_is_there(self, scope: Guard) -> None:
        """Each of `capabilities` is known by that name, and `capability` gives it."""
        for name in scope.describe().capabilities:
            assert name in KNOWN, f"{name!r} is no capability; there are {', '.join(KNOWN)}"
            assert scope.capability(KNOWN[name]) is not None, f"{name} is declared and None"

    @rule("missing-capability-is-refused")
    def test_a_capability_that_is_not_declared_is_refused(self, scope: Guard) -> None:
        """`capability` raises `Unsupported` for what `capabilities` does not name."""
        declared = scope.describe().capabilities
        for name, kind in KNOWN.items():
            if name not in declared:
                error = refused(lambda kind=kind: scope.capability(kind), f"undeclared {name}")  # type: ignore[misc]
                assert isinstance(error, Unsupported), f"{name}: {type(error).__name__}: {error}"

    @rule("description-is-complete")
    def test_the_description_names_what_can_be_asked_for(self, scope: Guard) -> None:
        """A name, an area, channels and orders where it scans, kinds where it takes spectra, ..."""
        said = scope.describe()
        assert said.name, "`name` is empty"
        assert said.kind, "`kind` is empty"
        for low, high in (said.area.x, said.area.y):
            assert -math.inf < low <= high < math.inf, f"`area` is {said.area}"
        has = said.capabilities
        assert "Scanner" not in has or said.scan_channels, "it scans, and `scan_channels` is empty"
        assert "Scanner" not in has or said.directions, "it scans, and `directions` is empty"
        assert "Scanner" not in has or said.orders, "it scans, and `orders` is empty"
        assert "PointSpectroscopy" not in has or said.spectra, "`spectra` is empty"
        assert "PointSpectroscopy" not in has or said.spectrum_channels, "no `spectrum_channels`"
        assert "Camera" not in has or said.cameras, "it has a camera, and `cameras` is empty"

    @rule("description-is-json")
    def test_the_description_survives_json(self, scope: Guard) -> None:
        """The description and the state come back from JSON as they were: they cross wires."""
        said, state = scope.describe(), scope.state()
        assert InstrumentDescription.model_validate_json(said.model_dump_json()) == said
        assert State.model_validate_json(state.model_dump_json()) == state


class StateTests(Contract):
    """Rules of parameters and of the state."""

    @rule("parameters-are-listed")
    def test_the_description_lists_every_parameter_once(self, scope: Guard) -> None:
        """`parameters` of the description are those of the capabilities that are adjusted."""
        said = scope.describe()
        keys = [one.key for one in said.parameters]
        assert len(keys) == len(set(keys)), f"`parameters` lists one twice: {keys}"
        owners = [name for name in said.capabilities if name in ADJUSTABLE]
        owned = {one for name in owners for one in adjustable(scope, name).parameters()}
        assert set(said.parameters) == owned, (
            f"description and capabilities differ in "
            f"{sorted({one.key for one in set(said.parameters) ^ owned})}"
        )

    @rule("standard-names")
    def test_parameters_have_the_standard_names_and_units(self, scope: Guard) -> None:
        """Names are short words joined by underscores; a standard name has its standard unit."""
        for one in scope.describe().parameters:
            words = re.fullmatch(r"[A-Za-z][A-Za-z0-9]*(_[a-z0-9]+)*", one.name)
            assert words, f"`{one.key}`: {one.name!r} is no name"
            unit = STANDARD.get(one.capability, {}).get(one.name)
            assert unit in (None, one.unit), f"`{one.key}` is in {one.unit!r}, not {unit!r}"

    @rule("parameters-are-consistent")
    def test_parameters_make_sense(self, scope: Guard) -> None:
        """Units are SI, limits ascend in the same unit, steps and tolerances fit between them."""
        for one in scope.describe().parameters:
            _check_sense(one)

    @rule("state-is-complete")
    def test_the_state_has_every_parameter(self, scope: Guard) -> None:
        """`state` has a finite number for every declared parameter and for nothing else."""
        declared, values = scope.describe().parameters, scope.state().values
        missing = {one.key for one in declared} ^ set(values)
        assert not missing, f"`state` and `parameters` differ in {', '.join(sorted(missing))}"
        unknown = [key for key, value in values.items() if not math.isfinite(value)]
        assert not unknown, f"`state` has no number for {', '.join(unknown)}"

    @rule("state-is-now")
    def test_the_state_says_when_it_was_read(self, scope: Guard) -> None:
        """`time` of the state is that of the instrument's clock when it is read, which rises."""
        before = scope.clock.now()
        time = scope.state().time
        after = scope.clock.now()
        assert before <= after, f"the clock went from {before:g} s to {after:g} s"
        assert before - CLOCK_SLACK <= time <= after + CLOCK_SLACK, (
            f"`time` is {time:g} s; the clock says {after:g} s"
        )

    @rule("state-agrees-with-get")
    def test_state_and_get_agree(self, scope: Guard) -> None:
        """`state` and `get` give the same value of whatever can be set."""
        state = scope.state()
        for one in scope.describe().parameters:
            value = state.get(one.key)
            if one.read_only or value is None:
                continue
            got = adjustable(scope, one.capability).get(one.name)
            span = one.limits.high - one.limits.low if one.limits else 0.0
            slack = max(one.tolerance, one.step, 1e-3 * span, 0.1 * abs(value))
            assert abs(got - value) <= slack, f"`{one.key}`: `state` {value:g}, `get` {got:g}"

    @rule("state-is-within-limits")
    def test_values_lie_within_the_declared_limits(self, scope: Guard) -> None:
        """What is read lies within the limits that are declared for it."""
        state = scope.state()
        for one in scope.describe().parameters:
            value = state.get(one.key)
            if value is None or one.limits is None:
                continue
            slack = max(one.tolerance, one.step, 1e-3 * (one.limits.high - one.limits.low))
            inside = one.limits.low - slack <= value <= one.limits.high + slack
            assert inside, f"`{one.key}` is {value:g}; declared is {one.limits}"


class InstrumentTests(DescriptionTests, StateTests):
    """Rules of every instrument; needs a fixture ``scope``."""

    capability = "Instrument"


def _check_sense(one: Parameter) -> None:
    assert is_si(one.unit), f"`{one.key}` is in {one.unit!r}, which is no SI unit"
    assert one.quantity, f"`{one.key}` has no quantity"
    for name in ("step", "tolerance", "settling"):
        value = getattr(one, name)
        assert 0 <= value < math.inf, f"`{name}` of `{one.key}` is {value}"
    assert not one.switch or one.unit == "1", f"`{one.key}` is a switch in {one.unit!r}"
    if one.limits is None:
        return
    low, high = one.limits.low, one.limits.high
    assert low <= high, f"`{one.key}`: limits run {low:g} to {high:g}"
    assert one.limits.unit == one.unit, f"`{one.key}`: limits are in {one.limits.unit!r}"
    assert not one.switch or (low, high) == (0, 1), f"`{one.key}` is a switch of {low:g}, {high:g}"
    slack = max(one.step, one.tolerance)
    assert slack <= high - low or one.read_only, f"`{one.key}`: step or tolerance over its range"
