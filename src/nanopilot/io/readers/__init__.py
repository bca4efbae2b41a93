"""Readers: one per file format, each a function from a path to a list of signals."""

from __future__ import annotations

import os
from typing import Any

from nanopilot.core import registry
from nanopilot.core.errors import ReadError
from nanopilot.core.signals import Signal
from nanopilot.io.readers.source import HDF5, content_of, source_file

__all__ = ["read"]

#: Reader by suffix, where the suffix is not the reader's own name.
_BY_SUFFIX = {".h5": "nsid", ".hdf5": "nsid", ".hf5": "nsid"}


def read(path: str | os.PathLike[str], **options: Any) -> list[Signal]:
    """Read a file with the reader that its content or its suffix asks for.

    Parameters
    ----------
    path : path
        The file.
    **options
        Passed on to the reader, such as ``units`` and ``missing`` of `nsid.read`; `format`
        names the reader instead of finding it.

    Returns
    -------
    list of Signal
        Every channel of the file.

    Raises
    ------
    ReadError
        No reader knows the file, or the one that does cannot read it.

    Notes
    -----
    A reader registered under the name of a suffix (``spm`` for ``scan.spm``) is found by it.
    """
    wanted = options.pop("format", None)
    file = source_file(path)
    reader = registry.load(
        "readers", wanted or _reader_for(file.suffix.lower(), content_of(file), path)
    )
    signals: list[Signal] = reader(file, **options)
    return signals


def _reader_for(suffix: str, content: str, path: object) -> str:
    known = registry.names("readers")
    if content == HDF5:
        return "nsid"
    if suffix[1:] in known:
        return suffix[1:]
    claimed = _BY_SUFFIX.get(suffix)
    if claimed and content:
        raise ReadError(f"`{path}` is {content}, not an HDF5 file; rename it, or choose another.")
    if claimed:
        raise ReadError(f"`{path}` is not an HDF5 file, or its beginning is lost; copy it again.")
    what = f" ({content})" if content else ""
    raise ReadError(
        f"`{path}`{what} has a format no reader knows; readers: {', '.join(known) or 'none'}; "
        f"suffixes: {', '.join(sorted(_BY_SUFFIX))}."
    )
