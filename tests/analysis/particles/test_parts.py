"""The parts of the search: filters, paths, probabilities, each against a slow or exact answer."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanopilot.analysis.particles import probability
from nanopilot.analysis.particles.candidates import Candidates, candidates, seeds
from nanopilot.analysis.particles.features import NAMES, contrast
from nanopilot.analysis.particles.outline import LADDER, RAYS, Slopes, polygon, trace
from nanopilot.analysis.particles.outline_kernels import REACH, closed_paths, rays
from nanopilot.analysis.particles.probability import Judge, judge, resolve, shared_part
from nanopilot.analysis.particles.responses import (
    BASE,
    halved,
    ladder,
    power_spectrum,
    pyramid,
    responses,
)
from nanopilot.core.errors import ReadError

Array = np.ndarray


def disc(shape: tuple[int, int], row: float, column: float, radius: float) -> Array:
    y, x = np.indices(shape)
    return 1 / (1 + np.exp((np.hypot(y - row, x - column) - radius) / 0.5))


def test_halved_is_the_mean_of_four_and_places_are_kept() -> None:
    image = np.arange(35.0).reshape(5, 7)
    np.testing.assert_allclose(halved(image)[1, 2], image[2:4, 4:6].mean())
    assert halved(image).shape == (2, 3)
    assert [one.shape for one in pyramid(np.zeros((100, 70)), 9)] == [
        (100, 70), (50, 35), (25, 17),
    ]  # fmt: skip


@given(st.floats(3, 30), st.floats(1, 20))
def test_ladder_reaches_from_the_smallest_to_the_largest_in_quarters_of_an_octave(
    smallest: float, ratio: float
) -> None:
    radii = [r * 2**level for level, some in ladder(smallest, smallest * ratio) for r in some]
    assert radii[0] == pytest.approx(smallest)
    assert radii[-1] == pytest.approx(smallest * ratio)
    if len(radii) > 1:
        assert np.diff(np.log2(radii)).max() <= 0.25 + 1e-9
    for level, some in ladder(smallest, smallest * ratio):
        # None is looked for on a level where it would be only a few pixels wide.
        assert level == 0 or min(some) >= BASE - 1e-6


def test_spectrum_of_white_noise_is_flat_and_deaf_to_a_few_waves() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 2, (128, 128))
    wave = np.hypot(np.fft.fftfreq(128)[:, None], np.fft.rfftfreq(128))
    power = power_spectrum(np.fft.rfft2(noise), wave)
    np.testing.assert_allclose(power[wave > 0.05], 4 * 128**2, rtol=0.2)
    rows = np.arange(128)[:, None]
    loud = noise + 50 * np.cos(2 * np.pi * rows * 20 / 128)
    np.testing.assert_allclose(power_spectrum(np.fft.rfft2(loud), wave), power, rtol=0.05)


def test_response_to_white_noise_has_the_spread_of_two_squared_normals() -> None:
    """The score is the root of a chi-squared number of two degrees: mean square 2."""
    noise = np.random.default_rng(1).normal(size=(256, 256))
    for one in responses(pyramid(noise, 0), 5, 9):
        assert np.mean(one.score.astype(float) ** 2) == pytest.approx(2, rel=0.25)


def test_response_is_largest_at_the_place_and_the_radius_of_a_disc_and_of_a_ring() -> None:
    noise = np.random.default_rng(2).normal(0, 0.5, (160, 160))
    whole, hole = disc((160, 160), 70, 90, 16), disc((160, 160), 70, 90, 12)
    for image in (noise + whole, noise - whole, noise - 1.5 * (whole - hole)):
        place, radius, score = seeds(pyramid(image, 5), 6, 40)
        assert np.hypot(*(place[0] - [70, 90])) < 3
        assert radius[0] == pytest.approx(16, rel=0.25)
        assert score[0] > 10


def test_rays_are_the_slope_outwards_at_the_right_place() -> None:
    rows, columns = np.indices((60, 80)).astype(np.float32)
    slopes = np.stack([0.1 * rows, 0.2 * columns])
    place, radius = np.array([[30.2, 40.7]]), np.array([10.0])
    steps = np.array([0.5, 1.0, 4.5])
    out = np.full((1, 8, 3), np.nan, np.float32)
    rays(slopes, place, radius, steps, out)
    for turn, step in itertools.product(range(8), range(3)):
        angle = 2 * np.pi * turn / 8
        y = 30.2 + 10 * steps[step] * np.sin(angle)
        x = 40.7 + 10 * steps[step] * np.cos(angle)
        outside = not (0 <= y < 59 and 0 <= x < 79)
        exact = 0.0 if outside else np.sin(angle) * 0.1 * y + np.cos(angle) * 0.2 * x
        assert out[0, turn, step] == pytest.approx(exact, abs=1e-4)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_closed_path_gathers_as_much_as_the_best_of_all_paths(seed: int) -> None:
    """Against every closed path over a few rays, tried one by one."""
    rng = np.random.default_rng(seed)
    gain = rng.normal(size=(1, 6, 3)).astype(np.float32)
    # A clear way round, so that the end meets the beginning.
    gain[0, np.arange(6), rng.integers(0, 3)] += 4
    bend = 0.3
    path = np.zeros((1, 6), np.int64)
    closed_paths(gain, bend, path)

    def worth(way: tuple[int, ...]) -> float:
        turns = np.diff([*way, way[0]])
        if np.abs(turns).max() > REACH:
            return -np.inf
        return float(gain[0, np.arange(6), way].sum() - bend * (turns**2).sum())

    best = max(worth(way) for way in itertools.product(range(3), repeat=6))
    assert worth(tuple(path[0].tolist())) == pytest.approx(best, abs=1e-5)


def test_a_path_leaves_its_way_only_for_more_than_the_bends_cost() -> None:
    """Out and back are two bends of one step; the bait on one ray is worth 0.25."""
    gain = np.zeros((1, 12, 5), np.float32)
    gain[0, :, 2] = 1
    gain[0, 4, 3] = 1.25
    taken = {}
    for bend in (0.3, 0.05):
        path = np.zeros((1, 12), np.int64)
        closed_paths(gain, bend, path)
        taken[bend] = path[0].tolist()
    assert taken[0.3] == [2] * 12
    assert taken[0.05] == [2] * 4 + [3] + [2] * 7


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_outline_of_an_ellipse_has_its_centre_area_and_corners(sign: float) -> None:
    y, x = np.indices((120, 120))
    u, v = (x - 63.3) / 1.2, (y - 57.8) * 1.2
    image = -sign / (1 + np.exp((np.hypot(u, v) - 20) / 0.7))
    noisy = image + np.random.default_rng(0).normal(0, 0.05, image.shape)
    slopes = Slopes.of(noisy.astype(np.float32))
    # Begun beside it and too small.
    found = trace(slopes, np.array([[62.0, 60.0]]), np.array([16.0]), np.array([sign]))
    np.testing.assert_allclose(found.place, [[57.8, 63.3]], atol=0.15)
    np.testing.assert_allclose(found.radius, [20], rtol=0.02)
    corners = polygon(found.middle[0], found.reach[0])
    np.testing.assert_allclose(
        np.hypot((corners[:, 0] - 63.3) / 1.2, (corners[:, 1] - 57.8) * 1.2), 20, atol=1.0
    )
    assert contrast(found, slopes.spread, 2.0)[0] == pytest.approx(-sign, rel=0.1)


def test_candidates_have_finite_features_also_at_corners_and_in_small_frames() -> None:
    rng = np.random.default_rng(3)
    for shape in ((32, 32), (33, 70), (90, 64)):
        image = rng.normal(size=shape) + 3 * disc(shape, 4, 4, 9)
        found = candidates(image, 4, 12)
        assert found.features.shape == (len(found.radius), len(NAMES))
        assert np.isfinite(found.features).all()
        assert found.reach.shape == (len(found.radius), RAYS)
        assert (found.reach <= 12 * 2.3 * LADDER[-1]).all()


def made(place: list[list[float]], radius: list[float]) -> Candidates:
    where, size = np.array(place, dtype=float), np.array(radius, dtype=float)
    empty = np.zeros((len(size), 0))
    return Candidates(where, size, where, empty, size, empty)


def test_of_several_outlines_of_one_thing_the_most_probable_stays() -> None:
    found = made([[50, 50], [51, 50], [50, 90], [52, 49]], [10, 11, 10, 10.5])
    assert set(resolve(found, np.array([0.6, 0.7, 0.2, 0.5]))) == {1, 2}


def test_a_core_gives_way_to_its_shell_but_neighbours_do_not_to_what_covers_them() -> None:
    nested = made([[50, 50], [50, 51]], [20, 8])
    assert set(resolve(nested, np.array([0.85, 0.99]))) == {0}
    # A shell that is not there does not take a particle away.
    assert set(resolve(nested, np.array([0.3, 0.99]))) == {1}
    covered = made([[50, 50], [50, 78], [50, 22]], [40, 8, 8])
    assert set(resolve(covered, np.array([0.9, 0.99, 0.95]))) == {1, 2}
    assert len(resolve(made([], []).take(np.zeros(0, int)), np.zeros(0))) == 0


@settings(max_examples=20, deadline=None)
@given(st.floats(0, 30), st.floats(3, 15), st.floats(3, 15))
def test_shared_part_of_discs_is_that_counted(apart: float, first: float, second: float) -> None:
    y, x = np.mgrid[-40:60:0.25, -20:20:0.25]
    small, large = min(first, second), max(first, second)
    in_small = np.hypot(y - apart, x) <= small
    counted = (in_small & (np.hypot(y, x) <= large)).sum() / in_small.sum()
    part = shared_part(np.array([apart]), first, np.array([second]))[0]
    assert part == pytest.approx(counted, abs=0.03)


def test_judge_survives_json_and_refuses_other_features() -> None:
    shipped = judge()
    values = np.random.default_rng(0).normal(shipped.middle, shipped.scale, (50, len(NAMES)))
    again = Judge.from_json(shipped.to_json())
    np.testing.assert_allclose(again(values), shipped(values), atol=1e-3)
    assert ((shipped(values) >= 0) & (shipped(values) <= 1)).all()
    other = json.loads(shipped.to_json()) | {"features": ["none"]}
    with pytest.raises(ReadError, match="fit the probabilities again"):
        Judge.from_json(json.dumps(other))


def test_what_ships_is_plain_numbers() -> None:
    numbers = json.loads(probability._FILE.read_text(encoding="utf-8"))
    assert numbers["features"] == list(NAMES)
    assert len(numbers["first"]) == len(NAMES) == len(numbers["scale"])
    assert min(numbers["scale"]) > 0
