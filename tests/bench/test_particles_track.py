"""The truth scores 1 on `particles`, nothing scores 0, and no shortcut tells frames apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import label

from nanopilot.bench.particle_backgrounds import BACKGROUNDS, matched, radial_spectrum, ranked
from nanopilot.bench.particle_peers import Answer, blobs, brightest, matched_ring, otsu
from nanopilot.bench.particle_scenes import KINDS, VARIANCES, Scene, draw_pair
from nanopilot.bench.tracks.particles import (
    Case,
    Particles,
    calibration_error,
    error_by_chance,
    match,
    shortcut,
)


@pytest.fixture(scope="module")
def case() -> Case:
    return Particles().case(5)


def perfect(scene: Scene) -> Answer:
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    outlines = tuple(
        np.stack([x + r * np.cos(angle), y + r * np.sin(angle)], axis=1)
        for (y, x), r in zip(scene.place, scene.radius, strict=True)
    )
    return Answer(scene.place, scene.radius, np.ones(len(scene.radius)), outlines)


def nothing() -> Answer:
    return Answer(np.zeros((0, 2)), np.zeros(0), np.zeros(0))


def test_truth_scores_one_and_nothing_scores_zero(case: Case) -> None:
    track = Particles()
    best = track.score(case, [perfect(one) for one in case.scenes])
    assert best["f1_low"] == best["f1_0.03"] == best["recall"] == 1.0
    assert best["centre_95"] == best["ece"] == best["empty_claims"] == 0.0
    assert best["outline_iou"] > 0.85
    none = track.score(case, [nothing() for _ in case.scenes])
    assert none["f1_low"] == none["recall"] == 0.0
    for bar in track.bars:
        assert bar.metric in best


def test_wrong_radius_wrong_place_and_a_claim_in_an_empty_frame_count(case: Case) -> None:
    track = Particles()
    right = [perfect(one) for one in case.scenes]
    large = [replace(one, radius=1.6 * one.radius) for one in right]
    assert track.score(case, large)["recall"] == 0.0
    moved = [replace(one, place=one.place + 0.6 * one.radius[:, None]) for one in right]
    assert track.score(case, moved)["recall"] == 0.0
    near = [replace(one, place=one.place + np.array([3.0, 0.0])) for one in right]
    assert track.score(case, near)["centre_median"] == pytest.approx(3.0)
    extra = [
        replace(perfect(one), place=np.array([[90.0, 80.0]]), radius=np.array([9.0]),
                probability=np.ones(1), outlines=perfect(one).outlines or (np.ones((3, 2)),))
        if not len(one.radius) else perfect(one)
        for one in case.scenes
    ]  # fmt: skip
    worse = track.score(case, extra)
    assert worse["empty_claims"] == 1.0
    assert worse["precision"] < 1.0


def test_a_particle_counts_once_and_the_more_probable_claim_is_its_own(case: Case) -> None:
    scene = next(one for one in case.scenes if len(one.radius) == 1)
    place, radius = np.repeat(scene.place, 2, axis=0), np.repeat(scene.radius, 2)
    pair = match(scene, place, radius, np.array([0.3, 0.9]))
    assert pair.hit.tolist() == [False, True]
    assert (pair.claimed, len(pair.pairs)) == (1, 1)


def test_mean_and_deviation_tell_nothing_and_both_frames_of_a_pair_are_alike() -> None:
    values, full = [], []
    for seed in range(4):
        with_, without = draw_pair(np.random.default_rng(seed), 0.0)
        a, b = ((one.frame.to_numpy() - one.offset) / one.gain for one in (with_, without))
        np.testing.assert_allclose(np.sort(a, axis=None), np.sort(b, axis=None), atol=1e-9)
        first, second = (radial_spectrum(one)[1:100] for one in (a, b))
        assert np.abs(np.log(first / second)).mean() < 0.1
        values += [(a.mean(), a.std()), (b.mean(), b.std())]
        full += [True, False]
        assert len(with_.radius) == int(with_.labels.max()) >= 1
        assert not without.labels.any()
    for number in range(2):
        numbers = np.array(values)[:, number].round(9)
        assert shortcut(numbers, np.array(full)) <= 0.55


def test_truth_of_a_scene_is_that_of_its_labels() -> None:
    scene, _ = draw_pair(np.random.default_rng(3), 0.01)
    for number, (place, radius) in enumerate(zip(scene.place, scene.radius, strict=True), start=1):
        mask = scene.labels == number
        assert label(mask)[1] == 1
        np.testing.assert_allclose(np.argwhere(mask).mean(axis=0), place, atol=0.05 * radius + 0.3)
        assert np.sqrt(mask.sum() / np.pi) == pytest.approx(radius, rel=0.05)


@pytest.mark.parametrize("name", sorted(BACKGROUNDS))
def test_backgrounds_are_no_mosaic(name: str) -> None:
    """Steps between pixels are not larger at multiples of any small period."""
    field = BACKGROUNDS[name](np.random.default_rng(1), (256, 256))
    steps = np.abs(np.diff(field, axis=1)).mean(axis=0)
    for period in (8, 16, 32, 64):
        at = np.arange(period - 1, 255, period)
        others = np.delete(steps, at)
        assert steps[at].mean() < 1.5 * others.mean()
    assert field.mean() == pytest.approx(0, abs=1e-9)


def test_matching_keeps_the_order_and_meets_histogram_and_spectrum() -> None:
    rng = np.random.default_rng(0)
    image = rng.normal(size=(64, 64)).cumsum(axis=0)
    even = ranked(image, 0.5, 0.1)
    assert (np.argsort(even, axis=None) == np.argsort(image, axis=None, kind="stable")).all()
    assert (even.mean(), even.std()) == pytest.approx((0.5, 0.1), abs=1e-3)
    alike = matched(rng.normal(size=(64, 64)), even)
    np.testing.assert_array_equal(np.sort(alike, axis=None), np.sort(even, axis=None))


def test_calibration_error_is_what_counting_says() -> None:
    sure = np.array([0.95] * 20 + [0.55] * 10 + [0.01] * 1000)
    hit = np.array([True] * 19 + [False] + [True] * 2 + [False] * 8 + [False] * 1000)
    # (20 |0.95 - 0.95| + 10 |0.55 - 0.2|) / 30; the faintest do not flatter it.
    assert calibration_error(sure, hit) == pytest.approx(3.5 / 30)
    assert calibration_error(np.zeros(3), np.zeros(3, dtype=bool)) == 0.0


def test_exact_probabilities_have_no_calibration_error_beyond_chance() -> None:
    rng = np.random.default_rng(1)
    exact, proud = [], []
    for _ in range(60):
        sure = rng.uniform(0.05, 1, 25)
        hit = rng.random(25) < sure
        chance = error_by_chance(sure)
        exact.append(calibration_error(sure, hit) - chance)
        high = np.minimum(sure + 0.3, 1)
        proud.append(calibration_error(high, hit) - error_by_chance(high))
    assert np.mean(exact) == pytest.approx(0, abs=0.02)
    assert np.mean(proud) > 0.1


def test_shortcut_is_the_area_under_the_curve_on_its_better_side() -> None:
    full = np.array([True, True, False, False])
    assert shortcut(np.array([3.0, 4.0, 1.0, 2.0]), full) == 1.0
    assert shortcut(np.array([1.0, 2.0, 3.0, 4.0]), full) == 1.0
    assert shortcut(np.array([1.0, 1.0, 1.0, 1.0]), full) == 0.5


def test_peers_answer_and_find_the_frame_they_were_made_for() -> None:
    y, x = np.indices((320, 320))
    away = np.hypot(y - 150.0, x - 170.0)
    rim = -np.exp(-0.5 * ((away - 58) / 6) ** 2)
    noise = np.random.default_rng(0).normal(0, 0.1, rim.shape)
    scene, _ = draw_pair(np.random.default_rng(0), 0.01)
    frame = scene.frame.copy(data=rim + noise)
    ring = matched_ring([frame])[0]
    np.testing.assert_allclose(ring.place[0], [150, 170], atol=1)
    disc = frame.copy(data=3.0 * (away < 20) + noise)
    for peer in (brightest, blobs, otsu):
        found = peer([disc])[0]
        assert np.hypot(*(found.place - [150.0, 170.0]).T).min() < 3


def test_every_kind_and_variance_is_asked() -> None:
    kinds: set[str] = set()
    for seed in range(18):
        kinds |= set(draw_pair(np.random.default_rng(seed), 0.01, pixels=204)[0].kinds)
    assert kinds == set(KINDS)
    case = Particles().case(0)
    assert {one.variance for one in case.scenes} == set(VARIANCES)
    assert sum(len(one.radius) > 0 for one in case.scenes) == len(case.scenes) // 2
    # A method is shown frames and nothing else.
    assert all(set(one.attrs) == {"units", "quantity"} for one in case.visible)
