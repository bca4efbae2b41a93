"""Declared parameters are held to what they declare, and the read-back is what was read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanopilot.core.clock import VirtualClock
from nanopilot.core.errors import OutOfRange, Unsupported
from nanopilot.core.interlocks import STANDARD_INTERLOCKS, Condition
from nanopilot.core.knobs import Knobs
from nanopilot.core.limits import Range
from nanopilot.core.parameters import Parameter, State


def knobs(lens: dict[str, float], **more: object) -> Knobs:
    defocus = Parameter(
        capability="Focus", name="defocus", quantity="defocus", unit="m", settling=2.0,
        limits=Range(low=-1e-6, high=1e-6, unit="m"), **more,  # type: ignore[arg-type]
    )  # fmt: skip
    return Knobs((defocus,), read=lens.__getitem__, write=lens.update, clock=VirtualClock())


@given(st.floats(-1e-6, 1e-6), st.sampled_from([0.0, 1e-9, 3e-7]))
def test_value_is_rounded_to_the_step_and_counts_as_reached(value: float, step: float) -> None:
    focus = knobs({"defocus": 0.0}, step=step)
    (setting,) = focus.set(defocus=value)
    assert setting.commanded is not None
    assert abs(setting.commanded - value) <= step / 2 + 1e-18
    assert setting.read_back == setting.commanded == focus.get("defocus")
    assert focus.declared[0].reached(value, setting.read_back)


@pytest.mark.parametrize("value", [1.1e-6, -1.0, float("nan"), float("inf")])
def test_value_outside_is_refused_and_not_sent(value: float) -> None:
    lens = {"defocus": 0.0}
    with pytest.raises(OutOfRange, match=r"`Focus.defocus`"):
        knobs(lens).set(defocus=value)
    assert lens == {"defocus": 0.0}


def test_unknown_and_read_only_parameters_are_refused() -> None:
    with pytest.raises(Unsupported, match="it has defocus"):
        knobs({}).get("zoom")
    with pytest.raises(Unsupported, match="read and not set"):
        knobs({"defocus": 0.0}, read_only=True).set(defocus=0.0)


def test_setting_waits_for_the_parameter_to_settle() -> None:
    focus = knobs({"defocus": 0.0})
    (setting,) = focus.set(defocus=1e-7)
    assert setting.time == focus.clock.now() == 2.0


def test_lens_that_sticks_is_not_called_reached() -> None:
    stuck = knobs({"defocus": 0.0})
    focus = Knobs(stuck.declared, read=stuck.read, write=lambda values: None, clock=stuck.clock)
    (setting,) = focus.set(defocus=1e-7)
    assert setting.read_back is not None
    assert not focus.declared[0].reached(1e-7, setting.read_back)


@pytest.mark.parametrize("compare", ["==", "<=", ">="])
def test_condition_does_not_hold_for_what_is_not_known(compare: str) -> None:
    condition = Condition(parameter="Vacuum.pressure", compare=compare, value=1.0)  # type: ignore[arg-type]
    assert not condition.holds(State(time=0.0))
    assert not condition.holds(State(time=0.0, values={"Vacuum.pressure": float("nan")}))
    assert condition.holds(State(time=0.0, values={"Vacuum.pressure": 1.0}))


def test_standard_interlocks_say_why_and_what_to_do() -> None:
    assert len({rule.name for rule in STANDARD_INTERLOCKS}) == len(STANDARD_INTERLOCKS)
    for rule in STANDARD_INTERLOCKS:
        assert rule.needs
        assert rule.why.endswith(".")
