"""Files behind memory maps: read past the map where that costs less for what is not to stay."""

from __future__ import annotations

import mmap
import os
import threading
from pathlib import Path
from typing import Any, Self

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

_MAPS = Path("/proc/self/maps")
#: Bytes at the end of a map that are tried, and what a piece of it must hold to be no small one.
_TRIED, _PIECE = 4 << 20, 128 << 10


class FileBehind:
    """The file that a memory map shows, open for reading; one buffer per thread.

    Pages that are touched through a map for the first time are put into a table, and taken out of
    it when they are let go. Where the system does so for a few pages at a time, it costs more than
    copying them.

    Parameters
    ----------
    file : int
        Number of the open file; closed at the end of ``with``.
    shift : int
        From an address in memory to the place in the file.
    """

    def __init__(self, file: int, shift: int) -> None:
        self._file, self._shift = file, shift
        self._own = threading.local()

    @classmethod
    def of(cls, values: Any) -> Self | None:
        """Return the file behind an array, or None where there is none, or the map is as good.

        Only Linux tells which file a map is of. Under the name of one that was replaced there is
        another by now, and changes of a private map are not in its file: those are left alone.
        """
        base = map_of(values) if isinstance(values, np.ndarray) else None
        if base is None or not _MAPS.exists() or not in_small_pieces(base):
            return None
        low, high = np.lib.array_utils.byte_bounds(values)
        for line in _MAPS.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            span, _, offset, device, inode, *name = line.split(maxsplit=5)
            first, behind = (int(end, 16) for end in span.split("-"))
            if not (first <= low and high <= behind and name):
                continue
            try:
                file = os.open(name[0], os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                return None
            told = os.fstat(file)
            here = f"{os.major(told.st_dev):02x}:{os.minor(told.st_dev):02x}", told.st_ino
            if here == (device, int(inode)):
                return cls(file, int(offset, 16) - first)
            os.close(file)
        return None

    def read(self, block: Array) -> Array:
        """Return a copy of a part of the array, good until the same thread reads the next one.

        Parts with gaps, and what the file no longer holds, are returned as they are.
        """
        if not block.flags.c_contiguous:
            return block
        if len(getattr(self._own, "buffer", b"")) < block.nbytes:
            self._own.buffer = bytearray(block.nbytes)
        view = memoryview(self._own.buffer)[: block.nbytes]
        place, done = block.ctypes.data + self._shift, 0
        while done < block.nbytes:
            count = os.preadv(self._file, [view[done:]], place + done)
            if not count:
                return block
            done += count
        return np.frombuffer(view.toreadonly(), block.dtype).reshape(block.shape)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)


def in_small_pieces(base: mmap.mmap) -> bool:
    """Return whether pages of a map become resident a few at a time; its end is tried on Linux.

    How many at a time is told by the page cache: those of files written or read in large pieces
    come in large pieces, if the file system can do that. Where they are resident they cost nothing.
    """
    import resource

    first = max(0, len(base) - _TRIED) // mmap.PAGESIZE * mmap.PAGESIZE
    tried = np.frombuffer(base, np.uint8)[first :: mmap.PAGESIZE]
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    tried.max()
    faults = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before
    base.madvise(mmap.MADV_DONTNEED, first, len(base) - first)
    return faults * _PIECE > len(base) - first


def let_go(block: Array) -> None:
    """Give back the pages of a memory map that a block has made resident; others are left alone.

    The system reads them again when they are asked for. A map whose changes are private is left
    as it is: there they would be lost.
    """
    base = map_of(block)
    if base is None or not hasattr(mmap, "MADV_DONTNEED"):
        return
    start = np.frombuffer(base, np.uint8).ctypes.data
    low, high = np.lib.array_utils.byte_bounds(block)
    first = (low - start) // mmap.PAGESIZE * mmap.PAGESIZE
    if high - start > first:
        base.madvise(mmap.MADV_DONTNEED, first, high - start - first)


def map_of(block: Array) -> mmap.mmap | None:
    """Return the memory map that an array lies in; None where there is none, or it is private."""
    base: Any = block
    mapped = False
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap):
            if base.mode == "c":
                return None
            mapped = True
        base = base.base
    return base if mapped and isinstance(base, mmap.mmap) else None
