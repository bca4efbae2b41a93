"""Writing so that a kill or a power cut leaves either the old file or the new one."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from nanopilot.core.errors import DiskFull, StoreError

#: What an acknowledged write survives. ``"power"``: loss of power, because the disk is
#: told to write it out at once. ``"process"``: any death of the process, not of the machine.
Durability = Literal["power", "process"]

_FULL = (errno.ENOSPC, errno.EDQUOT)
_NEARLY_FULL = 1 << 20
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)


def write_atomic(path: Path, data: bytes, durability: Durability = "power") -> None:
    """Write a whole file under another name, then rename it into place.

    Parameters
    ----------
    path : pathlib.Path
        Where the file shall be; replaced if it exists.
    data : bytes
        All of its content.
    durability : {"power", "process"}
        Whether to wait until the disk has it.
    """
    write_together([(path, data)], durability)


def write_together(files: Sequence[tuple[Path, bytes]], durability: Durability = "power") -> None:
    """Write several files, each as `write_atomic` does, with fewer waits for the disk."""
    handles, partials = [], []
    try:
        for path, data in files:
            partials.append(path.with_name(f"{path.name}.tmp"))
            handles.append(os.open(partials[-1], _NEW_FILE, 0o666))
            left = memoryview(data)
            while left:
                left = left[os.write(handles[-1], left) :]
        if durability == "power":
            for handle in handles:
                os.fsync(handle)
    finally:
        for handle in handles:
            os.close(handle)
    for partial, (path, _) in zip(partials, files, strict=True):
        partial.replace(path)
    if durability == "power":
        for folder in {path.parent for path, _ in files}:
            sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder as durable as the files; Windows needs and allows no such call."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Make everything below a folder durable."""
    for parent, _, files in os.walk(folder):
        for name in files:
            handle = os.open(Path(parent, name), os.O_RDWR)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        sync_folder(Path(parent))


@contextmanager
def store_errors(what: str, path: Path, verb: str = "written") -> Iterator[None]:
    """Turn what the operating system says about a file into one line with the way out.

    Raises
    ------
    DiskFull
        No space or quota is left.
    StoreError
        Anything else.
    """
    try:
        yield
    except (DiskFull, StoreError):
        raise
    except OSError as cause:
        if cause.errno in _FULL:
            raise disk_full(what, path) from cause
        told = cause.strerror or cause
        raise StoreError(f"`{path}`: {what} cannot be {verb}: {told}.") from cause


def disk_full(what: str, path: Path) -> DiskFull:
    """Return the error that says so."""
    return DiskFull(
        f"`{path}`: the disk is full and {what} was not written; "
        "free some space, then go on with `nanopilot resume`."
    )


def nearly_full(path: Path) -> bool:
    """Tell whether the disk that holds `path` has next to nothing left."""
    try:
        return shutil.disk_usage(path).free < _NEARLY_FULL
    except OSError:
        return False
