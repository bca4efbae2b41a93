"""The truth scores 1 on every track, a constant answer near 0, and methods see no truth."""

from dataclasses import replace

import numpy as np
import pytest

from nanopilot.bench.closed_loop import Answer, Case, random_recall, recall_curve
from nanopilot.bench.tracks.beps_loops import BepsLoops, enclosed_area
from nanopilot.bench.tracks.discovery import Discovery
from nanopilot.core.capabilities import Scanner
from nanopilot.core.errors import OutOfRange
from nanopilot.core.requests import ScanRequest
from nanopilot.testing import film


@pytest.fixture(scope="module", params=[BepsLoops, Discovery], ids=["beps-loops", "discovery"])
def track(request: pytest.FixtureRequest) -> BepsLoops | Discovery:
    return request.param()  # type: ignore[no-any-return]


def perfect(case: Case) -> Answer:
    best = np.argsort(case.truth)[-case.best :]
    spread = np.full(case.truth.size, 1e-3)
    return Answer(tuple(best.tolist()), case.truth, spread, case.truth)


def test_truth_scores_one(track: BepsLoops | Discovery) -> None:
    case = track.case(0)
    score = track.score(case, perfect(case))
    assert score["recall"] == 1.0
    assert score["r2"] == pytest.approx(1.0)
    assert score["coverage"] == 1.0


def test_constant_and_shuffled_answers_score_near_zero(track: BepsLoops | Discovery) -> None:
    case = track.case(0)
    first = tuple(range(round(case.visible.budget * case.truth.size)))
    flat = np.full(case.truth.size, case.truth.mean())
    constant = track.score(case, replace(perfect(case), measured=first, expected=flat))
    assert constant["r2"] == pytest.approx(0.0, abs=0.05)
    assert constant["recall"] < 0.3
    mixed = np.random.default_rng(0).permutation(case.truth)
    assert track.score(case, replace(perfect(case), expected=mixed))["r2"] < 0


def test_same_seed_gives_the_same_case(track: BepsLoops | Discovery) -> None:
    np.testing.assert_array_equal(track.case(3).truth, track.case(3).truth)


def test_every_bar_speaks_of_a_method_and_a_metric_there_are(
    track: BepsLoops | Discovery,
) -> None:
    case = track.case(0)
    metrics = track.score(case, perfect(case))
    for bar in track.bars:
        assert (bar.method or track.default) in track.methods
        assert bar.metric in metrics
    assert "random" in track.methods


def test_methods_see_an_instrument_and_no_truth(track: BepsLoops | Discovery) -> None:
    visible = track.case(0).visible
    assert {"connect", "seed", "budget"} == set(visible.__slots__)
    scope = visible.connect()
    assert not hasattr(scope, "truth")
    beyond = ScanRequest(centre=(1.0, 1.0), field_of_view=(0, 0), shape=(1, 1))
    with pytest.raises(OutOfRange):
        scope.capability(Scanner).start(beyond)


def test_films_of_other_seeds_are_other_films() -> None:
    track = Discovery()
    assert not np.allclose(track.case(0).truth, track.case(1).truth)


def test_area_is_that_of_the_loop_and_deaf_to_spikes() -> None:
    loops = film(rows=1, columns=2)
    clean = enclosed_area(loops)
    # A square loop of response r and coercive bias 3.5 V (between two points) encloses 14 r.
    np.testing.assert_allclose(clean, 14.0 * np.array([[1.0, 1.5]]), rtol=0.1)
    spiked = loops.copy()
    spiked[..., 5] = 100.0
    spiked[..., 40:42] = -100.0
    np.testing.assert_allclose(enclosed_area(spiked), clean, rtol=0.2)


def test_recall_grows_to_the_share_found() -> None:
    case = Case(visible=None, truth=np.arange(10.0), best=2)  # type: ignore[arg-type]
    answer = Answer((0, 9, 5, 8), np.zeros(10), np.ones(10), np.zeros(10))
    assert recall_curve(case, answer) == [0.0, 0.5, 0.5, 1.0]


def test_random_search_finds_what_counting_says() -> None:
    case = Case(visible=None, truth=np.arange(100.0), best=10)  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    drawn = [np.isin(rng.choice(100, 30, replace=False), range(90, 100)).mean() for _ in range(500)]
    chance = random_recall(case, 30)
    assert chance["random_curve"][-1] == 0.3
    assert np.mean(drawn) * 3 == pytest.approx(0.3, abs=0.02)
    assert chance["random_low"][-1] < 0.3 < chance["random_high"][-1]
