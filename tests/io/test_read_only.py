"""A run is read wherever it lies, by somebody who may write nothing there."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nanopilot.core.errors import StoreError
from nanopilot.io import RunFolder, RunRecord, find_run, list_runs, verify
from tests.io.conftest import Start, kill, spectrum, step

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="folders there have no such rights")

NOBODY = 65534
WRITER = """
import sys, time
from nanopilot.core.events import Note
from nanopilot.io import RunFolder
run = RunFolder.open(sys.argv[1], write=True, durability="process")
run.journal.append(Note(topic="last", text="words"))
print("written", flush=True)
time.sleep(60)
"""


@pytest.fixture
def folder(record: RunRecord) -> Iterator[Path]:
    """Make a run where other users come."""
    top = Path(tempfile.mkdtemp(prefix="nanopilot-"))
    folder = top / "runs" / "one"
    with RunFolder.create(folder, record, "process") as run:
        run.signals.create("spectra", spectrum(0), 1)
        decision, intent, outcome = step(0, run.signals.append("spectra", 0, spectrum(0)))
        run.journal.append(decision, intent)
        run.journal.append(outcome)
    assert look(folder) == "outcome"  # and whatever is imported late is there by now
    yield folder
    permit(top, write=True)
    shutil.rmtree(top)


def permit(top: Path, *, write: bool) -> None:
    top.chmod(0o755 if write else 0o555)
    for place in top.rglob("*"):
        place.chmod((0o644 if write else 0o444) | (0o111 if place.is_dir() else 0))


@contextmanager
def reading_only(folder: Path) -> Iterator[None]:
    """Take the right to write from the folder, and from root its power to write anyway."""
    permit(folder.parents[1], write=False)
    before = os.geteuid(), os.getegid()
    if before[0] == 0:
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
    try:
        if not os.access(folder, os.R_OK | os.X_OK, effective_ids=True):
            pytest.skip("temporary folders are closed to other users here")
        yield
    finally:
        os.seteuid(before[0])
        os.setegid(before[1])


def look(folder: Path) -> str:
    """Use everything that reads; return the kind of the last event."""
    verdict = verify(folder)
    assert verdict.ok, verdict
    (told,) = list_runs(folder.parent)
    assert told.steps == 1
    assert find_run(folder.parent, told.id[:6]) == folder
    with RunFolder.open(folder) as run:
        assert run.signals.get("spectra", 0).identical(spectrum(0))
        return list(run.journal.events())[-1].kind


def listing(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_finished_run_on_read_only_media_is_read(folder: Path) -> None:
    (folder.parent / "catalogue.sqlite").unlink()
    before = listing(folder.parent)
    with reading_only(folder):
        assert look(folder) == "outcome"
    assert listing(folder.parent) == before


def test_killed_run_on_read_only_media_is_read_to_its_last_row(folder: Path, start: Start) -> None:
    process = start(WRITER, folder)
    assert process.stdout.readline()  # type: ignore[union-attr]
    kill(process)
    with reading_only(folder):
        assert look(folder) == "note"
    (folder / "run.sqlite-shm").unlink()  # as after a copy that left it out
    with reading_only(folder):
        assert look(folder) == "note"


def test_run_being_written_is_read(folder: Path, start: Start) -> None:
    process = start(WRITER, folder)
    assert process.stdout.readline()  # type: ignore[union-attr]
    assert look(folder) == "note"
    assert list_runs(folder.parent)[0].state == "running"
    kill(process)
    assert list_runs(folder.parent)[0].state == "interrupted"


def test_reading_leaves_nothing_behind(folder: Path) -> None:
    before = listing(folder)
    assert look(folder) == "outcome"
    assert listing(folder) == before


def test_folder_that_cannot_be_written_is_an_error_of_one_line(
    folder: Path, record: RunRecord
) -> None:
    with reading_only(folder):
        with pytest.raises(StoreError, match="ermission") as caught:
            RunFolder.create(folder.parent / "two", record)
        assert "\n" not in str(caught.value)
        with pytest.raises(StoreError, match="ermission"):
            RunFolder.open(folder, write=True)
