"""Messages between driver and worker: a JSON header, and bytes if there are arrays.

Layout: length of the header and of the bytes (4 bytes each, little-endian), the header as UTF-8
JSON, the bytes as `nanopilot.core.wire.pack` makes them.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

_LENGTHS = struct.Struct("<II")


def send(stream: BinaryIO, header: Mapping[str, Any], payload: bytes | bytearray = b"") -> None:
    """Write one message and flush it; the caller sees to it that only one thread writes.

    Raises
    ------
    OSError
        Nobody reads at the other end any more.
    """
    text = json.dumps(header).encode()
    stream.write(_LENGTHS.pack(len(text), len(payload)) + text)
    stream.write(payload)
    stream.flush()


def receive(stream: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """Read one message; None: the other end is gone, perhaps in the middle of one.

    Examples
    --------
    >>> import io
    >>> line = io.BytesIO()
    >>> send(line, {"verb": "stop"}, b"abc")
    >>> _ = line.seek(0)
    >>> receive(line), receive(line)
    (({'verb': 'stop'}, b'abc'), None)
    """
    lengths = stream.read(_LENGTHS.size)
    if len(lengths) < _LENGTHS.size:
        return None
    head, body = _LENGTHS.unpack(lengths)
    text, payload = stream.read(head), stream.read(body)
    if len(text) < head or len(payload) < body:
        return None
    return json.loads(text), payload
