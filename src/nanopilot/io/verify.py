"""Whether a run is what was written: every row, every chunk, every file that gives them meaning."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import ValidationError

from nanopilot.core.errors import NanopilotError, StoreError
from nanopilot.core.events import Event, Note, Outcome, SignalRef
from nanopilot.core.values import Value
from nanopilot.io.history import load_history
from nanopilot.io.journal import Journal
from nanopilot.io.layout import first_altered_file
from nanopilot.io.memory import memory_of, recall, rows_kept
from nanopilot.io.run_folder import JOURNAL, RECORD, SIGNALS, matches_opening, read_record
from nanopilot.io.signal_store import SignalStore


class Verdict(Value):
    """What `verify` found.

    Parameters
    ----------
    ok : bool
        Whether everything is as it was written.
    rows, chunks : int
        How many journal rows there are, and how many signals were compared with them.
    first : str
        The first thing that is not: ``row 12``, ``memory of row 12``,
        ``spectra/current item 3``, a file.
    why : str
        What is wrong with it.
    head : str
        Hash of the last row. Kept in another place, it shows a rewritten journal, too.
    """

    ok: bool
    rows: int = 0
    chunks: int = 0
    first: str = ""
    why: str = ""
    head: str = ""


def verify(folder: Path | str) -> Verdict:
    """Check a run from the first row to the last chunk; reading only, also while it is written.

    Parameters
    ----------
    folder : path
        Of the run.

    Returns
    -------
    Verdict
        It names the first journal row, file or chunk that is not what was written.

    Raises
    ------
    StoreError
        The folder holds no run at all.

    Notes
    -----
    A chain of hashes without a secret key cannot show a forgery whose author recomputed all
    later rows and the head; see `nanopilot.io.chain`. Signals kept for an outcome that was
    never written (a kill in between) are no fault.
    """
    path = Path(folder)
    if not (path / RECORD).exists() and not (path / JOURNAL).exists():
        raise StoreError(f"`{path}` is not a run folder; `nanopilot runs` lists those there are.")
    try:
        journal = Journal.open(path / JOURNAL)
    except NanopilotError as cause:
        return Verdict(ok=False, first=JOURNAL, why=_reason(cause))
    with journal:
        return _check(path, journal)


def references(events: Iterable[Event]) -> Iterator[SignalRef]:
    """Yield every signal the journal speaks of: in outcomes, and notes (``data["signals"]``)."""
    for event in events:
        if isinstance(event, Outcome):
            yield from event.signals
        elif isinstance(event, Note) and isinstance(event.data.get("signals"), list):
            yield from (SignalRef.model_validate(told) for told in event.data["signals"])


def _check(path: Path, journal: Journal) -> Verdict:
    fault = journal.check_chain()
    if fault is not None:
        first = f"row {fault.seq}" if fault.seq else JOURNAL
        return Verdict(ok=False, rows=max(0, fault.seq - 1), first=first, why=fault.why)
    _, head = journal.head
    events = []
    for row in journal.rows():
        try:
            events.append(row.event)
        except ValidationError:
            why = "it is no event this version of nanopilot knows; use the one of `run.json`"
            return Verdict(ok=False, rows=row.seq - 1, first=f"row {row.seq}", why=why, head=head)
    found = Verdict(ok=True, rows=len(events), head=head)
    try:
        if not matches_opening(journal, read_record(path)[1]):
            return _bad(found, RECORD, "the journal holds another hash of it")
    except NanopilotError as cause:
        return _bad(found, RECORD, _reason(cause))
    told = _check_memory(journal, events, found)
    return _check_signals(path / SIGNALS, events, found) if told.ok else told


def _check_memory(journal: Journal, events: list[Event], found: Verdict) -> Verdict:
    """Check what was kept of a twin: all that rows speak of, and nothing else."""
    for seq, event in enumerate(events, start=1):
        if digest := memory_of(event):
            try:
                recall(journal, seq, digest)
            except NanopilotError as cause:
                return _bad(found, f"memory of row {seq}", _reason(cause))
    told = {seq for seq, event in enumerate(events, start=1) if memory_of(event)}
    if extra := rows_kept(journal) - told:
        return _bad(
            found, f"memory of row {min(map(str, extra))}", "added: the row does not speak of it"
        )
    return found


def _check_signals(root: Path, events: list[Event], found: Verdict) -> Verdict:
    try:
        plain = json.loads((root / "zarr.json").read_bytes())
        if plain.get("node_type") != "group" or plain.get("zarr_format") != 3:
            raise ValueError("it declares no Zarr v3 group")
    except (OSError, ValueError, AttributeError) as cause:
        return _bad(found, f"{SIGNALS}/zarr.json", str(cause))
    store, told, count = SignalStore(root), defaultdict(set), 0
    for ref in references(events):
        name = ref.array.partition("/")[0]
        if name not in told and (file := first_altered_file(root, name)):
            return _bad(found, f"{SIGNALS}/{file}", "altered or missing", count)
        told[name].add(ref.index)
        where = f"{ref.array} item {ref.index}"
        try:
            if store.digest(ref) != ref.sha256:
                return _bad(found, where, "altered: the journal holds another hash", count)
        except (NanopilotError, OSError, ValueError, MemoryError) as cause:
            return _bad(found, where, _reason(cause), count)
        count += 1
    return _check_left_over(store, told, events, found.model_copy(update={"chunks": count}))


def _check_left_over(
    store: SignalStore, told: dict[str, set[int]], events: list[Event], found: Verdict
) -> Verdict:
    """Signals without a row are normal only for the step that was under way."""
    recovered = load_history(events)
    allowed = max(1, len(recovered.pending))
    for name in store.names():
        extra = [index for index in store.kept(name) if index not in told.get(name, ())]
        if len(extra) > allowed:
            why = (
                f"missing: `{name}` keeps {len(extra)} items no row speaks of, from item {extra[0]}"
            )
            return _bad(found, f"row {found.rows + 1}", why, found.chunks)
    return found


def _bad(found: Verdict, first: str, why: str, chunks: int = 0) -> Verdict:
    return found.model_copy(update={"ok": False, "first": first, "why": why, "chunks": chunks})


def _reason(cause: BaseException) -> str:
    return str(cause).rstrip(".") or type(cause).__name__
