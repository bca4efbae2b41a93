"""Signals as bytes: a JSON header and the arrays as they lie in memory. No pickle, no base64.

Layout: ``b"NPL1"``, length of the header (4 bytes, little-endian), the header as UTF-8 JSON,
zeros up to the next multiple of 64, then each array, little-endian, C order, each at a multiple
of 64 counted from the first. The header names every variable and coordinate with dims, dtype,
shape, offset and attributes.
"""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import numpy as np
import xarray as xr

from nanopilot.core.errors import SignalError
from nanopilot.core.signals import SignalSet

MAGIC = b"NPL1"
MEDIA_TYPE = "application/vnd.nanopilot.signals"
_ALIGN = 64
_PLAIN = frozenset("biuf")


def pack(signals: SignalSet) -> bytearray:
    """Return a measurement as bytes.

    Raises
    ------
    SignalError
        A value is neither a number nor a truth value.

    Examples
    --------
    >>> frame = xr.Dataset({"height": ("x", np.arange(3.0), {"units": "m"})})
    >>> unpack(pack(frame)).identical(frame)
    True
    """
    parts: list[tuple[int, np.ndarray[Any, Any]]] = []
    entries, offset = [], 0
    for kind, group in (("coord", signals.coords), ("data", signals.data_vars)):
        for name, variable in group.items():
            values = _plain(str(name), variable.to_numpy())
            entries.append(
                {
                    "name": str(name), "kind": kind, "dims": list(variable.dims),
                    "dtype": values.dtype.str, "shape": list(values.shape), "offset": offset,
                    "attrs": dict(variable.attrs),
                }
            )  # fmt: skip
            parts.append((offset, values))
            offset = _up(offset + values.nbytes)
    header = json.dumps({"arrays": entries, "attrs": dict(signals.attrs)}).encode()
    start = _up(len(MAGIC) + 4 + len(header))
    packed = bytearray(start + offset)
    packed[:8] = MAGIC + struct.pack("<I", len(header))
    packed[8 : 8 + len(header)] = header
    for at, values in parts:
        target = np.frombuffer(packed, values.dtype, values.size, start + at)
        target[...] = values.ravel()
    return packed


def unpack(packed: bytes | bytearray | memoryview) -> SignalSet:
    """Return the measurement that `pack` made bytes of; the arrays are views into them.

    Raises
    ------
    SignalError
        These bytes are something else, or end too early.
    """
    try:
        return _unpack(memoryview(packed))
    except (ValueError, KeyError, TypeError, struct.error) as cause:
        raise SignalError(f"`packed` ({len(packed)} bytes) is no measurement: {cause}.") from cause


def _unpack(packed: memoryview) -> SignalSet:
    if packed[:4] != MAGIC:
        raise ValueError("it does not begin with NPL1")
    (length,) = struct.unpack("<I", packed[4:8])
    header = json.loads(bytes(packed[8 : 8 + length]))
    start = _up(8 + length)
    found: dict[str, dict[str, Any]] = {"coord": {}, "data": {}}
    for entry in header["arrays"]:
        dtype = np.dtype(entry["dtype"])
        if dtype.kind not in _PLAIN:
            raise ValueError(f"`{entry['name']}` is of type {dtype}")
        size = math.prod(entry["shape"])
        values = np.frombuffer(packed, dtype, size, start + entry["offset"])
        variable = (entry["dims"], values.reshape(entry["shape"]), entry["attrs"])
        found[entry["kind"]][entry["name"]] = variable
    return xr.Dataset(found["data"], coords=found["coord"], attrs=header["attrs"])


def _plain(name: str, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if values.dtype.kind not in _PLAIN:
        raise SignalError(f"`{name}` is of type {values.dtype}; only numbers cross the wire.")
    return np.asarray(values, values.dtype.newbyteorder("<"), order="C")


def _up(offset: int) -> int:
    return -(-offset // _ALIGN) * _ALIGN
