"""A run, finished or not, as bluesky documents.

The documents follow the `event model <https://blueskyproject.io/event-model/>`_; bluesky
itself is not needed to write them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nanopilot.core.errors import Tampered
from nanopilot.core.events import Audit, Decision, Event, Outcome
from nanopilot.io.durable import store_errors, write_atomic
from nanopilot.io.exports.translator import Document, Status, Translator
from nanopilot.io.history import load_history
from nanopilot.io.run_folder import RunFolder


def documents(folder: Path | str) -> Iterator[Document]:
    """Yield the documents of a run as (name, document).

    Streams: ``primary`` (one event per measured step: place, what the policy expected, reward,
    features, and where the signals are), ``failed`` (steps without a measurement), one per
    measurement outside of the loop (``structure``), ``audit`` (verdicts of the guard), ``notes``.
    What is not known is NaN. Signals stay in ``signals.zarr``: `ZarrHandler` fetches them.

    Parameters
    ----------
    folder : path
        Of the run; it is only read, also while the run goes on.

    Raises
    ------
    StoreError
        The folder holds no run.
    Tampered
        Its journal or a signal is not what was written.
    """
    with RunFolder.open(folder) as run:
        fault = run.journal.check_chain()
        if fault is not None:
            raise Tampered(f"`{run.path}`: {fault}; an altered run is not exported.")
        rows = list(run.journal.rows())
        translator = Translator(run)
        yield translator.start()
        for row in rows:
            yield from translator.see(row)
        status, reason = ending([row.event for row in rows])
        yield translator.stop(status, reason, rows[-1].wall / 1e9)


def ending(events: list[Event]) -> tuple[Status, str]:
    """Return how a run ended, as bluesky calls it, and why.

    ``success``: the workflow noted its end. ``fail``: the last thing known is an error, an
    emergency stop or the watchdog. ``abort``: it was interrupted.
    """
    stands = load_history(events)
    why = next((e.why for e in reversed(events) if isinstance(e, Decision) and not e.action), "")
    if stands.complete:
        return "success", why
    told = (event for event in reversed(events) if isinstance(event, Audit | Outcome))
    last = next(told, None)
    if isinstance(last, Outcome) and last.error:
        return "fail", last.error
    if isinstance(last, Audit) and last.verdict in ("stopped", "secured"):
        return "fail", f"{last.verdict}: {'; '.join(last.reasons)}"
    return "abort", f"interrupted after {len(stands.history)} steps; the run can be resumed"


def write_documents(folder: Path | str, out: Path | str) -> int:
    """Write the documents of a run, one JSON object ``{"name": ..., "doc": ...}`` a line.

    What is not known is ``null`` there. The same run gives the same bytes.

    Parameters
    ----------
    folder : path
        Of the run.
    out : path
        File to write; replaced if it exists.

    Returns
    -------
    int
        How many documents there are.

    Raises
    ------
    StoreError
        The folder holds no run, or the file cannot be written.
    """
    lines = [as_line(*document) for document in documents(folder)]
    path = Path(out)
    with store_errors("the export", path):
        write_atomic(path, "".join(lines).encode(), "process")
    return len(lines)


def as_line(name: str, document: dict[str, Any]) -> str:
    r"""Return a document as one line of JSON, its newline included.

    Examples
    --------
    >>> as_line("event", {"data": {"reward": math.nan}})
    '{"name": "event", "doc": {"data": {"reward": null}}}\n'
    """
    return json.dumps({"name": name, "doc": _plain(document)}, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
