"""The runs below a folder, found in the folders themselves; the index only saves time."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from nanopilot.core.errors import NanopilotError, StoreError, UnknownName
from nanopilot.core.values import Value
from nanopilot.io.history import load_history
from nanopilot.io.lock import is_locked
from nanopilot.io.run_folder import JOURNAL, RECORD, RunFolder

INDEX = "catalogue.sqlite"


class RunSummary(Value):
    """One line of the catalogue.

    Parameters
    ----------
    id, workflow, created : str
        As in `run.json`.
    folder : str
        Where the run is.
    seed : int, optional
        As in `run.json`.
    state : {"finished", "interrupted", "running", "damaged"}
        Whether its workflow came to its end, it was left in the middle, a process is at it,
        or it cannot be read.
    steps : int
        Measurements that came to an outcome.
    best : float, optional
        Largest reward so far.
    why : str
        What is wrong with a damaged run.
    """

    id: str
    folder: str
    workflow: str = ""
    state: Literal["finished", "interrupted", "running", "damaged"] = "interrupted"
    steps: int = 0
    best: float | None = None
    created: str = ""
    seed: int | None = None
    why: str = ""


def list_runs(root: Path | str) -> list[RunSummary]:
    """Return the runs in the folders below `root`, oldest first.

    Parameters
    ----------
    root : path
        Folder of run folders. The index is kept in it as ``catalogue.sqlite``, which may be
        deleted at any time; where `root` cannot be written, there is none.

    Raises
    ------
    StoreError
        `root` is not a folder.
    """
    place = Path(root)
    if not place.is_dir():
        raise StoreError(f"`{place}` is not a folder; runs are kept in folders below one.")
    with closing(_index(place)) as index:
        found = [_summary(folder, index) for folder in _folders(place)]
        with suppress(sqlite3.Error):
            index.commit()
    return sorted(found, key=lambda run: (run.created, run.id))


def find_run(root: Path | str, text: str) -> Path:
    """Return the folder of a run, told by its path, its id, or the beginning of its id.

    Raises
    ------
    UnknownName
        There is none; the message gives the nearest ones.
    StoreError
        The beginning fits several runs.
    """
    if (Path(text) / RECORD).exists() or (Path(text) / JOURNAL).exists():
        return Path(text)
    runs = list_runs(root) if Path(root).is_dir() else []
    for exact in (True, False):
        fits = [run for run in runs if _fits(run, text, exact)]
        if len(fits) == 1:
            return Path(fits[0].folder)
        if fits:
            ids = ", ".join(run.id for run in fits)
            raise StoreError(f"`run` is {text!r}, which fits {ids}; write more of it.")
    raise UnknownName("run", text, [run.id for run in runs])


def _fits(run: RunSummary, text: str, exact: bool) -> bool:
    names = (run.id, Path(run.folder).name)
    return text in names if exact else any(name.startswith(text) for name in names)


def _folders(root: Path) -> Iterator[Path]:
    for folder in sorted(root.iterdir()):
        if folder.is_dir() and ((folder / RECORD).exists() or (folder / JOURNAL).exists()):
            yield folder


def _summary(folder: Path, index: sqlite3.Connection) -> RunSummary:
    running = is_locked((folder / JOURNAL).with_suffix(".lock"))
    stamp, found = _stamp(folder), None
    with suppress(sqlite3.Error, ValidationError):
        query = "SELECT summary FROM runs WHERE folder = ? AND stamp = ?"
        if kept := index.execute(query, (folder.name, stamp)).fetchone():
            found = RunSummary.model_validate_json(kept[0])
    if found is None:
        found = _read(folder)
        with suppress(sqlite3.Error):
            index.execute(
                "INSERT OR REPLACE INTO runs VALUES (?, ?, ?)",
                (folder.name, stamp, found.model_dump_json()),
            )
    changes = {"folder": str(folder)} | ({"state": "running"} if running else {})
    return found.model_copy(update=changes)


def _read(folder: Path) -> RunSummary:
    try:
        with RunFolder.open(folder) as run:
            record, reached = run.record, load_history(run.journal.events())
    except (NanopilotError, ValidationError, sqlite3.Error) as cause:
        why = str(cause).splitlines()[0]
        return RunSummary(id=folder.name, folder=str(folder), state="damaged", why=why)
    rewards = [reward for reward in reached.history.rewards.tolist() if math.isfinite(reward)]
    return RunSummary(
        id=record.id,
        folder=str(folder),
        workflow=record.workflow,
        state="finished" if reached.complete else "interrupted",
        steps=len(reached.history),
        best=max(rewards, default=None),
        created=record.created,
        seed=record.seed,
    )


def _stamp(folder: Path) -> str:
    """Return what changes whenever the run does."""
    parts = []
    for name in (RECORD, JOURNAL, f"{JOURNAL}-wal"):
        with suppress(OSError):
            told = (folder / name).stat()
            parts.append(f"{name}:{told.st_size}:{told.st_mtime_ns}")
    return " ".join(parts)


def _index(root: Path) -> sqlite3.Connection:
    table = "CREATE TABLE IF NOT EXISTS runs (folder TEXT PRIMARY KEY, stamp TEXT, summary TEXT)"
    for attempt in (root / INDEX, root / INDEX, ":memory:"):
        connection = None
        try:
            connection = sqlite3.connect(attempt)
            connection.execute(table)
            connection.execute("SELECT folder, stamp, summary FROM runs LIMIT 1")
            return connection
        except sqlite3.Error:
            if connection is not None:
                connection.close()
            # A damaged index is worth nothing: it is made anew.
            with suppress(OSError):
                (root / INDEX).unlink(missing_ok=True)
    raise StoreError("`:memory:` cannot be opened by SQLite; reinstall Python.")
