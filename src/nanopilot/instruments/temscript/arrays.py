"""Images as temscript puts them into JSON: size, type, byte order, and base64."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from nanopilot.core.errors import DeviceError

_TYPES = {
    "INT8": "i1", "INT16": "i2", "INT32": "i4", "INT64": "i8",
    "UINT8": "u1", "UINT16": "u2", "UINT32": "u4", "UINT64": "u8",
    "FLOAT32": "f4", "FLOAT64": "f8",
}  # fmt: skip
_ORDERS = {"LITTLE": "<", "BIG": ">"}


def unpack_image(name: str, packed: Any) -> np.ndarray[Any, np.dtype[Any]]:
    """Return an image, shape (height, width).

    Parameters
    ----------
    name : str
        Of the detector, for the error.
    packed : dict
        ``width, height, type, endianness, encoding, data``.

    Raises
    ------
    DeviceError
        It is not such an image, or its data have another length than its size says.
    """
    try:
        if packed["encoding"] != "BASE64":
            raise ValueError(f"its encoding is {packed['encoding']!r}")
        dtype = np.dtype(_ORDERS[packed["endianness"]] + _TYPES[packed["type"]])
        data = base64.b64decode(packed["data"], validate=True)
        shape = int(packed["height"]), int(packed["width"])
        if min(shape) < 1 or len(data) != shape[0] * shape[1] * dtype.itemsize:
            raise ValueError(f"{len(data)} bytes are no {shape[0]} x {shape[1]} of {dtype}")
        return np.frombuffer(data, dtype).reshape(shape)
    except (KeyError, TypeError, ValueError) as cause:
        raise DeviceError(f"`{name}` came as no image: {cause}.") from cause


def pack_image(values: np.ndarray[Any, np.dtype[Any]]) -> dict[str, int | str]:
    """Return an image, shape (height, width), as JSON that temscript can read.

    Examples
    --------
    >>> image = np.arange(6.0).reshape(2, 3)
    >>> np.array_equal(unpack_image("haadf", pack_image(image)), image)
    True
    """
    plain = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    height, width = plain.shape
    return {
        "width": width,
        "height": height,
        "type": plain.dtype.name.upper(),
        "endianness": "LITTLE",
        "encoding": "BASE64",
        "data": base64.b64encode(plain.tobytes()).decode("ascii"),
    }
