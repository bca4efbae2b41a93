"""The journal of a run: events in SQLite, one durable transaction at a time, hash-chained."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from nanopilot.core.errors import StoreError, Tampered
from nanopilot.core.events import Event, event_from_json
from nanopilot.io.chain import GENESIS, ChainFault, RawRow, first_fault, row_hash
from nanopilot.io.connect import connect_to_read, connect_to_write, state_of, translated
from nanopilot.io.durable import Durability
from nanopilot.io.lock import WriterLock

_SCHEMA = """
CREATE TABLE rows (
    seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, wall INTEGER NOT NULL, body TEXT NOT NULL,
    previous TEXT NOT NULL, hash TEXT NOT NULL
) STRICT;
CREATE TABLE head (
    id INTEGER PRIMARY KEY CHECK (id = 0), seq INTEGER NOT NULL, hash TEXT NOT NULL
) STRICT;
"""
# Only where there is something to remember: a journal without a twin has no such table.
_MEMORY = "CREATE TABLE IF NOT EXISTS memory (seq INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT"
_THERE = "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'memory'"
_REMEMBER = "INSERT INTO memory VALUES (?, ?)"
_INSERT = "INSERT INTO rows (seq, kind, wall, body, previous, hash) VALUES (?, ?, ?, ?, ?, ?)"
_SET_HEAD = "UPDATE head SET seq = ?, hash = ? WHERE id = 0"
_GET_HEAD = "SELECT seq, hash FROM head WHERE id = 0"
_ROWS = "SELECT seq, kind, wall, body, previous, hash FROM rows WHERE seq > ? ORDER BY seq"
_ALL = "SELECT seq, kind, wall, body, previous, hash FROM rows ORDER BY seq"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the journal.

    Parameters
    ----------
    seq : int
        Its number, from 1.
    kind : str
        Kind of the event.
    wall : int
        When it was written, nanoseconds since 1970 (UTC).
    body : str
        The event as JSON.
    previous, hash : str
        The chain; see `nanopilot.io.chain`.
    """

    seq: int
    kind: str
    wall: int
    body: str
    previous: str
    hash: str

    @property
    def event(self) -> Event:
        """The event this row holds."""
        return event_from_json(self.body)


class Journal:
    """The events of a run, in order; made by `create`, found again by `open`.

    One process may write; any number may read at the same time, from read-only media too.
    One journal may be used from several threads.

    Parameters
    ----------
    path : pathlib.Path
        Of the SQLite file.
    connection : sqlite3.Connection
        To it.
    lock : WriterLock, optional
        The right to write; without, the journal is read only.
    """

    def __init__(
        self, path: Path, connection: sqlite3.Connection, lock: WriterLock | None = None
    ) -> None:
        self.path = path
        self._connection = connection
        self._lock = lock
        self._state = state_of(path)
        self._turn = threading.Lock()
        self._seq, self._hash = self.head

    @classmethod
    def create(cls, path: Path | str, durability: Durability = "power") -> Self:
        """Make an empty journal and open it for writing.

        Parameters
        ----------
        path : path
            Of the SQLite file; it must not exist. The lock file lies beside it.
        durability : {"power", "process"}
            What an acknowledged `append` survives.

        Raises
        ------
        StoreError
            The file exists or cannot be made.
        """
        path = Path(path)
        if path.exists():
            raise StoreError(f"`{path}` exists; a journal is never overwritten.")
        return cls._writing(path, durability, _SCHEMA)

    @classmethod
    def open(cls, path: Path | str, write: bool = False, durability: Durability = "power") -> Self:
        """Open a journal, to read unless `write` is set.

        Raises
        ------
        StoreError
            There is none, or another process writes to it.
        Tampered
            It is opened to be continued, and its chain does not hold.
        """
        path = Path(path)
        if not path.is_file():
            raise StoreError(f"`{path}` does not exist; the journal of this run is lost.")
        if not write:
            return cls(path, connect_to_read(path))
        journal = cls._writing(path, durability, "")
        fault = journal.check_chain()
        if fault is not None:
            journal.close()
            raise Tampered(f"`{path}`: {fault}; a damaged journal is not continued.")
        return journal

    @classmethod
    def _writing(cls, path: Path, durability: Durability, schema: str) -> Self:
        with translated("the journal", path):
            lock = WriterLock(path.with_suffix(".lock"))
            connection = None
            try:
                connection = connect_to_write(path, durability)
                if schema:
                    connection.executescript(f"BEGIN; {schema}")
                    connection.execute("INSERT INTO head VALUES (0, 0, ?)", (GENESIS,))
                    connection.execute("COMMIT")
                return cls(path, connection, lock)
            except BaseException:
                if connection is not None:
                    connection.close()
                lock.release()
                raise

    def append(self, *events: Event, memory: bytes = b"") -> int:
        """Add events as one transaction; when this returns they are safe.

        Parameters
        ----------
        *events : Event
            All of them are written, or none.
        memory : bytes
            What a twin has become, of which one of the events has the hash; written with it.

        Returns
        -------
        int
            Number of the last row.

        Raises
        ------
        DiskFull
            There was no space; nothing was written, and the journal stays good.
        StoreError
            The journal was opened to be read, or cannot be written.
        """
        if self._lock is None:
            raise StoreError(f"`{self.path}` is open to be read; open the run with `write=True`.")
        wall = time.time_ns()
        with self._turn, translated("the journal", self.path):
            seq, last = self._seq, self._hash
            rows: list[RawRow] = []
            for event in events:
                seq, body = seq + 1, event.model_dump_json()
                digest = row_hash(seq, event.kind, wall, last, body)
                rows.append((seq, event.kind, wall, body, last, digest))
                last = digest
            _commit(self._connection, rows, [(_owner(rows, memory), memory)] if memory else [])
            self._seq, self._hash = seq, last
            return seq

    @property
    def head(self) -> tuple[int, str]:
        """Number and hash of the last row, as the file has them now.

        Raises
        ------
        StoreError
            The file cannot be read.
        """
        with self._turn, translated("the journal", self.path, verb="read"):
            found = self._now().execute(_GET_HEAD).fetchone()
        if found is None:
            raise StoreError(f"`{self.path}` has lost the head of its journal.")
        return found[0], found[1]

    def rows(self, after: int = 0) -> Iterator[Row]:
        """Return an iterator over the rows behind number `after`, as they are now."""
        with self._turn, translated("the journal", self.path, verb="read"):
            found = self._now().execute(_ROWS, (after,)).fetchall()
        return (Row(*row) for row in found)

    def events(self, after: int = 0) -> Iterator[Event]:
        """Return an iterator over the events behind row number `after`."""
        return (row.event for row in self.rows(after))

    def kept(self, query: str, *values: object) -> list[tuple[object, ...]]:
        """Return what a query finds of the table ``memory``; nothing where there is none."""
        with self._turn, translated("the journal", self.path, verb="read"):
            connection = self._now()
            there = connection.execute(_THERE).fetchone() is not None
            return connection.execute(query, values).fetchall() if there else []

    def check_chain(self) -> ChainFault | None:
        """Return the first row that is not what was written, or None; see `nanopilot.io.chain`."""
        seen = 0

        def counted(cursor: sqlite3.Cursor) -> Iterator[RawRow]:
            nonlocal seen
            for row in cursor:
                yield row
                seen += 1

        with self._turn:
            connection = self._now()
            connection.text_factory = bytes
            try:
                connection.execute("BEGIN")  # rows and head of one moment
                seq, digest = connection.execute(_GET_HEAD).fetchone()
                return first_fault(counted(connection.execute(_ALL)), (seq, digest.decode()))
            except (sqlite3.Error, OverflowError, UnicodeDecodeError) as cause:
                return ChainFault(seen + 1, f"damaged: {' '.join(str(cause).split())}")
            except (TypeError, ValueError, AttributeError):
                return ChainFault(0, "the head of the journal is damaged")
            finally:
                connection.text_factory = str
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def _now(self) -> sqlite3.Connection:
        """Return a connection that sees what others have written since the last look."""
        if self._lock is None and not self._state[0] and state_of(self.path) != self._state:
            self._connection.close()
            self._state = state_of(self.path)
            self._connection = connect_to_read(self.path)
        return self._connection

    def close(self) -> None:
        """Close the file and let others write; safe to call twice."""
        with self._turn:
            if self._lock is not None:
                with suppress(sqlite3.Error):  # a matter of order only: the log would do as well
                    self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._connection.close()
            if self._lock is not None:
                self._lock.release()
                self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _owner(rows: list[RawRow], memory: bytes) -> object:
    """Return the number of the row that has the hash of what is kept of a twin."""
    digest = hashlib.sha256(memory).hexdigest()
    return next(row[0] for row in reversed(rows) if digest in str(row[3]))


def _commit(
    connection: sqlite3.Connection, rows: list[RawRow], memories: list[tuple[object, bytes]]
) -> None:
    """Write rows, what is kept with one of them, and the head, in one transaction."""
    execute = connection.execute
    execute("BEGIN IMMEDIATE")
    try:
        for row in rows:
            execute(_INSERT, row)
        if rows:
            execute(_SET_HEAD, (rows[-1][0], rows[-1][5]))
        for kept in memories:
            execute(_MEMORY)
            execute(_REMEMBER, kept)
        execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            execute("ROLLBACK")
        raise
