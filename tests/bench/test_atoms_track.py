"""The truth scores 1 on `atoms`, nothing scores 0, and the bound is what counting says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nanopilot.bench.atom_frames import Layout, Scene, draw_scene, table_scene
from nanopilot.bench.atom_peers import Places, Question, blobs, brightest
from nanopilot.bench.tracks.atoms import AtomsTrack, match


@pytest.fixture(scope="module")
def scene() -> Scene:
    return draw_scene(Layout("square", 100.0), np.random.default_rng(4), pixels=96)


def test_truth_is_found_and_a_wrong_place_is_not(scene: Scene) -> None:
    assert match(scene, scene.place).f1 == 1.0
    assert match(scene, scene.place + scene.spacing / 2).f1 < 0.1
    assert match(scene, np.zeros((0, 2))).f1 == 0.0
    double = np.concatenate([scene.place, scene.place + 0.5])
    # Columns at the edges cannot be false, so it is a little more than 2/3.
    assert 0.66 < match(scene, double).f1 < 0.75


def test_a_column_claimed_at_a_vacancy_is_counted(scene: Scene) -> None:
    middle = scene.place[len(scene.place) // 2]
    empty = replace(
        scene, vacant=middle[None], place=np.delete(scene.place, len(scene.place) // 2, 0)
    )
    assert match(empty, scene.place).filled == 1
    assert match(empty, empty.place).filled == 0


def test_bound_is_that_of_one_column_where_neighbours_are_far() -> None:
    far = table_scene(np.random.default_rng(0), pixels=96)
    away = np.arange(-12, 13)
    shape = np.exp(-0.5 * (away[:, None] ** 2 + away**2) / 1.8**2)
    dark = int(np.argmin(np.abs(far.place - [41, 19]).sum(axis=1)))
    tall = far.height[dark]
    slope = tall * shape * away / 1.8**2
    want = 1 / np.sqrt(np.sum(slope**2 / (2.0 + tall * shape)))
    np.testing.assert_allclose(far.bound[dark], want, rtol=0.03)


def test_peers_find_plain_columns(scene: Scene) -> None:
    width = float(np.linalg.det(scene.shape) ** 0.25)
    question = Question(scene.frame, len(scene.place), width, scene.spacing)
    for peer in (brightest, blobs):
        assert match(scene, peer([question])[0].choices[0]).f1 > 0.95


def test_score_of_the_truth_and_of_errors_that_are_too_small() -> None:
    track = AtomsTrack()
    case = track.case(0)
    rng = np.random.default_rng(0)
    answer = []
    for one in case.scenes:
        noise = rng.normal(size=one.place.shape) * one.bound
        answer.append(Places((one.place + noise,), one.bound / 2))
    said = track.score(case, answer)
    assert said["f1_plain_100"] == said["f1_hard_100"] == 1.0
    assert said["over_bound"] == pytest.approx(1.0, abs=0.05)
    assert said["pull"] == pytest.approx(2.0, abs=0.1)
    assert said["vacancies_filled"] == 0.0
    assert said["bias_pm"] < 0.3
    assert {bar.metric for bar in track.bars} <= set(said)
    assert {bar.method or track.default for bar in track.bars} <= set(track.methods)
