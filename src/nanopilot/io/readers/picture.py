"""Pictures: PNG, JPEG, BMP and TIFF, as microscopes, cameras and people save frames."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from nanopilot.core.errors import ReadError
from nanopilot.core.signals import Signal
from nanopilot.io.readers.colours import intensity, values_of
from nanopilot.io.readers.frames import (
    FirstRow,
    Frame,
    check_first_row,
    guarded,
    pixel_of,
)
from nanopilot.io.readers.source import BMP, JPEG, PNG, TIFF, content_of, file_digest, source_file

__all__ = ["read"]

_PLAIN = {PNG: "PNG", JPEG: "JPEG", BMP: "BMP"}


def read(
    path: str | os.PathLike[str],
    *,
    pixel_size: float | None = None,
    first_row: FirstRow = "top",
) -> list[Signal]:
    """Read a picture as frames of intensity.

    Colours become their luminance, pages of one size a stack, and pages or channels that do not
    belong together signals of their own. How many dots per inch a picture asks a printer for is
    no pixel size; what ImageJ, OME, Gatan, Thermo Fisher (FEI) and Zeiss write into TIFF is.

    Parameters
    ----------
    path : path
        A PNG, JPEG, BMP or TIFF file; what it is decides its content, not its suffix.
    pixel_size : float, optional
        Metres; for files that do not say it themselves.
    first_row : {"top", "bottom"}
        Where the first row of the file lies. Signals have y upwards, so that with ``"top"`` the
        picture stands upright and the order of rows is turned.

    Returns
    -------
    list of Signal
        Dims (y, x), or (frame, y, x) with several pages; units ``a.u.``. `metadata` holds
        ``file``, ``sha256``, ``format``, ``pixel_size_from``, ``first_row`` and, where something
        was done to the values, ``colours``.

    Raises
    ------
    ReadError
        There is no such file, it is damaged or no picture, or it contradicts `pixel_size`.
    NoPixelSize
        Neither the file nor `pixel_size` says how large a pixel is.
    InvalidRequest
        `pixel_size` is no length, or `first_row` no side.
    """
    file = source_file(path)
    check_first_row(first_row)
    content = content_of(file)
    if content == TIFF:
        from nanopilot.io.readers.tiff import read_tiff

        with guarded(file, "TIFF image"):
            frames, known = read_tiff(file)
    elif content in _PLAIN:
        with guarded(file, f"{_PLAIN[content]} image"):
            frames, known = [_read_plain(file, _PLAIN[content])], None
    else:
        what = content or "no picture, or its beginning is lost"
        raise ReadError(f"`{file}` is {what}; a picture is a PNG, JPEG, BMP or TIFF file.")
    if not frames:
        raise ReadError(f"`{file}` holds no frame.")
    pixel = pixel_of(file, known, pixel_size)
    shared = {"file": file.name, "sha256": file_digest(file), "format": content.split()[1]}
    return [frame.to_signal(file, pixel, first_row, shared) for frame in frames]


def _read_plain(file: Path, kind: str) -> Frame:
    from PIL import Image

    with Image.open(file, formats=[kind]) as image:
        values, about = values_of(image)
    if kind == "PNG" and values.dtype == np.float64 and _png_depth(file) == 16:
        about["colours"] += ", of 16 bits the upper 8"
    return intensity(values, about)


def _png_depth(file: Path) -> int:
    with file.open("rb") as handle:
        return handle.read(25)[24]
