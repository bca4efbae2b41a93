"""Tracks on tips: the truth reaches every bar, a constant and the scan itself do not."""

from dataclasses import fields, replace

import numpy as np
import pytest

from nanopilot.bench import tip_surfaces
from nanopilot.bench.tracks import tip_restoration
from nanopilot.bench.tracks.tip_estimation import TipEstimation
from nanopilot.bench.tracks.tip_restoration import Answer, TipRestoration
from nanopilot.models.tip_imaging import dilate
from nanopilot.workflows import tip_surfaces as learned
from nanopilot.workflows.tip_scans import TipRange, scan_known


def test_families_that_judge_are_twenty_and_none_was_learned_from() -> None:
    assert len(tip_surfaces.FAMILIES) >= 20
    assert not set(tip_surfaces.FAMILIES.values()) & set(learned.FAMILIES.values())


@pytest.mark.parametrize("name", sorted({**learned.FAMILIES, **tip_surfaces.FAMILIES}))
def test_every_family_gives_other_surfaces_for_other_seeds_and_the_same_for_one(name: str) -> None:
    family = {**learned.FAMILIES, **tip_surfaces.FAMILIES}[name]
    one, same, other = (family(np.random.default_rng(seed), 152) for seed in (0, 0, 1))
    assert one.shape == (152, 152)
    assert np.isfinite(one).all()
    assert np.ptp(one) > 0
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("seed", range(6))
def test_known_scans_differ_from_their_surface_and_are_never_below_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    family = learned.FAMILIES[sorted(learned.FAMILIES)[seed]]
    scan = scan_known(rng, family, TipRange().draw(rng))
    assert not np.array_equal(scan.image, scan.surface)
    assert (scan.image >= scan.surface).all()


def test_second_ends_are_all_applied() -> None:
    rng = np.random.default_rng(0)
    tip = TipRange(double=1.0).draw(rng)
    assert len(tip.apexes) == 2
    spike = np.zeros((61, 61))
    spike[30, 30] = 30e-9
    both = dilate(spike, tip.raster(1e-9, 30e-9, most=41))
    first = dilate(spike, tip.model_copy(update={"apexes": tip.apexes[:1]}).raster(1e-9, 30e-9, 41))
    assert (both >= first).all()
    assert (both > first).any()


def test_methods_see_scans_and_no_truth() -> None:
    case = TipEstimation(pairs=1).case(0)
    assert {field.name for field in fields(case.visible[0])} == {"image", "pitch"}
    seen = TipRestoration(scans=1).case(0)
    assert {field.name for field in fields(seen.visible[0])} == {"image", "tip"}


def test_true_tip_is_the_bound_and_the_scan_is_worse() -> None:
    track = TipEstimation(pairs=2)
    case = track.case(1)
    best = track.score(case, track.methods["true-tip"](case.visible))
    assert best["within"] == best["double_auc"] == 1.0
    assert best["radius_error"] == 0.0
    scan = track.score(case, track.methods["raw"](case.visible))
    assert scan["below_raw"] == 0.0
    assert scan["double_auc"] == 0.5
    assert scan["ratio"] > 1.25


def test_the_surface_itself_scores_nought_and_a_constant_or_the_scan_more_than_erosion() -> None:
    track = TipRestoration(scans=3)
    case = track.case(2)
    truth = track.score(case, tuple(Answer(surface) for surface in case.truth))
    assert truth["ratio"] == 0.0
    assert truth["above"] == 0.0
    erosion = track.score(case, track.methods["erosion"](case.visible))
    assert erosion["ratio"] == erosion["certain_ratio"] == 1.0
    for name in ("constant", "raw"):
        other = track.score(case, track.methods[name](case.visible))
        assert other["ratio"] > 1.0
        assert other["certain_ratio"] > 1.02


def test_an_answer_moved_sideways_is_forgiven_by_the_shifted_number_alone() -> None:
    track = TipRestoration(scans=1)
    case = track.case(3)
    moved = (Answer(np.roll(case.truth[0], (1, -2), (0, 1))),)
    score = track.score(case, moved)
    assert score["shifted"] == pytest.approx(0.0, abs=1e-6)
    assert score["ratio"] > 0.05


def test_not_knowing_counts_as_the_bound() -> None:
    track = TipRestoration(scans=1)
    case = track.case(4)
    nothing = replace(Answer(np.full_like(case.truth[0], np.nan)), sure=False)
    score = track.score(case, (nothing,))
    assert score["ratio"] == 1.0
    assert score["sure"] == 0.0


@pytest.mark.parametrize("track", [TipEstimation(1), TipRestoration(1)], ids=lambda one: one.name)
def test_every_bar_names_a_method_and_a_number_there_are(
    track: TipEstimation | TipRestoration,
) -> None:
    case = track.case(0)
    cheap = "raw"
    numbers = track.score(case, track.methods[cheap](case.visible))
    for bar in track.bars:
        assert (bar.method or track.default) in track.methods
        assert bar.metric in numbers


def test_needle_of_the_track_is_that_of_the_formula() -> None:
    tip = tip_restoration.needle(0.25)
    assert tip.shape == (25, 25)
    assert tip[12, 12] == 0.0
    assert tip[12, 0] == pytest.approx(1 - np.exp(-0.5))
