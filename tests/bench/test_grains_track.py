"""The track `grains`: truth scores 1, one grain and the usual script near 0; frames are fair."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nanopilot.bench.grain_frames import KINDS, draw_scene
from nanopilot.bench.grain_peers import (
    Answer,
    Told,
    captured,
    crack_map,
    one_grain,
    oracle,
    otsu_watershed,
    shipped,
)
from nanopilot.bench.grain_scores import compare, shapes
from nanopilot.bench.tracks.grains import Case, Grains
from nanopilot.core.registry import load

TRACK = Grains()


@pytest.fixture(scope="module")
def case() -> Case:
    return TRACK.case(1500)


def truth(case: Case) -> Answer:
    told = []
    for scene in case.scenes[:-1]:
        counts = np.bincount(scene.labels.ravel())
        edge = np.concatenate(
            [scene.labels[0], scene.labels[-1], scene.labels[:, 0], scene.labels[:, -1]]
        )
        counts[np.append(edge, 0)] = 0
        row, column = np.argwhere(scene.labels == np.argmax(counts))[0]
        pitch = float(scene.frame["x"][1])
        best = oracle(crack_map(scene.labels), round(1.5 * scene.diameter))
        told.append(
            Told(scene.labels, np.ones(len(np.unique(scene.labels[scene.labels > 0]))),
                 np.array([column, row]) * pitch, best[:, ::-1] * pitch, "truth")
        )  # fmt: skip
    given = shipped("classical")(replace(case.visible, frames=(), reach=()))
    return Answer(tuple(told), given.given_largest, given.given_dense)


def test_truth_scores_one(case: Case) -> None:
    said = TRACK.score(case, truth(case))
    for name in ("ap50", "ap50_ranked", "largest_found", "dense_found", "largest_given"):
        assert said[name] == pytest.approx(1.0)
    for name in ("count_error", "diameter_error", "each_diameter_error", "orientation_error"):
        assert said[name] == pytest.approx(0.0, abs=1e-9)
    assert said["dense_given"] > 0.95
    for bar in TRACK.bars:
        value = said[bar.metric]
        assert value <= bar.bar if bar.better == "lower" else value >= bar.bar - 1e-9


def test_one_grain_everywhere_and_the_usual_script_score_little(case: Case) -> None:
    nothing, script = (TRACK.score(case, one(case.visible)) for one in (one_grain, otsu_watershed))
    assert nothing["ap50"] < 0.02
    assert nothing["dense_found"] < 0.9
    assert nothing["count_error"] > 0.9
    assert script["ap50"] < 0.6


def test_the_operator_is_far_better(case: Case) -> None:
    said = TRACK.score(case, shipped("classical")(case.visible))
    assert said["ap50"] > 0.75
    assert said["dense_found"] > 0.9
    assert said["largest_given"] == 1.0
    assert said["by_network"] == 0.0


def test_same_seed_same_case_and_the_visible_part_has_no_truth(case: Case) -> None:
    again = TRACK.case(1500)
    for one, two in zip(case.visible.frames, again.visible.frames, strict=True):
        np.testing.assert_array_equal(one.to_numpy(), two.to_numpy())
    assert all(set(one.attrs) == {"units", "quantity"} for one in case.visible.frames)
    given = case.visible.given.to_numpy()
    for scene in case.scenes[:-1]:
        assert scene.labels.shape != given.shape or (scene.labels != given).any()


def test_methods_and_bars_are_there() -> None:
    assert load("tracks", "grains") is Grains
    assert TRACK.default in TRACK.methods
    assert {"otsu and watershed", "one grain, random targets"} <= set(TRACK.methods)


@pytest.mark.parametrize("kind", KINDS)
def test_frames_have_the_noise_and_the_grains_they_say(kind: str) -> None:
    quiet, loud = (draw_scene(kind, np.random.default_rng(7), snr=snr) for snr in (80.0, 10.0))
    np.testing.assert_array_equal(quiet.labels, loud.labels)
    plain = draw_scene(kind, np.random.default_rng(7), snr=30.0)
    noises = [
        np.diff(np.diff(one.frame.to_numpy() - quiet.frame.to_numpy(), axis=0), axis=1).std()
        for one in (loud, plain)
    ]
    # 20 dB apart: ten times as strong, whatever else there is in both.
    assert noises[0] / noises[1] == pytest.approx(10.0, rel=0.02)
    assert (0 in loud.labels) == (kind == "islands")
    mean = shapes(loud.labels).diameter.mean()
    assert 0.55 * loud.diameter < mean < 1.6 * loud.diameter


def test_scores_count_hits_misses_and_false_ones() -> None:
    there = np.zeros((60, 60), dtype=np.int64)
    for number, (row, column) in enumerate([(5, 5), (5, 35), (35, 5), (35, 35)]):
        there[row : row + 20, column : column + 20] = number + 1
    found = there.copy()
    found[there == 4] = 0
    found[5:25, 35:45] = 9
    # Two right, one lost, one cut in two halves of which each overlaps by exactly a half.
    said = compare(found, there, np.ones(4))
    assert said["ap50"] == pytest.approx(3 / (4 + 1))
    assert said["count_error"] == 0
    shifted = compare(np.roll(there, 12, axis=1), there)
    assert shifted["ap50"] == 0.0


def test_tiny_grains_count_neither_way() -> None:
    there = np.zeros((40, 40), dtype=np.int64)
    there[5:20, 5:20], there[30:33, 30:33] = 1, 2
    for found in (np.where(there == 2, 0, there), there):
        said = compare(found, there)
        assert said["ap50"] == 1.0
        assert said["count_error"] == 0.0


def test_orientation_and_sizes_are_those_of_an_ellipse() -> None:
    y, x = np.indices((90, 90)) - 44.5

    def ellipse(degrees: float, size: float) -> Any:
        a = np.radians(degrees)
        along, across = x * np.cos(a) + y * np.sin(a), y * np.cos(a) - x * np.sin(a)
        return ((along / (36 * size)) ** 2 + (across / (14 * size)) ** 2 < 1).astype(np.int64)

    said = compare(ellipse(88, 1.0), ellipse(-84, 1.0))
    assert said["orientation_error"] == pytest.approx(8.0, abs=0.5)
    assert compare(ellipse(30, 0.95), ellipse(30, 1.0))["diameter_error"] == pytest.approx(
        0.05, abs=0.01
    )


def test_windows_of_the_oracle_hold_what_they_say_and_nothing_counts_twice() -> None:
    cracks = crack_map(np.add.outer(3 * (np.arange(30) // 10), np.arange(30) // 10) + 1)
    assert cracks.sum() == pytest.approx(4 * 30 * np.pi / 4)
    best = oracle(cracks, 8, 3)
    assert captured(cracks, best[[0, 0]], 8) == captured(cracks, best[:1], 8)
    everything = np.array([[14.5, 14.5]])
    assert captured(cracks, everything, 30) == pytest.approx(cracks.sum())
