"""Utilities against slow references, and the parts a policy is made of."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.core.features import FeatureTable
from nanopilot.core.history import Action, FloatArray, History, Step
from nanopilot.policies import (
    Candidates,
    ExpectedImprovement,
    GPSurrogate,
    MapGain,
    MaximumVariance,
    Posterior,
    RandomUtility,
    Survey,
    TwoGoal,
    UpperConfidenceBound,
    compare,
    leave_one_out,
)
from nanopilot.policies.utilities import expected_improvement

GROUPS = ("structure", "position", "position")


def sites(count: int = 60, seed: int = 0) -> tuple[FeatureTable, FloatArray]:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(count, 3))
    truth = np.sin(2 * values[:, 0]) + 0.3 * values[:, 1]
    return FeatureTable(values, ("s", "x", "y"), GROUPS), truth


def seen(truth: FloatArray, count: int, start: int = 0) -> History:
    numbers = range(start, start + count)
    return History(
        tuple(Step(Action(index=i, position=(0.0, 0.0)), float(truth[i])) for i in numbers)
    )


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@given(st.floats(-6, 6), st.floats(0.05, 3), st.floats(-3, 3))
@settings(max_examples=50, deadline=None)
def test_expected_improvement_is_the_integral(mean: float, std: float, best: float) -> None:
    found = expected_improvement(np.array([mean]), np.array([std]), best)[0]
    density = norm(mean, std).pdf
    top = max(best, mean) + 12 * std
    middle = [point for point in (mean,) if best < point < top]
    expected, _ = quad(lambda v: (v - best) * density(v), best, top, points=middle, limit=200)
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-12)


def test_expected_improvement_keeps_its_order_far_below_the_best() -> None:
    mean = -np.linspace(1, 30, 50)
    found = expected_improvement(mean, np.ones(50), 0.0)
    assert (found > 0).all()
    assert (np.diff(found) < 0).all()


def test_expected_improvement_of_certainty_is_the_difference() -> None:
    found = expected_improvement(np.array([3.0, 1.0]), np.zeros(2), 2.0)
    np.testing.assert_allclose(found, [1.0, 0.0])


def test_each_utility_looks_at_what_its_name_says() -> None:
    posterior = Posterior(np.array([1.0, 0.0, 2.0]), np.array([0.1, 5.0, 0.2]))
    history = seen(np.zeros(3), 1)
    assert UpperConfidenceBound(2.0)(posterior, history, rng()).tolist() == [1.2, 10.0, 2.4]
    assert np.argmax(UpperConfidenceBound(0.0)(posterior, history, rng())) == 2
    assert np.argmax(MaximumVariance()(posterior, history, rng())) == 1
    assert np.argmax(MapGain()(posterior, history, rng())) == 1
    assert ExpectedImprovement()(posterior, history, rng())[2] > 1.0
    assert ExpectedImprovement(margin=9.0)(posterior, history, rng())[2] < 1e-6


def test_random_utility_depends_on_its_generator_alone() -> None:
    posterior, history = Posterior(np.zeros(9), np.ones(9)), History()
    first, again = (RandomUtility()(posterior, history, rng()) for _ in range(2))
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
def test_two_goals_get_their_shares(share: float) -> None:
    posterior = Posterior(np.array([9.0, 0.0]), np.array([0.1, 1.0]))
    utility = TwoGoal(map_share=share)
    history, for_the_map = History(), 0
    for _ in range(100):
        for_the_map += int(np.argmax(utility(posterior, history, rng())) == 1)
        history = history.plus(Step(Action(index=0, position=(0, 0)), 1.0))
    assert for_the_map == pytest.approx(100 * share, abs=1)


def test_map_gain_is_the_variance_that_a_measurement_takes_away() -> None:
    table, truth = sites()
    surrogate = GPSurrogate(table)
    before = surrogate.fit(seen(truth, 20))
    assert before.covariance is not None
    everywhere = before.covariance(np.arange(60))
    gain = MapGain(references=60)(before, seen(truth, 20), rng())
    for site in (25, 40, 59):
        # Slow reference: condition the whole covariance on one noisy value at this site.
        pull = np.outer(everywhere[:, site], everywhere[site])
        after = everywhere - pull / (everywhere[site, site] + before.noise**2)
        expected = np.mean(np.diag(everywhere) - np.diag(after))
        assert gain[site] == pytest.approx(expected, rel=1e-6)


def test_turned_posterior_speaks_of_the_negative() -> None:
    posterior = Posterior(np.array([1.0, -2.0]), np.ones(2), noise=0.5)
    assert posterior.turned().mean.tolist() == [-1.0, 2.0]
    assert posterior.turned().noise == 0.5


@given(st.lists(st.integers(2, 40), min_size=1, max_size=5))
@settings(max_examples=15, deadline=None)
def test_what_was_asked_before_does_not_change_the_answer(lengths: list[int]) -> None:
    table, truth = sites()
    used = GPSurrogate(table)
    for length in lengths:
        used.fit(seen(truth, length))
    asked = seen(truth, 30)
    ours, fresh = used.fit(asked), GPSurrogate(table).fit(asked)
    np.testing.assert_array_equal(ours.mean, fresh.mean)
    np.testing.assert_array_equal(ours.std, fresh.std)


def test_same_sites_with_other_rewards_are_another_history() -> None:
    table, truth = sites()
    used = GPSurrogate(table)
    used.fit(seen(truth, 30))
    other = seen(-truth, 31)
    np.testing.assert_array_equal(used.fit(other).mean, GPSurrogate(table).fit(other).mean)


def test_posterior_in_hand_does_not_change_when_the_run_goes_on() -> None:
    table, truth = sites()
    surrogate = GPSurrogate(table)
    early = surrogate.fit(seen(truth, 20))
    mean = early.mean.copy()
    surrogate.fit(seen(truth, 21))
    np.testing.assert_array_equal(early.mean, mean)


def test_steps_without_a_reward_are_passed_over() -> None:
    table, truth = sites()
    failed = Step(Action(index=59, position=(0, 0)), None)
    gaps = History((failed, *seen(truth, 20).steps, failed))
    np.testing.assert_array_equal(
        GPSurrogate(table).fit(gaps).mean, GPSurrogate(table).fit(seen(truth, 20)).mean
    )


def test_surrogate_needs_two_rewards() -> None:
    table, truth = sites()
    with pytest.raises(OutOfRange, match="1 rewards"):
        GPSurrogate(table).fit(seen(truth, 1))


def grid() -> Candidates:
    x, y = np.meshgrid(np.arange(8.0), np.arange(8.0))
    places = np.stack([x.ravel(), y.ravel()], axis=1)
    return Candidates(FeatureTable(places, ("x", "y"), ("position",) * 2), places)


def test_candidates_keep_their_numbers() -> None:
    few = grid().only([3, 9, 12]).without(seen(np.zeros(64), 4))
    assert few.left.tolist() == [9, 12]
    assert few.action(9, "because").position == (1.0, 1.0)
    assert len(few) == 64


def test_candidates_that_do_not_exist_are_refused() -> None:
    with pytest.raises(OutOfRange, match="64 sites"):
        grid().only([64])
    with pytest.raises(SignalError, match="positions"):
        Candidates(grid().features, np.zeros((3, 2)))
    with pytest.raises(SignalError, match="available"):
        Candidates(grid().features, grid().positions, np.ones(3, dtype=bool))


def surveyed(survey: Survey, seed: int, steps: int) -> History:
    history = History()
    for _ in range(steps):
        action = survey.propose(grid(), history, seed)
        assert action is not None
        history = history.plus(Step(action, 0.0))
    return history


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_spread_survey_leaves_no_corner_out(seed: int) -> None:
    measured = grid().positions[surveyed(Survey(), seed, 9).measured]
    gaps = np.linalg.norm(grid().positions[:, None] - measured, axis=2).min(axis=1)
    assert gaps.max() <= 4.0


@pytest.mark.parametrize("kind", ["spread", "random"])
def test_survey_is_decided_by_seed_and_step(kind: str) -> None:
    survey = Survey(kind=kind)  # type: ignore[arg-type]
    assert surveyed(survey, 1, 12) == surveyed(survey, 1, 12)
    assert surveyed(survey, 1, 12) != surveyed(survey, 2, 12)


def test_surrogates_are_compared_on_the_same_folds() -> None:
    table, truth = sites(120)
    shuffled = table.shuffled(np.random.default_rng(3))
    surrogates = {"same": GPSurrogate(table), "twin": GPSurrogate(table)}
    found = compare(surrogates | {"control": GPSurrogate(shuffled)}, seen(truth, 80), seed=5)
    assert found["same"] == found["twin"]
    assert found["same"].r2 is not None
    assert found["control"].r2 is not None
    assert found["same"].r2 > 0.8 > found["control"].r2
    assert found["same"].sites == 80


def test_nothing_to_compare_is_said_in_words() -> None:
    table, truth = sites()
    few = compare({"gp": GPSurrogate(table)}, seen(truth, 4), seed=0)["gp"]
    flat = leave_one_out(table, seen(np.zeros(60), 30))
    assert few.r2 is None
    assert "too few" in few.why
    assert flat.r2 is None
    assert "alike" in flat.why
