"""The track on diffuse scattering: truth is perfect, darkness is not, nothing leaks."""

from dataclasses import fields

import numpy as np
import pytest

from nanopilot.bench.tracks.tds import Answer, Case, Job, Tds, annular, draw, r_factor
from nanopilot.core.registry import load
from nanopilot.workflows.tds_crystals import (
    HELD_OUT_FAMILIES,
    HELD_OUT_NUMBERS,
    TRAINING_FAMILIES,
    held_out_thickness,
)
from nanopilot.workflows.tds_pairs import Plan

TINY = Plan(places=1, phonons=2, variants=4)


@pytest.fixture(scope="module")
def case() -> Case:
    return Tds(TINY, 2).case(1000)


def perfect(case: Case) -> tuple[Answer, ...]:
    return tuple(Answer(one.halves.mean(axis=0)) for one in case.truth)


def test_it_is_registered_and_every_bar_has_its_number(case: Case) -> None:
    track = Tds(TINY, 2)
    assert load("tracks", "tds") is Tds
    numbers = track.score(case, perfect(case))
    assert {bar.metric for bar in track.bars} <= set(numbers)
    assert all((bar.method or track.default) in track.methods for bar in track.bars)


def test_truth_is_perfect_and_the_elastic_pattern_is_not(case: Case) -> None:
    track = Tds(TINY, 2)
    best = track.score(case, perfect(case))
    assert best["annular"] == best["r"] == best["lost"] == best["of_elastic"] == 0.0
    still = track.score(case, track.methods["elastic"](case.visible))
    assert still["of_elastic"] == pytest.approx(1.0)
    assert still["annular"] > 0.15
    assert still["r_over_noise"] > 1.5


def test_no_signal_at_high_angles_scores_badly(case: Case) -> None:
    along = (np.arange(64) - 32) * 6.25e-3
    low = np.hypot(along[:, None], along) < 60e-3
    dark = tuple(Answer(np.where(low, one.halves.mean(axis=0), 0.0)) for one in case.truth)
    score = Tds(TINY, 2).score(case, dark)
    assert score["annular"] == pytest.approx(1.0)
    assert score["haadf"] == pytest.approx(1.0)
    # What a mean squared error would have said.
    true = [one.halves.mean(axis=0) for one in case.truth]
    assert max(float(((a.pattern - b) ** 2).sum() / (b**2).sum())
               for a, b in zip(dark, true, strict=True)) < 2e-3  # fmt: skip


def test_halves_tell_the_noise(case: Case) -> None:
    score = Tds(TINY, 2).score(case, None)
    assert score["r_over_noise"] == pytest.approx(1.0)
    assert score["r"] == pytest.approx(score["noise"])


def test_methods_see_no_truth_and_no_seed(case: Case) -> None:
    assert {one.name for one in fields(Job)} == {"elastic", "specimen", "lens", "place", "how"}
    assert len(case.visible) == len(case.truth) == 4


def test_crystals_are_of_elements_families_and_thicknesses_that_were_left_out() -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        families = HELD_OUT_FAMILIES if seed % 2 else TRAINING_FAMILIES
        crystal, depths = draw(rng, families)
        assert set(crystal.numbers) <= set(HELD_OUT_NUMBERS)
        assert crystal.family in families
        assert any(held_out_thickness(depth) for depth in depths)
        assert depths == sorted(depths)


def test_cases_are_their_seeds(case: Case) -> None:
    again = Tds(TINY, 1).case(1000)
    np.testing.assert_array_equal(again.truth[0].halves, case.truth[0].halves)
    np.testing.assert_array_equal(again.visible[0].elastic, case.visible[0].elastic)
    other = Tds(TINY, 1).case(1001)
    assert not np.array_equal(other.visible[0].elastic, case.visible[0].elastic)


def test_a_lost_electron_is_counted(case: Case) -> None:
    less = tuple(Answer(0.97 * one.pattern) for one in perfect(case))
    assert Tds(TINY, 2).score(case, less)["lost"] == pytest.approx(0.03, abs=1e-6)


def test_numbers_are_their_definitions() -> None:
    rng = np.random.default_rng(0)
    found, true = rng.uniform(0.5, 1, (2, 3, 64, 64))
    off, total = 0.0, 0.0
    for y in range(64):
        for x in range(64):
            if np.hypot(y - 32, x - 32) * 6.25e-3 < 0.2:
                off += abs(found[1, y, x] ** 0.5 - true[1, y, x] ** 0.5)
                total += true[1, y, x] ** 0.5
    assert r_factor(found, true)[1] == pytest.approx(off / total)
    assert annular(1.1 * true, true) == pytest.approx(0.1)


def test_networks_beat_the_elastic_pattern_and_need_their_condition(case: Case) -> None:
    pytest.importorskip("torch").set_num_threads(1)
    pytest.importorskip("safetensors")
    track = Tds(TINY, 2)
    ours = track.score(case, track.methods["network"](case.visible))
    assert ours["of_elastic"] < 0.6
    assert ours["shuffled"] > 1.2
    assert ours["zeroed"] > 1.2
    assert ours["speedup"] > 0
    constant = track.score(case, track.methods["annuli"](case.visible))
    assert ours["r"] < constant["r"]
