"""What the track draws is what its text says, and abstaining is neither right nor wrong."""

import math
from dataclasses import replace

import numpy as np
import pytest

from nanopilot.analysis.tip import contacts
from nanopilot.bench.tracks import tip_estimation as track
from nanopilot.bench.tracks.tip_estimation import TipEstimation
from nanopilot.models.tip_imaging import dilate
from nanopilot.workflows import tip_scans


@pytest.fixture(scope="module")
def made() -> list[tuple[track.Scan, track.Truth]]:
    rng = np.random.default_rng([1000, 5])
    return [track.make(rng, double) for _ in range(6) for double in (False, True)]


def test_tips_fit_their_pixels_and_second_ends_are_on_them(
    made: list[tuple[track.Scan, track.Truth]],
) -> None:
    for scan, truth in made:
        assert scan.image.shape == truth.surface.shape == (128, 128)
        assert max(truth.tip.shape) <= 61
        assert truth.tip[truth.tip.shape[0] // 2, truth.tip.shape[1] // 2] == 0.0
        assert 5e-9 <= truth.radius <= 30e-9
        # But for noise, of up to a hundredth of the relief, no scan is below its surface.
        assert (scan.image - truth.surface > -0.06 * 60e-9).all()


def test_second_end_of_every_double_tip_touched_the_surface(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn = []
    true = tip_scans.tip_picture

    def kept(*args: object) -> tip_scans.TipPicture:
        drawn.append(true(*args))  # type: ignore[arg-type]
        # The first second end did not touch, if one believes it.
        return replace(drawn[-1], second=0.0) if len(drawn) == 1 else drawn[-1]

    monkeypatch.setattr(track, "tip_picture", kept)
    _, truth = track.make(np.random.default_rng(3), True)
    assert len(drawn) >= 2
    assert drawn[-1].second > 0
    np.testing.assert_array_equal(truth.surface, drawn[-1].surface)


def test_what_the_second_end_touched_is_where_both_scans_differ() -> None:
    rng = np.random.default_rng(7)
    raw = np.zeros((192, 192))
    raw[tuple(rng.integers(0, 192, (2, 15)))] = rng.uniform(0.5, 1.0, 15)
    tip, pitch = track.ENDS.draw(rng, 10e-9, 30e-9, True)
    both = tip_scans.tip_picture(raw, 30e-9, tip, pitch)
    alone = tip.model_copy(update={"apexes": tip.apexes[:1]})
    first = tip_scans.tip_picture(raw, 30e-9, alone, pitch)
    assert first.second == 0.0
    assert both.second == np.mean(both.image != first.image) > 0
    whole = (raw - raw.min()) / np.ptp(raw) * 30e-9
    np.testing.assert_array_equal(both.image, dilate(whole, both.shape)[32:-32, 32:-32])
    np.testing.assert_array_equal(both.surface, whole[32:-32, 32:-32])


def test_single_tips_are_sharp_where_half_of_the_clean_scan_is_certain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shares = []

    def share(*args: object) -> tuple[np.ndarray, np.ndarray]:
        found = contacts(*args)  # type: ignore[arg-type]
        shares.append(found[1].mean())
        return found

    monkeypatch.setattr(track, "contacts", share)
    rng = np.random.default_rng(11)
    states = [track.make(rng, False)[1].state for _ in range(12)]
    assert states == ["sharp" if one >= 0.5 else "blunt" for one in shares]
    assert set(states) == {"sharp", "blunt"}


def test_abstaining_is_counted_and_not_held_against_the_accuracy() -> None:
    one = TipEstimation(pairs=2)
    case = one.case(0)
    right = [track.Answer(t.surface, t.radius, float(t.double), t.state) for t in case.truth]
    score = one.score(case, tuple(right))
    assert (score["state_accuracy"], score["abstained"]) == (1.0, 0.0)
    silent = [replace(right[0], state="unsure"), *right[1:]]
    wrong = {"sharp": "blunt", "blunt": "double", "double": "sharp"}
    silent[1] = replace(right[1], state=wrong[right[1].state])
    score = one.score(case, tuple(silent))
    assert score["state_accuracy"] == pytest.approx(2 / 3)
    assert score["abstained"] == pytest.approx(1 / 4)
    score = one.score(case, tuple(replace(answer, state="unsure") for answer in right))
    assert math.isnan(score["state_accuracy"])
    assert score["abstained"] == 1.0


def test_same_seed_same_scans_and_single_and_double_in_turn() -> None:
    one, same = TipEstimation(pairs=1).case(4), TipEstimation(pairs=1).case(4)
    np.testing.assert_array_equal(one.visible[1].image, same.visible[1].image)
    assert [truth.double for truth in one.truth] == [False, True]
