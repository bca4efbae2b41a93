"""Bytes of one chunk: Blosc (LZ4, bit shuffle) and a CRC-32C, as the Zarr v3 codecs write them.

zarr-python makes the metadata and can read everything here. Chunks are written and read by
this module instead, for three reasons: a chunk that is missing must be an error (Zarr fills it
in silently), a damaged one must be found before a decompressor sees it, and writing is two to
three times faster without a round through an event loop.
"""

from __future__ import annotations

import struct
from typing import Any

import google_crc32c
import numpy as np
from numcodecs.blosc import Blosc  # type: ignore[import-untyped]

from nanopilot.core.errors import Tampered

Array = np.ndarray[Any, np.dtype[Any]]

#: Chunks above this size are split along their slow axes; a decoder holds one at a time.
_MOST_BYTES = 128 << 20
_BLOSC = Blosc(cname="lz4", clevel=5, shuffle=Blosc.BITSHUFFLE)
_BLOSC_HEADER = struct.Struct("<4xIII")


def chunk_shape(dims: tuple[str, ...], shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Return how an item is cut into chunks: whole, but one frame at a time, and never huge."""
    chunk = list(shape)
    if dims[:1] == ("frame",):
        chunk[0] = 1
    for axis in range(len(chunk)):
        if int(np.prod(chunk)) * itemsize > _MOST_BYTES:
            chunk[axis] = 1
    return tuple(max(1, n) for n in chunk)


def little_endian(values: Array) -> Array:
    """Return values as they lie in files: C order, little-endian; a copy only where needed."""
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))


def encode(values: Array) -> bytes:
    """Return the bytes of a chunk."""
    return _sealed(bytes(_BLOSC.encode(little_endian(values))))


def decode(data: bytes, shape: tuple[int, ...], dtype: np.dtype[Any], where: str) -> Array:
    """Return the values of a chunk.

    Raises
    ------
    Tampered
        The bytes are not what `encode` returned for a chunk of this shape and type.
    """
    body = _unsealed(data, where)
    values = np.empty(shape, dtype=dtype.newbyteorder("<"))
    sizes = _BLOSC_HEADER.unpack_from(body) if len(body) >= 16 else (0, 0, 0)
    if sizes[0] != values.nbytes or sizes[2] != len(body):
        raise Tampered(f"`{where}` was altered: it does not hold {shape} values of {dtype}.")
    if not values.nbytes:
        return values  # the decompressor takes nothing for an error
    try:
        _BLOSC.decode(body, out=values)
    except RuntimeError as cause:
        raise Tampered(f"`{where}` was altered: it cannot be decompressed.") from cause
    return values


def encode_text(text: str) -> bytes:
    """Return a chunk that holds one text, as the Zarr codec ``vlen-utf8`` writes it."""
    data = text.encode()
    return _sealed(struct.pack("<II", 1, len(data)) + data)


def decode_text(data: bytes, where: str) -> str:
    """Return the text of a chunk that holds one.

    Raises
    ------
    Tampered
        The bytes are not what `encode_text` returned.
    """
    body = _unsealed(data, where)
    if len(body) < 8 or struct.unpack_from("<II", body) != (1, len(body) - 8):
        raise Tampered(f"`{where}` was altered: it does not hold one text.")
    try:
        return body[8:].decode()
    except UnicodeDecodeError as cause:
        raise Tampered(f"`{where}` was altered: it is not UTF-8.") from cause


def _sealed(body: bytes) -> bytes:
    return body + int(google_crc32c.value(body)).to_bytes(4, "little")


def _unsealed(data: bytes, where: str) -> bytes:
    body, seal = data[:-4], data[-4:]
    if len(data) < 4 or int(google_crc32c.value(body)).to_bytes(4, "little") != seal:
        raise Tampered(f"`{where}` was altered: its checksum is wrong.")
    return body
