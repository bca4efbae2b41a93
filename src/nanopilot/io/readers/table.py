"""Tables of numbers: NumPy arrays and text, as people take frames out of other programs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from nanopilot.core.errors import InvalidRequest, ReadError, UnitError
from nanopilot.core.signals import Signal
from nanopilot.core.units import to_si
from nanopilot.io.readers.colours import luminance
from nanopilot.io.readers.frames import (
    Array,
    FirstRow,
    Frame,
    Pixel,
    check_first_row,
    guarded,
    in_si,
    pixel_of,
)
from nanopilot.io.readers.nsid_labels import quantity_and_direction, unique_names
from nanopilot.io.readers.source import NUMPY, content_of, file_digest, source_file
from nanopilot.io.readers.table_text import TextTable, read_text

__all__ = ["read"]

#: Fewer columns than this with many times as many rows are curves or points, no frame.
_FEW_COLUMNS, _TIMES = 5, 4


def read(
    path: str | os.PathLike[str],
    *,
    pixel_size: float | None = None,
    first_row: FirstRow | None = None,
    units: Mapping[str, str] = MappingProxyType({}),
) -> list[Signal]:
    """Read a table of numbers as a frame, or several of one size as a stack.

    Text is parted by commas, semicolons, tabs or spaces; lines that begin with ``#`` are a
    header, and empty lines part the frames of a stack. Of Gwyddion's exported text the header is
    understood. Missing numbers (NaN, an empty field) stay missing.

    Parameters
    ----------
    path : path
        A NumPy array (.npy) of two or three dims, the rows last but one, or a text (txt, csv,
        tsv, asc).
    pixel_size : float, optional
        Metres; nothing but Gwyddion's header says it.
    first_row : {"top", "bottom"}, optional
        Where the first row lies: at the bottom, so that an array keeps its order, and at the top
        in Gwyddion's text, unless this says otherwise.
    units : mapping of str to str
        What the values are and in which unit, such as ``{"height": "nm"}``; otherwise a
        ``signal`` in arbitrary units.

    Returns
    -------
    list of Signal
        One, dims (y, x) or (frame, y, x).

    Raises
    ------
    ReadError
        There is no such file, it is damaged or no table, or it contradicts `pixel_size`.
    NoPixelSize
        Neither the file nor `pixel_size` says how large a pixel is.
    InvalidRequest
        `pixel_size` is no length, `first_row` no side, or `units` no unit.
    """
    file = source_file(path)
    named = _named(units)
    check_first_row(first_row or "top")
    if content_of(file) == NUMPY:
        with guarded(file, "NumPy array"):
            table, kind = TextTable(_array(file), {}), "NPY"
    elif file.suffix.lower() == ".npy":
        what = content_of(file) or "no NumPy array, or its beginning is lost"
        raise ReadError(f"`{file}` is {what}; save it again with `numpy.save`.")
    else:
        with guarded(file, "table of numbers"):
            table, kind = read_text(file), "text"
    values, about = _frames(file, table.values)
    quantity, unit = named or _said(table)
    values, unit, strange = in_si(values, unit)
    width, height = table.length("width"), table.length("height")
    known = None
    if width and height:
        known = Pixel(width / values.shape[-1], height / values.shape[-2], "the header")
    label, direction = quantity_and_direction(quantity)
    about |= strange | ({"direction": direction} if direction else {})
    name = unique_names([(label, direction)])[0]
    shared = {"file": file.name, "sha256": file_digest(file), "format": kind}
    frame = Frame(values, name, label or "signal", unit, about)
    row = first_row or ("top" if known else "bottom")
    return [frame.to_signal(file, pixel_of(file, known, pixel_size), row, shared)]


def _named(units: Mapping[str, str]) -> tuple[str, str] | None:
    if len(units) > 1:
        raise InvalidRequest(f"`units` names {sorted(units)}; a table holds one quantity.")
    for name, unit in units.items():
        try:
            to_si(unit)
        except UnitError as cause:
            raise InvalidRequest(f"`units` of {name!r}: {cause}") from cause
        return name, unit
    return None


def _said(table: TextTable) -> tuple[str, str]:
    """Return what Gwyddion's header says of the values."""
    return table.header.get("channel", "") or "signal", table.header.get("value units", "a.u.")


def _array(file: Path) -> Array:
    # Mapping a file into memory reads no objects, and sees at once when the end is missing.
    return np.array(np.lib.format.open_memmap(file, mode="r"))


def _frames(file: Path, values: Array) -> tuple[Array, dict[str, Any]]:
    if values.dtype.kind not in "biuf":
        raise ReadError(
            f"`{file}` holds values of type {values.dtype}; a frame is of real numbers (of complex "
            "ones save the absolute value)."
        )
    about: dict[str, Any] = {}
    if values.ndim == 3 and values.shape[-1] in (3, 4) and min(values.shape[:2]) > 4:
        values, about["colours"] = luminance(values)
    if values.ndim not in (2, 3) or min(values.shape) == 0:
        raise ReadError(f"`{file}` has shape {values.shape}; a frame is (rows, columns).")
    rows, columns = values.shape[-2:]
    if min(rows, columns) < 2 or (columns < _FEW_COLUMNS and rows >= _TIMES * columns):
        raise ReadError(
            f"`{file}` has {rows} rows of {columns} numbers: a list of points or curves, no frame."
        )
    return values.astype(np.uint8) if values.dtype == bool else values, about
