"""A run on disk: what was asked, the journal, and the signals, in one folder."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError

from nanopilot.core.errors import StoreError, Tampered
from nanopilot.core.events import Note
from nanopilot.core.values import Value
from nanopilot.io.durable import Durability, store_errors, sync_folder, write_atomic
from nanopilot.io.journal import Journal
from nanopilot.io.layout import clean
from nanopilot.io.memory import TwinNote
from nanopilot.io.signal_store import SignalStore

RECORD = "run.json"
JOURNAL = "run.sqlite"
SIGNALS = "signals.zarr"

#: Topic of the journal's first row, which holds the hash of `run.json`.
OPENING = "run"


class RunRecord(Value):
    """What was asked of a run: enough to ask for it again.

    Parameters
    ----------
    id : str
        Unique name of the run.
    workflow : str
        What was run.
    settings : dict
        Of the workflow, its policy, its reward.
    seed : int
        Of all randomness.
    created : str
        When, ISO 8601 with time zone.
    versions : dict of str to str
        Of nanopilot and what it stands on.
    instrument : dict
        How the instrument described itself.
    format : int
        Of the run folder.
    """

    id: str
    workflow: str
    settings: dict[str, Any]
    seed: int
    created: str
    versions: dict[str, str]
    instrument: dict[str, Any]
    format: int = 1


class RunFolder:
    """A run on disk; made by `create`, found again by `open`.

    Parameters
    ----------
    path : pathlib.Path
        The folder.
    record : RunRecord
        What was asked.
    journal : Journal
        What happened.
    signals : SignalStore
        What was measured.
    """

    def __init__(
        self, path: Path, record: RunRecord, journal: Journal, signals: SignalStore
    ) -> None:
        self.path = path
        self.record = record
        self.journal = journal
        self.signals = signals

    @classmethod
    def create(
        cls,
        folder: Path | str,
        record: RunRecord,
        durability: Durability = "power",
        *,
        start: TwinNote | None = None,
    ) -> Self:
        """Make the folder of a new run and open it for writing.

        Parameters
        ----------
        folder : path
            It must not exist, or be empty.
        record : RunRecord
            What is asked.
        durability : {"power", "process"}
            Whether acknowledged rows and signals survive loss of power, or only the end of
            the process.
        start : TwinNote, optional
            What a twin was like when the run began: there is no folder without it.

        Raises
        ------
        StoreError
            The folder holds something, or cannot be written.
        """
        path = Path(folder)
        with store_errors("the run folder", path):
            path.mkdir(parents=True, exist_ok=True)
            if any(path.iterdir()):
                raise StoreError(f"`{path}` is not empty; choose a new folder, or resume the run.")
            try:
                return cls._made(path, record, durability, start)
            except BaseException:
                _empty(path)
                raise

    @classmethod
    def _made(
        cls, path: Path, record: RunRecord, durability: Durability, start: TwinNote | None
    ) -> Self:
        text = record.model_dump_json(indent=2).encode()
        signals = SignalStore.make(path / SIGNALS, durability)
        journal = Journal.create(path / JOURNAL, durability)
        try:
            if start is None:
                journal.append(_opening(text))
            else:
                journal.append(_opening(text), start.note, memory=start.data)
            # Last: a folder with a record has all the rest, and can be resumed.
            write_atomic(path / RECORD, text, durability)
            if durability == "power":
                sync_folder(path)
                sync_folder(path.parent)
        except BaseException:
            journal.close()
            raise
        return cls(path, record, journal, signals)

    @classmethod
    def open(
        cls, folder: Path | str, write: bool = False, durability: Durability = "power"
    ) -> Self:
        """Open a run, to read unless `write` is set; reading disturbs nobody who writes.

        Raises
        ------
        StoreError
            The folder holds no run, or another process writes to it.
        Tampered
            `run.json` is not what the journal says, or a damaged journal is to be continued.
        """
        path = Path(folder)
        record, text = read_record(path)
        journal = Journal.open(path / JOURNAL, write, durability)
        try:
            if not matches_opening(journal, text):
                raise Tampered(f"`{path / RECORD}` was altered: the journal holds another hash.")
            if write:
                clean(path / SIGNALS)
        except BaseException:
            journal.close()
            raise
        return cls(path, record, journal, SignalStore(path / SIGNALS, write, durability))

    def close(self) -> None:
        """Let others write; safe to call twice."""
        self.journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _empty(folder: Path) -> None:
    """Remove what there is of a run that could not be made."""
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def read_record(folder: Path) -> tuple[RunRecord, bytes]:
    """Return what `run.json` says, and its bytes.

    Raises
    ------
    StoreError
        The folder holds no run.
    Tampered
        The file is there but is no record of a run.
    """
    file = folder / RECORD
    try:
        text = file.read_bytes()
    except OSError as cause:
        raise StoreError(
            f"`{folder}` is not a run folder ({RECORD}: {cause.strerror}); "
            "`nanopilot runs` lists those there are."
        ) from cause
    try:
        return RunRecord.model_validate_json(text), text
    except ValidationError as cause:
        first = cause.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise Tampered(f"`{file}` was altered: {where}: {first['msg']}.") from cause


def matches_opening(journal: Journal, text: bytes) -> bool:
    """Tell whether the journal's first row holds the hash of this `run.json`."""
    first = next(iter(journal.events()), None)
    return first == _opening(text)


def _opening(text: bytes) -> Note:
    digest = hashlib.sha256(text).hexdigest()
    return Note(topic=OPENING, text=RECORD, data={"sha256": digest})
