"""What a plan waits for: a command that an instrument carries out in a thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any

from nanopilot.core.errors import DeviceError


class Dropped(DeviceError):
    """A command was given up before its end, because somebody stopped it."""


class Task:
    """A bluesky ``Status``: done when the instrument says so, failed with what it said.

    What was dropped because the plan pauses is excused: the plan asks for it again when it is
    resumed. A RunEngine would take it for a failure of the plan.

    Parameters
    ----------
    future : concurrent.futures.Future
        Of the call that blocks until the instrument has answered.
    what : str
        What was asked for, for messages.
    """

    def __init__(self, future: Future[None], what: str) -> None:
        self._future = future
        self._what = what
        self._excused = False

    def __repr__(self) -> str:
        state = "under way" if not self.done else "done" if self.success else "failed"
        return f"<{self._what}: {self._said() or state}>"

    def add_callback(self, callback: Callable[[Any], None]) -> None:
        """Call back with this task once it is done; at once if it is."""
        self._future.add_done_callback(lambda future: callback(self))

    def exception(self, timeout: float | None = 0.0) -> BaseException | None:
        """Return why it failed, or None.

        Raises
        ------
        TimeoutError
            It is not done after `timeout` seconds; None: wait for it.
        """
        try:
            found = self._future.exception(timeout)
        except CancelledError:
            found = Dropped(f"`{self._what}` was stopped before it began; nothing was sent.")
        return None if self._excused and isinstance(found, Dropped) else found

    @property
    def done(self) -> bool:
        """Whether the instrument has answered."""
        return self._future.done()

    @property
    def success(self) -> bool:
        """Whether it is done as it was asked for."""
        return self.done and self.exception() is None

    def excuse(self) -> None:
        """Let it count as no failure if it was dropped."""
        self._excused = True

    def _said(self) -> str:
        error = self.exception() if self.done else None
        return "" if error is None else str(error)


class Turn:
    """Carries out the commands to one instrument, one after the other, in a thread of its own.

    Plans ask for x and y at once; no instrument has to cope with that.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="nanopilot-bluesky")
        self._asked: list[Future[None]] = []

    def carry_out(self, call: Callable[[], None], what: str) -> Task:
        """Do it when all that was asked for before is done."""
        self._asked = [future for future in self._asked if not future.done()]
        future = self._pool.submit(call)
        self._asked.append(future)
        return Task(future, what)

    def drop(self) -> bool:
        """Forget what has not begun; tell whether something was left to be done."""
        left = [future for future in self._asked if not future.done()]
        for future in left:
            future.cancel()
        return bool(left)

    def close(self) -> None:
        """Wait for what is under way, and end the thread."""
        self.drop()
        self._pool.shutdown()
