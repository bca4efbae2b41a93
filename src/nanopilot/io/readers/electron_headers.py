"""Beginnings of electron microscopes' files, looked at before a library is let near them.

A library that is given something else may run for long or ask for more memory than there is.
"""

from __future__ import annotations

import struct
from pathlib import Path

from nanopilot.core.errors import ReadError
from nanopilot.io.readers.source import HDF5, content_of

#: Bytes per value by the mode of an MRC file (Cheng et al., J. Struct. Biol. 192, 146 (2015),
#: table 1); mode 101 packs two into one.
_MODES = {0: 1.0, 1: 2.0, 2: 4.0, 3: 4.0, 4: 8.0, 6: 2.0, 12: 2.0, 101: 0.5}


def hdf5(file: Path) -> None:
    """Check that a file is HDF5."""
    if content_of(file) != HDF5:
        raise _refusal(file, "HDF5 file")


def digital_micrograph(file: Path) -> None:
    """Check version, order of bytes and length, as the first 16 bytes tell them."""
    start = _start(file, 16)
    version = struct.unpack(">i", start[:4])[0] if len(start) == 16 else 0
    if version not in (3, 4):
        raise _refusal(file, "DigitalMicrograph file")
    size, order = struct.unpack(">Ii" if version == 3 else ">Qi", start[4 : 8 + 4 * (version - 2)])
    if order not in (0, 1) or size > file.stat().st_size:
        raise _refusal(file, "whole DigitalMicrograph file")


def tia(file: Path) -> None:
    """Check the order of bytes and the number of the series."""
    if _start(file, 4) != b"II\x97\x01":
        raise _refusal(file, "TIA file")


def mrc(file: Path) -> None:
    """Check that as many values follow as the header says."""
    start = _start(file, 1024)
    if len(start) == 1024:
        columns, rows, sections, mode = struct.unpack("<4i", start[:16])
        extended = struct.unpack("<i", start[92:96])[0]
        sizes = (columns, rows, sections)
        if mode in _MODES and min(*sizes) > 0 <= extended:
            needed = 1024 + extended + columns * rows * sections * _MODES[mode]
            if needed <= file.stat().st_size:
                return
            raise _refusal(file, "whole MRC file")
    raise _refusal(file, "MRC file (little endian)")


def bruker(file: Path) -> None:
    """Check the signature."""
    if _start(file, 8) != b"AAMVHFSS":
        raise _refusal(file, "Bruker file")


#: Check by module of the library.
CHECKS = {
    "digitalmicrograph": digital_micrograph, "tia": tia, "mrc": mrc,
    "bruker": bruker, "emd": hdf5, "hspy": hdf5,
}  # fmt: skip


def _start(file: Path, size: int) -> bytes:
    with file.open("rb") as handle:
        return handle.read(size)


def _refusal(file: Path, what: str) -> ReadError:
    is_what = content_of(file) or "something else, or part of it is lost"
    return ReadError(
        f"`{file}` is no {what} ({is_what}); copy it again from where it was recorded."
    )
