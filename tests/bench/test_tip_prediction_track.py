"""The track on predicted tips: the truth reaches every bar, constants do not."""

from dataclasses import fields

import numpy as np
import pytest

from nanopilot.bench import tip_surfaces
from nanopilot.bench.tracks.tip_prediction import Answer, TipPrediction, best_shift
from nanopilot.core.registry import load
from nanopilot.workflows import tip_surfaces as learned
from nanopilot.workflows.train_tip_predictor import HELD_OUT, draw_examples, modes

SOME = ("cubes", "rings", "twin-particles")


def test_families_that_judge_are_not_those_of_training_and_all_are_asked() -> None:
    track = TipPrediction()
    assert load("tracks", track.name) is TipPrediction
    assert track._families == tuple(sorted(tip_surfaces.FAMILIES))
    assert not set(tip_surfaces.FAMILIES.values()) & set(learned.FAMILIES.values())
    assert set(HELD_OUT) < set(learned.FAMILIES)


def test_methods_see_the_scan_and_what_is_known_of_the_sample() -> None:
    case = TipPrediction(SOME).case(0)
    assert {field.name for field in fields(case.visible[0])} == {"image", "pitch", "relief"}
    assert len(case.visible) == len(case.truth) == 3


def test_cases_are_their_seeds() -> None:
    one, same, other = (TipPrediction(SOME).case(seed).visible[0].image for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_true_tip_is_perfect_and_baselines_fail() -> None:
    track = TipPrediction()
    case = track.case(1)
    best = track.score(case, None)
    assert best["mse"] == best["mse_shifted"] == best["mse_mean"] == 0.0
    assert best["within"] == best["ratio"] == 1.0
    for name in ("raw", "mean-tip"):
        score = track.score(case, track.methods[name](case.visible))
        assert score["mse"] > 0.01
        assert score["mse_shifted"] <= score["mse"]
    assert track.score(case, track.methods["raw"](case.visible))["below_raw"] == 0.0


def test_a_tip_that_is_moved_sideways_is_forgiven_by_the_shifted_number_alone() -> None:
    track = TipPrediction(SOME)
    case = track.case(2)
    moved = tuple(Answer(np.roll(truth.tip, (4, -7), (0, 1))) for truth in case.truth)
    score = track.score(case, moved)
    assert score["mse"] > 3 * score["mse_shifted"]


def test_best_shift_is_that_of_loops() -> None:
    rng = np.random.default_rng(0)
    found, true = rng.uniform(size=(2, 25, 25))
    true[6:, :-4] = found[:-6, 4:]
    true[:6] = true[:, -4:] = 0.9
    every = []
    for down in range(-10, 11):
        for right in range(-10, 11):
            moved = np.ones((25, 25))
            for i in range(25):
                for j in range(25):
                    if 0 <= i - down < 25 and 0 <= j - right < 25:
                        moved[i, j] = found[i - down, j - right]
            every.append(np.mean((moved - true) ** 2))
    assert best_shift(found, true) == pytest.approx(min(every))


def test_expected_errors_are_compared_with_errors() -> None:
    track = TipPrediction(SOME)
    case = track.case(0)
    off = [0.1 * scan.relief * np.ones((61, 61)) for scan in case.visible]
    pairs = list(zip(case.truth, off, strict=True))
    wide = track.score(case, tuple(Answer(truth.tip + one, one) for truth, one in pairs))
    narrow = track.score(case, tuple(Answer(truth.tip + one, one / 50) for truth, one in pairs))
    assert wide["honest"] > 0.99
    assert narrow["honest"] < wide["honest"]
    assert track.score(case, tuple(Answer(t.tip, None, True) for t in case.truth))["stranger"] == 1


def test_every_bar_names_a_method_and_a_number_there_are() -> None:
    track = TipPrediction(SOME)
    case = track.case(0)
    numbers = track.score(case, track.methods["raw"](case.visible))
    for bar in track.bars:
        assert (bar.method or track.default) in track.methods
        assert bar.metric in numbers


def test_networks_reach_the_bar_where_the_mean_tip_does_not() -> None:
    pytest.importorskip("torch").set_num_threads(1)
    track = TipPrediction()
    found: dict[str, list[float]] = {"learned": [], "mean-tip": []}
    for seed in (1000, 1001, 1002):
        case = track.case(seed)
        for name, values in found.items():
            values.append(track.score(case, track.methods[name](case.visible))["mse"])
    assert np.mean(found["learned"]) < 0.01 < np.mean(found["mean-tip"])


def test_examples_pair_scans_with_their_own_tip_and_scale() -> None:
    examples, known = draw_examples(np.random.default_rng(0), 14)
    assert examples.groups == tuple(sorted(learned.FAMILIES))
    tips = examples.targets[:, :-1].reshape(-1, 61, 61)
    assert (tips[:, 30, 30] == 0).all()
    assert tips.max() <= 1.0
    told = examples.inputs[:, -6, 0, 0] == 1.0
    assert (examples.targets[told, -1] == 1.0).all()
    assert (examples.targets[~told, -1] != 1.0).all()
    assert all(low <= high for low, high in known.values())


def test_modes_rebuild_the_tips_they_are_of() -> None:
    rng = np.random.default_rng(0)
    tips = np.stack([np.outer(*rng.uniform(size=(2, 61))).ravel() for _ in range(20)])
    mean, found = modes(tips.astype(np.float32), 160)
    square = mean.reshape(61, 61)
    np.testing.assert_allclose(square, square[::-1, ::-1], atol=1e-6)
    some = tips[0] - mean
    solved, *_ = np.linalg.lstsq(found.T, some, rcond=None)
    assert np.abs(found.T @ solved - some).max() < 0.2
    energy = np.linalg.norm(found, axis=1)
    assert (np.diff(energy) <= 1e-5).all()
