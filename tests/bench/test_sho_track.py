"""Tracks of fits: the truth scores 1, a constant 0, and no method but one looks at the truth."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nanopilot.bench.coverage import NINETY, Fits, covered
from nanopilot.bench.resonance_peers import fit_from_peak
from nanopilot.bench.runner import run_track
from nanopilot.bench.tracks.loops import Loops
from nanopilot.bench.tracks.sho import Sho
from nanopilot.core.registry import load


@pytest.fixture(scope="module", params=[Sho, Loops], ids=["sho", "loops"])
def track(request: pytest.FixtureRequest) -> Sho | Loops:
    return request.param()  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def case(track: Sho | Loops) -> Any:
    return track.case(0)


def perfect(case: Any, *, std: float = 1e-6) -> tuple[Fits, ...]:
    return tuple(
        Fits(truth.copy(), std * np.abs(truth), np.ones(len(truth), dtype=bool))
        for truth in case.truth
    )


def test_truth_scores_one_and_hits_every_bar_but_that_of_too_wide(
    track: Sho | Loops, case: Any
) -> None:
    score = track.score(case, perfect(case))
    assert score["skill"] == 1.0
    for name, value in score.items():
        if name.startswith("coverage"):
            assert value == 1.0
        elif name != "skill":
            assert value == pytest.approx(0.0, abs=1e-12)


def test_constant_answer_scores_zero_and_fails(track: Sho | Loops, case: Any) -> None:
    score = track.score(case, track.methods["constant"](case.visible))
    assert score["skill"] == pytest.approx(0.0, abs=0.1)
    assert score["failures_50"] > 0.2


def test_no_answer_is_a_failure_but_no_silent_one(track: Sho | Loops, case: Any) -> None:
    mute = tuple(
        replace(fits, values=fits.values * np.nan, answered=~fits.answered)
        for fits in perfect(case)
    )
    score = track.score(case, mute)
    assert score["failures_50"] == 1.0
    assert score["silent_50"] == 0.0
    assert score["skill"] == pytest.approx(0.0, abs=0.1)
    assert np.isnan(score["coverage_50"])


def test_answers_that_are_off_lose_coverage_and_far_off_they_fail(
    track: Sho | Loops, case: Any
) -> None:
    near = tuple(replace(fits, values=fits.values * 1.001) for fits in perfect(case))
    assert track.score(case, near)["coverage_50"] < 0.1
    swapped = tuple(replace(fits, values=fits.values[::-1]) for fits in perfect(case))
    assert track.score(case, swapped)["silent_50"] > 0.3


def test_shipped_method_beats_the_constant_and_keeps_its_promises(
    track: Sho | Loops, case: Any
) -> None:
    score = track.score(case, track.methods[track.default](case.visible))
    assert score["skill"] > 0.3
    assert score["failures_10"] < 0.05
    loud = np.mean([score[f"coverage_{snr}"] for snr in (2, 5, 10, 20, 50)])
    assert 0.82 < loud < 0.97


def test_no_method_is_given_the_truth(case: Any) -> None:
    given = [value for name in case.visible.__slots__ for value in getattr(case.visible, name)]
    for truth in case.truth:
        for signal in given:
            values = signal.to_numpy()
            assert values.shape != truth.shape
            assert "truth" not in " ".join(map(str, signal.attrs))


def test_the_plain_peer_finds_what_is_plain_to_see() -> None:
    case = Sho().case(1)
    bands = tuple(band.isel(point=slice(-3, None)) for band in case.visible.bands)
    visible = replace(case.visible, bands=bands)
    found = Fits.joined(fit_from_peak(visible))
    truth = np.concatenate([rows[-3:] for rows in case.truth])
    width = truth[:, 0] / truth[:, 1]
    assert (np.abs(found.values[:, 0] - truth[:, 0]) < 0.2 * width).mean() > 0.9


def test_same_seed_gives_the_same_case_and_another_another(track: Sho | Loops) -> None:
    first, again, other = track.case(3), track.case(3), track.case(4)
    for ours, theirs in zip(first.truth, again.truth, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not np.allclose(first.truth[0], other.truth[0])
    assert load("tracks", track.name) is type(track)


def test_every_bar_speaks_of_a_method_and_a_metric_there_are(track: Sho | Loops) -> None:
    result = run_track(track, range(1), methods=(track.default,))
    assert len(result.acceptance) == len(track.bars)
    assert all(np.isfinite(line.value) for line in result.acceptance)


def test_nine_of_ten_normal_errors_are_covered() -> None:
    rng = np.random.default_rng(0)
    truth = np.full((20_000, 2), 3.0)
    values = np.stack(
        [3.0 + 0.5 * rng.normal(size=20_000), 3.0 * np.exp(0.1 * rng.normal(size=20_000))], axis=1
    )
    std = np.stack([np.full(20_000, 0.5), 0.1 * values[:, 1]], axis=1)
    share = covered(values, std, truth, positive=(False, True), deviations=NINETY).mean(axis=0)
    np.testing.assert_allclose(share, 0.9, atol=0.01)
