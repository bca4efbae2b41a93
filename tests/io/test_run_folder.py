"""A run survives what happens to it, and says what it is."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from nanopilot.core.errors import DiskFull, StoreError, Tampered
from nanopilot.core.events import Note, Outcome
from nanopilot.io import RunFolder, RunRecord, load_history, verify
from tests.io.conftest import Start, kill, spectrum, step


def make(folder: Path, record: RunRecord, steps: int = 0) -> Path:
    with RunFolder.create(folder, record, "process") as run:
        run.signals.create("spectra", spectrum(0), max(1, steps))
        for number in range(steps):
            refs = run.signals.append("spectra", number, spectrum(number))
            decision, intent, outcome = step(number, refs)
            run.journal.append(decision, intent)
            run.journal.append(outcome)
    return folder


def test_run_is_found_again_as_it_was_left(tmp_path: Path, record: RunRecord) -> None:
    folder = make(tmp_path / "runs" / "one", record, steps=2)
    with RunFolder.open(folder) as run:
        assert run.record == record
        assert run.path == folder
        assert [event.kind for event in run.journal.events()] == [
            "note", "decision", "intent", "outcome", "decision", "intent", "outcome",
        ]  # fmt: skip
        assert run.signals.get("spectra", 1).identical(spectrum(1))
    assert json.loads((folder / "run.json").read_text())["workflow"] == "discover"


def test_default_is_what_survives_a_power_cut(tmp_path: Path, record: RunRecord) -> None:
    with RunFolder.create(tmp_path / "run", record) as run:
        (level,) = run.journal._connection.execute("PRAGMA synchronous").fetchone()
    with RunFolder.open(tmp_path / "run", write=True, durability="process") as run:
        (lower,) = run.journal._connection.execute("PRAGMA synchronous").fetchone()
    assert (level, lower) == (2, 1)


def test_every_acknowledged_file_is_flushed_first(
    tmp_path: Path, record: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Count the flushes: a power cut cannot be staged, but leaving them out can be seen."""
    flushed: list[int] = []
    monkeypatch.setattr("os.fsync", flushed.append)
    with RunFolder.create(tmp_path / "run", record) as run:
        run.signals.create("spectra", spectrum(0), 1)
        before = len(flushed)
        run.signals.append("spectra", 0, spectrum(0))
        assert len(flushed) - before == 4  # two files, two folders
    with RunFolder.open(tmp_path / "run", write=True, durability="process") as run:
        before = len(flushed)
        run.signals.append("spectra", 0, spectrum(0))
        assert len(flushed) == before


def test_folder_with_something_in_it_is_left_alone(tmp_path: Path, record: RunRecord) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(StoreError, match="not empty"):
        RunFolder.create(tmp_path, record)
    assert [file.name for file in tmp_path.iterdir()] == ["letter.txt"]


def test_place_that_can_be_no_folder_is_an_error_of_one_line(
    tmp_path: Path, record: RunRecord
) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "run", tmp_path / ("x" * 300)):
        with pytest.raises(StoreError) as caught:
            RunFolder.create(place, record)
        assert "\n" not in str(caught.value)


def test_what_is_no_run_is_an_error_of_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path, tmp_path / "none", tmp_path / "file"):
        with pytest.raises(StoreError, match="not a run folder") as caught:
            RunFolder.open(place)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new"), [('"seed": 0', '"seed": 1'), ('"seed"', '"sead"'), ("{", "["), ("\n", " ")]
)
def test_altered_record_is_refused(tmp_path: Path, record: RunRecord, old: str, new: str) -> None:
    file = make(tmp_path / "run", record) / "run.json"
    file.write_text(file.read_text().replace(old, new))
    for write in (False, True):
        with pytest.raises(Tampered, match=r"`.*run\.json` was altered") as caught:
            RunFolder.open(tmp_path / "run", write=write)
        assert "\n" not in str(caught.value)


def test_lost_journal_is_an_error_of_one_line(tmp_path: Path, record: RunRecord) -> None:
    (make(tmp_path / "run", record) / "run.sqlite").unlink()
    with pytest.raises(StoreError, match="journal of this run is lost"):
        RunFolder.open(tmp_path / "run")


def test_run_is_written_by_one_at_a_time(tmp_path: Path, record: RunRecord) -> None:
    folder = make(tmp_path / "run", record)
    with RunFolder.open(folder, write=True) as run:
        with pytest.raises(StoreError, match="is being written by"):
            RunFolder.open(folder, write=True)
        run.close()
        RunFolder.open(folder, write=True).close()


def test_run_that_cannot_be_made_leaves_nothing(
    tmp_path: Path, record: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("nanopilot.io.journal.Journal.append", full)
        with pytest.raises(DiskFull):
            RunFolder.create(tmp_path / "run", record)
    make(tmp_path / "run", record)


def test_series_moved_away_by_a_killed_writer_is_put_back(
    tmp_path: Path, record: RunRecord
) -> None:
    folder = make(tmp_path / "run", record, steps=1)
    (folder / "signals.zarr" / "spectra").rename(folder / "signals.zarr" / ".spectra.old")
    RunFolder.open(folder, write=True).close()
    assert verify(folder).ok


def test_half_made_series_is_removed_by_the_next_writer(tmp_path: Path, record: RunRecord) -> None:
    folder = make(tmp_path / "run", record, steps=1)
    (folder / "signals.zarr" / ".map.partial" / "x").mkdir(parents=True)
    with RunFolder.open(folder) as run:
        assert run.signals.names() == ("spectra",)
    RunFolder.open(folder, write=True).close()
    assert not (folder / "signals.zarr" / ".map.partial").exists()


WRITER = """
import sys
from nanopilot.io import RunFolder, load_history
from tests.io.conftest import spectrum, step
with RunFolder.open(sys.argv[1], write=True, durability="process") as run:
    begin = len(load_history(run.journal.events()).history)
    run.signals.create("spectra", spectrum(0), 4)
    for number in range(begin, 100_000):
        decision, intent, _ = step(number)
        run.journal.append(decision, intent)
        refs = run.signals.append("spectra", number, spectrum(number))
        run.journal.append(step(number, refs)[2])
        print(number, flush=True)
"""


def test_run_killed_again_and_again_loses_nothing_acknowledged(
    tmp_path: Path, record: RunRecord, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", _import_path())
    folder = make(tmp_path / "run", record)
    done = 0
    for wait in (1, 30, 7):
        process = start(WRITER, folder)
        said = [process.stdout.readline() for _ in range(wait)]  # type: ignore[union-attr]
        done = int((said + kill(process).splitlines(keepends=True))[-1]) + 1
        verdict = verify(folder)
        assert verdict.ok, verdict
        assert verdict.chunks >= done
    with RunFolder.open(folder) as run:
        steps = load_history(run.journal.events()).history.steps
        assert [step.action.index for step in steps] == list(range(len(steps)))
        outcomes = [event for event in run.journal.events() if isinstance(event, Outcome)]
        for number in range(done):
            kept = run.signals.get("spectra", number, outcomes[number].signals)
            assert kept.identical(spectrum(number))


def _import_path() -> str:
    import os
    import sys

    root = Path(__file__).parents[2]
    return os.pathsep.join([str(root), *filter(None, sys.path)])


def test_first_row_ties_the_record_to_the_journal(tmp_path: Path, record: RunRecord) -> None:
    with RunFolder.open(make(tmp_path / "run", record)) as run:
        first = next(iter(run.journal.events()))
    assert isinstance(first, Note)
    assert first.topic == "run"
    assert set(first.data) == {"sha256"}
