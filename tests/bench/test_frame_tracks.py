"""Tracks of frames: the truth scores 1, trivial answers fail, the shipped method beats them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nanopilot.bench.tracks.drift import Answer, DriftTrack
from nanopilot.bench.tracks.levelling import Levelling
from nanopilot.core.registry import load


@pytest.fixture(scope="module")
def drift() -> Any:
    return DriftTrack().case(3)


@pytest.fixture(scope="module")
def levelling() -> Any:
    return Levelling().case(3)


def test_true_velocity_scores_one_and_zero_scores_zero(drift: Any) -> None:
    track = DriftTrack()
    true = track.score(drift, Answer(drift.truth, np.full(drift.truth.shape, 1e-15)))
    assert true["skill"] == 1.0
    assert (true["error"], true["wrong"], true["coverage"]) == (0.0, 0.0, 1.0)
    zero = track.score(drift, track.methods["zero"](drift.visible))
    assert zero["skill"] == 0.0
    assert zero["wrong"] > 0.3


def test_no_answer_counts_as_wrong(drift: Any) -> None:
    velocity = drift.truth.copy()
    velocity[0] = np.nan
    score = DriftTrack().score(drift, Answer(velocity, np.ones_like(velocity)))
    assert score["wrong"] == pytest.approx(1 / 9)
    assert score["worst"] == np.inf
    assert score["skill"] < 1.0


def test_shipped_drift_beats_its_baselines(drift: Any) -> None:
    track = DriftTrack()
    errors = {
        name: track.score(drift, method(drift.visible))["error"]
        for name, method in track.methods.items()
    }
    assert errors[track.default] < 0.5 * min(
        error for name, error in errors.items() if name != track.default
    )


def test_true_surface_scores_one_and_a_constant_zero(levelling: Any) -> None:
    track = Levelling()
    true = track.score(levelling, tuple(one + 5e-9 for one in levelling.truth))
    assert true["skill"] == pytest.approx(1.0)
    constant = track.score(levelling, track.methods["constant"](levelling.visible))
    assert constant["skill"] == pytest.approx(0.0, abs=1e-9)
    assert track.score(levelling, track.methods["none"](levelling.visible))["skill"] == 0.0


def test_shipped_levelling_beats_its_baselines(levelling: Any) -> None:
    track = Levelling()
    score = {
        name: track.score(levelling, method(levelling.visible))["skill"]
        for name, method in track.methods.items()
    }
    assert score[track.default] > score["plane"] + 0.2


def test_bars_speak_of_metrics_and_methods_there_are(drift: Any, levelling: Any) -> None:
    for track, case in ((DriftTrack(), drift), (Levelling(), levelling)):
        method = track.methods["zero" if "zero" in track.methods else "none"]
        metrics = track.score(case, method(case.visible))  # type: ignore[arg-type]
        for bar in track.bars:
            assert bar.metric in metrics
            assert (bar.method or track.default) in track.methods


@pytest.mark.parametrize("name", ["drift", "levelling"])
def test_same_seed_gives_the_same_case_and_another_seed_another(
    name: str, drift: Any, levelling: Any
) -> None:
    first = {"drift": drift, "levelling": levelling}[name]
    again, other = load("tracks", name)().case(3), load("tracks", name)().case(4)
    for one, two in zip(first.truth, again.truth, strict=True):
        np.testing.assert_array_equal(one, two)
    assert not np.allclose(first.truth[0], other.truth[0], atol=0.0)


def test_methods_see_no_truth(drift: Any, levelling: Any) -> None:
    hidden = replace(drift, truth=np.full_like(drift.truth, np.nan))
    for method in DriftTrack().methods.values():
        assert np.isfinite(method(hidden.visible).velocity).all()
    assert all(set(frame.attrs) == set(levelling.visible[0].attrs) for frame in levelling.visible)
    assert "motion" not in str(drift.visible[0][0].attrs)
