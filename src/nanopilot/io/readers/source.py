"""What every reader asks of a file first: that it is there, and is what it claims to be."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from nanopilot.core.errors import ReadError

HDF5 = "HDF5"
PNG, JPEG, TIFF, BMP = "a PNG image", "a JPEG image", "a TIFF image", "a BMP image"
NUMPY, GWYDDION = "a NumPy array", "a Gwyddion file"

#: How files begin that are met under wrong names.
_SIGNATURES = (
    (b"\x89HDF\r\n\x1a\n", HDF5),
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"\xff\xd8\xff", JPEG),
    (b"II*\x00", TIFF),
    (b"MM\x00*", TIFF),
    (b"II+\x00", TIFF),  # larger than 4 GB
    (b"MM\x00+", TIFF),
    (b"GIF8", "a GIF image"),
    (b"BM", BMP),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"%PDF", "a PDF document"),
    (b"\x93NUMPY", NUMPY),
    (b"GWYP", GWYDDION),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"CDF", "a NetCDF file"),
    (b"<", "an XML or HTML text"),
    (b"{", "a JSON text"),
    (b"version https://git-lfs", "a Git LFS pointer (run `git lfs pull`)"),
)


def source_file(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file that can be read and holds something.

    Raises
    ------
    ReadError
        There is none, it is a folder, it is empty, or reading it is not allowed.
    """
    file = Path(path)
    try:
        if file.is_dir():
            raise ReadError(f"`{file}` is a folder; name a file in it.")
        with file.open("rb") as handle:
            if not handle.read(1):
                raise ReadError(f"`{file}` is empty; copy it again from where it was recorded.")
    except FileNotFoundError:
        raise ReadError(f"`{file}` does not exist; check the path.") from None
    except ReadError:
        raise
    except (OSError, ValueError) as cause:
        told = getattr(cause, "strerror", None) or cause
        raise ReadError(f"`{file}` cannot be read: {told}.") from cause
    return file


def content_of(file: Path) -> str:
    """Return what a file is by its first bytes: `HDF5`, another name, or an empty text."""
    with file.open("rb") as handle:
        start = handle.read(64)
        for signature, name in _SIGNATURES:
            if start.startswith(signature):
                return name
        # HDF5 may stand behind a block of the user's own, at 512 bytes or a power of two more.
        for offset in (512, 1024, 2048):
            handle.seek(offset)
            if handle.read(8) == _SIGNATURES[0][0]:
                return HDF5
    return ""


def file_digest(file: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
