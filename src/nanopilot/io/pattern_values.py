"""Recorded patterns as something that is cut as an array is, and read only then."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from nanopilot.core.errors import Tampered
from nanopilot.io.chunks import Array, decode
from nanopilot.io.durable import store_errors
from nanopilot.io.layout import chunk_name

_MOST = 2**16 - 1


class StoredPatterns:
    """The patterns of one channel on disk, dims (y, x, ky, kx).

    Parameters
    ----------
    folder : pathlib.Path
        Of the array.
    times : pathlib.Path
        Of the array that says which parts are kept.
    """

    def __init__(self, folder: Path, times: Path) -> None:
        with store_errors(f"the array {folder.name}", folder, verb="read"):
            meta = json.loads((folder / "zarr.json").read_bytes())
        self._folder, self._times = folder, times
        self.shape: tuple[int, ...] = tuple(meta["shape"])
        self.dtype: np.dtype[Any] = np.dtype(meta["data_type"])
        self.chunks: tuple[int, ...] = tuple(meta["chunk_grid"]["configuration"]["chunk_shape"])

    def __getitem__(self, part: tuple[slice, slice]) -> Array:
        """Return patterns of rows and columns; NaN (or 0 in 16 bits) where none were kept.

        Raises
        ------
        Tampered
            A chunk is missing or damaged.
        """
        rows, columns = (range(n)[one] for n, one in zip(self.shape, part, strict=False))
        width = self.chunks[1]
        nothing = 0 if self.dtype.kind == "u" else np.nan
        out = np.full((len(rows), len(columns), *self.shape[2:]), nothing, self.dtype)
        for number in sorted({column // width for column in columns}):
            chosen = [at for at, column in enumerate(columns) if column // width == number]
            inside = [columns[at] - number * width for at in chosen]
            for at, row in enumerate(rows):
                chunk = self._chunk(row, number)
                if chunk is not None:
                    out[at, chosen[0] : chosen[-1] + 1] = chunk[0, inside[0] : inside[-1] + 1]
        return out

    def _chunk(self, row: int, number: int) -> Array | None:
        if not (self._times / chunk_name((row, number))).is_file():
            return None
        file = self._folder / chunk_name((row, number, 0, 0))
        where = f"{self._folder.name}/{file.name}"
        with store_errors(f"`{where}`", file, verb="read"):
            try:
                data = file.read_bytes()
            except FileNotFoundError:
                raise Tampered(f"`{where}` is missing.") from None
        return decode(data, self.chunks, self.dtype, where)


def narrow(values: Array) -> np.dtype[Any]:
    """Return the type that holds patterns: 16 bits for whole numbers that fit, float32 for others.

    Examples
    --------
    >>> narrow(np.array([0.0, 7.0])).name, narrow(np.array([0.0, np.nan])).name
    ('uint16', 'float32')
    """
    if values.dtype == np.uint16:
        return np.dtype(np.uint16)
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    fits = low >= 0 and high <= _MOST and bool((values == np.floor(values)).all())
    return np.dtype(np.uint16) if fits else np.dtype(np.float32)


def stored_type(folder: Path) -> np.dtype[Any]:
    """Return the type of an array on disk."""
    told: str = json.loads((folder / "zarr.json").read_bytes())["data_type"]
    return np.dtype(told)
