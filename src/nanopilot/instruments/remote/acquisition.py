"""A measurement that goes on somewhere else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from nanopilot.core.errors import LinkLost, NanopilotError
from nanopilot.core.requests import Request
from nanopilot.core.signals import SignalSet
from nanopilot.core.wire import unpack
from nanopilot.instruments.remote.assembly import assemble
from nanopilot.instruments.remote.link import Link
from nanopilot.instruments.remote.messages import FAILED_HEADER, Dropped, Ended, Progress
from nanopilot.instruments.remote.problems import error_of

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

#: Seconds that one question for the result waits for an answer.
_WAIT = 20
_TOLD: TypeAdapter[Dropped | Ended] = TypeAdapter(Dropped | Ended)


class RemoteAcquisition:
    """The `Acquisition` of a remote instrument.

    The measurement goes on whether or not anybody iterates; blocks that came before the
    iteration began are sent when it does. It can be gone through once, as any acquisition.

    Parameters
    ----------
    link : Link
        To the server.
    started : Progress
        What the server said when it began.
    request : Request
        What was asked for.

    Notes
    -----
    When the line goes down the iteration raises `LinkLost`. After that `result` returns what
    the server has kept if it can be reached again, and else the blocks that had arrived, NaN
    elsewhere. Blocks the server had to pass over are counted in `dropped`; the result has them.
    """

    def __init__(self, link: Link, started: Progress, request: Request) -> None:
        self._link = link
        self._last = started
        self._request = request
        self._blocks: list[SignalSet] = []
        self._next = 0
        self._aborted = False
        self._lost: LinkLost | None = None
        self._told = False
        self.dropped = 0

    @property
    def _path(self) -> str:
        return f"/v1/acquisitions/{self._last.id}"

    @property
    def progress(self) -> float:
        """Fraction done, as the server says; the last that was heard if it cannot be reached."""
        if not self._last.finished and self._lost is None:
            self._last = self._link.get(Progress, self._path)
        return self._last.progress

    def abort(self) -> None:
        """Stop measuring; what has been measured stays available."""
        self._aborted = True
        self._link.call("DELETE", self._path)

    def __iter__(self) -> Iterator[SignalSet]:
        """Yield blocks as they arrive.

        Raises
        ------
        LinkLost
            The line went down.
        NanopilotError
            What went wrong at the instrument.
        """
        if self._aborted or self._told:
            return
        with self._open() as line:
            while not self._aborted:
                message = self._receive(line)
                if isinstance(message, str):
                    if self._heard(message):
                        return
                    continue
                block = unpack(message)
                self._next += 1
                self._blocks.append(block)
                yield block

    def _open(self) -> ClientConnection:
        try:
            return self._link.stream(f"{self._path}/blocks?newest=false&first={self._next}")
        except LinkLost as cause:
            self._lost = cause
            raise

    def _receive(self, line: ClientConnection) -> str | bytes:
        from websockets.exceptions import WebSocketException

        try:
            return line.recv()
        except (OSError, WebSocketException) as cause:
            self._lost = self._link.lose(cause)
            raise self._lost from cause

    def _heard(self, message: str) -> bool:
        """Take note of what is told between blocks; True at the end."""
        told = _TOLD.validate_json(message)
        if isinstance(told, Dropped):
            self.dropped += told.count
            self._next = told.first + told.count
            return False
        self._last = told.progress
        self._raise_once()
        return True

    def result(self) -> SignalSet:
        """Wait for the end and return everything, NaN where it was not measured.

        Raises
        ------
        LinkLost
            The line went down while waiting, or nothing had arrived before it did.
        NanopilotError
            What went wrong at the instrument; once.
        """
        try:
            failed, packed = self._fetch()
        except LinkLost as cause:
            if self._lost is None:
                self._lost = cause
                raise
            return self._kept(cause)
        except NanopilotError as cause:
            if self._lost is None:
                raise
            return self._kept(cause)
        if failed and not self._told and self._lost is None:
            self._last = self._link.get(Progress, self._path)
            self._raise_once()
        return unpack(packed)

    def _fetch(self) -> tuple[bool, bytearray]:
        """Return whether the measurement failed, and what it measured nevertheless."""
        while True:
            status, headers, packed = self._link.fetch(f"{self._path}/result?wait={_WAIT}")
            if status == 200:
                return FAILED_HEADER in headers, packed

    def _raise_once(self) -> None:
        if self._last.error is not None and not self._told:
            self._told = True
            raise error_of(self._last.error)

    def _kept(self, cause: NanopilotError) -> SignalSet:
        """Return what arrived before the line went down."""
        if not self._blocks:
            raise cause
        return assemble(self._request, self._blocks)

    def __repr__(self) -> str:
        told: dict[str, Any] = json.loads(self._last.model_dump_json())
        return f"RemoteAcquisition({told['id']}, {told['progress']:.0%})"
