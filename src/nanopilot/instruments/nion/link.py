"""The line to the worker: starts it, sends it commands, notices when it is gone."""

from __future__ import annotations

import itertools
import logging
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Generator, Mapping
from typing import Any, BinaryIO, Protocol, cast

from nanopilot.core.errors import DeviceError, LinkLost
from nanopilot.core.geometry import FloatArray
from nanopilot.core.wire import unpack
from nanopilot.instruments.nion.framing import send
from nanopilot.instruments.nion.inbox import Box, Inbox

Arrays = Mapping[str, FloatArray]
_log = logging.getLogger(__name__)
_WAY_OUT = "Reconnect (`reconnect()` of the instrument, or `connect` again) and read the state."


class Link(Protocol):
    """What the driver needs of a line: commands with one answer, and with many."""

    def call(self, verb: str, **arguments: Any) -> Any:
        """Send a command and wait for its answer."""

    def stream(self, verb: str, **arguments: Any) -> Generator[tuple[Any, Arrays], None, Any]:
        """Send a command, yield the parts of its answer as they come, return the last word."""

    def close(self) -> None:
        """End the line and what is behind it."""


class WorkerLink:
    """A worker process of our own, spoken to over its standard input and output.

    Parameters
    ----------
    sample : str
        What lies in the simulated microscope.
    patience : float
        Seconds to wait for an answer, or for the next part of one, beyond what it takes to
        measure it, before the line counts as lost.

    Raises
    ------
    DeviceError
        The microscope could not be built; in its own words.
    LinkLost
        The worker did not come up; the message has its last words.
    """

    def __init__(self, sample: str, *, patience: float = 60.0) -> None:
        self._patience = patience
        self._numbers = itertools.count(1)
        self._sending = threading.Lock()
        self._inbox = Inbox()
        ready = self._inbox.expect(0)
        folder = tempfile.mkdtemp(prefix="nanopilot-nion-")
        command = [sys.executable, "-m", "nanopilot.instruments.nion.worker", sample, folder]
        self._process = subprocess.Popen(  # noqa: S603 - ours, and no text of a stranger in it
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in a terminal is for the driver to handle
        )
        self._threads = [
            threading.Thread(target=work, args=(stream,), daemon=True)
            for work, stream in (
                (self._inbox.fill, cast("BinaryIO", self._process.stdout)),
                (self._inbox.listen, cast("BinaryIO", self._process.stderr)),
            )
        ]
        self._stdin = cast("BinaryIO", self._process.stdin)
        for thread in self._threads:
            thread.start()
        self._close = weakref.finalize(self, _end, self._process, self._threads, folder)
        self._await_ready(ready)

    def _await_ready(self, ready: Box) -> None:
        try:
            for part, _ in self._parts(ready, self._patience):
                _log.info("Nion worker: %s", part["progress"])
        except (DeviceError, LinkLost):
            self.close()
            raise
        finally:
            self._inbox.forget(0)

    @property
    def pid(self) -> int:
        """Number of the worker process."""
        return self._process.pid

    def call(self, verb: str, **arguments: Any) -> Any:
        """Send a command and return its answer.

        Raises
        ------
        DeviceError
            The microscope refused, or broke; in its own words.
        LinkLost
            The worker is gone, or does not answer.
        """
        answering = self.stream(verb, **arguments)
        while True:
            try:
                next(answering)
            except StopIteration as end:
                return end.value

    def stream(self, verb: str, **arguments: Any) -> Generator[tuple[Any, Arrays], None, Any]:
        """Send a command when first asked for a part, and yield the parts as they come.

        ``asked["wait"]`` of a measurement is how long one part of it takes, in seconds.
        """
        number = next(self._numbers)
        box = self._inbox.expect(number)
        try:
            self._send({"id": number, "verb": verb, "arguments": arguments})
            wait = float(arguments.get("asked", {}).get("wait", 0.0))
            return (yield from self._parts(box, self._patience + wait))
        finally:
            self._inbox.forget(number)

    def _send(self, command: Mapping[str, Any]) -> None:
        try:
            with self._sending:
                send(self._stdin, command)
        except (OSError, ValueError) as cause:  # a broken pipe, or one closed by us
            raise self._gone() from cause

    def _parts(self, box: Box, patience: float) -> Generator[tuple[Any, Arrays], None, Any]:
        while True:
            try:
                message = box.get(timeout=patience)
            except queue.Empty:
                raise LinkLost(
                    f"The Nion worker (process {self.pid}) has not answered for {patience:g} s. "
                    + _WAY_OUT
                ) from None
            if message is None:
                raise self._gone()
            header, payload = message
            if "error" in header:
                raise DeviceError(f"The microscope says: {header['error']}.")
            if "answer" in header:
                return header["answer"]
            yield header["part"], _arrays(payload)

    def _gone(self) -> LinkLost:
        self._threads[1].join(timeout=1.0)  # until it has heard the last of them
        said = " ".join(self._inbox.last_words)[-500:]
        return LinkLost(
            f"The Nion worker (process {self.pid}) is gone. {_WAY_OUT}"
            + (f" Its last words: {said}" if said else "")
        )

    def close(self) -> None:
        """End the worker; a second time does nothing."""
        self._close()


def _arrays(payload: bytes) -> Arrays:
    if not payload:
        return {}
    return {str(name): array.to_numpy() for name, array in unpack(payload).data_vars.items()}


def _end(process: subprocess.Popen[bytes], threads: list[threading.Thread], folder: str) -> None:
    """Close its input, which ends it; kill it by its number if that does not."""
    if process.stdin is not None:
        try:
            process.stdin.close()
        except OSError:
            _log.debug("the worker was gone before its input was closed")
    try:
        process.wait(timeout=3.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for thread in threads:
        if thread is not threading.current_thread():
            thread.join(timeout=3.0)
    shutil.rmtree(folder, ignore_errors=True)  # one that was killed has left it
