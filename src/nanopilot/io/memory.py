"""What a twin has become, as the journal has it: row by row a hash, and the bytes beside."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from nanopilot.core.diary import Entry
from nanopilot.core.errors import StoreError, Tampered
from nanopilot.core.events import Event, Intent, Note, Outcome
from nanopilot.core.parameters import State
from nanopilot.core.requests import Position
from nanopilot.io.journal import Journal

#: Topic of the notes that say what a twin is like: when its run begins, or when its line is lost.
TWIN = "twin"
_PLACE = ("Positioner.x", "Positioner.y")


@dataclass(frozen=True, slots=True)
class TwinNote:
    """What a twin is like, beside intents and outcomes.

    Parameters
    ----------
    note : Note
        For the journal.
    data : bytes
        Of which the note has the hash; empty: nothing is new.
    """

    note: Note
    data: bytes

    @classmethod
    def of(cls, entry: Entry, why: str, state: State | None = None) -> TwinNote:
        """Return it for an entry of a diary, and why it is written down just now.

        The state says where the tip or the beam is, if anything does.
        """
        told: dict[str, Any] = {"time": entry.time, "memory": entry.sha256}
        if state is not None and state.values.keys() >= set(_PLACE):
            told["position"] = [state.values[key] for key in _PLACE]
        return cls(Note(topic=TWIN, text=f"at {entry.time:g} s: {why}", data=told), entry.data)


@dataclass(frozen=True, slots=True)
class Reached:
    """How far the memory of a run goes.

    Parameters
    ----------
    time : float, optional
        On the twin's clock at the last row that says so, in seconds; None: no row does.
    position : (float, float), optional
        Where it was when the run began, (x, y) in metres, if that was written down.
    entries : iterator of bytes
        What was kept, in order, each checked when it is reached.
    """

    time: float | None
    position: Position | None
    entries: Iterator[bytes]


def reached(journal: Journal) -> Reached:
    """Return how far the memory of a run goes."""
    time, position, kept = None, None, []
    for seq, event in enumerate(journal.events(), start=1):
        if isinstance(event, Outcome | Intent):
            time = time if event.time is None else event.time
        elif isinstance(event, Note) and event.topic == TWIN:
            time = float(event.data["time"])
            if "position" in event.data:
                x, y = event.data["position"]
                position = (float(x), float(y))
        if digest := memory_of(event):
            kept.append((seq, digest))
    return Reached(time, position, (recall(journal, seq, digest) for seq, digest in kept))


def memory_of(event: Event) -> str:
    """Return the hash of what was kept with an event; empty: nothing."""
    if isinstance(event, Intent | Outcome):
        return event.memory
    if isinstance(event, Note) and event.topic == TWIN:
        return str(event.data.get("memory", ""))
    return ""


def recall(journal: Journal, seq: int, digest: str) -> bytes:
    """Return what was kept of a twin with a row, which must have this hash.

    Raises
    ------
    Tampered
        It is missing, or was altered.
    """
    try:
        found = journal.kept("SELECT data FROM memory WHERE seq = ?", seq)
    except StoreError as cause:
        raise Tampered(f"`memory` of row {seq} cannot be read: {cause}") from cause
    if not found:
        raise Tampered(f"`memory` of row {seq} is missing.")
    data = found[0][0]
    if not isinstance(data, bytes) or hashlib.sha256(data).hexdigest() != digest:
        raise Tampered(f"`memory` of row {seq} was altered.")
    return data


def rows_kept(journal: Journal) -> set[object]:
    """Return the numbers of the rows with which something is kept of a twin."""
    return {row[0] for row in journal.kept("SELECT seq FROM memory")}
