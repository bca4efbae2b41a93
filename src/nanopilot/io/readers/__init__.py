"""Readers: one per file format, each a function from a path to a list of signals."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nanopilot.core import registry
from nanopilot.core.errors import InvalidRequest, ReadError
from nanopilot.core.signals import Signal
from nanopilot.io.readers.frames import NoPixelSize, check_agrees, check_finite
from nanopilot.io.readers.source import (
    BMP,
    GWYDDION,
    HDF5,
    JPEG,
    NUMPY,
    PNG,
    TIFF,
    content_of,
    source_file,
)

__all__ = ["NoPixelSize", "knows", "read"]

_NSID = (".h5", ".hdf5", ".hf5")
_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
_TABLES = (".npy", ".txt", ".csv", ".tsv", ".asc")
_ELECTRON = (
    ".dm3", ".dm4", ".emd", ".ser", ".mrc", ".mrcs", ".ali", ".rec", ".st", ".bcf", ".hspy",
)  # fmt: skip
#: Reader by suffix, where the suffix is not the reader's own name.
_BY_SUFFIX = {
    **dict.fromkeys(_NSID, "nsid"),
    **dict.fromkeys(_PICTURES, "picture"),
    **dict.fromkeys(_TABLES, "table"),
    **dict.fromkeys(_ELECTRON, "electron"),
    ".ibw": "igor",
}
#: Reader by content, whatever the suffix.
_BY_CONTENT = {
    **dict.fromkeys((PNG, JPEG, BMP, TIFF), "picture"),
    NUMPY: "table",
    GWYDDION: "gwy",
}
#: Formats of others that are HDF5 as well.
_ALSO_HDF5 = frozenset((".emd", ".hspy"))


def read(
    path: str | os.PathLike[str], *, pixel_size: float | None = None, **options: Any
) -> list[Signal]:
    """Read a file with the reader that its content or its suffix asks for.

    Parameters
    ----------
    path : path
        The file.
    pixel_size : float, optional
        Metres from one pixel to the next, for files that do not say it. A file that does say it
        must agree to 1 %.
    **options
        Passed on to the reader, such as ``units`` and ``missing`` of `nsid.read`, or `first_row`
        of those of frames; `format` names the reader instead of finding it. With
        ``missing="refuse"`` no reader returns values that are NaN or infinite.

    Returns
    -------
    list of Signal
        Every channel of the file.

    Raises
    ------
    ReadError
        No reader knows the file, the one that does cannot read it, or it contradicts
        `pixel_size`.
    NoPixelSize
        Neither the file nor `pixel_size` says how large a pixel is.
    InvalidRequest
        The reader has no such option.

    Notes
    -----
    A reader registered under the name of a suffix (``spm`` for ``scan.spm``) is found by it.
    """
    wanted = options.pop("format", None)
    file = source_file(path)
    name = wanted or _reader_for(file.suffix.lower(), content_of(file), path)
    reader = registry.load("readers", name)
    if pixel_size is not None:
        options["pixel_size"] = pixel_size
    passed, ours = _divided(name, reader, options)
    signals: list[Signal] = reader(file, **passed)
    check_agrees(file, signals, ours.get("pixel_size"))
    if ours.get("missing", "keep") != "keep":
        check_finite(file, signals)
    return signals


def _divided(
    name: str, reader: Callable[..., object], options: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options a reader takes, and those that are looked after here in its stead."""
    takes = inspect.signature(reader).parameters
    if any(one.kind is one.VAR_KEYWORD for one in takes.values()):
        return options, {}
    passed = {key: value for key, value in options.items() if key in takes}
    ours = {key: value for key, value in options.items() if key not in takes}
    for key, value in ours.items():
        if key not in ("pixel_size", "missing") and not (key == "units" and not value):
            known = ", ".join(list(takes)[1:])
            raise InvalidRequest(
                f"`{key}` is no option of the reader {name!r}, which has: {known}."
            )
    return passed, ours


def knows(path: str | os.PathLike[str]) -> bool:
    """Tell whether the suffix of a file is one that a reader is there for.

    Examples
    --------
    >>> knows("scan.tif"), knows("LICENSE")
    (True, False)
    """
    suffix = Path(path).suffix.lower()
    return suffix in _BY_SUFFIX or suffix[1:] in registry.names("readers")


def _reader_for(suffix: str, content: str, path: object) -> str:
    known = registry.names("readers")
    claimed = _BY_SUFFIX.get(suffix)
    if content == HDF5 and suffix not in _ALSO_HDF5:
        return "nsid"
    if suffix[1:] in known:
        return suffix[1:]
    if claimed == "nsid" and content:
        raise ReadError(f"`{path}` is {content}, not an HDF5 file; rename it, or choose another.")
    if claimed == "nsid":
        raise ReadError(f"`{path}` is not an HDF5 file, or its beginning is lost; copy it again.")
    for reader in (claimed, _BY_CONTENT.get(content)):
        if reader in known:
            return str(reader)
    what = f" ({content})" if content else ""
    raise ReadError(
        f"`{path}`{what} has a format no reader knows; readers: {', '.join(known) or 'none'}; "
        f"suffixes: {', '.join(sorted(_BY_SUFFIX))}."
    )
