"""Igor binary waves (.ibw), in which instruments of Asylum Research keep frames.

Layout and checksum are those of WaveMetrics, Technical Note 003, "Igor Binary Format", version 5.
"""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nanopilot.core.errors import ReadError
from nanopilot.core.signals import Signal
from nanopilot.io.readers.channels import Channel, signals_of
from nanopilot.io.readers.frames import (
    Array,
    FirstRow,
    Pixel,
    check_first_row,
    guarded,
    length_unit,
)
from nanopilot.io.readers.source import content_of, source_file

__all__ = ["read"]

_HEADERS, _LABEL = 384, 32
_TYPES = {
    2: "f4", 4: "f8", 8: "i1", 0x10: "i2", 0x20: "i4", 0x48: "u1", 0x50: "u2", 0x60: "u4",
}  # fmt: skip
#: Asylum writes one unit for all channels; these are the ones it means, by what a label begins
#: with. Gwyddion does the same.
_UNITS = (
    ("height", "m"), ("zsensor", "m"), ("deflection", "m"), ("amplitude", "m"), ("phase", "deg"),
    ("frequency", "Hz"), ("current", "A"), ("potential", "V"), ("userin", "V"),
)  # fmt: skip
#: Of the hundreds of settings in the note, those a reader of the run will ask for.
_SETTINGS = frozenset(
    """imagingmode date time scanrate scansize scanangle xoffset yoffset springconstant invols
    ampinvols driveamplitude drivefrequency phaseoffset scanspeed scandown
    microscopemodel""".split()
)


def read(
    path: str | os.PathLike[str],
    *,
    pixel_size: float | None = None,
    first_row: FirstRow = "bottom",
) -> list[Signal]:
    """Read every channel of a scan in an Igor binary wave.

    Parameters
    ----------
    path : path
        The file.
    pixel_size : float, optional
        Metres; for waves whose dimensions have no unit.
    first_row : {"top", "bottom"}
        Where the first row lies; Asylum has it at the bottom.

    Returns
    -------
    list of Signal
        Dims (y, x), one per layer of the wave, in its order. `metadata` holds ``direction``
        (where the label says it) and ``original_metadata`` (some of the wave's note).

    Raises
    ------
    ReadError
        There is no such file, it is damaged or no wave, it holds curves or text and no frame, or
        it contradicts `pixel_size`.
    NoPixelSize
        Neither the file nor `pixel_size` says how large a pixel is.
    InvalidRequest
        `pixel_size` is no length, or `first_row` no side.
    """
    file = source_file(path)
    check_first_row(first_row)
    content = file.read_bytes()
    order = _byte_order(file, content)
    with guarded(file, "Igor binary wave"):
        wave = _wave(content, order)
        channels = _channels(file, wave)
    shared = {"format": "IBW", "original_metadata": _settings(wave.note)}
    return signals_of(file, channels, [], (pixel_size, first_row), shared)


@dataclass(frozen=True, slots=True, eq=False)
class _Wave:
    values: Array  # x first, as Igor has it
    steps: tuple[float, ...]
    units: str
    dim_units: list[str]
    labels: list[str]  # of the layers
    row_labels: bool
    note: str


def _byte_order(file: Path, content: bytes) -> str:
    """Tell little from big end by the version, which is small."""
    start = content[:_HEADERS]
    for order in "<>":
        if len(start) == _HEADERS and struct.unpack(f"{order}h", start[:2])[0] == 5:
            checksum = np.frombuffer(start, f"{order}i2").sum(dtype=np.int64) % 65536
            if checksum == 0:
                return order
    if start[:2] in (b"\1\0", b"\2\0", b"\3\0", b"\0\1", b"\0\2", b"\0\3"):
        raise ReadError(
            f"`{file}` is an Igor wave of version 1, 2 or 3, which holds curves and no frames, "
            "or no wave at all."
        )
    what = content_of(file) or "no Igor binary wave of version 5, or its beginning is lost"
    raise ReadError(f"`{file}` is {what}; copy it again from where it was recorded.")


def _wave(content: bytes, order: str) -> _Wave:
    def numbers(layout: str, at: int) -> tuple[Any, ...]:
        return struct.unpack_from(order + layout, content, at)

    formula, note, data_units = numbers("3i", 8)
    dim_units, labels = numbers("4i", 20), numbers("4i", 36)
    points, kind = numbers("ih", 76)
    sizes = [size for size in numbers("4i", 132) if size]
    if kind not in _TYPES:
        raise ValueError(f"its values are of type {kind}, which is text or complex")
    if np.prod(sizes, dtype=np.int64) != points or min([*sizes, points]) <= 0:
        raise ValueError(f"{points} values do not fill {sizes}")
    dtype = np.dtype(order + _TYPES[kind])
    values = np.frombuffer(content, dtype, points, _HEADERS).reshape(sizes, order="F")
    parts, at = {}, _HEADERS + points * dtype.itemsize
    for name, size in [
        ("formula", formula), ("note", note), ("units", data_units),
        *((f"unit {dim}", size) for dim, size in enumerate(dim_units)),
        *((f"labels {dim}", size) for dim, size in enumerate(labels)),
    ]:  # fmt: skip
        parts[name] = content[at : at + size]
        if size < 0 or len(parts[name]) != size:
            raise ValueError(f"its {name} is cut off")
        at += size
    short = [content[216 + 4 * dim : 220 + 4 * dim] for dim in range(4)]
    return _Wave(
        values=values,
        steps=numbers("4d", 148),
        units=_text(parts["units"] or content[212:216]),
        dim_units=[_text(parts[f"unit {dim}"] or short[dim]) for dim in range(4)],
        labels=_labels(parts["labels 2"]),
        row_labels=bool(parts["labels 1"]),
        note=parts["note"].decode("latin-1"),
    )


def _text(raw: bytes) -> str:
    return raw.split(b"\0")[0].decode("latin-1").strip()


def _labels(raw: bytes) -> list[str]:
    """Return the labels of the layers; the first one is that of the dimension as a whole."""
    return [_text(raw[at : at + _LABEL]) for at in range(_LABEL, len(raw), _LABEL)]


def _channels(file: Path, wave: _Wave) -> list[Channel]:
    values = wave.values
    if values.ndim not in (2, 3) or wave.row_labels:
        raise ReadError(
            f"`{file}` holds curves (shape {values.shape}) and no frame; a frame has dimensions "
            "x and y."
        )
    known = [length_unit(unit) for unit in wave.dim_units[:2]]
    for unit, factor in zip(wave.dim_units, known, strict=False):
        if unit and factor is None:
            raise ReadError(f"`{file}` holds no frame: a dimension is in {unit!r}, no length.")
    pixel = None
    if known[0] and known[1]:
        pixel = Pixel(abs(wave.steps[0]) * known[0], abs(wave.steps[1]) * known[1], "the wave")
    layers = values[..., np.newaxis] if values.ndim == 2 else values
    labels = [*wave.labels, *[""] * layers.shape[2]]
    return [
        Channel(labels[layer] or "signal", layers[..., layer].T,
                _unit(labels[layer], wave.units), pixel)
        for layer in range(layers.shape[2])
    ]  # fmt: skip


def _unit(label: str, otherwise: str) -> str:
    plain = label.lower()
    named = next((unit for word, unit in _UNITS if plain.startswith(word)), None)
    if named:
        return named
    return "" if label else otherwise


def _settings(note: str) -> dict[str, str]:
    found = re.findall(r"^([^:\r\n]{1,40}):[ \t]*([^\r\n]{0,200})", note, re.MULTILINE)
    found += re.findall(r"(?<=\r)([^:\r\n]{1,40}):[ \t]*([^\r\n]{0,200})", note)
    return {key: value.strip() for key, value in found if key.strip().lower() in _SETTINGS}
