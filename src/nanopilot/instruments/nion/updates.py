"""Lines of a scan out of what the hardware source tells of each channel in turn."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
#: One part of a measurement: what it is, and its arrays by channel.
Part = tuple[dict[str, Any], dict[str, Array]]
_POLL = 0.02


def until_finished(
    task: Any, updates: queue.SimpleQueue[tuple[str, Array]], stopped: threading.Event
) -> Iterator[tuple[str, Array]]:
    """Yield updates until the task has finished and none is left."""
    while not stopped.is_set():
        finished = task.is_finished
        try:
            yield updates.get(timeout=_POLL)
        except queue.Empty:
            if task.is_error:
                raise RuntimeError("the scan reported an error") from None
            if finished:
                return


def lines(
    rows: dict[str, int], updates: Iterator[tuple[str, Array]], height: int
) -> Iterator[Part]:
    """Yield the lines that all channels have, each once."""
    newest: dict[str, Array] = {}
    done = 0
    for name, found in updates:
        newest[name], rows[name] = found, len(found)
        ready = min(rows.values())
        if ready > done:
            yield {"rows": [done, ready]}, {one: newest[one][done:ready] for one in rows}
            done = ready
        if done == height:
            return
