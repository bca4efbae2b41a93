"""Requests, limits, events, history: frozen, checked, and the same after a trip as JSON."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from nanopilot.core.clock import RealClock, VirtualClock
from nanopilot.core.errors import InvalidRequest, NanopilotError, SignalError, UnknownName
from nanopilot.core.events import Audit, Decision, Intent, Note, Outcome, Plan, event_from_json
from nanopilot.core.features import FeatureTable
from nanopilot.core.history import Action, History, Step
from nanopilot.core.limits import Area, Estimate, Range, Spent
from nanopilot.core.registry import load, names
from nanopilot.core.requests import ScanRequest, SpectrumRequest, from_outside


def test_lengths_may_be_given_as_text() -> None:
    request = from_outside(
        ScanRequest, centre=("0 nm", "1 um"), field_of_view=("2 um", "2 um"), shape=(4, 4)
    )
    assert request.centre == (0.0, 1e-6)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"shape": (0, 4)}, "shape"),
        ({"dwell_time": 1.0, "line_rate": 1.0}, "not both"),
        ({"dwell_time": -1.0}, "dwell_time"),
        ({"centre": ("1 V", 0)}, "centre"),
        ({"order": "points"}, "points"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_bad_setting_is_named_in_one_line(settings: dict[str, object], said: str) -> None:
    good: dict[str, object] = {"centre": (0, 0), "field_of_view": (1, 1), "shape": (4, 4)}
    with pytest.raises(InvalidRequest, match=said) as caught:
        from_outside(ScanRequest, **(good | settings))
    assert "\n" not in str(caught.value)


def test_requests_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        SpectrumRequest(position=(0, 0)).position = (1, 1)


ACTION = Action(index=3, position=(1e-7, 0.1 + 0.2), why="survey", expected=1 / 3)
EVENTS = [
    Plan(workflow="discover", settings={"budget": 0.1}, instrument={}),
    Decision(step=0, action=ACTION),
    Decision(step=1, action=None, why="done"),
    Intent(step=0, capability="PointSpectroscopy", request={"position": [0, 0]}),
    Outcome(step=0, features={"area": 0.1, "imprint": None}, reward=0.3, time=1.1),
    Note(topic="drift", text="locked", data={"x": [1, 2]}),
    Audit(verdict="refused", capability="Scanner", request={}, reasons=("no",)),
]


@pytest.mark.parametrize("event", EVENTS, ids=range(len(EVENTS)))
def test_events_survive_json(event: Note) -> None:
    assert event_from_json(event.model_dump_json()) == event


@given(st.floats())
def test_rewards_survive_json_to_the_last_bit(reward: float) -> None:
    event = event_from_json(Outcome(step=0, reward=reward).model_dump_json())
    assert isinstance(event, Outcome)
    assert event.reward is not None
    assert math.isnan(reward) if math.isnan(event.reward) else event.reward == reward


def test_history_shows_missing_rewards_as_nan() -> None:
    history = History().plus(Step(ACTION, 1.0)).plus(Step(ACTION, None))
    np.testing.assert_array_equal(history.rewards, [1.0, np.nan])
    assert history.measured.tolist() == [3, 3]
    assert len(history[:1]) == 1


@given(st.floats(-10, 10), st.floats(-10, 10))
def test_range_and_area_agree_with_comparison(x: float, y: float) -> None:
    assert Range(low=-1, high=1, unit="V").holds(x) == (-1 <= x <= 1)
    assert Area(x=(-1, 1), y=(-2, 2)).holds((x, y), slack=0) == (abs(x) <= 1 and abs(y) <= 2)


def test_nan_is_inside_nothing() -> None:
    assert not Range(low=-1, high=1, unit="V").holds(float("nan"))
    assert not Area(x=(-1, 1), y=(-1, 1)).holds((float("nan"), 0.0))


def test_spending_adds_up() -> None:
    spent = Spent().plus(Estimate(seconds=2, spectra=1)).plus(Estimate(seconds=3, frames=2))
    assert spent == Spent(spectra=1, frames=2, seconds=5)


def test_virtual_time_passes_only_when_somebody_waits() -> None:
    clock = VirtualClock(start=5.0)
    clock.sleep(10.0)
    clock.sleep(-1.0)
    assert clock.now() == 15.0


def test_real_time_passes_by_itself() -> None:
    clock = RealClock()
    before = clock.now()
    clock.sleep(0.001)
    assert clock.now() > before


def test_shuffling_moves_one_group_together_and_nothing_else() -> None:
    values = np.arange(40.0).reshape(10, 4)
    groups = ("structure", "structure", "position", "position")
    table = FeatureTable(values, ("a", "b", "x", "y"), groups)
    mixed = table.shuffled(np.random.default_rng(0))
    np.testing.assert_array_equal(mixed.values[:, 2:], values[:, 2:])
    np.testing.assert_array_equal(mixed.values[:, 1] - mixed.values[:, 0], np.ones(10))
    assert sorted(mixed.values[:, 0]) == sorted(values[:, 0])
    assert not np.array_equal(mixed.values, values)


def test_table_must_be_as_wide_as_its_names() -> None:
    with pytest.raises(SignalError, match="expected"):
        FeatureTable(np.zeros((3, 2)), ("a",), ("structure",))


def test_unknown_name_gives_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean loop-area") as caught:
        load("rewards", "loop-aera")
    assert isinstance(caught.value, LookupError)
    assert isinstance(caught.value, NanopilotError)


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(UnknownName, match="kind"):
        names("rewardz")
