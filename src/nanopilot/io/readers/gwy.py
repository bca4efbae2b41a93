"""Gwyddion's own files (.gwy): every channel with its size and unit."""

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
from nanopilot.io.readers.gwy_objects import Object, parse
from nanopilot.io.readers.source import GWYDDION, content_of, source_file

__all__ = ["read"]

_KEY = re.compile(r"/(\d+)/data")


def read(
    path: str | os.PathLike[str],
    *,
    pixel_size: float | None = None,
    first_row: FirstRow = "top",
) -> list[Signal]:
    """Read every channel of a Gwyddion file.

    Masks and presentations are left out; graphs, volumes and curves are named under ``skipped``.

    Parameters
    ----------
    path : path
        The file.
    pixel_size : float, optional
        Metres; for channels that were never given a size.
    first_row : {"top", "bottom"}
        Where the first row lies; in Gwyddion at the top.

    Returns
    -------
    list of Signal
        Dims (y, x), in the order of the channels' numbers. Positions begin at zero; where
        Gwyddion has them begin stands in `metadata` under ``origin``, in metres.

    Raises
    ------
    ReadError
        There is no such file, it is damaged or none of Gwyddion, it has no channel, or it
        contradicts `pixel_size`.
    NoPixelSize
        Neither the file nor `pixel_size` says how large a pixel is.
    InvalidRequest
        `pixel_size` is no length, or `first_row` no side.
    """
    file = source_file(path)
    check_first_row(first_row)
    content = content_of(file)
    if content != GWYDDION:
        what = content or "no Gwyddion file, or its beginning is lost"
        raise ReadError(f"`{file}` is {what}; a Gwyddion file begins with GWYP.")
    with guarded(file, "Gwyddion file"):
        root = parse(file.read_bytes()[4:])
        numbers = sorted(int(found[1]) for key in root if (found := _KEY.fullmatch(key)))
        channels, skipped = [], []
        for number in numbers:
            name = f"/{number}/data"
            title = str(root.get(f"{name}/title", "")) or "signal"
            try:
                channels.append(_channel(root[name], title))
            except _NoFrame as reason:
                skipped.append({"dataset": name, "why": str(reason)})
        skipped += [
            {"dataset": key, "why": f"a {value['']}, no frame"}
            for key, value in root.items()
            if isinstance(value, dict) and value[""] in ("GwyBrick", "GwySpectra", "GwySurface")
        ]
    shared = {"format": "GWY"}
    return signals_of(file, channels, skipped, (pixel_size, first_row), shared)


class _NoFrame(Exception):
    """A channel is not a frame in space; the message says why."""


def _channel(field: Object, title: str) -> Channel:
    columns, rows = int(field["xres"]), int(field["yres"])
    values = field["data"].reshape(rows, columns)
    unit = _unit(field, "si_unit_xy")
    factor = length_unit(unit)
    if unit and factor is None:
        raise _NoFrame(f"its axes are in {unit!r}, which is no length")
    pixel, about = None, {}
    if factor is not None:
        x, y = (float(field.get(key, 1.0)) * factor for key in ("xreal", "yreal"))
        pixel = Pixel(x / columns, y / rows, "the channel")
        origin = [float(field.get(key, 0.0)) * factor for key in ("xoff", "yoff")]
        about["origin"] = [one if np.isfinite(one) else 0.0 for one in origin]
    return Channel(title, values, _unit(field, "si_unit_z"), pixel, about=about)


def _unit(field: Object, key: str) -> str:
    unit = field.get(key)
    return str(unit.get("unitstr", "")) if isinstance(unit, dict) else ""
