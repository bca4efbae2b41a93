"""The kill-resume track really kills, and tells apart what resumed from what did not."""

from pathlib import Path

import pytest

from nanopilot.bench.tracks.kill_resume import Case, KillResume


@pytest.fixture(scope="module")
def case() -> Case:
    return KillResume().case(0)


def test_abandoned_run_is_not_taken_for_a_finished_one(case: Case) -> None:
    track = KillResume()
    score = track.score(case, track.methods["abandon"](case.visible))
    assert score["complete"] == 0.0
    assert score["kept"] == 1.0


def test_resumed_run_equals_an_uninterrupted_one(case: Case) -> None:
    track = KillResume()
    before = {p: p.stat().st_size for p in case.visible.folder.rglob("*") if p.is_file()}
    score = track.score(case, track.methods["resume"](case.visible))
    after = {p: p.stat().st_size for p in case.visible.folder.rglob("*") if p.is_file()}
    assert after == before  # the next method finds the run as the kill left it
    assert {
        name: score[name] for name in ("decisions", "signals", "kept", "verified", "complete")
    } == {
        "complete": 1.0,
        "decisions": 1.0,
        "signals": 1.0,
        "kept": 1.0,
        "verified": 1.0,
    }


def test_folder_without_a_run_scores_nothing(case: Case, tmp_path: Path) -> None:
    score = KillResume().score(case, tmp_path)
    assert score["decisions"] == 0.0
    assert score["verified"] == 0.0
