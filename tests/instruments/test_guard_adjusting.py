"""What is set passes the guard only if every rule allows it, and is verified afterwards."""

import math
from contextlib import suppress
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanopilot.core.adjustables import (
    Approach,
    Beam,
    BiasSource,
    Feedback,
    Focus,
    Positioner,
    Stage,
    Vacuum,
)
from nanopilot.core.errors import (
    Interlocked,
    InvalidRequest,
    NanopilotError,
    NotReached,
    OutOfRange,
    StoreError,
    Unsupported,
)
from nanopilot.core.events import Audit
from nanopilot.core.interlocks import Condition, Interlock
from nanopilot.core.limits import Area, Budget, Limits, Range
from nanopilot.core.requests import SetRequest
from nanopilot.instruments import Guard
from tests.instruments.watched import Twin, guarded

AREA = Area(x=(-1e-6, 1e-6), y=(-1e-6, 1e-6))


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, -math.inf, 10**400, np.float32(np.inf), np.float64(np.nan), 1e300],
    ids=repr,
)
def test_what_is_not_finite_never_passes(value: Any) -> None:
    twin = Twin()
    for kind, name in ((Focus, "defocus"), (BiasSource, "bias"), (Beam, "current")):
        with pytest.raises(OutOfRange, match=f"`{kind.__name__}.{name}`"):
            guarded(twin)[0].capability(kind).set(**{name: value})  # type: ignore[attr-defined]
    assert twin.wire == []


class Sly(float):
    def __le__(self, other: object) -> bool:
        return True

    def __ge__(self, other: object) -> bool:
        return True


NO_NUMBERS: tuple[Any, ...] = (
    "5", "5 nm", None, True, False, [1.0], (1.0,), {}, 1j, b"1", Decimal(1), np.bool_(True),
    np.array([1.0]), object(), float,
)  # fmt: skip


@pytest.mark.parametrize("value", NO_NUMBERS, ids=range(len(NO_NUMBERS)))
def test_what_is_no_number_is_refused_as_such(value: Any) -> None:
    twin = Twin()
    scope, rows = guarded(twin)
    with pytest.raises(InvalidRequest, match="`defocus`"):
        scope.capability(Focus).set(defocus=value)
    assert twin.wire == []
    assert [row.verdict for row in rows] == ["refused"]


def test_numbers_of_numpy_and_sly_ones_reach_the_wire_as_plain_floats() -> None:
    twin = Twin()
    focus = guarded(twin)[0].capability(Focus)
    for value in (np.float64(1e-9), np.float32(0), np.int64(0), 0, Sly(1e-9)):
        focus.set(defocus=value)
    assert {type(value) for _, values in twin.wire for value in values.values()} == {float}
    with pytest.raises(OutOfRange):
        focus.set(defocus=Sly(1.0))


@given(st.floats(-1e-5, 1e-5), st.floats(-20, 20), st.floats(0, 1e-8))
def test_no_value_beyond_its_limits_reaches_the_wire(x: float, bias: float, point: float) -> None:
    twin = Twin("tip")
    limits = Limits(
        area=AREA,
        bias=Range(low=-5, high=5, unit="V"),
        parameters={"Feedback.setpoint": Range(low=1e-11, high=1e-9, unit="A")},
    )
    scope, _ = guarded(twin, limits=limits)
    asked: tuple[tuple[Any, dict[str, float], bool], ...] = (
        (Positioner, {"x": x}, abs(x) <= 1e-6 + 1e-12),
        (Positioner, {"x": 0.0, "y": x}, abs(x) <= 1e-6 + 1e-12),
        (BiasSource, {"bias": bias}, abs(bias) <= 5),
        (Feedback, {"setpoint": point}, 1e-11 <= point <= 1e-9),
    )
    for kind, values, allowed in asked:
        before = len(twin.wire)
        with suppress(OutOfRange):
            scope.capability(kind).set(**values)
        assert len(twin.wire) - before == allowed


def test_a_refusal_names_value_limits_and_parameter() -> None:
    scope, _ = guarded(Twin(), limits=Limits(bias=Range(low=-1, high=2, unit="V")))
    with pytest.raises(OutOfRange, match=r"`BiasSource.bias` is 3 V; the limits allow -1 V to 2 V"):
        scope.capability(BiasSource).set(bias=3)
    with pytest.raises(OutOfRange, match="the instrument accepts -10 V to 10 V"):
        scope.capability(BiasSource).set(bias=11)


def test_read_only_unknown_and_no_parameters_are_refused() -> None:
    twin = Twin()
    scope, _ = guarded(twin)
    with pytest.raises(Unsupported, match=r"`Vacuum.pressure` can be read and not set"):
        scope.capability(Vacuum).set(pressure=1e-6)  # type: ignore[call-arg]
    with pytest.raises(Unsupported, match="has no 'focus'; it has defocus"):
        scope.capability(Focus).set(focus=0.0)  # type: ignore[call-arg]
    with pytest.raises(Unsupported, match="has no 'focus'"):
        scope.capability(Focus).get("focus")
    with pytest.raises(InvalidRequest, match="nothing to set"):
        scope.capability(Focus).set()
    assert twin.wire == []


@given(st.floats(-1, 2).filter(lambda one: one not in (0, 1)))
def test_a_switch_is_off_or_on(value: float) -> None:
    twin = Twin()
    with pytest.raises(OutOfRange, match=r"switch|accepts"):
        guarded(twin)[0].capability(Approach).set(engaged=value)
    assert twin.wire == []


def test_a_rate_allows_as_much_as_time_has_passed_since_the_last_set() -> None:
    twin = Twin("tip")
    twin.put("BiasSource.bias", 0.0)
    source = guarded(twin, limits=Limits(rates={"BiasSource.bias": 2.0}))[0].capability(BiasSource)
    with pytest.raises(OutOfRange, match=r"wait 0.5 s"):  # nobody knows what was set before
        source.set(bias=1.0)
    twin.clock.sleep(0.5)
    source.set(bias=1.0)
    with pytest.raises(OutOfRange, match="allow 1 to 1"):
        source.set(bias=1.1)
    twin.clock.sleep(1.0)
    with pytest.raises(OutOfRange, match="allow -1 to 3"):
        source.set(bias=3.5)
    source.set(bias=-1.0)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(-3, 3)), max_size=20))
def test_a_burst_is_never_faster_than_its_rate(steps: list[tuple[float, float]]) -> None:
    twin = Twin("tip")
    twin.put("BiasSource.bias", 0.0)
    source = guarded(twin, limits=Limits(rates={"BiasSource.bias": 2.0}))[0].capability(BiasSource)
    for wait, bias in steps:
        twin.clock.sleep(wait)
        try:
            source.set(bias=bias)
        except OutOfRange:
            continue
    assert abs(source.get("bias")) <= 2.0 * twin.clock.now() * (1 + 1e-6) + 1e-12


def test_an_excursion_is_counted_from_where_the_run_began() -> None:
    twin = Twin("beam")
    scope, _ = guarded(twin, limits=Limits(excursions={"Stage.x": 1e-6}))
    stage = scope.capability(Stage)
    stage.set(x=1e-6)
    with pytest.raises(OutOfRange, match="began at 0"):
        stage.set(x=1.1e-6)
    scope.begin_run(Budget(), lambda row: None)
    stage.set(x=2e-6)
    with pytest.raises(OutOfRange, match="began at 1e-06"):
        stage.set(x=-0.1e-6)


INTERLOCKED: tuple[tuple[Any, dict[str, float], dict[str, float]], ...] = (
    (Stage, {"x": 1e-6}, {"Approach.engaged": 1.0}),
    (Vacuum, {"column_valve": 1}, {"Vacuum.pressure": 1.0}),
    (Beam, {"blanked": 0}, {"Vacuum.column_valve": 0.0}),
    (Approach, {"engaged": 1}, {"Beam.blanked": 0.0}),
)


@pytest.mark.parametrize(("kind", "values", "against"), INTERLOCKED)
def test_an_interlock_holds_until_the_state_fulfils_it(
    kind: Any, values: dict[str, float], against: dict[str, float]
) -> None:
    twin = Twin()
    good = {"Approach.engaged": 0.0, "Vacuum.pressure": 1e-6, "Beam.blanked": 1.0}
    for key, value in (good | against).items():
        twin.put(key, value)
    scope, _ = guarded(twin)
    with pytest.raises(Interlocked, match="must hold"):
        scope.capability(kind).set(**values)
    assert twin.wire == []
    for key, value in ({"Vacuum.column_valve": 1.0} | good).items():
        twin.put(key, value)
    scope.capability(kind).set(**values)
    assert len(twin.wire) == 1


@pytest.mark.parametrize("fault", ["old", "future", "no time", "unknown", "not a number", "broken"])
def test_a_state_that_is_not_known_allows_nothing(fault: str) -> None:
    twin = Twin("tip")
    twin.put("Approach.engaged", 0.0)
    scope, rows = guarded(twin, limits=Limits(rates={"BiasSource.bias": 1e9}))
    twin.clock.sleep(10.0)
    twin.age = {"old": 1.5, "future": -1.5, "no time": math.nan}.get(fault, 0.0)
    if fault == "not a number":
        twin.spoilt = {"Approach.engaged": math.nan, "BiasSource.bias": math.nan}
    elif fault == "broken":
        twin.state = lambda: 1 / 0  # type: ignore[method-assign, assignment, return-value]
    elif fault == "unknown":
        del twin._state.values["Approach.engaged"], twin._state.values["BiasSource.bias"]
    for kind, values in ((Stage, {"x": 1e-6}), (BiasSource, {"bias": 0.6})):
        with pytest.raises(Interlocked):
            scope.capability(kind).set(**values)  # type: ignore[attr-defined]
    assert twin.wire == []
    assert {row.verdict for row in rows} == {"refused"}
    scope.capability(Feedback).set(setpoint=2e-10)  # no rule speaks of it


def test_the_state_is_read_only_for_what_some_rule_concerns() -> None:
    twin = Twin()
    scope, _ = guarded(twin)
    for _ in range(3):
        scope.capability(Focus).set(defocus=1e-8)
    assert twin.reads == 0
    scope.capability(Approach).set(engaged=0)
    scope.capability(Stage).set(x=1e-8)
    assert twin.reads == 1


def test_an_interlock_of_ones_own_is_added_and_matches_what_a_step_rounds_to() -> None:
    rule = Interlock(
        name="no-focus-at-zero",
        command="Focus.defocus",
        setting=0.0,
        requires=(Condition(parameter="Beam.blanked", compare="==", value=0),),
        why="Because.",
        needs=("Beam.blanked",),
    )
    twin = Twin("beam")
    focus = guarded(twin, interlocks=(rule,))[0].capability(Focus)
    for value in (0.0, 4e-11, -4e-11):  # the twin's step is 1e-10
        with pytest.raises(Interlocked, match="no-focus-at-zero"):
            focus.set(defocus=value)
    focus.set(defocus=1e-9)
    assert len(twin.wire) == 1


def test_a_rule_without_meaning_on_an_instrument_does_not_hold_it() -> None:
    guarded(Twin("beam"))[0].capability(Stage).set(x=1e-6)


@pytest.mark.parametrize("world", ["tip", "beam", "both"])
def test_what_makes_safe_is_never_held_by_a_rule_a_fault_or_a_full_disk(world: str) -> None:
    twin = Twin(world)
    held = (
        Interlock(name="a", command="Approach", requires=(), why=""),
        Interlock(
            name="b",
            command="Beam",
            requires=(Condition(parameter="Beam.current", compare="<=", value=-1),),
            why="",
        ),
    )

    def full(row: Audit) -> None:
        raise OSError("disk full")

    key = "Approach.engaged" if world != "beam" else "Beam.blanked"
    limits = Limits(rates={key: 0.0}, excursions={key: 0.0})
    scope = Guard(twin, audit=full, interlocks=held, limits=limits)
    twin.age = 1e6
    if world != "beam":
        scope.capability(Approach).set(engaged=0)
    if world != "tip":
        scope.capability(Beam).set(blanked=1)
    assert twin.wire


def test_nothing_is_sent_that_cannot_be_written_down() -> None:
    twin = Twin()

    def full(row: Audit) -> None:
        raise OSError("disk full")

    with pytest.raises(StoreError, match="disk full"):
        Guard(twin, audit=full).capability(Focus).set(defocus=1e-9)
    assert twin.wire == []


def test_a_row_that_could_not_be_written_is_written_before_the_next() -> None:
    twin, rows, broken = Twin("tip"), [], [True]

    def audit(row: Audit) -> None:
        if broken[0]:
            raise OSError("disk full")
        rows.append(row)

    scope = Guard(twin, audit=audit)
    scope.capability(Approach).set(engaged=0)
    broken[0] = False
    scope.capability(Positioner).set(x=1e-9)
    assert [row.capability for row in rows] == ["Approach", "Positioner"]


def test_a_value_that_is_not_reached_is_told_and_written_down() -> None:
    twin = Twin()
    part: Any = twin._parts["Focus"]
    scope, rows = guarded(twin)
    for read_back in (2e-9, math.nan):
        part.held = read_back
        with pytest.raises(NotReached, match=r"`Focus.defocus` was set to 1e-09 m and reads back"):
            scope.capability(Focus).set(defocus=1e-9)
    assert [row.verdict for row in rows] == ["allowed", "unverified"] * 2
    part.held = None
    part.inner = type("Mute", (), {"set": lambda self, **values: ()})()
    with pytest.raises(NotReached, match="reads back nothing"):
        scope.capability(Focus).set(defocus=1e-9)


def test_every_verdict_is_written_down_with_what_was_asked() -> None:
    scope, rows = guarded(Twin())
    scope.capability(Focus).set(defocus=1e-9)
    for values in ({"defocus": 1.0}, {"defocus": "x"}, {"wrong": 0.0}):
        with pytest.raises(NanopilotError):
            scope.capability(Focus).set(**values)  # type: ignore[misc]
    assert [row.verdict for row in rows] == ["allowed"] + ["refused"] * 3
    assert rows[0].request == {"defocus": 1e-9}
    assert all(row.reasons for row in rows[1:])


def test_violations_say_beforehand_what_set_would_refuse() -> None:
    twin = Twin("tip")
    scope, _ = guarded(twin)
    kinds = [
        (SetRequest(capability="Stage", values={"x": 1e-6}), "interlock"),
        (SetRequest(capability="Stage", values={"x": 1.0}), "limit"),
        (SetRequest(capability="Focus", values={"defocus": 0.0}), "unsupported"),
        (SetRequest(capability="Rudder", values={"angle": 0.0}), "unsupported"),
    ]
    for request, kind in kinds:
        assert kind in {one.kind for one in scope.violations(request)}
    assert scope.violations(SetRequest(capability="Positioner", values={"x": 0.0})) == []
    for nothing in (None, 5, {"capability": "Stage"}, SetRequest.model_construct(values=5)):
        with pytest.raises(InvalidRequest):
            scope.violations(nothing)  # type: ignore[arg-type]
    assert twin.wire == []
