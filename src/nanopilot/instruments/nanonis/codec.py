"""Bytes of the Nanonis TCP protocol: headers, bodies and the error block of every reply.

All numbers are big-endian. A message is a header of 40 bytes (command name, 32 bytes, padded
with zeros; size of the body, int32; whether a reply is wanted, uint16; two zeros) and a body.
The body of a reply holds what the command returns and then the error block: error status
(uint32), size of the description (int32), description.

Source: the protocol as described in the docstrings of the maker's client, nanonis_spm 1.0.9.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nanopilot.core.errors import DeviceError

HEADER = 40
#: Longest body that is read; a frame of 4096 x 4096 pixels fits.
LARGEST = 128 * 1024 * 1024
#: Longest text that is sent: the maker's client reads the size of a text from its last byte.
LONGEST_TEXT = 255

_NAME = 32
_SCALARS = frozenset("HhIifd")
_HEADER = struct.Struct(">32siH2s")
_INT = struct.Struct(">i")


@dataclass(frozen=True, slots=True)
class Header:
    """The first 40 bytes of a message.

    Parameters
    ----------
    command : str
        Its name, such as ``"Bias.Set"``.
    size : int
        Bytes of the body that follows.
    wants_reply : bool
        Whether the sender waits for one.
    """

    command: str
    size: int
    wants_reply: bool = True

    def pack(self) -> bytes:
        r"""Return the header as bytes.

        Examples
        --------
        >>> Header("Bias.Get", 0).pack()[:9], len(Header("Bias.Get", 0).pack())
        (b'Bias.Get\x00', 40)
        """
        name = self.command.encode("ascii")
        if not 0 < len(name) <= _NAME:
            raise DeviceError(f"`command` is {self.command!r}; a name has 1 to {_NAME} letters.")
        return _HEADER.pack(name, self.size, int(self.wants_reply), b"\0\0")

    @classmethod
    def unpack(cls, packed: bytes) -> Header:
        """Read a header.

        Raises
        ------
        DeviceError
            These bytes are none: the name is not plain text, or the size is impossible.
        """
        name, size, wants, _ = _HEADER.unpack(packed)
        text = name.rstrip(b"\0")
        if not text or not all(32 < byte < 127 for byte in text):
            raise DeviceError(f"`header` names no command: {name!r}.")
        if not 0 <= size <= LARGEST:
            raise DeviceError(f"`header` announces {size} bytes; 0 to {LARGEST} are allowed.")
        return cls(text.decode("ascii"), size, wants != 0)


def shortest(value: float) -> float:
    """Return the shortest decimal number that is the same float32.

    A client that is told 0.1 V sends the float32 nearest to it, which as a double is
    0.10000000149. This gives back what was meant, and the same float32 when it is sent again.

    Examples
    --------
    >>> import struct
    >>> shortest(struct.unpack(">f", struct.pack(">f", 0.1))[0])
    0.1
    """
    return float(str(np.float32(value)))


def pack(kinds: Sequence[str], values: Sequence[Any]) -> bytes:
    """Return values as a body.

    Parameters
    ----------
    kinds : sequence of str
        One of each value: ``H h I i f d`` as in `struct`; ``s`` text with its size before it;
        ``*i``, ``*f``, ``*s`` numbers or texts with their count before them (texts: first the
        size of all in bytes, then the count); ``2f`` float32 in rows, rows and columns first.
    values : sequence
        What is sent.

    Examples
    --------
    >>> pack(("s", "H"), ("up", 1)).hex()
    '0000000275700001'
    """
    if len(kinds) != len(values):
        raise DeviceError(f"`values` are {len(values)}; the command has {len(kinds)}.")
    try:
        return b"".join(_one(kind, value) for kind, value in zip(kinds, values, strict=True))
    except (struct.error, OverflowError, TypeError, ValueError) as cause:
        raise DeviceError(f"`values` {values!r} do not fit {', '.join(kinds)}: {cause}.") from cause


def _one(kind: str, value: Any) -> bytes:
    if kind in _SCALARS:
        return struct.pack(f">{kind}", value if kind in "fd" else int(value))
    if kind == "s":
        return _text(value)
    if kind == "*s":
        texts = b"".join(_text(text) for text in value)
        return _INT.pack(len(texts)) + _INT.pack(len(value)) + texts
    if kind == "*i":
        return _INT.pack(len(value)) + np.asarray(value, ">i4").tobytes()
    if kind == "*f":
        return _INT.pack(len(value)) + np.asarray(value, ">f4").tobytes()
    rows, columns = np.shape(value)
    return struct.pack(">ii", rows, columns) + np.asarray(value, ">f4").tobytes()


def _text(value: str) -> bytes:
    """Return a text with its size, cut where the maker's client would misread the size."""
    packed = clipped(value)
    return _INT.pack(len(packed)) + packed


def clipped(value: str) -> bytes:
    """Return a text as UTF-8 of at most 255 bytes, never ending in half a letter."""
    packed = value.encode("utf-8", "replace")[:LONGEST_TEXT]
    return packed.decode("utf-8", "ignore").encode("utf-8")


def unpack(kinds: Sequence[str], body: bytes) -> tuple[list[Any], bytes]:
    """Read values from a body; return them and the bytes after them.

    Raises
    ------
    DeviceError
        The body is too short, or a count in it is impossible.
    """
    reader = _Reader(body)
    try:
        values = [reader.read(kind) for kind in kinds]
    except (struct.error, ValueError) as cause:
        raise DeviceError(
            f"`body` of {len(body)} bytes is not {', '.join(kinds)}: {cause}."
        ) from cause
    return values, reader.left


class _Reader:
    """Takes values off the front of a body."""

    def __init__(self, body: bytes) -> None:
        self.left = body

    def read(self, kind: str) -> Any:
        if kind in _SCALARS:
            (value,) = struct.unpack(f">{kind}", self._take(struct.calcsize(f">{kind}")))
            return shortest(value) if kind == "f" else value
        if kind == "s":
            return self._take(self._count()).decode("utf-8", "replace")
        if kind == "*s":
            self._count()  # bytes of all texts: clients disagree on it, the texts tell it anyway
            return [self.read("s") for _ in range(self._count(4))]
        if kind in ("*i", "*f"):
            count = self._count(4)
            return np.frombuffer(self._take(4 * count), f">{kind[1]}4").tolist()
        rows, columns = self._count(), self._count()
        values = np.frombuffer(self._take(4 * rows * columns), ">f4")
        return values.reshape(rows, columns).astype(np.float32)

    def _count(self, each: int = 0) -> int:
        (count,) = _INT.unpack(self._take(4))
        if count < 0 or count * each > len(self.left):
            raise ValueError(f"a count of {count} with {len(self.left)} bytes left")
        return int(count)

    def _take(self, size: int) -> bytes:
        if size > len(self.left):
            raise ValueError(f"{size} bytes were expected where {len(self.left)} are left")
        taken, self.left = self.left[:size], self.left[size:]
        return taken


def nothing(kinds: Sequence[str]) -> list[Any]:
    """Return what a reply holds beside an error: zeros, and nothing in lists.

    Examples
    --------
    >>> nothing(("f", "s", "*i"))
    [0, '', []]
    """
    empty: dict[str, Any] = {"s": "", "2f": np.zeros((0, 0)), "*s": [], "*i": [], "*f": []}
    return [empty.get(kind, 0) for kind in kinds]


def error_block(message: str = "") -> bytes:
    """Return the end of a reply; an empty message means that all went well."""
    return struct.pack(">I", int(bool(message))) + _text(message)


def read_error(block: bytes) -> str:
    """Return the message of an error block, empty if there was no error.

    Raises
    ------
    DeviceError
        The reply does not end in an error block.
    """
    (status, message), _ = unpack(("I", "s"), block)
    return (message or "an error without a description") if status else ""
