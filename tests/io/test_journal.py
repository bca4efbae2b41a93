"""The journal keeps what it acknowledged, and notices what was changed."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import threading
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanopilot.core.errors import DiskFull, StoreError, Tampered
from nanopilot.core.events import Event, Note
from nanopilot.io import Journal
from nanopilot.io.chain import row_hash
from tests.io.conftest import Start, events, kill

ROWS = 12
COLUMNS = ("seq", "kind", "wall", "body", "previous", "hash")
notes = st.builds(Note, topic=st.text(), text=st.text(), data=st.dictionaries(st.text(), st.text()))


def filled(path: Path, rows: int = ROWS) -> Path:
    with Journal.create(path, "process") as journal:
        for event in events(rows // 3):
            journal.append(event)
    return path


def append_for_ever(journal: Journal) -> None:
    """Append until the disk is full, and see that nothing acknowledged is lost by that."""
    reached = journal.head[0]
    try:
        while reached < 100_000:
            reached = journal.append(Note(topic="n", text="x" * 1000))
    finally:
        assert journal.head[0] == reached


def alter(path: Path, statement: str, *values: object) -> None:
    """Change the file behind the journal's back."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement, values)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return filled(tmp_path / "run.sqlite")


@given(st.lists(st.lists(notes, max_size=3), max_size=4))
@settings(max_examples=30)
def test_what_was_appended_comes_back_in_order(batches: list[list[Event]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.sqlite")
        with Journal.create(path, "process") as journal:
            for batch in batches:
                journal.append(*batch)
        with Journal.open(path) as journal:
            assert list(journal.events()) == [event for batch in batches for event in batch]
            assert journal.check_chain() is None


def test_rows_behind_a_number_are_those_not_seen_yet(path: Path) -> None:
    with Journal.open(path) as journal:
        assert [row.seq for row in journal.rows(after=ROWS - 2)] == [ROWS - 1, ROWS]
        assert list(journal.events(after=ROWS)) == []


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return filled(tmp_path_factory.mktemp("journal") / "run.sqlite")


@given(
    row=st.integers(1, ROWS),
    column=st.sampled_from(COLUMNS[1:]),
    place=st.floats(0, 1, exclude_max=True),
    change=st.integers(1, 127),
)
@settings(max_examples=100)
def test_any_altered_byte_of_any_row_is_found(
    pristine: Path, row: int, column: str, place: float, change: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.sqlite")
        shutil.copy(pristine, path)
        with closing(sqlite3.connect(path)) as connection:
            query = f"SELECT {column} FROM rows WHERE seq = ?"
            (value,) = connection.execute(query, (row,)).fetchone()
        if isinstance(value, str):
            data = bytearray(value.encode())
            data[int(place * len(data))] ^= change
            value = data.decode()
        else:
            value ^= change
        alter(path, f"UPDATE rows SET {column} = ? WHERE seq = ?", value, row)
        with Journal.open(path) as journal:
            fault = journal.check_chain()
        assert fault is not None
        assert fault.seq == row


@given(place=st.floats(0, 1, exclude_max=True), change=st.integers(1, 255))
@settings(max_examples=200)
def test_flipped_byte_of_the_file_is_found_or_harmless(
    pristine: Path, place: float, change: int
) -> None:
    data = bytearray(pristine.read_bytes())
    data[int(place * len(data))] ^= change
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.sqlite")
        path.write_bytes(data)
        try:
            journal = Journal.open(path)
        except StoreError as error:
            said = str(error)
        else:
            with journal:
                fault = journal.check_chain()
                said = str(fault)
                assert fault is not None or list(journal.events()) == events(ROWS // 3)
    assert "\n" not in said


@pytest.mark.parametrize(
    ("statement", "seq"),
    [
        ("DELETE FROM rows WHERE seq = 5", 5),
        ("DELETE FROM rows WHERE seq = 1", 1),
        (f"DELETE FROM rows WHERE seq > {ROWS - 3}", ROWS - 2),
        ("UPDATE rows SET seq = -seq WHERE seq = 5", 1),
        (f"UPDATE head SET seq = {ROWS - 1}", ROWS),
        ("UPDATE head SET hash = previous FROM rows WHERE rows.seq = 3", ROWS),
        ("DELETE FROM rows", 1),
        (
            "INSERT INTO rows SELECT seq + 1, kind, wall, body, previous, hash FROM rows"
            f" WHERE seq = {ROWS}",
            ROWS + 1,
        ),
    ],
)
def test_removed_added_and_exchanged_rows_are_found(path: Path, statement: str, seq: int) -> None:
    alter(path, statement)
    with Journal.open(path) as journal:
        fault = journal.check_chain()
    assert fault is not None
    assert fault.seq == seq


def test_row_replaced_together_with_its_hash_is_named_itself(path: Path) -> None:
    with Journal.open(path) as journal:
        row = list(journal.rows())[4]
    body = row.body.replace("step", "stop")
    digest = row_hash(row.seq, row.kind, row.wall, row.previous, body)
    alter(path, "UPDATE rows SET body = ?, hash = ? WHERE seq = 5", body, digest)
    with Journal.open(path) as journal:
        fault = journal.check_chain()
    assert fault is not None
    assert fault.seq == 5


def test_lost_head_is_no_journal(path: Path) -> None:
    alter(path, "DELETE FROM head")
    with pytest.raises(StoreError, match="head"):
        Journal.open(path)


def test_damaged_journal_is_not_continued(path: Path) -> None:
    alter(path, "UPDATE rows SET kind = 'note' WHERE seq = 7")
    with pytest.raises(Tampered, match="row 7"):
        Journal.open(path, write=True)
    alter(path, "UPDATE rows SET kind = 'decision' WHERE seq = 7")
    Journal.open(path, write=True).close()


def test_continued_journal_is_one_chain(path: Path) -> None:
    with Journal.open(path, write=True, durability="process") as journal:
        assert journal.append(Note(topic="resume", text="")) == ROWS + 1
        assert journal.check_chain() is None


def test_append_is_all_or_nothing(path: Path) -> None:
    class Unwritable(Note):
        def model_dump_json(self, **options: object) -> str:
            raise RuntimeError

    with Journal.open(path, write=True, durability="process") as journal:
        before = journal.head
        with pytest.raises(RuntimeError):
            journal.append(Note(topic="a", text=""), Unwritable(topic="b", text=""))
        assert journal.head == before
        journal.append(Note(topic="c", text=""))
        assert journal.check_chain() is None


def test_journal_opened_to_read_cannot_be_written(path: Path) -> None:
    before = {file: file.read_bytes() for file in path.parent.iterdir()}
    with Journal.open(path) as journal, pytest.raises(StoreError, match="write=True"):
        journal.append(Note(topic="a", text=""))
    assert {file: file.read_bytes() for file in path.parent.iterdir()} == before


def test_reader_sees_what_is_added_meanwhile(path: Path) -> None:
    with Journal.open(path) as reader:
        assert len(list(reader.rows())) == ROWS
        with Journal.open(path, write=True, durability="process") as writer:
            for number in range(3):
                writer.append(Note(topic="n", text=str(number)))
                assert reader.head == writer.head
            with Journal.open(path) as other:
                assert other.check_chain() is None
                writer.append(Note(topic="n", text="3"))
        assert [row.event.text for row in reader.rows(after=ROWS)] == ["0", "1", "2", "3"]


def test_reader_sees_what_was_added_by_a_writer_that_came_and_went(path: Path) -> None:
    with Journal.open(path) as reader:
        for number in range(3):
            with Journal.open(path, write=True, durability="process") as writer:
                head = writer.append(Note(topic="n", text=str(number))), writer.head[1]
            assert reader.head == head
            assert reader.check_chain() is None


def test_closed_journal_is_one_file(path: Path) -> None:
    with Journal.open(path) as reader, Journal.open(path, write=True) as writer:
        writer.append(Note(topic="n", text=""))
        assert len(list(reader.rows())) == ROWS + 1
    alone = path.with_name("alone.sqlite")
    shutil.copy(path, alone)
    with Journal.open(alone) as journal:
        assert journal.head[0] == ROWS + 1


def test_threads_take_turns(path: Path) -> None:
    with Journal.open(path, write=True, durability="process") as journal:
        note = Note(topic="n", text="")
        threads = [
            threading.Thread(target=lambda: [journal.append(note, note) for _ in range(20)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert journal.head[0] == ROWS + 160
        assert journal.check_chain() is None


def test_journal_is_never_overwritten(path: Path) -> None:
    with pytest.raises(StoreError, match="exists"):
        Journal.create(path)
    with pytest.raises(StoreError, match="does not exist"):
        Journal.open(path.with_name("other.sqlite"))


@pytest.mark.parametrize("content", [b"", b"no database at all, only text" * 100])
def test_file_that_is_no_journal_is_an_error_of_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "run.sqlite"
    path.write_bytes(content)
    for write in (False, True):
        with pytest.raises(StoreError) as caught:
            Journal.open(path, write=write)
        assert "\n" not in str(caught.value)


WRITER = """
import sys
from nanopilot.core.events import Note
from nanopilot.io import Journal
journal = Journal.open(sys.argv[1], write=True, durability=sys.argv[2])
while True:
    print(journal.append(Note(topic="n", text="x" * 300), Note(topic="n", text="")), flush=True)
"""


@pytest.mark.parametrize("durability", ["power", "process"])
def test_nothing_acknowledged_is_lost_to_a_kill(path: Path, start: Start, durability: str) -> None:
    for _ in range(2):
        process = start(WRITER, path, durability)
        said = [process.stdout.readline() for _ in range(20)]  # type: ignore[union-attr]
        acknowledged = int((said + kill(process).splitlines(keepends=True))[-1])
        with Journal.open(path) as journal:
            assert journal.head[0] >= acknowledged
            assert journal.check_chain() is None


def test_second_writer_is_told_who_writes(path: Path, start: Start) -> None:
    process = start(WRITER, path, "process")
    assert process.stdout.readline()  # type: ignore[union-attr]
    with pytest.raises(StoreError, match=f"process {process.pid}"):
        Journal.open(path, write=True)
    with Journal.open(path) as reader:
        assert reader.check_chain() is None
    kill(process)
    Journal.open(path, write=True).close()


def test_full_file_stops_the_run_and_leaves_the_journal_good(path: Path) -> None:
    with Journal.open(path, write=True, durability="process") as journal:
        (pages,) = journal._connection.execute("PRAGMA page_count").fetchone()
        journal._connection.execute(f"PRAGMA max_page_count = {pages + 1}")
        with pytest.raises(DiskFull, match="resume"):
            append_for_ever(journal)
        reached = journal.head[0]
        journal._connection.execute("PRAGMA max_page_count = 100000")
        assert journal.append(Note(topic="n", text="")) == reached + 1
        assert journal.check_chain() is None


def test_full_disk_stops_the_run_and_leaves_the_journal_good(small_disk: Path) -> None:
    path = filled(small_disk / "run.sqlite")
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 500_000)
    with Journal.open(path, write=True) as journal:
        with pytest.raises(DiskFull, match="resume"):
            append_for_ever(journal)
        reached, _ = journal.head
    with Journal.open(path) as journal:
        assert journal.head[0] == reached
        assert journal.check_chain() is None
    ballast.unlink()
    with Journal.open(path, write=True) as journal:
        assert journal.append(Note(topic="n", text="")) == reached + 1
        assert journal.check_chain() is None
