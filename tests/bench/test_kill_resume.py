"""The kill-resume track really kills, and tells apart what resumed from what did not."""

from pathlib import Path

import pytest

from nanopilot.bench.tracks.kill_resume import Case, KillResume, Visible

ALL = ("decisions", "signals", "kept", "verified", "complete")


@pytest.fixture(scope="module")
def case() -> Case:
    return KillResume().case(0)


def test_abandoned_run_is_not_taken_for_a_finished_one(case: Case) -> None:
    track = KillResume()
    score = track.score(case, track.methods["abandon"](case.visible))
    for name in ("", "twin_"):
        assert score[f"{name}complete"] == 0.0
        assert score[f"{name}kept"] == 1.0


def test_resumed_runs_equal_uninterrupted_ones(case: Case) -> None:
    track = KillResume()
    folders = (case.visible.folder, case.visible.twin)
    before = {p: p.stat().st_size for f in folders for p in f.rglob("*") if p.is_file()}
    score = track.score(case, track.methods["resume"](case.visible))
    after = {p: p.stat().st_size for f in folders for p in f.rglob("*") if p.is_file()}
    assert after == before  # the next method finds the runs as the kill left them
    equal = (*ALL, *(f"twin_{name}" for name in ALL), "twin_memory")
    assert {name: score[name] for name in equal} == dict.fromkeys(equal, 1.0)


def test_clock_and_place_are_enough_for_a_recording_and_not_for_a_twin(case: Case) -> None:
    track = KillResume()
    score = track.score(case, track.methods["clock-and-place"](case.visible))
    assert score["signals"] == 1.0
    assert score["twin_signals"] == 0.0
    assert score["twin_memory"] == 0.0
    assert score["twin_verified"] == 1.0


def test_folder_without_a_run_scores_nothing(case: Case, tmp_path: Path) -> None:
    score = KillResume().score(case, Visible(tmp_path, tmp_path))
    assert score["decisions"] == 0.0
    assert score["twin_verified"] == 0.0
