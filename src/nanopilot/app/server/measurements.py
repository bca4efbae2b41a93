"""Measurements in progress: a thread of its own takes each from the instrument.

It goes on whether or not anybody looks, as the instrument does. The newest blocks are kept for
readers, so a slow one costs no memory beyond them: it is told what it missed.
"""

from __future__ import annotations

import secrets
import threading
from collections import deque
from collections.abc import Callable

from nanopilot.app.server.bell import Bell
from nanopilot.app.server.settings import ServerSettings
from nanopilot.core.capabilities import Acquisition
from nanopilot.core.errors import DeviceError, NanopilotError, UnknownName
from nanopilot.core.signals import SignalSet
from nanopilot.core.wire import pack
from nanopilot.instruments.remote.messages import Problem, Progress
from nanopilot.instruments.remote.problems import problem_of


class Block:
    """One block of a stream, packed when it is first asked for.

    Parameters
    ----------
    number : int
        From 0.
    signals : SignalSet
        What was measured.
    """

    __slots__ = ("_packed", "frame", "number", "signals", "size")

    def __init__(self, number: int, signals: SignalSet) -> None:
        self.number = number
        self.signals = signals
        self.size = int(signals.nbytes)
        self.frame = int(signals["frame"].to_numpy().max()) if "frame" in signals.coords else 0
        self._packed: bytes | None = None

    def packed(self) -> bytes:
        """Return it as it crosses the wire."""
        if self._packed is None:
            self._packed = bytes(pack(self.signals))
        return self._packed


class Measurement:
    """One measurement, from its start until nobody needs its result any more.

    Parameters
    ----------
    capability : str
        What measures.
    acquisition : Acquisition
        As the guard started it.
    settings : ServerSettings
        How many blocks are kept.
    """

    def __init__(self, capability: str, acquisition: Acquisition, settings: ServerSettings) -> None:
        self.id = secrets.token_hex(8)
        self.capability = capability
        self.bell = Bell()
        self.result: bytes | None = None
        self.error: Problem | None = None
        self.finished = False
        self.count = 0
        self._acquisition: Acquisition | None = acquisition
        self._settings = settings
        self._turn = threading.Lock()
        self._blocks: deque[Block] = deque()
        self._size = 0
        self._done = 0.0
        self.thread = threading.Thread(target=self._run, name=f"measure-{self.id}", daemon=True)

    def _run(self) -> None:
        acquisition = self._acquisition
        assert acquisition is not None, "it is let go of at the end of this"  # noqa: S101
        self._guarded(lambda: self._take(acquisition))
        self._guarded(lambda: self._pack(acquisition))
        self._done = self._guarded(lambda: acquisition.progress) or self._done
        self._acquisition = None  # and with it the arrays, which are packed now
        self.finished = True
        self.bell.ring()

    def _guarded(self, do: Callable[[], float | None]) -> float | None:
        try:
            return do()
        except NanopilotError as error:
            self.error = self.error or problem_of(error)
        except Exception as error:  # noqa: BLE001 - whatever a driver raises, readers must be told
            told = DeviceError(f"`{self.capability}` failed: {type(error).__name__}: {error}")
            self.error = self.error or problem_of(told)
        return None

    def _take(self, acquisition: Acquisition) -> None:
        for signals in acquisition:
            block = Block(self.count, signals)
            with self._turn:
                self._blocks.append(block)
                self._size += block.size
                while len(self._blocks) > 1 and (
                    len(self._blocks) > self._settings.keep_blocks
                    or self._size > self._settings.keep_block_bytes
                ):
                    self._size -= self._blocks.popleft().size
                self.count += 1
            self.bell.ring()

    def _pack(self, acquisition: Acquisition) -> None:
        self.result = bytes(pack(acquisition.result()))

    def after(self, first: int, *, newest: bool, frame: int) -> Block | None:
        """Return the block a reader gets next, or None where there is none yet.

        Parameters
        ----------
        first : int
            Number of the block that it would be if the reader were fast.
        newest : bool
            Pass over frames that are complete and not begun by this reader, to the newest.
        frame : int
            The frame this reader is in the middle of.
        """
        with self._turn:
            if not self._blocks or first > self._blocks[-1].number:
                return None
            begin = self._blocks[0].number
            block = self._blocks[max(0, first - begin)]
            last = self._blocks[-1].frame
            behind = block.frame < last - 1 or (block.frame < last and block.frame != frame)
            if newest and behind:
                return next(one for one in self._blocks if one.frame == last)
            return block

    def abort(self) -> None:
        """Stop measuring; what was measured becomes the result."""
        acquisition = self._acquisition
        if acquisition is not None:
            acquisition.abort()

    def progress(self) -> Progress:
        """Return how it stands."""
        acquisition = self._acquisition
        return Progress(
            id=self.id,
            capability=self.capability,
            progress=self._done if acquisition is None else acquisition.progress,
            finished=self.finished,
            blocks=self.count,
            error=self.error if self.finished else None,
        )


class Measurements:
    """All that are in progress, and the last that were.

    Parameters
    ----------
    settings : ServerSettings
        How many results are kept.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._turn = threading.Lock()
        self._all: dict[str, Measurement] = {}

    def add(self, capability: str, acquisition: Acquisition) -> Measurement:
        """Take a measurement that has just been started."""
        measurement = Measurement(capability, acquisition, self._settings)
        with self._turn:
            self._forget()
            self._all[measurement.id] = measurement
        measurement.thread.start()
        return measurement

    def find(self, name: str) -> Measurement:
        """Return a measurement by its id.

        Raises
        ------
        UnknownName
            There is none, or it is so long ago that it was forgotten.
        """
        with self._turn:
            found = self._all.get(name)
            if found is None:
                raise UnknownName("acquisition", name, ())
            return found

    def all(self) -> tuple[Measurement, ...]:
        """Return all that are remembered, oldest first."""
        with self._turn:
            return tuple(self._all.values())

    def ring(self) -> None:
        """Wake all readers, as the server closes."""
        for measurement in self.all():
            measurement.bell.ring()

    def join(self, seconds: float) -> None:
        """Wait until the measurements that were stopped have ended."""
        for measurement in self.all():
            measurement.thread.join(seconds)

    def _forget(self) -> None:
        """Let go of the oldest results until there is room for one more."""
        finished = [one for one in self._all.values() if one.finished]
        size = sum(len(one.result or b"") for one in finished)
        for number, one in enumerate(finished, start=1):
            left = len(finished) - number + 1
            if left < self._settings.keep_results and size <= self._settings.keep_bytes:
                return
            size -= len(one.result or b"")
            del self._all[one.id]
