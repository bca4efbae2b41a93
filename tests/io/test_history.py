"""Where a run stands can be read from its journal alone."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from nanopilot.core.events import Audit, Decision, Event, Intent, Note, Outcome, Plan
from nanopilot.core.limits import Spent
from nanopilot.io import load_history
from tests.io.conftest import events, step

PLAN = Plan(workflow="discover", settings={}, instrument={})
SURVEY = (
    Intent(step=-1, capability="Scanner", request={}),
    Outcome(step=-1, time=3.0, spent=Spent(frames=1, seconds=3.0)),
)


def test_empty_journal_is_an_empty_history() -> None:
    reached = load_history([])
    assert len(reached.history) == 0
    assert (reached.dangling, reached.decided, reached.plan) == (None, None, None)
    assert not reached.finished


@given(st.integers(0, 12))
def test_history_has_one_step_per_outcome(steps: int) -> None:
    reached = load_history([PLAN, *SURVEY, *events(steps)])
    assert reached.plan == PLAN
    assert list(reached.history.measured) == list(range(steps))
    assert list(reached.history.rewards) == [float(number) for number in range(steps)]
    assert [outcome.step for outcome in reached.outcomes] == list(range(steps))
    assert reached.spent == (Spent(spectra=steps) if steps else SURVEY[1].spent)
    assert reached.time == (0.5 * (steps - 1) if steps else 3.0)


@given(st.integers(0, 12), st.integers(0, 2))
def test_step_cut_off_is_told(steps: int, written: int) -> None:
    """Nobody knows whether an intent without outcome was carried out."""
    decision, intent, _ = step(steps)
    reached = load_history([*events(steps), *(decision, intent)[:written]])
    assert len(reached.history) == steps
    assert reached.decided == (decision if written else None)
    assert reached.dangling == (intent if written == 2 else None)


def test_step_repeated_after_a_kill_counts_once() -> None:
    decision, intent, outcome = step(0)
    reached = load_history([decision, intent, Note(topic="resume", text=""), intent, outcome])
    assert len(reached.history) == 1
    assert reached.dangling is None


def test_decision_to_stop_ends_the_run() -> None:
    stop = Decision(step=2, action=None, why="budget")
    reached = load_history([*events(2), stop])
    assert (reached.finished, reached.complete) == (True, False)
    assert load_history([stop, Note(topic="finished", text="")]).complete
    assert reached.decided is None


def test_measurement_without_answer_is_a_step_without_reward() -> None:
    decision, intent, outcome = step(0)
    failed = outcome.model_copy(update={"reward": None, "error": "lost the tip"})
    reached = load_history([decision, intent, failed])
    assert math.isnan(reached.history.rewards[0])
    assert math.isnan(reached.history.steps[0].features["imprint"])


def test_verdicts_and_notes_change_nothing() -> None:
    others: list[Event] = [
        Audit(verdict="allowed", capability="Scanner", request={}),
        Note(topic="drift", text="locked"),
    ]
    assert load_history([*others, *events(1), *others]) == load_history(events(1))
