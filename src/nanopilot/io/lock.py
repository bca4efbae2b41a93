"""One writer at a time: a lock that the operating system drops when its holder dies."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import IO

from nanopilot.core.errors import StoreError

# A reader that asks who is writing holds the lock for an instant; a writer waits that long.
_PATIENCE = 0.25


class WriterLock:
    """Exclusive right to write a run, held until `release` or the end of the process.

    Parameters
    ----------
    path : pathlib.Path
        The lock file; it is made if need be, and says who holds the lock.

    Raises
    ------
    StoreError
        Another process holds it.
    """

    def __init__(self, path: Path) -> None:
        self._file: IO[str] | None = path.open("a+", encoding="utf-8")
        deadline = time.monotonic() + _PATIENCE
        while not _try_lock(self._file, exclusive=True):
            if time.monotonic() > deadline:
                self._file.close()
                self._file = None
                raise StoreError(
                    f"`{path.parent}` is being written by {_name(holder(path))}; "
                    "wait for it to end, or open the run for reading."
                )
            time.sleep(0.01)
        self._file.truncate(0)
        json.dump({"pid": os.getpid(), "host": socket.gethostname()}, self._file)
        self._file.flush()

    def release(self) -> None:
        """Let others write; safe to call twice."""
        if self._file is not None:
            self._file.truncate(0)
            self._file.close()
            self._file = None


def is_locked(path: Path) -> bool:
    """Tell whether a living process holds the lock; changes nothing, needs only to read."""
    try:
        with path.open("r", encoding="utf-8") as file:
            return not _try_lock(file, exclusive=False)
    except OSError:
        return False


def holder(path: Path) -> dict[str, object]:
    """Return what the lock file says about its holder; empty if nothing can be read."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _name(told: dict[str, object]) -> str:
    if "pid" not in told:
        return "another process"
    here = "" if told.get("host") == socket.gethostname() else f" on {told.get('host')}"
    return f"process {told['pid']}{here}"


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: IO[str], *, exclusive: bool) -> bool:
        del exclusive  # there is no other kind here
        # The locked byte lies far behind the text, which others can still read.
        file.seek(1 << 20)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(file: IO[str], *, exclusive: bool) -> bool:
        kind = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
