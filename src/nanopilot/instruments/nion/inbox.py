"""Answers of the worker, sorted by who waits for them."""

from __future__ import annotations

import queue
import threading
from collections import deque
from typing import Any, BinaryIO

from nanopilot.instruments.nion.framing import receive

#: Messages of one command, as they come; None: the line is down.
Box = queue.SimpleQueue[tuple[dict[str, Any], bytes] | None]


class Inbox:
    """Messages by the number of the command they belong to; filled by one reading thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[int, Box] = {}
        self.lost = False
        self.last_words: deque[str] = deque(maxlen=8)

    def expect(self, number: int) -> Box:
        """Open a box for the messages of a command."""
        box: Box = queue.SimpleQueue()
        with self._lock:
            self._waiting[number] = box
            if self.lost:
                box.put(None)
        return box

    def forget(self, number: int) -> None:
        """Drop what still comes for a command."""
        with self._lock:
            self._waiting.pop(number, None)

    def fill(self, stream: BinaryIO) -> None:
        """Sort messages until there are no more."""
        with stream:
            while (message := receive(stream)) is not None:
                with self._lock:
                    box = self._waiting.get(message[0]["id"])
                if box is not None:
                    box.put(message)
        with self._lock:
            self.lost = True
            for box in self._waiting.values():
                box.put(None)

    def listen(self, stream: BinaryIO) -> None:
        """Keep the last lines of what the worker complains about."""
        with stream:
            for line in stream:
                self.last_words.append(line.decode(errors="replace").rstrip())
