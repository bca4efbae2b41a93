"""The film with domain walls: physics as stated, truth out of reach, noise in what is measured."""

import numpy as np
import pytest

from nanopilot.core.history import FloatArray
from nanopilot.core.signals import check, metadata
from nanopilot.twins.samples.domain_walls import DomainWalls, bias_cycle, loop, wall_pressure

WIDTH = 3.0


def disc(radius: float) -> FloatArray:
    """A round domain with walls as the Landau equation makes them: tanh(d / √2 ξ)."""
    y, x = np.mgrid[-40:41, -40:41]
    return np.tanh((radius - np.hypot(x, y)) / (np.sqrt(2) * WIDTH))


@pytest.mark.parametrize(("right", "up"), [(13, 0), (0, 20), (15, 15), (-9, 12), (24, -7)])
def test_pressure_of_a_round_domain_is_that_of_laplace(right: int, up: int) -> None:
    radius = float(np.hypot(right, up))
    pressure = wall_pressure(disc(radius), WIDTH)
    # κ ξ² |∇P|² with κ = 1/R and |∇P| = 1 / (√2 ξ) in the middle of the wall.
    assert pressure[40 + up, 40 + right] == pytest.approx(0.5 / radius, rel=0.06)


def test_straight_wall_and_single_domain_feel_no_pressure() -> None:
    straight = np.tanh((np.arange(40) - 20.0) / 2)[None, :] * np.ones((30, 1))
    assert wall_pressure(straight, WIDTH).max() < 1e-12
    assert wall_pressure(np.ones((20, 20)), WIDTH).max() == 0.0


@pytest.mark.parametrize("coercive", [0.7, 2.0, 5.0])
def test_area_of_a_loop_follows_its_coercive_bias(coercive: float) -> None:
    bias, response = bias_cycle(), loop(bias_cycle(), np.array(coercive))
    area = 0.5 * abs(np.sum(bias * np.roll(response, -1) - np.roll(bias, -1) * response))
    assert area == pytest.approx(4 * coercive * 2e-4, rel=0.02)
    assert response.max() == pytest.approx(2e-4, rel=1e-3)


def test_same_seed_gives_the_same_film_and_another_seed_other_walls() -> None:
    first, again, other = (DomainWalls(seed=seed, sites=31) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.record().loops, again.record().loops)
    np.testing.assert_array_equal(first.truth(), again.truth())
    likeness = np.corrcoef(first.truth().ravel(), other.truth().ravel())[0, 1]
    assert abs(likeness) < 0.5


def test_what_is_measured_are_signals_that_do_not_carry_the_truth() -> None:
    recording = DomainWalls(seed=3, sites=21).record()
    assert check(recording.structure).dims == ("y", "x")
    assert check(recording.loops).dims == ("y", "x", "bias")
    for signal in recording:
        assert metadata(signal) == {"sample": "domain-walls", "seed": 3}
        assert set(signal.coords) == set(signal.dims)


def test_without_noise_loops_are_the_truth() -> None:
    film = DomainWalls(seed=4, sites=21, loop_noise=0, scatter=0, spikes=0)
    bias, loops = bias_cycle(), film.record().loops.to_numpy()
    ahead = np.roll(loops, -1, axis=-1)
    area = 0.5 * np.abs((bias * ahead - np.roll(bias, -1) * loops).sum(axis=-1))
    np.testing.assert_allclose(np.log10(area), film.truth())


def test_noise_changes_what_is_measured_and_not_the_truth() -> None:
    quiet = DomainWalls(seed=5, sites=21, image_noise=0.0)
    noisy = DomainWalls(seed=5, sites=21, image_noise=0.2)
    np.testing.assert_array_equal(quiet.truth(), noisy.truth())
    difference = (noisy.record().structure - quiet.record().structure).to_numpy()
    assert difference.std() == pytest.approx(0.2 * 2e-4, rel=0.1)


def test_loops_hold_spikes() -> None:
    loops = DomainWalls(seed=6, sites=21, spikes=0.02).record().loops.to_numpy()
    assert (np.abs(loops) > 10 * 2e-4).mean() == pytest.approx(0.018, abs=0.006)


@pytest.mark.parametrize("sites", [43, 85])
def test_film_stays_within_what_the_landau_equation_allows(sites: int) -> None:
    image = DomainWalls(seed=7, sites=sites, image_noise=0.0).record().structure.to_numpy()
    assert np.abs(image).max() < 1.5 * 2e-4
    assert image.min() < -1e-4
    assert image.max() > 1e-4


def test_best_sites_lie_on_bent_walls() -> None:
    film = DomainWalls(seed=8, image_noise=0.0)
    image, truth = film.record().structure.to_numpy() / 2e-4, film.truth()
    best = truth >= np.sort(truth.ravel())[-72]
    curved = wall_pressure(image, 1.5)
    assert curved[best].mean() > 4 * curved.mean()
