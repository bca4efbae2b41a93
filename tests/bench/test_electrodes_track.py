"""The truth scores 1 on `electrodes`, nothing scores 0, and images hold what they say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import label

from nanopilot.bench.tracks.electrodes import Case, Electrodes
from nanopilot.bench.xray_peers import Answer, constant_box, periodicity, size_box, threshold
from nanopilot.bench.xray_scenery import STRANGERS, draw_stranger
from nanopilot.bench.xray_scores import (
    box_iou,
    pair_tips,
    region_recall,
    score_image,
    true_overhangs,
)
from nanopilot.bench.xray_stacks import (
    CLASSES,
    SHAPES,
    XrayImage,
    draw_image,
    draw_plates,
    rasterise,
)


@pytest.fixture(scope="module")
def image() -> XrayImage:
    return draw_image("clean", np.random.default_rng(4), shape=(640, 700))


def truth(image: XrayImage) -> Answer:
    n = len(image.anode)
    return Answer(
        count=n, interval=(n, n), box=image.box, tips=image.tips,
        errors=np.full((n, 2), 0.1), kind=np.where(image.anode, 1.0, -1.0),
        overhangs={pair: (length, 0.1) for pair, length in true_overhangs(image).items()},
        labels=image.labels,
    )  # fmt: skip


def test_truth_scores_one_and_silence_scores_nothing(image: XrayImage) -> None:
    said = score_image(image, truth(image))
    for name in ("count_exact", "an_acc", "cn_acc", "pn_acc", "kind_right", "mask_f1", "box_iou",
                 "region_recall", "count_covered", "oh_found", "endpoint_covered_90"):  # fmt: skip
        assert said[name] == pytest.approx(1.0), name
    for name in ("count_mae", "endpoint_mae", "an_mae", "cn_mae", "ap_mae", "cp_mae", "oh_mae"):
        assert said[name] == pytest.approx(0.0), name
    nothing = score_image(image, Answer())
    assert nothing["count_exact"] == nothing["mask_f1"] == nothing["box_iou"] == 0.0
    assert nothing["endpoint_mae"] == pytest.approx(image.spacing)
    assert nothing["an_mae"] == image.anode.sum()


def test_a_shift_costs_its_length_and_kinds_exchanged_cost_all(image: XrayImage) -> None:
    moved = score_image(image, replace(truth(image), tips=image.tips + np.array([0.6, -0.8])))
    assert moved["endpoint_mae"] == pytest.approx(1.0)
    assert moved["endpoint_covered_90"] == 0.0
    wrong = score_image(image, replace(truth(image), kind=np.where(image.anode, -1.0, 1.0)))
    assert wrong["kind_right"] == 0.0
    short = truth(image)
    fewer = replace(short, count=len(image.anode) - 1, tips=image.tips[1:], kind=short.kind[1:],
                    errors=short.errors[1:], overhangs={})  # fmt: skip
    assert score_image(image, fewer)["count_mae"] == 1.0
    assert score_image(image, fewer)["endpoint_mae"] == pytest.approx(
        image.spacing / len(image.anode)
    )


def test_boxes_are_compared_by_area() -> None:
    assert box_iou((0, 0, 2, 2), (1, 1, 3, 3)) == pytest.approx(1 / 7)
    assert box_iou((0, 0, 1, 1), (5, 5, 6, 6)) == 0.0
    # A margin of a twentieth of its sides, on every side.
    assert region_recall((0, 0, 100, 100), (-5, -5, 105, 105)) == pytest.approx(1.0)
    assert region_recall((0, 0, 100, 100), (-15, 0, 100, 100)) == pytest.approx(105 / 115)


def test_ends_are_paired_one_to_one() -> None:
    there = np.array([[0.0, 0.0], [0.0, 5.0], [0.0, 10.0]])
    pairs = pair_tips(np.array([[0.0, 5.1], [0.0, 0.2], [0.0, 40.0]]), there, 4.0)
    assert sorted(pairs.tolist()) == [[0, 1], [1, 0]]
    assert len(pair_tips(np.zeros((0, 2)), there, 4.0)) == 0


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_what_is_drawn_is_what_is_said(kind: Any, seed: int) -> None:
    drawn = draw_image(kind, np.random.default_rng([5, seed]), shape=(720, 760))
    n = len(drawn.anode)
    labels = drawn.labels
    assert labels.shape == drawn.frame.shape == (720, 760)
    assert np.unique(labels).tolist() == list(range(n + 1))
    top, left, bottom, right = drawn.box
    rows, columns = np.nonzero(labels)
    assert top - 1 < rows.min() <= rows.max() < bottom + 1
    assert left - 1 < columns.min() <= columns.max() < right + 1
    assert rows.max() - rows.min() == pytest.approx(bottom - top, abs=3)
    dim = 0 if drawn.side in {"top", "bottom"} else 1
    for k in range(n):
        own = np.argwhere(labels == k + 1)[:, dim]
        end = own.min() - 0.5 if drawn.side in {"top", "left"} else own.max() + 0.5
        assert end == pytest.approx(drawn.tips[k, dim], abs=1.01)
    gaps = np.diff(drawn.slot)
    assert (gaps > 1).any() == (kind == "missing")
    assert (np.diff(drawn.anode.astype(int))[gaps == 1] != 0).all()


def test_plates_are_dark_and_anodes_are_longer() -> None:
    drawn = draw_image("clean", np.random.default_rng(8), shape=(700, 700))
    lengths = np.array(list(true_overhangs(drawn).values()))
    assert lengths.min() > 0
    top, left, bottom, right = (round(v) for v in drawn.box)
    part = np.s_[max(top, 0) : bottom, max(left, 0) : right]
    values = drawn.frame.to_numpy()[part]
    inside = drawn.labels[part] > 0
    assert values[inside].mean() < values[~inside].mean()


def test_counts_spacings_and_shapes_are_drawn_broadly() -> None:
    rng = np.random.default_rng(0)
    cells = [draw_plates("clean", SHAPES[0], rng) for _ in range(300)]
    counts = [len(one.tip) for one in cells]
    spacings = [one.spacing for one in cells]
    assert (min(counts), max(counts)) == (10, 45)
    assert 5.0 <= min(spacings) < 5.2
    assert 11.8 < max(spacings) <= 12.0
    assert {one.anode[0] for one in cells} == {True, False}


def test_pixels_on_an_edge_are_covered_in_part() -> None:
    rng = np.random.default_rng(3)
    plates = replace(draw_plates("clean", (600, 700), rng), bend=(0.0, 0.0, 0.0, 0.0))
    attenuation, labels = rasterise(plates, (600, 700))
    row = int(plates.tip.max()) + 20
    want = plates.depth * plates.width
    got = [attenuation[row][labels[row] == k + 1].sum() for k in range(len(want))]
    assert attenuation[row].sum() == pytest.approx(want.sum(), rel=1e-9)
    assert np.max(np.abs(np.array(got) - want) / want) < 0.5


def test_forks_are_two_prongs() -> None:
    rng = np.random.default_rng(12)
    plates = draw_plates("fork", (700, 900), rng)
    k = int(np.argmax(plates.forked))
    _, labels = rasterise(plates, (700, 900))
    near_tip = labels[int(np.ceil(plates.tip[k])) + 1] == k + 1
    below = labels[int(plates.tip[k] + plates.forked[k]) + 4] == k + 1
    assert label(near_tip)[1] == 2
    assert label(below)[1] == 1


@pytest.mark.parametrize("kind", STRANGERS)
def test_strangers_are_finite_images(kind: str) -> None:
    frame = draw_stranger(kind, np.random.default_rng(1), pixels=128)
    assert frame.shape == (128, 128)
    assert np.ptp(frame.to_numpy()) > 0


def test_baselines_answer_and_stay_below_the_truth(image: XrayImage) -> None:
    for method in (constant_box, size_box, periodicity, threshold):
        (said,) = method([image.frame])
        scores = score_image(image, said)
        assert scores["box_iou"] < 0.95
        assert scores["kind_right"] == 0.0
    assert abs((periodicity([image.frame])[0].count or 0) - len(image.anode)) <= 12


def test_track_scores_the_truth_and_needs_no_more_than_frames() -> None:
    track = Electrodes()
    rng = np.random.default_rng(0)
    images = tuple(draw_image(one, rng, shape=(560, 640)) for one in CLASSES)
    strange = tuple(draw_stranger(one, rng, pixels=96) for one in STRANGERS)
    case = Case((*(one.frame for one in images), *strange), images)
    said = track.score(case, [*(truth(one) for one in images), *(Answer() for _ in strange)])
    assert {bar.metric for bar in track.bars} <= set(said)
    assert said["strangers_refused"] == said["mask_f1"] == 1.0
    assert all(said[f"count_exact_{one}"] == 1.0 for one in CLASSES)
    assert said["above_constant_box"] > 0.2
    loud = track.score(case, [Answer(count=3)] * len(case.visible))
    assert loud["strangers_refused"] == 0.0
    assert {bar.method or track.default for bar in track.bars} <= set(track.methods)
