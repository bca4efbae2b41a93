"""The rows of a journal, one after the other, as bluesky documents.

Every document follows from the journal alone: its uid from the run and its place in it, its
time from the row. The same rows give the same documents, now and later.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

from nanopilot.core.events import Audit, Decision, Intent, Note, Outcome, SignalRef
from nanopilot.core.history import Action
from nanopilot.io.exports import cells
from nanopilot.io.exports.assets import datum_document, resource_document
from nanopilot.io.exports.cells import Cell
from nanopilot.io.journal import Row
from nanopilot.io.run_folder import RunFolder

Document = tuple[str, dict[str, Any]]
Cells = dict[str, Cell]
Status = Literal["success", "abort", "fail"]


class Translator:
    """Makes the documents of one run.

    Parameters
    ----------
    run : RunFolder
        Its record and its signals are read; its journal is handed in row by row.
    """

    def __init__(self, run: RunFolder) -> None:
        self._record = run.record
        self._signals = run.signals
        seed = f"nanopilot:{self._record.model_dump_json()}"
        self.uid = str(uuid.uuid5(uuid.NAMESPACE_OID, seed))
        self._descriptors: dict[tuple[str, ...], str] = {}
        self._counts: Counter[str] = Counter()
        self._decisions: dict[int, Decision] = {}
        self._intents: dict[int, Intent] = {}
        self._keys: dict[str, dict[str, Any]] = {}
        self._resource = ""
        self._last = 0

    def start(self) -> Document:
        """Return the start document: what was asked."""
        record = self._record
        begun = datetime.fromisoformat(record.created).timestamp()
        return "start", {
            "uid": self.uid,
            "time": begun,
            "scan_id": int(begun),
            "plan_name": record.workflow,
            "plan_type": "nanopilot",
            "plan_args": cells.legal(record.settings),
            "motors": ["x", "y"],
            "hints": {"dimensions": [[["x"], "primary"], [["y"], "primary"]]},
            "run_id": record.id,
            "seed": record.seed,
            "versions": cells.legal(record.versions),
            "instrument": cells.legal(record.instrument),
            "record": record.model_dump_json(),
        }

    def see(self, row: Row) -> Iterator[Document]:
        """Yield the documents that a row of the journal adds."""
        self._last, event, time = row.seq, row.event, row.wall / 1e9
        match event:
            case Decision():
                self._decisions[event.step] = event
            case Intent():
                self._intents[event.step] = event
            case Outcome():
                yield from self._outcome(event, time)
            case Note():
                yield from self._emit("notes", _note(event), time)
            case Audit():
                yield from self._emit("audit", _audit(event), time)
            case _:
                pass

    def stop(self, status: Status, reason: str, time: float) -> Document:
        """Return the stop document: how it ended, and how many events there were."""
        return "stop", {
            "uid": self._uid("stop", str(self._last), status),
            "run_start": self.uid,
            "time": time,
            "exit_status": status,
            "reason": reason,
            "num_events": dict(self._counts),
        }

    def _outcome(self, outcome: Outcome, time: float) -> Iterator[Document]:
        decision = self._decisions.pop(outcome.step, None)
        intent = self._intents.pop(outcome.step, None)
        found = _books(outcome)
        action = None if decision is None else decision.action
        if action is not None:
            found |= _site(action)
        if intent is not None:
            found["request"] = cells.text(json.dumps(intent.request), "instrument")
        if outcome.error:
            yield from self._emit(
                "failed", found | {"error": cells.text(outcome.error, "run")}, time
            )
            return
        for ref in outcome.signals:
            yield from self._point(ref)
            found[_array_name(ref)] = self._pointer(ref)
        stream = "primary"
        if action is None:
            stream = outcome.signals[0].array.partition("/")[0] if outcome.signals else "outcomes"
        else:
            found |= _worth(outcome)
        yield from self._emit(stream, found, time)

    def _point(self, ref: SignalRef) -> Iterator[Document]:
        if not self._resource:
            self._resource = self._uid("resource")
            resource = resource_document(self._signals.path, self._resource)
            yield "resource", resource | {"run_start": self.uid}
        yield "datum", datum_document(self._resource, ref)

    def _pointer(self, ref: SignalRef) -> Cell:
        if ref.array not in self._keys:  # all items of a series have one form
            series, _, channel = ref.array.partition("/")
            like = self._signals.get(series, ref.index)[channel]
            self._keys[ref.array] = cells.array_key(like, f"signals.zarr/{ref.array}")
        datum = datum_document(self._resource, ref)["datum_id"]
        return Cell(datum, self._keys[ref.array], "signals", external=True)

    def _emit(self, stream: str, found: Cells, time: float) -> Iterator[Document]:
        form = (stream, *found)
        if form not in self._descriptors:
            self._descriptors[form] = self._uid("descriptor", *form)
            yield "descriptor", self._descriptor(form, found, time)
        self._counts[stream] += 1
        number = self._counts[stream]
        yield (
            "event",
            {
                "uid": self._uid("event", stream, str(number)),
                "descriptor": self._descriptors[form],
                "seq_num": number,
                "time": time,
                "data": {name: cell.value for name, cell in found.items()},
                "timestamps": dict.fromkeys(found, time),
                "filled": {name: False for name, cell in found.items() if cell.external},
            },
        )

    def _descriptor(self, form: tuple[str, ...], found: Cells, time: float) -> dict[str, Any]:
        owners: dict[str, list[str]] = {}
        for name, cell in found.items():
            owners.setdefault(cell.owner, []).append(name)
        return {
            "uid": self._descriptors[form],
            "run_start": self.uid,
            "name": form[0],
            "time": time,
            "data_keys": {
                name: {**cell.key, "object_name": cell.owner} for name, cell in found.items()
            },
            "object_keys": owners,
            "configuration": {},
            "hints": {
                owner: {"fields": [name for name in names if name in cells.HINTED]}
                for owner, names in owners.items()
            },
        }

    def _uid(self, *parts: str) -> str:
        return str(uuid.uuid5(uuid.UUID(self.uid), "/".join(parts)))


def _array_name(ref: SignalRef) -> str:
    return cells.legal_name(ref.array)


def _site(action: Action) -> Cells:
    return {
        "x": cells.number(action.position[0], "site", "m"),
        "y": cells.number(action.position[1], "site", "m"),
        "site": cells.integer(action.index, "site"),
        "why": cells.text(action.why, "policy"),
        "expected": cells.number(action.expected, "policy"),
        "uncertainty": cells.number(action.uncertainty, "policy"),
        "utility": cells.number(action.utility, "policy"),
    }


def _books(outcome: Outcome) -> Cells:
    found = {
        "step": cells.integer(outcome.step, "run"),
        "instrument_time": cells.number(outcome.time, "instrument", "s"),
    }
    for name, value in outcome.spent.model_dump().items():
        found[f"spent_{name}"] = cells.number(value, "budget")
    return found


def _worth(outcome: Outcome) -> Cells:
    found = {"reward": cells.number(outcome.reward, "reward")}
    for name, value in outcome.features.items():
        field = f"feature_{cells.legal_name(name)}"
        while field in found:
            field += "_"
        found[field] = cells.number(value, "features")
    return found


def _note(note: Note) -> Cells:
    return {
        "topic": cells.text(note.topic, "notes"),
        "text": cells.text(note.text, "notes"),
        "data": cells.text(json.dumps(note.data), "notes"),
    }


def _audit(row: Audit) -> Cells:
    return {
        "verdict": cells.text(row.verdict, "guard"),
        "capability": cells.text(row.capability, "guard"),
        "request": cells.text(json.dumps(row.request), "guard"),
        "reasons": cells.text("\n".join(row.reasons), "guard"),
        "instrument_time": cells.number(row.time, "guard", "s"),
        "by": cells.text(row.by, "guard"),
    }
