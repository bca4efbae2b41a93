"""The process that Nion's packages run in: ``python -m nanopilot.instruments.nion.worker``.

It reads commands from standard input and answers on standard output (`framing`), one answer or a
series of parts per command. It has no other way in, and it ends when its input does: when whoever
started it is gone.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import xarray as xr

from nanopilot.core.wire import pack
from nanopilot.instruments.nion.framing import receive, send

_JOIN = 15.0


class Worker:
    """Carries out commands, measurements in a thread beside.

    Parameters
    ----------
    microscope : Microscope
        Or anything with its methods.
    answers : binary stream
        Where the answers go.
    """

    def __init__(self, microscope: Any, answers: BinaryIO) -> None:
        self._microscope = microscope
        self._answers = answers
        self._lock = threading.Lock()
        self._measuring: threading.Thread | None = None
        self._token: int | None = None
        #: The measurement has come to its end; its thread may still be telling so.
        self._ended = threading.Event()

    def say(self, header: Mapping[str, Any], arrays: Mapping[str, Any] | None = None) -> None:
        """Send one message."""
        payload = b"" if arrays is None else pack(_as_set(arrays))
        with self._lock:
            send(self._answers, header, bytes(payload))

    def carry_out(self, command: Mapping[str, Any]) -> None:
        """Answer one command, or begin to measure."""
        verb, arguments = command["verb"], command["arguments"]
        if verb in ("scan", "expose"):
            self._begin(command["id"], getattr(self._microscope, verb), arguments["asked"])
            return
        try:
            self.say({"id": command["id"], "answer": self._answer(verb, arguments)})
        except Exception as cause:  # noqa: BLE001 - whatever it is, the driver has to hear of it
            self.say({"id": command["id"], "error": f"{type(cause).__name__}: {cause}"})

    def _answer(self, verb: str, arguments: Mapping[str, Any]) -> Any:
        if verb == "stop":
            # One that has ended, or not begun, is not what is going on now.
            if arguments["token"] == self._token:
                self._microscope.stopped.set()
            return None
        if verb not in ("facts", "read", "write", "axes"):
            raise ValueError(f"there is no verb {verb!r}")
        return getattr(self._microscope, verb)(**arguments)

    def _begin(
        self, number: int, measure: Callable[..., Iterator[Any]], asked: Mapping[str, Any]
    ) -> None:
        running = self._measuring
        if running is not None and running.is_alive():
            if self._microscope.stopped.is_set() or self._ended.is_set():
                running.join(_JOIN)
            if running.is_alive():
                error = "a measurement is in progress; stop it or wait for its end"
                self.say({"id": number, "error": error})
                return
        self._microscope.stopped.clear()
        self._ended.clear()
        self._token = asked["token"]
        self._measuring = threading.Thread(
            target=self._measure, args=(number, measure, asked), daemon=True
        )
        self._measuring.start()

    def _measure(
        self, number: int, measure: Callable[..., Iterator[Any]], asked: Mapping[str, Any]
    ) -> None:
        try:
            self.say({"id": number, "part": {"began": True}})
            for header, arrays in measure(asked):
                self.say({"id": number, "part": header}, arrays)
            self._ended.set()
            self.say({"id": number, "answer": not self._microscope.stopped.is_set()})
        except Exception as cause:  # noqa: BLE001 - whatever it is, the driver has to hear of it
            self._ended.set()
            self.say({"id": number, "error": f"{type(cause).__name__}: {cause}"})


def _as_set(arrays: Mapping[str, Any]) -> xr.Dataset:
    """Return arrays as a measurement; dims carry no meaning on this wire."""
    return xr.Dataset(
        {
            name: (tuple(f"{name} {axis}" for axis in range(np.ndim(values))), values)
            for name, values in arrays.items()
        }
    )


def main(sample: str, folder: str) -> None:
    """Build the microscope and carry out commands until nobody sends any more.

    `folder` is where Nion's packages keep their settings; it is removed at the end.
    """
    commands = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    # What Nion's packages print must not get between the answers.
    os.dup2(2, 1)
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        _serve(sample, Path(folder), commands, answers)
    shutil.rmtree(folder, ignore_errors=True)
    # The cameras of the simulator have threads that would wait for ever.
    os._exit(0)


def _serve(sample: str, folder: Path, commands: BinaryIO, answers: BinaryIO) -> None:
    from nanopilot.instruments.nion.microscope import Microscope

    def progress(text: str) -> None:
        send(answers, {"id": 0, "part": {"progress": text}})

    try:
        worker = Worker(Microscope(sample, folder, progress), answers)
    except Exception as cause:  # noqa: BLE001 - whatever it is, the driver has to hear of it
        send(answers, {"id": 0, "error": f"{type(cause).__name__}: {cause}"})
        return
    worker.say({"id": 0, "answer": "ready"})
    while (message := receive(commands)) is not None:
        worker.carry_out(message[0])


if __name__ == "__main__":
    main(*sys.argv[1:])
