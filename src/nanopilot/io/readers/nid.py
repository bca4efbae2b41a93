"""Nanosurf's image data (.nid): a header as in an INI file, then the channels one by one.

The layout is what Nanosurf's own NSFopen reads; rows run from the bottom to the top.
"""

from __future__ import annotations

import os
import re

import numpy as np

from nanopilot.core.errors import ReadError
from nanopilot.core.signals import Signal
from nanopilot.io.readers.channels import Channel, signals_of
from nanopilot.io.readers.frames import (
    FirstRow,
    Pixel,
    check_first_row,
    guarded,
    length_unit,
)
from nanopilot.io.readers.source import content_of, source_file

__all__ = ["read"]

_START, _MARK = b"[DataSet]", b"\r\n#!"
_DIRECTIONS = {"forward": "trace", "backward": "retrace"}
_LARGEST_GROUP = 256

Section = dict[str, str]


def read(
    path: str | os.PathLike[str],
    *,
    pixel_size: float | None = None,
    first_row: FirstRow = "bottom",
) -> list[Signal]:
    """Read every scanned channel of a file of Nanosurf.

    Spectra and curves are named under ``skipped``.

    Parameters
    ----------
    path : path
        The file.
    pixel_size : float, optional
        Metres; for channels whose axes have no unit.
    first_row : {"top", "bottom"}
        Where the first row lies; Nanosurf has it at the bottom.

    Returns
    -------
    list of Signal
        Dims (y, x); `metadata` holds ``direction``, and ``frame`` as Nanosurf calls it.

    Raises
    ------
    ReadError
        There is no such file, it is damaged or none of Nanosurf, it holds no scan, or it
        contradicts `pixel_size`.
    NoPixelSize
        Neither the file nor `pixel_size` says how large a pixel is.
    InvalidRequest
        `pixel_size` is no length, or `first_row` no side.
    """
    file = source_file(path)
    check_first_row(first_row)
    content = file.read_bytes()
    end = content.find(_MARK)
    if not content.startswith(_START) or end < 0:
        what = content_of(file) or "no .nid file of Nanosurf, or part of its header is lost"
        raise ReadError(f"`{file}` is {what}; copy it again from where it was recorded.")
    with guarded(file, "file of Nanosurf"):
        header = _sections(_decoded(content[:end]))
        channels, skipped = _channels(header, content[end + len(_MARK) :])
    return signals_of(file, channels, skipped, (pixel_size, first_row), {"format": "NID"})


def _decoded(header: bytes) -> str:
    """Return the header as text: newer software writes UTF-8, older one byte per character."""
    try:
        return header.decode("utf-8")
    except UnicodeDecodeError:
        return header.decode("latin-1")


def _sections(text: str) -> dict[str, Section]:
    found: dict[str, Section] = {}
    section: Section = {}
    for line in text.splitlines():
        if line.startswith("[") and line.endswith("]"):
            section = found.setdefault(line[1:-1], {})
        elif "=" in line:
            key, _, value = line.partition("=")
            section[key] = value.strip()
    return found


def _channels(
    header: dict[str, Section], data: bytes
) -> tuple[list[Channel], list[dict[str, str]]]:
    """Cut the data into channels, in the order in which the groups name them."""
    main = header["DataSet"]
    channels: list[Channel] = []
    skipped: list[dict[str, str]] = []
    at = 0
    for group in range(min(int(main["GroupCount"]), _LARGEST_GROUP)):
        for number in range(min(int(main.get(f"Gr{group}-Count", 0)), _LARGEST_GROUP)):
            name = main.get(f"Gr{group}-Ch{number}")
            if name is None:
                continue
            section = header[name]
            columns, rows = int(section["Points"]), int(section["Lines"])
            bits = int(section.get("SaveBits", 16))
            size = columns * rows * bits // 8
            if min(columns, rows) <= 0 or bits not in (8, 16, 32) or at + size > len(data):
                raise ValueError(f"{at + size - len(data)} bytes of {name} are missing")
            raw = np.frombuffer(data, f"<i{bits // 8}", columns * rows, at)
            at += size
            channel = _channel(section, raw.reshape(rows, columns), bits)
            if isinstance(channel, str):
                skipped.append({"dataset": name, "why": channel})
            else:
                channels.append(channel)
    return channels, skipped


def _channel(section: Section, raw: np.ndarray, bits: int) -> Channel | str:
    """Return a channel, or why it is no frame."""
    frame = section.get("Frame", "")
    if "scan" not in frame.lower():
        return f"{frame or 'it'} is no scan"
    units = [section.get(f"Dim{dim}Unit", "") for dim in range(2)]
    factors = [length_unit(unit) for unit in units]
    if any(unit and not factor for unit, factor in zip(units, factors, strict=True)):
        return f"its axes are in {' and '.join(units)}"
    pixel = None
    if factors[0] and factors[1]:
        rows, columns = raw.shape
        x, y = (abs(float(section[f"Dim{dim}Range"])) for dim in range(2))
        pixel = Pixel(x / columns * factors[0], y / rows * factors[1], "the channel")
    low, span = float(section["Dim2Min"]), float(section["Dim2Range"])
    values = (raw + 2.0 ** (bits - 1)) / 2.0**bits * span + low
    found = re.search(r"forward|backward", frame.lower())
    about = {"frame": frame} | ({"direction": _DIRECTIONS[found[0]]} if found else {})
    return Channel(
        section.get("Dim2Name", ""), values, section.get("Dim2Unit", ""), pixel, about=about
    )
