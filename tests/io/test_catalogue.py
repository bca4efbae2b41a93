"""The catalogue says what is in the folders, whatever its index says."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanopilot.core.errors import StoreError, UnknownName
from nanopilot.core.events import Decision, Note
from nanopilot.io import RunFolder, RunRecord, find_run, list_runs
from tests.io.conftest import events


@pytest.fixture
def runs(tmp_path: Path, record: RunRecord) -> Path:
    for number, steps in ((2, 3), (1, 0), (10, 2)):
        told = record.model_copy(
            update={"id": f"run-{number}", "seed": number, "created": f"2025-01-{number:02}"}
        )
        with RunFolder.create(tmp_path / f"folder-{number}", told, "process") as run:
            run.journal.append(*events(steps))
            if number == 10:
                run.journal.append(Note(topic="finished", text=""))
    (tmp_path / "notes").mkdir()
    (tmp_path / "letter.txt").write_text("mine")
    return tmp_path


def test_runs_are_listed_oldest_first(runs: Path) -> None:
    listed = list_runs(runs)
    assert [(run.id, run.steps, run.best, run.state, run.seed) for run in listed] == [
        ("run-1", 0, None, "interrupted", 1),
        ("run-2", 3, 2.0, "interrupted", 2),
        ("run-10", 2, 1.0, "finished", 10),
    ]
    assert [Path(run.folder).name for run in listed] == ["folder-1", "folder-2", "folder-10"]
    assert list_runs(runs) == listed


def test_index_that_is_lost_or_damaged_is_made_anew(runs: Path) -> None:
    listed = list_runs(runs)
    for content in (None, b"", b"junk" * 1000):
        (runs / "catalogue.sqlite").unlink()
        if content is not None:
            (runs / "catalogue.sqlite").write_bytes(content)
        assert list_runs(runs) == listed


def test_what_changed_in_a_folder_shows_at_once(runs: Path) -> None:
    list_runs(runs)
    with RunFolder.open(runs / "folder-1", write=True, durability="process") as run:
        run.journal.append(*events(5))
        assert list_runs(runs)[0].state == "running"
        assert list_runs(runs)[0].steps == 5
    assert list_runs(runs)[0].state == "interrupted"
    assert list_runs(runs)[0].steps == 5


def test_run_without_its_last_rows_is_not_finished(runs: Path) -> None:
    """The policy has stopped, but nobody has drawn the map yet."""
    with RunFolder.open(runs / "folder-1", write=True, durability="process") as run:
        run.journal.append(Decision(step=0, action=None, why="budget"))
    assert list_runs(runs)[0].state == "interrupted"


def test_damaged_run_is_listed_as_such(runs: Path) -> None:
    (runs / "folder-2" / "run.json").write_text("{}")
    (runs / "folder-10" / "run.sqlite").write_bytes(b"junk")
    damaged = [run for run in list_runs(runs) if run.state == "damaged"]
    assert {run.id for run in damaged} == {"folder-2", "folder-10"}
    assert all(run.why and "\n" not in run.why for run in damaged)


def test_run_is_found_by_id_beginning_folder_or_path(runs: Path) -> None:
    for text in ("run-10", "run-10"[:6], "folder-10", str(runs / "folder-10")):
        assert find_run(runs, text) == runs / "folder-10"
    assert find_run(runs, "run-1") == runs / "folder-1"  # exact wins over a beginning


def test_unknown_run_is_told_with_the_nearest_ones(runs: Path) -> None:
    with pytest.raises(UnknownName, match=r"`run` is 'rum-2'.*did you mean run-2"):
        find_run(runs, "rum-2")
    with pytest.raises(UnknownName, match="Known: none"):
        find_run(runs / "none", "run-2")


def test_beginning_of_several_ids_is_refused(runs: Path) -> None:
    with pytest.raises(StoreError, match=r"run-1, run-2, run-10"):
        find_run(runs, "run-")


def test_place_that_is_no_folder_is_an_error(runs: Path) -> None:
    with pytest.raises(StoreError, match="not a folder"):
        list_runs(runs / "letter.txt")


def test_folder_without_runs_lists_none(tmp_path: Path) -> None:
    assert list_runs(tmp_path) == []
