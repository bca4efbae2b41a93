"""4D-STEM data on disk: a Zarr v3 group that grows by parts of rows and survives a kill.

Any Zarr reader can open it (``xarray.open_zarr(path, consolidated=False)``). A part is kept once
the chunk of its times is there, which is written after its patterns and their disk caches.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np

from nanopilot.core.errors import SignalError, StoreError, Tampered
from nanopilot.core.requests import CameraRequest
from nanopilot.core.signals import Axis
from nanopilot.io.chunks import Array, decode, encode
from nanopilot.io.durable import Durability, store_errors, sync_tree, write_together
from nanopilot.io.layout import chunk_name, clean
from nanopilot.io.lock import WriterLock
from nanopilot.io.pattern_values import StoredPatterns, narrow, stored_type

BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

_KEY = "nanopilot_patterns"
_META = "zarr.json"
_TIME = "time"
_DIMS = ("y", "x", "ky", "kx")


class PatternStore:
    """A grid of patterns on disk; made by `make`, found again by `open`.

    Parameters
    ----------
    path : pathlib.Path
        The Zarr folder.
    told : mapping
        What its group says of it.
    lock : WriterLock, optional
        The right to write; None: it is open to be read.
    durability : {"power", "process"}
        What a part survives once `put` has returned.
    """

    def __init__(
        self,
        path: Path,
        told: Mapping[str, Any],
        lock: WriterLock | None = None,
        durability: Durability = "power",
    ) -> None:
        self.path, self._told, self._lock, self._durability = path, told, lock, durability
        self.request = CameraRequest.model_validate_json(told["request"])
        self.instrument: str = told["instrument"]
        self.columns: int = told["columns"]
        self.channels: tuple[str, ...] = tuple(told["channels"])
        self.dtypes = {name: stored_type(path / name) for name in self.channels}

    @classmethod
    def make(
        cls,
        path: Path,
        first: Mapping[str, Array],
        axes: Mapping[str, Axis],
        told: Mapping[str, Any],
        durability: Durability = "power",
    ) -> Self:
        """Make a store; it appears whole or not at all.

        Parameters
        ----------
        path : pathlib.Path
            Where; nothing may be there.
        first : mapping of str to numpy.ndarray
            Patterns by channel, shape (n, ky, kx), to choose types by: whole numbers that fit are
            kept in 16 bits, others as float32.
        axes : mapping of str to Axis
            Of y, x, ky, kx.
        told : mapping
            ``request`` (JSON), ``instrument``, ``columns`` per part, ``labels`` (attributes of each
            channel), ``attrs`` (further JSON texts).

        Raises
        ------
        StoreError
            Something is there already, or it cannot be written.
        """
        partial = path.with_name(f".{path.name}.partial")
        with store_errors("the store of patterns", path):
            if path.exists():
                raise StoreError(f"`{path}` is there already; choose another name.")
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(partial, ignore_errors=True)
            _declare(partial, first, axes, told)
            if durability == "power":
                sync_tree(partial)
            partial.rename(path)
        return cls.open(path, write=True, durability=durability)

    @classmethod
    def open(cls, path: Path, *, write: bool = False, durability: Durability = "power") -> Self:
        """Open a store, to read it or to go on with it.

        Raises
        ------
        StoreError
            There is none, or another process is writing it.
        Tampered
            Its description is not what was written.
        """
        if not (path / _META).is_file():
            raise StoreError(f"`{path}` holds no recorded patterns.")
        lock = WriterLock(path / _TIME / "writer.lock") if write else None
        try:
            if write:
                clean(path)
            with store_errors("the store of patterns", path, verb="read"):
                told = json.loads((path / _META).read_bytes())["attributes"][_KEY]
                return cls(path, told, lock, durability)
        except BaseException as cause:
            if lock is not None:
                lock.release()
            if isinstance(cause, KeyError | TypeError | ValueError):
                raise Tampered(f"`{path / _META}` does not describe recorded patterns.") from cause
            raise

    def close(self) -> None:
        """Let others write."""
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def parts(self) -> tuple[int, int]:
        """Rows, and parts of each."""
        rows, columns = self.request.shape
        return rows, -(-columns // self.columns)

    def kept(self) -> BoolArray:
        """Return which parts have been kept, shape `parts`."""
        found = np.zeros(self.parts, dtype=bool)
        for file in (self.path / _TIME).glob("c.*.*"):
            row, part = (int(n) for n in file.name.split(".")[1:3])
            found[row, part] |= file.suffix != ".tmp"
        return found

    def there(self) -> BoolArray:
        """Return which patterns have been kept, shape (y, x)."""
        return np.repeat(self.kept(), self.columns, axis=1)[:, : self.request.shape[1]]

    def put(self, place: tuple[int, int], values: Mapping[str, Array], times: Array) -> None:
        """Keep a part of a row: all of it, or nothing.

        Parameters
        ----------
        place : (int, int)
            Row, and part of the row.
        values : mapping of str to numpy.ndarray
            Patterns by channel, shape (n, ky, kx).
        times : numpy.ndarray
            When each was taken, in seconds, shape (n,).

        Raises
        ------
        StoreError, DiskFull
            It cannot be written; the parts before are good.
        SignalError
            The patterns have another shape than the first ones.
        """
        if self._lock is None:
            raise StoreError(f"`{self.path}` is open to be read.")
        files = []
        for name in self.channels:
            if narrow(values[name]) == np.float32 and self.dtypes[name] != np.float32:
                self._widen(name)
            shape = (1, self.columns, *self.values(name).shape[2:])
            chunk = _padded(name, values[name], shape, self.dtypes[name])
            files.append((self.path / name / chunk_name((*place, 0, 0)), encode(chunk)))
        moments = np.full((1, self.columns), np.nan)
        moments[0, : len(times)] = times
        with store_errors("a part of the patterns", self.path):
            write_together(files, self._durability)
            done = self.path / _TIME / chunk_name(place)
            write_together([(done, encode(moments))], self._durability)

    def _widen(self, name: str) -> None:
        """Go from 16 bits to float32, chunk by chunk; a kill leaves the one or the other."""
        folder, partial = self.path / name, self.path / f".{name}.partial"
        old = self.path / f".{name}.old"
        with store_errors("the patterns as float32", self.path):
            shutil.rmtree(partial, ignore_errors=True)
            meta = json.loads((folder / _META).read_bytes())
            _array(
                partial,
                (tuple(meta["shape"]), self.columns, np.dtype(np.float32)),
                meta["attributes"],
            )
            shape = (1, self.columns, *self.values(name).shape[2:])
            for file in folder.glob("c.*.*.0.0"):
                chunk = decode(file.read_bytes(), shape, self.dtypes[name], f"{name}/{file.name}")
                (partial / file.name).write_bytes(encode(chunk.astype(np.float32)))
            if self._durability == "power":
                sync_tree(partial)
            folder.rename(old)
            partial.rename(folder)
            shutil.rmtree(old, ignore_errors=True)
        self.dtypes[name] = np.dtype(np.float32)

    def values(self, name: str) -> StoredPatterns:
        """Return the patterns of a channel, read when they are cut.

        Raises
        ------
        StoreError
            There is no such channel.
        """
        if name not in self.channels:
            known = ", ".join(self.channels)
            raise StoreError(f"`{name}` is not among the channels of `{self.path}`: {known}.")
        return StoredPatterns(self.path / name, self.path / _TIME)

    def axes(self) -> dict[str, Axis]:
        """Return the axes y, x, ky, kx."""
        return {dim: Axis(*_axis(self.path / dim)) for dim in _DIMS}

    def labels(self, name: str) -> dict[str, str]:
        """Return quantity and units of a channel."""
        return dict(self._told["labels"][name])

    def attrs(self) -> dict[str, str]:
        """Return what is known of the whole: request, state, instrument, time, as JSON texts."""
        return {**self._told["attrs"], "request": self._told["request"]}


def _padded(name: str, values: Array, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return a whole chunk: the last one of a row may have fewer patterns than others."""
    if values.shape[1:] != shape[2:] or len(values) > shape[1]:
        raise SignalError(f"`{name}` has patterns of shape {values.shape[1:]}, not {shape[2:]}.")
    chunk = np.full(shape, 0 if dtype.kind == "u" else np.nan, dtype)
    chunk[0, : len(values)] = values
    return chunk


def _declare(
    folder: Path, first: Mapping[str, Array], axes: Mapping[str, Axis], told: Mapping[str, Any]
) -> None:
    """Write the metadata of all arrays, and the axes."""
    import zarr

    attrs = {**told["attrs"], "request": told["request"]}
    zarr.create_group(
        folder, zarr_format=3, attributes={**attrs, _KEY: {**told, "channels": list(first)}}
    )
    shape = tuple(len(axes[dim].values) for dim in _DIMS)
    for name, values in first.items():
        dtype = narrow(values)
        _array(folder / name, (shape, told["columns"], dtype), told["labels"][name])
    label = {"quantity": "time", "units": "s"}
    _array(folder / _TIME, (shape[:2], told["columns"], np.dtype(np.float64)), label)
    for dim in _DIMS:
        axis = axes[dim]
        label = {"quantity": axis.quantity, "units": axis.units}
        count = len(axis.values)
        _array(folder / dim, ((count,), count, np.dtype(np.float64)), label, (dim,))
        values = np.asarray(axis.values, dtype=np.float64)
        (folder / dim / chunk_name((0,))).write_bytes(encode(values))


def _array(
    folder: Path,
    form: tuple[tuple[int, ...], int, np.dtype[Any]],
    attrs: Mapping[str, Any],
    dims: tuple[str, ...] = _DIMS,
) -> None:
    """Declare an array: shape, places in a chunk, type."""
    import zarr
    from zarr.codecs import BloscCodec, BloscShuffle, Crc32cCodec

    shape, columns, dtype = form
    chunks = (columns,) if len(shape) == 1 else (1, columns, *shape[2:])
    packed = BloscCodec(
        typesize=dtype.itemsize, cname="lz4", clevel=5, shuffle=BloscShuffle.bitshuffle
    )
    zarr.create_array(
        folder,
        shape=shape,
        chunks=chunks,
        dtype=dtype,
        dimension_names=dims[: len(shape)],
        attributes=dict(attrs),
        compressors=[packed, Crc32cCodec()],
        fill_value=np.nan if dtype.kind == "f" else 0,
        chunk_key_encoding={"name": "default", "separator": "."},
    )


def _axis(folder: Path) -> tuple[Array, str, str]:
    with store_errors(f"the axis {folder.name}", folder, verb="read"):
        meta = json.loads((folder / _META).read_bytes())
        data = (folder / chunk_name((0,))).read_bytes()
    told = meta["attributes"]
    values = decode(data, tuple(meta["shape"]), np.dtype(np.float64), folder.name)
    return values, told["units"], told["quantity"]
