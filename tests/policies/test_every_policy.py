"""Every policy: a pure function of the history, true to budget, direction and candidates."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanopilot.core import registry
from nanopilot.core.features import FeatureTable
from nanopilot.core.history import Action, FloatArray, History, Step
from nanopilot.policies import (
    Candidates,
    Converged,
    FirstOf,
    GPSurrogate,
    MaximiseUtility,
    MeasuredEnough,
    NoImprovement,
    Survey,
    explain,
)
from nanopilot.policies.maximise import first_of_the_best

NAMES = registry.names("policies")
SIDE = 12


def hill(seed: int = 0) -> tuple[FeatureTable, FloatArray, FloatArray]:
    """A toy problem: a hill whose height shows in a structure feature; its truth."""
    rng = np.random.default_rng(seed)
    y, x = np.meshgrid(np.arange(SIDE), np.arange(SIDE), indexing="ij")
    places = np.stack([x.ravel(), y.ravel()], axis=1).astype(float)
    hidden = gaussian(places, rng.uniform(2, SIDE - 3, size=2))
    noisy = hidden + 0.05 * rng.normal(size=len(hidden))
    values = np.column_stack([(noisy - noisy.mean()) / noisy.std(), places / SIDE - 0.5])
    table = FeatureTable(values, ("height", "x", "y"), ("structure", "position", "position"))
    return table, places * 1e-8, hidden


def gaussian(places: FloatArray, centre: FloatArray) -> FloatArray:
    distance = np.linalg.norm(places - centre, axis=1)
    return np.asarray(np.exp(-0.5 * (distance / 2.5) ** 2))


def policy_of(name: str, direction: str = "maximise", seed: int = 0) -> MaximiseUtility:
    table, places, _ = hill()
    return MaximiseUtility(
        Candidates(table, places),
        GPSurrogate(table),
        registry.build("policies", name),
        seed,
        survey=Survey(6),
        direction=direction,  # type: ignore[arg-type]
    )


def play(policy: MaximiseUtility, steps: int, sign: float = 1.0) -> History:
    _, _, truth = hill()
    history = History()
    for _ in range(steps):
        action = policy.propose(history)
        assert action is not None
        history = history.plus(Step(action, sign * float(truth[action.index])))
    return history


@pytest.mark.parametrize("name", NAMES)
def test_same_history_gives_same_proposal(name: str) -> None:
    policy = policy_of(name)
    history = play(policy, 20)
    assert policy.propose(history) == policy.propose(history)
    assert policy_of(name).propose(history) == policy.propose(history)


@pytest.mark.parametrize("name", NAMES)
def test_policy_that_was_killed_goes_on_alike(name: str) -> None:
    whole = play(policy_of(name), 25)
    for killed_at in (3, 7, 16, 24):
        fresh = policy_of(name)
        assert fresh.propose(whole[:killed_at]) == whole.steps[killed_at].action


@pytest.mark.parametrize("name", NAMES)
def test_no_site_is_proposed_twice_and_all_are_in_the_end(name: str) -> None:
    policy = policy_of(name)
    history = play(policy, SIDE**2)
    assert sorted(history.measured.tolist()) == list(range(SIDE**2))
    assert policy.propose(history) is None


@pytest.mark.parametrize("name", NAMES)
def test_only_available_sites_are_proposed(name: str) -> None:
    policy = policy_of(name)
    few = MaximiseUtility(
        policy.candidates.only([3, 50, 77, 90]), policy.surrogate, policy.utility, 0
    )
    history = play(few, 4)
    assert sorted(history.measured.tolist()) == [3, 50, 77, 90]


@pytest.mark.parametrize("name", NAMES)
def test_steps_without_a_reward_are_survived(name: str) -> None:
    policy = policy_of(name)
    history = History()
    for number in range(15):
        action = policy.propose(history)
        assert action is not None
        history = history.plus(Step(action, None if number % 2 else 1.0 * number))
    assert len(set(history.measured.tolist())) == 15


@pytest.mark.parametrize("name", ["ucb", "ei", "two-goal"])
def test_hill_is_found_sooner_than_by_chance(name: str) -> None:
    _, _, truth = hill()
    best = set(np.argsort(truth)[-8:].tolist())
    found = len(best & set(play(policy_of(name), 30).measured.tolist()))
    by_chance = len(best & set(play(policy_of("random"), 30).measured.tolist()))
    assert found >= 6
    assert found > by_chance


@pytest.mark.parametrize("name", NAMES)
def test_direction_is_only_a_sign(name: str) -> None:
    up, down = play(policy_of(name), 20), play(policy_of(name, "minimise"), 20, sign=-1.0)
    assert up.measured.tolist() == down.measured.tolist()


def test_other_seed_begins_elsewhere() -> None:
    starts = {policy_of("ucb", seed=seed).propose(History()).index for seed in range(5)}  # type: ignore[union-attr]
    assert len(starts) > 1


def test_proposal_says_what_it_expects() -> None:
    policy = policy_of("ucb")
    history = play(policy, 10)
    action = policy.propose(history)
    assert action is not None
    assert action.expected is not None
    assert action.uncertainty is not None
    assert action.uncertainty >= 0
    assert action.why
    assert history.steps[0].action.expected is None


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30), st.floats(0, 9e-10))
def test_near_ties_go_to_the_first(scores: list[float], slack: float) -> None:
    values = np.array(scores)
    winner = first_of_the_best(values, np.arange(len(values)))
    largest = np.abs(values).max()
    assert values[winner] >= values.max() - 1e-9 * largest
    doubled = np.concatenate([values, values * (1 + slack * np.sign(values))])
    assert first_of_the_best(doubled, np.arange(len(doubled))) == winner


def history_of(rewards: list[float | None]) -> History:
    steps = (Step(Action(index=i, position=(0, 0)), r) for i, r in enumerate(rewards))
    return History(tuple(steps))


def test_stop_rules_say_why() -> None:
    assert MeasuredEnough(3)(history_of([1.0, 2.0])) is None
    assert "3 of 3" in str(MeasuredEnough(3)(history_of([1.0, 2.0, 3.0])))
    assert NoImprovement(2)(history_of([1.0, 2.0, 1.0])) is None
    assert "last 2 steps" in str(NoImprovement(2)(history_of([1.0, 2.0, 1.0, None])))
    assert NoImprovement(2, "minimise")(history_of([1.0, 2.0, 1.0])) is not None
    assert NoImprovement(2)(history_of([None, None, None])) is None
    both = FirstOf((MeasuredEnough(9), NoImprovement(1)))
    assert "last 1 steps" in str(both(history_of([2.0, 1.0, 1.0])))


def test_run_has_converged_once_nothing_better_is_expected() -> None:
    table, places, _ = hill()
    candidates = Candidates(table, places)
    policy = policy_of("ucb")
    rule = Converged(candidates, policy.surrogate, tolerance=0.01, at_least=10)
    assert rule(play(policy, 8)) is None
    assert "expected to be better" in str(rule(play(policy, SIDE**2 - 30)))


def random_history(table: FeatureTable, truth: FloatArray, seed: int) -> History:
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(table), 60, replace=False)
    steps = (
        Step(Action(index=int(i), position=(0, 0)), float(truth[i] + 0.02 * rng.normal()))
        for i in chosen
    )
    return History(tuple(steps))


def test_structure_that_matters_beats_its_shuffled_control() -> None:
    table, _, truth = hill()
    found = explain(table, random_history(table, truth, 1), np.random.default_rng(0))
    assert found.real.r2 is not None
    assert found.control is not None
    assert found.real.r2 > 0.8
    assert found.gain == pytest.approx(found.real.r2 - found.control)


def test_structure_that_says_nothing_gains_nothing_on_average() -> None:
    table, _, _ = hill()
    gains = []
    for seed in range(10):
        noise = np.random.default_rng(seed).normal(size=len(table))
        history = random_history(table, noise, seed)
        gains.append(explain(table, history, np.random.default_rng(seed), shuffles=2).gain)
    assert abs(np.mean([gain for gain in gains if gain is not None])) < 0.1


def test_too_few_rewards_are_said_to_be_too_few() -> None:
    table, _, _ = hill()
    found = explain(table, history_of([1.0, 2.0]), np.random.default_rng(0))
    assert found.real.r2 is None
    assert "too few" in found.real.why
    assert found.gain is None
