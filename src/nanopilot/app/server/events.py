"""Who listens to what happens at the server: every audit row, and how the instrument stands."""

from __future__ import annotations

import threading
from collections import deque

from nanopilot.app.server.bell import Bell

#: Messages that wait for one listener; older ones are dropped, and it is told.
_PATIENCE = 256


class Listener:
    """One reader of the stream of events; its queue never grows beyond a bound."""

    def __init__(self) -> None:
        self.bell = Bell()
        self._turn = threading.Lock()
        self._waiting: deque[str] = deque()
        self._dropped = 0

    def put(self, message: str) -> None:
        """Add a message, as JSON."""
        with self._turn:
            self._waiting.append(message)
            if len(self._waiting) > _PATIENCE:
                self._waiting.popleft()
                self._dropped += 1
        self.bell.ring()

    def take(self) -> tuple[int, list[str]]:
        """Return how many messages were dropped, and those that wait."""
        with self._turn:
            dropped, self._dropped = self._dropped, 0
            waiting = list(self._waiting)
            self._waiting.clear()
        return dropped, waiting


class Listeners:
    """All readers of the stream of events."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._all: list[Listener] = []

    def add(self) -> Listener:
        """Return a new reader."""
        listener = Listener()
        with self._turn:
            self._all.append(listener)
        return listener

    def remove(self, listener: Listener) -> None:
        """Forget a reader."""
        with self._turn:
            self._all.remove(listener)

    def tell(self, message: str) -> None:
        """Send a message, as JSON, to every reader."""
        with self._turn:
            listeners = tuple(self._all)
        for listener in listeners:
            listener.put(message)

    def ring(self) -> None:
        """Wake all readers, as the server closes."""
        with self._turn:
            listeners = tuple(self._all)
        for listener in listeners:
            listener.bell.ring()
