"""Connections to the SQLite file of a run: to write it, or to read it wherever it lies."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from nanopilot.core.errors import StoreError
from nanopilot.io.durable import Durability, disk_full, nearly_full, store_errors

# A commit that is synced costs one flush of the disk, 0.1 to 10 ms: nothing beside a measurement.
_SYNCHRONOUS = {"power": "FULL", "process": "NORMAL"}


def connect_to_write(path: Path, durability: Durability) -> sqlite3.Connection:
    """Open a journal to write: write-ahead log, synced as `durability` asks."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {_SYNCHRONOUS[durability]}")
        connection.execute("PRAGMA fullfsync = ON")  # macOS keeps a plain sync in the drive's cache
    except BaseException:
        connection.close()
        raise
    return connection


def connect_to_read(path: Path) -> sqlite3.Connection:
    """Open a journal to read; neither the file nor its folder changes for good.

    A journal without a log was closed in good order and is read as it lies, without the
    shared-memory file that SQLite would leave behind. One with a log is read together with
    whoever writes it or with what a killed writer left; on read-only media, from a copy.
    """
    with translated("the journal", path, verb="read"):
        address = path.absolute().as_uri()
        if not has_log(path):
            return _probed(f"{address}?immutable=1")
        try:
            return _probed(f"{address}?mode=ro")
        except sqlite3.OperationalError as cause:
            if cause.sqlite_errorcode & 0xFF not in (
                sqlite3.SQLITE_CANTOPEN,
                sqlite3.SQLITE_READONLY,
            ):
                raise
        return _copied(path)


def has_log(path: Path) -> bool:
    """Tell whether a journal has rows that are not yet in the main file."""
    try:
        return _log(path).stat().st_size > 0
    except OSError:
        return False


def state_of(path: Path) -> tuple[bool, int, int]:
    """Return what changes when somebody writes to a journal that was read as it lies."""
    try:
        told = path.stat()
    except OSError:
        return has_log(path), 0, 0
    return has_log(path), told.st_size, told.st_mtime_ns


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _copied(path: Path) -> sqlite3.Connection:
    with tempfile.TemporaryDirectory(prefix="nanopilot-") as folder:
        for file in (path, _log(path)):
            shutil.copyfile(file, Path(folder, file.name))
        copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        with closing(_probed(f"{Path(folder, path.name).as_uri()}?mode=rw")) as source:
            source.backup(copy)
        return copy


def _probed(address: str) -> sqlite3.Connection:
    connection = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("SELECT seq FROM head").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def translated(what: str, path: Path, verb: str = "written") -> Iterator[None]:
    """Turn errors of SQLite into `DiskFull` or `StoreError`."""
    with store_errors(what, path, verb):
        try:
            yield
        except UnicodeDecodeError as cause:  # SQLite quotes what it found in a damaged file
            raise StoreError(f"`{path}`: {what} cannot be {verb}: it is damaged.") from cause
        except sqlite3.Error as cause:
            code = getattr(cause, "sqlite_errorcode", 0) or 0
            full = code == sqlite3.SQLITE_FULL
            # Running out while the shared-memory file grows is reported as a plain input error.
            if full or (code & 0xFF == sqlite3.SQLITE_IOERR and nearly_full(path.parent)):
                raise disk_full(what, path) from cause
            told = " ".join(str(cause).split())
            raise StoreError(f"`{path}`: {what} cannot be {verb}: {told}.") from cause
