"""The truth scores 1 on `defects`, a constant scores 1/2, and planted labels are what they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.spatial import cKDTree

from nanopilot.analysis.atom_graphs import CLASSES
from nanopilot.bench import lattice_defects as planted
from nanopilot.bench.lattice_defects import Plan, Scene, draw_scene
from nanopilot.bench.tracks.defects import (
    JUDGED,
    Answer,
    Case,
    Defects,
    Question,
    auroc,
    aurocs,
    nearest,
)

Array = np.ndarray[Any, np.dtype[Any]]


@pytest.fixture(scope="module")
def scenes() -> tuple[Scene, ...]:
    plans = (Plan("perovskite", wall=True), Plan("disulphide", surface=True))
    return tuple(
        draw_scene(plan, np.random.default_rng(seed), pixels=224) for seed, plan in enumerate(plans)
    )


def truth(scene: Scene) -> Answer:
    place = scene.place[:, ::-1] * scene.pixel
    odd = (scene.label > 0).astype(float)
    kind = np.maximum(scene.label, 0)
    there = scene.height > 0
    return Answer(place, odd, kind, 1 - scene.sublattice, place[there])


def test_truth_scores_one_and_a_constant_one_half(scenes: Any) -> None:
    case = Case(tuple(Question(one.frame) for one in scenes), scenes)
    said = Defects().score(case, [truth(one) for one in scenes])
    for name in JUDGED:
        assert said[f"auroc_{name}"] == 1.0, name
    assert said["f1"] == said["sublattice"] == said["named"] == 1.0
    assert said["rmse_px"] < 1e-9
    assert said["edges_flagged"] == said["false_alarms"] == 0.0
    track = Defects()
    assert {bar.metric for bar in track.bars} <= set(said)
    assert track.default in track.methods
    flat = [Answer(one.place, np.zeros(len(one.place))) for one in map(truth, scenes)]
    assert set(aurocs(scenes, flat).values()) == {0.5}
    assert "f1" not in track.score(case, flat)


def test_help_is_the_margin_over_the_best_of_all_baselines(scenes: Any) -> None:
    case = Case(tuple(Question(one.frame) for one in scenes), scenes)
    track = Defects()
    baselines = [
        aurocs(scenes, method(case.visible))
        for name, method in track.methods.items()
        if name not in (track.default, "graph autoencoder")
    ]
    assert len(baselines) == 4
    best = max(one["auroc_strain"] for one in baselines)
    said = track.score(case, [truth(one) for one in scenes])
    assert said["margin_strain"] == pytest.approx(1 - best)
    flat = [Answer(one.place, np.zeros(len(one.place))) for one in map(truth, scenes)]
    assert track.score(case, flat)["helpful"] == 0.0


def test_a_site_that_an_answer_does_not_have_comes_last(scenes: Any) -> None:
    scene = scenes[0]
    answer = truth(scene)
    kept = (scene.label != planted.VACANCY) | (scene.height > 0)
    part = Answer(answer.place[kept], answer.score[kept])
    found = aurocs([scene], [part])
    whole = (scene.label == planted.VACANCY) & ~scene.edge
    assert found["auroc_vacancy"] == pytest.approx((whole & kept).sum() / whole.sum())
    assert found["auroc_part_vacancy"] == 1.0


def test_auroc_counts_pairs() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 6, 30).astype(float), rng.integers(0, 5, 40).astype(float)
    above = (first[:, None] > second).mean() + 0.5 * (first[:, None] == second).mean()
    assert auroc(first, second) == pytest.approx(above)


def test_sites_and_places_are_paired_one_to_one(scenes: Any) -> None:
    scene = scenes[0]
    place = scene.place[:, ::-1] * scene.pixel
    double = np.concatenate([place + 0.1 * scene.pixel, place])
    found = nearest(scene, double)
    np.testing.assert_array_equal(found, np.arange(len(place)) + len(place))
    far = nearest(scene, place[:1] + 0.4 * scene.spacing * scene.pixel * np.array([0.0, 1.0]))
    assert (far == -1).all()
    assert (nearest(scene, np.zeros((0, 2))) == -1).all()


def test_planted_heights_are_those_of_their_label() -> None:
    """Heights are held against the median of the same sublattice nearby."""
    scene = draw_scene(Plan("perovskite"), np.random.default_rng(5), pixels=320)
    regular = scene.label == planted.REGULAR
    ratio = np.zeros(len(scene.place))
    for kind in (0, 1):
        own = np.flatnonzero(regular & (scene.sublattice == kind))
        mine = np.flatnonzero(scene.sublattice == kind)
        _, at = cKDTree(scene.place[own]).query(scene.place[mine], k=6)
        ratio[mine] = scene.height[mine] / np.median(scene.height[own[at]], axis=1)
    where = {name: scene.label == label for name, (label, _) in JUDGED.items()}
    assert ratio[where["vacancy"]].max() < 0.76
    assert (ratio[where["vacancy"]] == 0).any()
    assert 1.12 < ratio[where["heavier"]].min() <= ratio[where["heavier"]].max() < 1.75
    assert 0.66 < ratio[where["lighter"]].min() <= ratio[where["lighter"]].max() < 0.92
    assert (np.abs(ratio[where["antisite"]] - 1) > 0.3).all()
    assert np.abs(ratio[regular] - 1).max() < 0.15
    # No two of them next to each other.
    points = scene.place[(scene.label >= 1) & (scene.label <= 4)]
    far, _ = cKDTree(points).query(points, k=2)
    assert far[:, 1].min() > scene.spacing


def test_strained_sites_are_strained_by_three_percent_and_regular_ones_are_not() -> None:
    scene = draw_scene(Plan("square"), np.random.default_rng(11), pixels=320)
    there = scene.height > 0
    place = scene.place[there]
    label = scene.label[there]
    near = cKDTree(place).query(place, k=5)[1][:, 1:]
    middle = (~scene.edge)[there]

    def grid(one: int) -> Array:
        """Return the Gram matrix of the two directions next neighbours make."""
        away = place[near[one]] - place[one]
        angle = np.arctan2(away[:, 0], away[:, 1])
        turn = np.angle(np.exp(4j * angle).mean()) / 4
        basis = [np.array([np.sin(turn + k), np.cos(turn + k)]) for k in (0, np.pi / 2)]
        spans = [away[np.argsort(-np.abs(away @ b))[:2]] for b in basis]
        steps = np.stack([np.abs(s @ b).mean() for s, b in zip(spans, basis, strict=True)])
        return np.asarray(steps)

    sizes = np.array([grid(one) for one in range(len(place))])
    usual = np.median(sizes[middle & (label == planted.REGULAR)])
    spread = {
        name: np.median(np.abs(sizes[middle & (label == code)] / usual - 1).max(axis=1))
        for name, code in (("regular", planted.REGULAR), ("strain", planted.STRAIN))
    }
    # A shear leaves the lengths as they are; this seed has none.
    assert spread["strain"] > 0.025
    assert spread["regular"] < 0.02


def test_the_same_seed_draws_the_same_and_another_does_not() -> None:
    one, same, other = (
        draw_scene(Plan("graphene", wall=True), np.random.default_rng(seed), pixels=128)
        for seed in (3, 3, 4)
    )
    assert one.frame.identical(same.frame)
    assert one.frame.shape == other.frame.shape
    assert not np.array_equal(one.frame, other.frame)
    assert CLASSES.index("wall") == planted.WALL
    assert (one.label == planted.WALL).any()


def test_signal_over_noise_is_what_is_stated() -> None:
    scene = draw_scene(Plan("square"), np.random.default_rng(8), pixels=160)
    regular = (scene.label == planted.REGULAR) & ~scene.edge
    height = np.median(scene.height[regular])
    # Background is 0.1 to 0.4 of a column: height / sqrt(height + background).
    assert height / np.sqrt(1.45 * height) < scene.snr < height / np.sqrt(1.05 * height)
