"""The lost-commander track tells an instrument that was made safe from one that was not."""

import pytest

from nanopilot.bench.tracks.lost_commander import Answer, Case, LostCommander, Visible


def test_a_killed_commander_leaves_a_safe_instrument_and_a_row_that_says_so() -> None:
    track = LostCommander()
    case = Case(Visible("tip", after=0.2))
    score = track.score(case, track.methods["watchdog"](case.visible))
    assert {name: score[name] for name in ("secured", "ended", "journalled")} == {
        "secured": 1.0, "ended": 1.0, "journalled": 1.0,
    }  # fmt: skip


def test_without_a_watchdog_nothing_of_it_comes_true() -> None:
    track = LostCommander()
    case = Case(Visible("beam", after=0.0))
    score = track.score(case, track.methods["no-watchdog"](case.visible))
    assert score == {
        "secured": 0.0, "in_time": 0.0, "seconds": 4.0, "ended": 0.0, "journalled": 0.0,
    }  # fmt: skip


@pytest.mark.parametrize(("seconds", "in_time"), [(1.9, 1.0), (2.1, 0.0), (float("inf"), 0.0)])
def test_in_time_is_within_two_seconds(seconds: float, in_time: float) -> None:
    score = LostCommander().score(Case(Visible("tip", 0.0)), Answer(seconds, True, True))
    assert score["in_time"] == in_time


def test_every_bar_speaks_of_a_metric_there_is() -> None:
    track = LostCommander()
    metrics = track.score(track.case(0), Answer(1.0, ended=True, journalled=True))
    assert {bar.metric for bar in track.bars} <= set(metrics)
    assert track.default in track.methods
    assert [track.case(seed).visible for seed in (0, 1)] == [
        track.case(seed).visible for seed in (0, 1)
    ]
