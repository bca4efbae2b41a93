"""The documents of a run while it goes on."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from nanopilot.core.events import Event, Note
from nanopilot.io.exports.bluesky import ending
from nanopilot.io.exports.translator import Translator
from nanopilot.io.history import COMPLETE
from nanopilot.io.run_folder import RunFolder

_LOG = logging.getLogger(__name__)

Emit = Callable[[str, dict[str, Any]], object]


class DocumentMirror:
    """A listener of a run that hands its documents to bluesky's callbacks as it goes.

    It reads them from the journal, so what it hands out is what `documents` gives afterwards:
    the same uids, times and values. A resumed run is told from its beginning. Only the end of
    an interrupted run differs: the mirror may know the error, the journal does not.

    A receiver that raises ends the mirror, not the run: the error is logged and kept as `error`,
    and `documents` has everything afterwards.

    Parameters
    ----------
    emit : callable
        Takes (name, document): a ``LiveTable``, a writer, or whatever a RunEngine subscribes.
    folder : path
        Of the run that is going to be carried out.
    wall : callable
        Seconds since 1970, for the end of a run that fails.

    Examples
    --------
    ``with DocumentMirror(table, folder) as mirror: npl.run(..., folder=folder, listener=mirror)``
    """

    def __init__(
        self, emit: Emit, folder: Path | str, *, wall: Callable[[], float] = time.time
    ) -> None:
        self._emit = emit
        self._folder = Path(folder)
        self._wall = wall
        self._run: RunFolder | None = None
        self._translator: Translator | None = None
        self._events: list[Event] = []
        self._seen = 0
        self._complete = False
        self.error: Exception | None = None

    def __call__(self, event: Event) -> None:
        """Hand out what the journal has gained; of a complete run, nothing."""
        if self._complete:  # rows come in batches: the last one was there before its event
            return
        translator = self._opened()
        assert self._run is not None  # noqa: S101
        for row in self._run.journal.rows(self._seen):
            self._seen = row.seq
            self._events.append(row.event)
            for document in translator.see(row):
                self._hand_out(*document)
            if isinstance(row.event, Note) and row.event.topic == COMPLETE:
                self._complete = True
                self._finish(row.wall / 1e9)
                return

    def close(self, error: BaseException | None = None) -> None:
        """End the documents of a run that was interrupted; safe to call twice."""
        if self._run is None:
            return
        if error is None or not isinstance(error, Exception):
            self._finish(self._wall())
        else:
            self._finish(self._wall(), str(error))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(error)

    def _hand_out(self, name: str, document: dict[str, Any]) -> None:
        if self.error is not None:
            return
        try:
            self._emit(name, document)
        except Exception as error:  # noqa: BLE001 - whatever it is, the run goes on
            self.error = error
            _LOG.exception("The mirror of %s ends: its receiver failed.", self._folder)

    def _opened(self) -> Translator:
        if self._run is None or self._translator is None:
            self._run = RunFolder.open(self._folder)
            self._translator = Translator(self._run)
            self._seen, self._events = 0, []
            self._hand_out(*self._translator.start())
        return self._translator

    def _finish(self, time: float, failed: str = "") -> None:
        run, translator = self._run, self._translator
        if run is None or translator is None:
            return
        self._run, self._translator = None, None
        run.close()
        status, reason = ending(self._events)
        if failed:
            status, reason = "fail", failed
        self._hand_out(*translator.stop(status, reason, time))
