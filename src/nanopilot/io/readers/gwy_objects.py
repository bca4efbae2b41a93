"""Gwyddion's objects as they are serialised: names, types, values, nothing judged yet.

The layout is that of the Gwyddion user guide, "Gwyddion file format". Whatever a damaged file
says of its own length is checked before it is believed.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

Object = dict[str, Any]

_SCALARS = {"b": "<?", "c": "<c", "i": "<i", "q": "<q", "d": "<d"}
_ARRAYS = {"C": "S1", "I": "<i4", "Q": "<i8", "D": "<f8"}
_DEEPEST = 50


def parse(content: bytes) -> Object:
    """Return the object a file holds; ``""`` is the name of its type.

    Parameters
    ----------
    content : bytes
        The file after its signature.

    Raises
    ------
    ValueError
        It is cut off, or nothing of the kind.
    """
    return _Cursor(content).an_object(len(content), 0)


class _Cursor:
    """A place in the bytes, which only moves forward."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def an_object(self, end: int, depth: int) -> Object:
        """Read the object that begins here."""
        if depth > _DEEPEST:
            raise ValueError("objects lie too deep in one another")
        found: Object = {"": self._text(end)}
        size = self._number("<I", end)
        end = self._within(size, end)
        while self._at < end:
            name = self._text(end)
            found[name] = self._value(end, depth)
        return found

    def _value(self, end: int, depth: int) -> Any:
        kind = self._take(1, end).decode("latin-1")
        if kind == "o":
            return self.an_object(end, depth + 1)
        if kind == "s":
            return self._text(end)
        if kind in _SCALARS:
            return self._number(_SCALARS[kind], end)
        count = self._number("<I", end) if kind in "CIQDSO" else -1
        if kind in _ARRAYS:
            dtype = np.dtype(_ARRAYS[kind])
            return np.frombuffer(self._take(count * dtype.itemsize, end), dtype)
        if kind == "S":
            return [self._text(end) for _ in range(count)]
        if kind == "O":
            return [self.an_object(end, depth + 1) for _ in range(count)]
        raise ValueError(f"a value of the unknown type {kind!r}")

    def _within(self, size: int, end: int) -> int:
        if self._at + size > end:
            raise ValueError(f"{self._at + size - end} bytes are missing")
        return self._at + size

    def _take(self, size: int, end: int) -> bytes:
        stop = self._within(size, end)
        taken = self._content[self._at : stop]
        self._at = stop
        return taken

    def _number(self, layout: str, end: int) -> Any:
        return struct.unpack(layout, self._take(struct.calcsize(layout), end))[0]

    def _text(self, end: int) -> str:
        stop = self._content.find(b"\0", self._at, end)
        if stop < 0:
            raise ValueError("a text has no end")
        text = self._content[self._at : stop].decode("utf-8", errors="replace")
        self._at = stop + 1
        return text
