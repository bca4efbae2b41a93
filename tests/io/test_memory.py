"""What a run keeps of a twin: committed with its row, and found out when it was altered."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from nanopilot.core.clock import VirtualClock
from nanopilot.core.diary import Entry
from nanopilot.core.errors import DiskFull, StoreError, Tampered
from nanopilot.core.events import Event, Intent, Note, Outcome, event_from_json
from nanopilot.instruments import Guard
from nanopilot.io import Journal, RunFolder, RunRecord, verify
from nanopilot.io.memory import TwinNote, memory_of, reached, recall, rows_kept
from nanopilot.testing import film
from nanopilot.twins.replay import ReplayTwin
from nanopilot.workflows.launch import launch, resume
from tests.io.conftest import Start, kill

DATA = b"what a twin has become"
ENTRY = Entry(2.5, DATA)


def intent(step: int, **more: object) -> Intent:
    return Intent(step=step, capability="Scanner", request={}, **more)  # type: ignore[arg-type]


def row(step: int, data: bytes = DATA) -> Outcome:
    return Outcome(step=step, time=float(step), memory=Entry(0.0, data).sha256)


@pytest.fixture
def folder(tmp_path: Path, record: RunRecord) -> Path:
    start = TwinNote.of(ENTRY, "the run begins")
    with RunFolder.create(tmp_path / "run", record, "process", start=start) as run:
        run.journal.append(row(0, b"more"), memory=b"more")
        run.journal.append(row(1, b""))
    return tmp_path / "run"


def altered(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / "run.sqlite")) as connection:
        connection.execute(statement)
        connection.commit()


def test_what_was_kept_is_found_again(folder: Path) -> None:
    with RunFolder.open(folder) as run:
        kept = reached(run.journal)
        assert kept.time == 1.0
        assert list(kept.entries) == [DATA, b"more"]
    assert verify(folder).ok


def test_journal_of_an_instrument_has_no_memory(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "run.sqlite", "process") as journal:
        journal.append(Note(topic="a", text=""))
        assert rows_kept(journal) == set()
        with pytest.raises(Tampered, match="missing"):
            recall(journal, 1, "0" * 64)
        tables = journal._connection.execute("SELECT name FROM sqlite_master").fetchall()
    assert ("memory",) not in tables


@pytest.mark.parametrize(
    ("rows", "time"),
    [
        ([], None),
        ([TwinNote.of(ENTRY, "").note], 2.5),
        ([TwinNote.of(ENTRY, "").note, intent(0, time=4.0)], 4.0),
        ([TwinNote.of(ENTRY, "").note, row(3), intent(4)], 3.0),
    ],
)
def test_time_is_that_of_the_last_row_that_says_so(
    tmp_path: Path, rows: list[Event], time: float | None
) -> None:
    with Journal.create(tmp_path / "run.sqlite", "process") as journal:
        journal.append(*rows)
        assert reached(journal).time == time
    assert memory_of(Note(topic="other", text="", data={"memory": "x"})) == ""


def test_rows_of_older_runs_are_read() -> None:
    old = '{"kind":"intent","step":0,"capability":"Scanner","request":{}}'
    assert event_from_json(old) == intent(0)


@pytest.mark.parametrize(
    ("statement", "first", "why"),
    [
        ("UPDATE memory SET data = x'00' WHERE seq = 3", "memory of row 3", "altered"),
        ("UPDATE memory SET data = x'00' WHERE seq = 2", "memory of row 2", "altered"),
        ("DELETE FROM memory WHERE seq = 3", "memory of row 3", "missing"),
        ("DROP TABLE memory", "memory of row 2", "missing"),
        ("INSERT INTO memory VALUES (4, x'00')", "memory of row 4", "added"),
        ("UPDATE memory SET seq = 4 WHERE seq = 3", "memory of row 3", "missing"),
        (
            'UPDATE rows SET body = replace(body, \'"memory":""\', \'"memory":"1"\') WHERE seq = 4',
            "row 4",
            "altered",
        ),
    ],
)
def test_verify_names_a_memory_that_was_altered(
    folder: Path, statement: str, first: str, why: str
) -> None:
    altered(folder, statement)
    found = verify(folder)
    assert not found.ok
    assert found.first == first
    assert why in found.why


def test_run_with_an_altered_memory_is_not_resumed(tmp_path: Path) -> None:
    def stop(event: object) -> None:
        if isinstance(event, Outcome) and event.step == 3:
            raise KeyboardInterrupt

    scope = Guard(ReplayTwin((film(),), VirtualClock()))
    with pytest.raises(KeyboardInterrupt):
        launch("discover", scope, {"budget": 0.2, "window": 5}, tmp_path / "run", listeners=(stop,))
    altered(
        tmp_path / "run",
        "UPDATE memory SET data = x'00' WHERE seq = (SELECT max(seq) FROM memory)",
    )
    with pytest.raises(Tampered, match="memory"):
        resume(tmp_path / "run", Guard(ReplayTwin((film(),), VirtualClock())))


def test_row_and_memory_are_written_together_or_not_at_all(small_disk: Path) -> None:
    large = bytes(range(256)) * 40000
    with Journal.create(small_disk / "run.sqlite", "process") as journal:
        with pytest.raises(DiskFull, match="resume"):
            journal.append(row(0, large), memory=large)
        assert rows_kept(journal) == set()
        assert journal.append(row(0), memory=DATA) == 1
        assert recall(journal, 1, ENTRY.sha256) == DATA
        assert journal.check_chain() is None


WRITER = """
    import sys
    from nanopilot.core.diary import Entry
    from nanopilot.core.events import Outcome
    from nanopilot.io import Journal

    with Journal.create(sys.argv[1], "process") as journal:
        for step in range(100000):
            data = step.to_bytes(4, "little") * 5000
            memory = Entry(0.0, data).sha256
            journal.append(Outcome(step=step, memory=memory), memory=data)
            print(step, flush=True)
"""


def test_no_kill_parts_a_row_from_its_memory(tmp_path: Path, start: Start) -> None:
    import textwrap

    path = tmp_path / "run.sqlite"
    process = start(textwrap.dedent(WRITER), path)
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(60)]
    acknowledged = int((said + kill(process).splitlines(keepends=True))[-1])
    with Journal.open(path) as journal:
        events = list(journal.events())
        assert len(events) > acknowledged
        hashes = [memory_of(event) for event in events]
        assert rows_kept(journal) == set(range(1, len(hashes) + 1))
        for step, digest in enumerate(hashes):
            assert recall(journal, step + 1, digest) == step.to_bytes(4, "little") * 5000


def test_a_memory_that_cannot_be_read_is_told(folder: Path) -> None:
    with RunFolder.open(folder) as run, pytest.raises(StoreError):
        run.journal.append(row(5), memory=DATA)


def test_the_memory_lies_with_the_row_that_has_its_hash(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "run.sqlite", "process") as journal:
        journal.append(row(0, b""), row(1), Note(topic="a", text=""), memory=DATA)
        assert rows_kept(journal) == {2}
        assert list(reached(journal).entries) == [DATA]


def test_a_row_that_cannot_be_written_leaves_no_memory(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "run.sqlite", "process") as journal:
        journal.append(row(0), memory=DATA)
        refuse = "CREATE TRIGGER no BEFORE INSERT ON rows BEGIN SELECT RAISE(ABORT, 'no'); END"
        journal._connection.execute(refuse)
        with pytest.raises(StoreError):
            journal.append(row(1, b"more"), memory=b"more")
        assert rows_kept(journal) == {1}
        journal._connection.execute("DROP TRIGGER no")
        assert journal.append(row(1, b"more"), memory=b"more") == 2
        assert rows_kept(journal) == {1, 2}
