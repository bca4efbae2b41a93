"""The Gaussian process against slow references, and one measurement at a time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import check_grad
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern, WhiteKernel

from nanopilot.core.errors import OutOfRange
from nanopilot.core.features import FeatureTable
from nanopilot.models import (
    GaussianProcess,
    GroupedPoints,
    Hyperparameters,
    OnlineGaussianProcess,
    RefitSchedule,
    learn,
)
from nanopilot.models.kernels import matern52, squared_distances
from nanopilot.models.learning import Objective, Prior, Space

GROUPS = ("structure", "structure", "position")


def problem(seed: int, count: int) -> tuple[GroupedPoints, np.ndarray]:
    """Points in three dims and a smooth function of two of them, with noise."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 3))
    y = np.sin(x[:, 0]) + 0.5 * x[:, 2] + 0.1 * rng.normal(size=count) + 3.0
    return GroupedPoints.split(x, GROUPS), y


def reference(
    seen: np.ndarray, y: np.ndarray, asked: np.ndarray, found: Hyperparameters
) -> tuple[np.ndarray, np.ndarray]:
    """Slow reference: universal kriging with a constant mean, as one linear system."""
    kernel = Matern(nu=2.5)
    scaled, there = seen / found.scales, asked / found.scales
    k = kernel(scaled) + found.noise_ratio * np.eye(len(seen))
    cross, inverse, ones = kernel(there, scaled), np.linalg.inv(k), np.ones(len(seen))
    mean = ones @ inverse @ y / (ones @ inverse @ ones)
    amplitude = (y - mean) @ inverse @ (y - mean) / len(y)
    expected = mean + cross @ inverse @ (y - mean)
    explained = np.einsum("ij,jk,ik->i", cross, inverse, cross)
    unknown = (1 - cross @ inverse @ ones) ** 2 / (ones @ inverse @ ones)
    return expected, np.sqrt(amplitude * (1 - explained + unknown))


SOME = Hyperparameters((1.2, 0.8, 2.0), 0.05)


@given(st.integers(0, 1000), st.integers(3, 40))
@settings(deadline=None)
def test_prediction_is_that_of_the_slow_reference(seed: int, count: int) -> None:
    points, y = problem(seed, count)
    asked = np.random.default_rng(seed + 1).normal(size=(7, 3))
    mean, std = GaussianProcess(points, y, SOME).predict(GroupedPoints.split(asked, GROUPS))
    expected, spread = reference(points.values, y, asked, SOME)
    np.testing.assert_allclose(mean, expected, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(std, spread, rtol=1e-5, atol=1e-6)


def test_covariance_is_the_matern_of_others() -> None:
    x = np.random.default_rng(0).normal(size=(9, 2))
    np.testing.assert_allclose(
        matern52(squared_distances(x, x)), Matern(nu=2.5)(x), rtol=1e-6, atol=1e-9
    )


@given(st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_gradient_is_that_of_finite_differences(seed: int) -> None:
    points, y = problem(seed, 25)
    space = Space.of(points, Prior())
    standard = (y - y.mean()) / y.std()
    objective = Objective(points.values, standard, space, np.empty((3, 25, 25)))
    place = 0.5 * np.random.default_rng(seed).normal(size=len(space.means))
    error = check_grad(lambda p: objective(p)[0], lambda p: objective(p)[1], place)
    assert error < 1e-4 * (1 + np.linalg.norm(objective(place)[1]))


def test_learned_fit_explains_as_much_as_that_of_scikit_learn() -> None:
    points, y = problem(0, 80)
    there, truth = problem(1, 400)
    mean, _ = GaussianProcess(points, y, learn(points, y)).predict(there)
    peer = GaussianProcessRegressor(
        1.0 * Matern(np.ones(3), (1e-2, 1e9), nu=2.5) + WhiteKernel(0.1), normalize_y=True
    )
    peer.fit(points.values, y)
    theirs = peer.predict(there.values)
    ours_r2, their_r2 = (1 - np.var(truth - found) / np.var(truth) for found in (mean, theirs))
    assert ours_r2 >= their_r2 - 0.02


def test_feature_that_says_nothing_gets_a_long_length_scale() -> None:
    points, y = problem(0, 120)
    scales = learn(points, y).scales
    assert scales[1] > 2 * scales[0]


def test_intervals_cover_as_often_as_they_say() -> None:
    inside = []
    for seed in range(10):
        points, y = problem(seed, 60)
        there, truth = problem(seed + 100, 200)
        found = learn(points, y)
        process = GaussianProcess(points, y, found)
        mean, std = process.predict(there)
        spread = np.hypot(std, 0.1)
        inside.append(np.mean(np.abs(mean - truth) <= 1.96 * spread))
    assert 0.90 <= np.mean(inside) <= 0.98


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_leave_one_out_is_what_leaving_one_out_gives(seed: int) -> None:
    points, y = problem(seed, 15)
    mean, std = GaussianProcess(points, y, SOME).leave_one_out()
    amplitude_of_all = None
    for left in range(15):
        keep = np.arange(15) != left
        others = GaussianProcess(points.take(np.flatnonzero(keep)), y[keep], SOME)
        alone = points.take(np.array([left]))
        expected, _ = others.predict(alone)
        assert mean[left] == pytest.approx(expected[0], rel=1e-6, abs=1e-8)
        amplitude_of_all = std[left] if amplitude_of_all is None else amplitude_of_all
    assert (std > 0).all()


def online(features: FeatureTable, y: np.ndarray, parts: list[int]) -> OnlineGaussianProcess:
    model, start = OnlineGaussianProcess(features, RefitSchedule()), 0
    for end in [*parts, len(y)]:
        model.extend(np.arange(start, end), y[start:end])
        start = end
    return model


@given(st.lists(st.integers(1, 39), max_size=6, unique=True).map(sorted), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_it_does_not_matter_how_measurements_were_dealt_out(parts: list[int], seed: int) -> None:
    points, y = problem(seed, 60)
    features = FeatureTable(points.values, ("a", "b", "c"), GROUPS)
    once, often = online(features, y[:40], []), online(features, y[:40], parts)
    for one, other in zip(once.predict(), often.predict(), strict=True):
        np.testing.assert_array_equal(one, other)  # to the last bit: a resumed run decides alike


def test_rank_one_updates_equal_a_fit_from_scratch() -> None:
    points, y = problem(3, 60)
    features = FeatureTable(points.values, ("a", "b", "c"), GROUPS)
    schedule = RefitSchedule(first=10, growth=100.0)  # one refit, then updates only
    model = OnlineGaussianProcess(features, schedule)
    model.extend(np.arange(45), y[:45])
    fitted = learn(points.take(np.arange(10)), y[:10])
    process = GaussianProcess(points.take(np.arange(45)), y[:45], fitted)
    for ours, whole in zip(model.predict(), process.predict(points), strict=True):
        np.testing.assert_allclose(ours, whole, rtol=1e-7, atol=1e-9)


def test_same_values_everywhere_are_predicted_everywhere() -> None:
    points, _ = problem(0, 20)
    flat = np.full(20, 4.0)
    mean, std = GaussianProcess(points, flat, learn(points, flat)).predict(points)
    np.testing.assert_allclose(mean, 4.0)
    assert (std < 1e-3).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_features_that_are_no_numbers_are_refused(bad: float) -> None:
    values = np.zeros((4, 3))
    values[1, 1] = bad
    with pytest.raises(OutOfRange, match="NaN or infinity"):
        GroupedPoints.split(values, GROUPS)


def test_groups_must_fit_the_columns() -> None:
    with pytest.raises(OutOfRange, match="groups"):
        GroupedPoints.split(np.zeros((4, 2)), GROUPS)
