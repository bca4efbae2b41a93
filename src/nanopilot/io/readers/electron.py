"""Files of electron microscopes and their cameras, read with RosettaSciIO.

That library is under the GPL and comes with the extra ``formats``; it is imported when such a
file is read and never before.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from nanopilot.core.errors import MissingExtra, ReadError
from nanopilot.core.signals import Signal
from nanopilot.io.readers.channels import Channel, signals_of
from nanopilot.io.readers.colours import luminance
from nanopilot.io.readers.electron_headers import CHECKS, hdf5
from nanopilot.io.readers.frames import (
    Array,
    FirstRow,
    Pixel,
    check_first_row,
    guarded,
    length_unit,
)
from nanopilot.io.readers.source import source_file

__all__ = ["SUFFIXES", "read"]

#: Module of the library by suffix.
_MODULES = {
    ".dm3": "digitalmicrograph", ".dm4": "digitalmicrograph", ".emd": "emd", ".ser": "tia",
    ".mrc": "mrc", ".mrcs": "mrc", ".ali": "mrc", ".rec": "mrc", ".st": "mrc",
    ".bcf": "bruker", ".hspy": "hspy",
}  # fmt: skip
SUFFIXES = tuple(_MODULES)

_LARGE = 2**30
#: What the library writes where nobody said anything.
_NOTHING = frozenset(("", "[]", "<undefined>", "undefined", "none", "px", "pixel", "pixels"))


def read(
    path: str | os.PathLike[str],
    *,
    pixel_size: float | None = None,
    first_row: FirstRow | None = None,
) -> list[Signal]:
    """Read frames and stacks of frames of an electron microscope.

    Spectra, diffraction patterns and complex values are named under ``skipped``.

    Parameters
    ----------
    path : path
        A file of DigitalMicrograph (dm3, dm4), Velox, Berkeley or py4DSTEM (emd), TIA (ser), MRC
        (mrc, mrcs, ali, rec, st), Bruker (bcf) or HyperSpy (hspy).
    pixel_size : float, optional
        Metres; for files that do not say it themselves.
    first_row : {"top", "bottom"}, optional
        Where the first row lies: at the bottom in MRC files, at the top in the others, unless
        this says otherwise.

    Returns
    -------
    list of Signal
        Dims (y, x) or (frame, y, x); units ``counts`` where the file says so, otherwise ``a.u.``.

    Raises
    ------
    ReadError
        There is no such file, it is damaged, of another kind or without a frame, or it
        contradicts `pixel_size`.
    NoPixelSize
        Neither the file nor `pixel_size` says how large a pixel is.
    MissingExtra
        RosettaSciIO is not installed.
    InvalidRequest
        `pixel_size` is no length, or `first_row` no side.
    """
    file = source_file(path)
    suffix = file.suffix.lower()
    module = _MODULES.get(suffix)
    if module is None:
        raise ReadError(
            f"`{file}` has the suffix {suffix!r}, which does not say whose file it is; give it "
            f"one of: {', '.join(SUFFIXES)}."
        )
    row = first_row or ("bottom" if module == "mrc" else "top")
    check_first_row(row)
    CHECKS.get(module, hdf5)(file)
    load = _reader(module)
    with guarded(file, f"{suffix[1:].upper()} file"):
        channels, skipped = [], []
        for number, found in enumerate(_load(load, file)):
            made = _channel(found)
            if isinstance(made, str):
                title = _title(found) or f"signal {number}"
                skipped.append({"dataset": title, "why": made})
            else:
                channels.append(made)
    shared = {"format": suffix[1:].upper()}
    return signals_of(file, channels, skipped, (pixel_size, row), shared)


def _reader(module: str) -> Callable[..., list[dict[str, Any]]]:
    try:
        reader: Callable[..., list[dict[str, Any]]] = import_module(f"rsciio.{module}").file_reader
    except ModuleNotFoundError as cause:
        raise MissingExtra(
            f"files of electron microscopes need the package {cause.name!r}: "
            "pip install 'nanopilot[formats]'."
        ) from cause
    return reader


def _load(load: Callable[..., list[dict[str, Any]]], file: Path) -> list[dict[str, Any]]:
    """Load all at once, and a large file bit by bit, as patterns and spectra are left out.

    Bit by bit the library believes whatever sizes a damaged header tells, and may not come back.
    """
    if file.stat().st_size < _LARGE:
        return load(str(file), lazy=False)
    try:
        return load(str(file), lazy=True)
    except (ValueError, NotImplementedError) as cause:
        if "lazy" not in str(cause).lower():
            raise
        return load(str(file), lazy=False)


def _channel(found: dict[str, Any]) -> Channel | str:
    """Return a channel, or why it is no frame."""
    data = found["data"]
    axes = [_in_place(axis, place) for place, axis in enumerate(found["axes"])]
    if sorted(axis["place"] for axis in axes) != list(range(data.ndim)):
        return f"shape {tuple(data.shape)} with {len(axes)} axes is no frame"
    axes.sort(key=lambda axis: axis["place"])
    single = [axis for axis in axes if axis["outer"] and data.shape[axis["place"]] == 1]
    inner = [axis for axis in axes if not axis["outer"]]
    outer = [axis for axis in axes if axis["outer"] and axis not in single]
    if not inner and len(outer) == 2:
        inner, outer = outer, []
    if len(inner) == 3 and not outer:  # a volume, whose slow axis nobody names
        outer, inner = inner[:1], inner[1:]
    if len(inner) != 2 or len(outer) > 1:
        return f"shape {tuple(data.shape)} with {len(outer)} + {len(inner)} axes is no frame"
    for axis in (*outer, *inner):
        if axis["is_energy"] or (axis in inner and axis["units"] and axis["factor"] is None):
            return f"its axis {axis['name']!r} is in {axis['units']!r}, which is no length"
    values, about = _values(data)
    if values.dtype.kind not in "biuf":
        return f"its values are of type {values.dtype}"
    values = values.transpose([axis["place"] for axis in (*single, *outer, *inner)])
    values = values.reshape(values.shape[len(single) :])
    signal = found.get("metadata", {}).get("Signal", {})
    units = "counts" if "counts" in str(signal.get("quantity", "")).lower() else "a.u."
    label, pixel = _title(found) or "intensity", _pixel(found, *inner)
    return Channel(label, values, units, pixel, "intensity", about)


def _pixel(found: dict[str, Any], y: dict[str, Any], x: dict[str, Any]) -> Pixel | None:
    if not all(axis["factor"] and axis["scale"] for axis in (x, y)):
        return None
    # An MRC file with a zero there knows no size; the library makes it one nanometre.
    header = found.get("original_metadata", {}).get("std_header")
    if header and not all(header.get(key) for key in ("Xlen", "Ylen", "MX", "MY")):
        return None
    across, down = (abs(axis["scale"] * axis["factor"]) for axis in (x, y))
    return Pixel(across, down, "the file")


def _in_place(axis: dict[str, Any], place: int) -> dict[str, Any]:
    units = str(axis.get("units") or "")
    units = "" if units.lower() in _NOTHING else units
    index = axis.get("index_in_array")
    return {
        "place": place if index is None else int(index),
        "outer": bool(axis.get("navigate")),
        "name": str(axis.get("name") or ""),
        "units": units,
        "factor": length_unit(units),
        "is_energy": units.lower() in ("ev", "kev", "mev"),
        "scale": float(axis.get("scale") or 0.0),
    }


def _values(data: Any) -> tuple[Array, dict[str, str]]:
    values = np.asarray(data)  # lazy until here: patterns and spectra are never loaded
    if values.dtype.names and set("RGB") <= set(values.dtype.names):
        grey, note = luminance(np.stack([values[band] for band in "RGB"], axis=-1))
        return grey, {"colours": note}
    return values.astype(np.uint8) if values.dtype == bool else values, {}


def _title(found: dict[str, Any]) -> str:
    title = found.get("metadata", {}).get("General", {}).get("title", "")
    return "" if str(title).lower() in _NOTHING else str(title)[:60]
