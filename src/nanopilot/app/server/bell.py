"""Lets coroutines wait for what happens in threads."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress


class Bell:
    """Rung in any thread, heard in any event loop.

    A coroutine takes its `ticket` before it looks whether there is something to do, and awaits
    it if there is not: what happens in between is not missed.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []

    def ring(self) -> None:
        """Wake everybody who has a ticket."""
        with self._turn:
            waiting, self._waiting = self._waiting, []
        for loop, future in waiting:
            with suppress(RuntimeError):  # the loop has closed, and with it who was waiting
                loop.call_soon_threadsafe(_wake, future)

    def ticket(self) -> asyncio.Future[None]:
        """Return what is done at the next ring."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        with self._turn:
            self._waiting = [one for one in self._waiting if not one[1].done()]
            self._waiting.append((loop, future))
        return future


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def heard(ticket: asyncio.Future[None], seconds: float) -> bool:
    """Wait for a ring; False if there was none within `seconds`."""
    await asyncio.wait({ticket}, timeout=max(0.0, seconds))
    rung = ticket.done()
    ticket.cancel()
    return rung
