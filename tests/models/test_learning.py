"""Learning hyperparameters: both explanations are tried, whatever the machine does."""

import numpy as np
import pytest
from scipy.optimize import minimize
from threadpoolctl import threadpool_info, threadpool_limits

from nanopilot.core.features import FeatureTable
from nanopilot.core.history import FloatArray
from nanopilot.models import GroupedPoints, OnlineGaussianProcess, RefitSchedule, learn
from nanopilot.models.kernels import covariance_between
from nanopilot.models.learning import Objective, Prior, Space
from nanopilot.models.threads import one_thread

GROUPS = ("structure", "structure", "position", "position")


def points(count: int = 120, seed: int = 0) -> GroupedPoints:
    return GroupedPoints.split(np.random.default_rng(seed).normal(size=(count, 4)), GROUPS)


@pytest.mark.parametrize("group", ["structure", "position"])
def test_the_group_that_explains_gets_the_short_length_scale(group: str) -> None:
    places = points()
    told_by, silent = ((0, 1), (2, 3)) if group == "structure" else ((2, 3), (0, 1))
    targets = np.sin(2 * places.values[:, told_by[0]]) * np.cos(places.values[:, told_by[1]])
    scales = learn(places, targets).scales
    assert scales[list(told_by)].max() < scales[list(silent)].min()


def test_the_better_of_two_explanations_is_found() -> None:
    # Structure here is told by position, and the search from the median alone ends 7.7 lower.
    rng = np.random.default_rng(16)
    place = rng.uniform(-1.7, 1.7, (80, 2))
    wave = np.stack([np.sin(3 * place[:, 0] + k) + np.cos(2 * k * place[:, 1]) for k in range(4)])
    structure = wave.T + 0.3 * rng.normal(size=(80, 4))
    targets = np.sin(4 * place[:, 0]) * np.cos(4 * place[:, 1]) + 0.5 * structure[:, 0]
    targets += 0.1 * rng.normal(size=80)
    values = np.hstack([structure, place])
    points = GroupedPoints.split(values, ("structure",) * 4 + ("position",) * 2)
    space = Space.of(points, Prior())
    standard = (targets - targets.mean()) / targets.std()
    objective = Objective(values, standard, space, np.empty((3, 80, 80)))
    found = learn(points, targets)
    own = [np.log(found.scales[columns]).mean() for columns in (slice(4), slice(4, 6))]
    logs = np.concatenate([own, np.log(found.scales) - np.repeat(own, [4, 2])])
    place_found = (np.append(logs, np.log(found.noise_ratio)) - space.means) / space.spreads
    from_the_median = minimize(objective, space.starts[0], jac=True, method="L-BFGS-B")
    assert objective(place_found)[0] < from_the_median.fun - 3


@pytest.mark.parametrize("factor", [1e-9, 1e6])
def test_unit_of_the_targets_does_not_matter(factor: float) -> None:
    places = points(40)
    targets = np.sin(places.values[:, 0]) + 5.0
    ours, other = learn(places, targets), learn(places, factor * targets)
    np.testing.assert_allclose(ours.scales, other.scales, rtol=1e-3)


def test_noise_is_learned() -> None:
    places = points(250)
    noise = 0.3 * np.random.default_rng(1).normal(size=250)
    table = FeatureTable(places.values, ("a", "b", "c", "d"), GROUPS)
    model = OnlineGaussianProcess(table, RefitSchedule())
    model.extend(np.arange(250), places.values[:, 0] + noise)
    assert model.noise == pytest.approx(0.3, rel=0.15)
    assert set(model.settings) >= {"length_scale_structure", "length_scale_position", "noise"}


def test_number_of_threads_does_not_show_in_the_result() -> None:
    places = points(200)
    targets = np.sin(places.values[:, 0])
    table = FeatureTable(places.values, ("a", "b", "c", "d"), GROUPS)

    def predicted(threads: int) -> FloatArray:
        with threadpool_limits(threads):
            model = OnlineGaussianProcess(table, RefitSchedule())
            model.extend(np.arange(90), targets[:90])
            return np.stack(model.predict())

    np.testing.assert_array_equal(predicted(1), predicted(2))


def test_threads_are_given_back() -> None:
    def limits() -> list[int]:
        return [library["num_threads"] for library in threadpool_info()]

    before = limits()
    with one_thread():
        assert all(
            library["num_threads"] == 1
            for library in threadpool_info()
            if library["user_api"] == "blas"
        )
    assert limits() == before


def full_covariance(
    model: OnlineGaussianProcess, places: GroupedPoints, seen: int, scales: FloatArray
) -> FloatArray:
    """Slow reference: the covariance of all sites given the first ones, one linear system."""
    amplitude = model.settings["amplitude"] ** 2
    prior = covariance_between(places, places, scales)
    own = prior[:seen, :seen] + model.noise**2 / amplitude * np.eye(seen)
    cross, ones = prior[:, :seen], np.ones(seen)
    inverse = np.linalg.inv(own)
    unknown = 1 - cross @ inverse @ ones
    mean_part = np.outer(unknown, unknown) / (ones @ inverse @ ones)
    return amplitude * (prior - cross @ inverse @ cross.T + mean_part)


def test_covariance_is_that_of_the_slow_reference_and_stays_what_it_was() -> None:
    places = points(80)
    targets = np.sin(places.values[:, 0]) + 0.1 * np.random.default_rng(1).normal(size=80)
    table = FeatureTable(places.values, ("a", "b", "c", "d"), GROUPS)
    model = OnlineGaussianProcess(table, RefitSchedule(first=20, growth=1.0))
    model.extend(np.arange(30), targets[:30])
    asked = np.array([5, 40, 77])
    scales = learn(places.take(slice(0, 20)), targets[:20]).scales
    expected = full_covariance(model, places, 30, scales)[:, asked]
    covariance = model.covariance()
    np.testing.assert_allclose(covariance(asked), expected, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(np.diag(covariance(np.arange(80))), model.predict()[1] ** 2)
    model.extend(np.arange(30, 50), targets[30:50])
    np.testing.assert_allclose(covariance(asked), expected, rtol=1e-6, atol=1e-9)


def test_refits_become_rarer_and_never_stop() -> None:
    schedule = RefitSchedule()
    numbers = [schedule.first]
    while numbers[-1] < 250:
        numbers.append(schedule.next(numbers[-1]))
    pauses = np.diff(numbers)
    assert (pauses >= 1).all()
    assert (np.diff(pauses) >= 0).all()
    assert len(numbers) < 50
