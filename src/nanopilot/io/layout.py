"""Where a series lies on disk: a Zarr v3 group with one array per channel and coordinate."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nanopilot.core.errors import NanopilotError, StoreError, Tampered
from nanopilot.io.chunks import chunk_shape, decode, encode
from nanopilot.io.durable import Durability, store_errors, sync_folder, sync_tree, write_atomic
from nanopilot.io.template import Attrs, Channel, Coordinate, Template, build

#: The array that keeps what each item has of its own (position, time, request), as JSON.
OWN = "_own"
_ITEM = "_item"
_KEY = "nanopilot_series"
_META = "zarr.json"
_PARTIAL = ".partial"
_OLD = ".old"


def make_root(root: Path) -> None:
    """Make an empty Zarr group."""
    import zarr

    zarr.create_group(root, zarr_format=3)


def make_series(
    root: Path, name: str, template: Template, capacity: int, durability: Durability
) -> None:
    """Make the arrays of a series; it appears whole or not at all, and replaces what was there."""
    import zarr

    partial = root / f".{name}{_PARTIAL}"
    shutil.rmtree(partial, ignore_errors=True)
    group = zarr.create_group(partial, zarr_format=3, attributes=template.attrs)
    for key, channel in template.channels.items():
        declared = Channel(
            (_ITEM, *channel.dims), (capacity, *channel.shape), channel.dtype, channel.attrs
        )
        _make_array(group, key, declared, (1, *_cut(channel)))
    for key, coordinate in template.coordinates.items():
        if (values := coordinate.values) is not None:
            shape = values.shape
            declared = Channel(coordinate.dims, shape, coordinate.dtype, coordinate.attrs)
            _make_array(group, key, declared, tuple(max(1, n) for n in shape))
            (partial / key / chunk_name((0,) * values.ndim)).write_bytes(encode(values))
    _make_array(group, OWN, Channel((_ITEM,), (capacity,), np.dtype("T"), {}), (1,))
    _describe(partial, template)
    if durability == "power":
        sync_tree(partial)
    _swap(partial, root / name)
    if durability == "power":
        sync_folder(root)


def load_series(root: Path, name: str) -> Template:
    """Return the template of a series, read back from its arrays.

    Raises
    ------
    StoreError
        There is no such series.
    Tampered
        A file that says what the values mean is not what was written; the message names it.
    """
    folder = root / name
    if not folder.is_dir():
        known = ", ".join(series_names(root)) or "none"
        raise StoreError(f"`{name}` is not among the signals of this run; known: {known}.")
    try:
        meta = json.loads((folder / _META).read_bytes())
        told = meta["attributes"].pop(_KEY)
        for file, digest in told["files"].items():
            if _file_digest(folder / file) != digest:
                raise Tampered(f"`{name}/{file}` was altered or is missing.")
        channels = {key: _load_channel(folder / key) for key in told["channels"]}
        coordinates = {
            key: _load_coordinate(folder / key, told["numbers"]) for key in told["coordinates"]
        }
        template = build(channels, coordinates, meta["attributes"])
    except Tampered:
        raise
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as cause:
        raise Tampered(f"`{name}/{_META}` was altered.") from cause
    if template.digest != told["digest"]:
        raise Tampered(f"`{name}/{_META}` was altered.")
    return template


def clean(root: Path) -> None:
    """Remove what a killed writer left half made, and put back what it had moved away."""
    for partial in root.glob(f".*{_PARTIAL}"):
        shutil.rmtree(partial, ignore_errors=True)
    for old in root.glob(f".*{_OLD}"):
        place = root / old.name[1 : -len(_OLD)]
        if place.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.rename(place)


def first_altered_file(root: Path, name: str) -> str:
    """Return the first file of a series, by its path in the store, that lost its meaning.

    An empty text: none. Chunks of values are not looked at.
    """
    try:
        told = json.loads((root / name / _META).read_bytes())["attributes"][_KEY]["files"]
        for file, digest in told.items():
            if _file_digest(root / name / file) != digest:
                return f"{name}/{file}"
        load_series(root, name)
    except (NanopilotError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return f"{name}/{_META}"
    return ""


def series_names(root: Path) -> tuple[str, ...]:
    """Return the series in a store, sorted."""
    with store_errors("the store of signals", root, verb="read"):
        folders = [entry for entry in root.iterdir() if entry.is_dir()]
    return tuple(sorted(f.name for f in folders if not f.name.startswith(".")))


def capacity_of(folder: Path, template: Template) -> int:
    """Return for how many items the arrays of a series have been declared."""
    keys = (*template.channels, OWN)
    return min(int(json.loads((folder / key / _META).read_bytes())["shape"][0]) for key in keys)


def grow(folder: Path, template: Template, capacity: int, durability: Durability) -> None:
    """Declare the arrays of a series for more items; only their metadata change."""
    for key in (*template.channels, OWN):
        meta = json.loads((folder / key / _META).read_bytes())
        meta["shape"][0] = capacity
        write_atomic(folder / key / _META, json.dumps(meta, indent=2).encode(), durability)


def chunk_name(index: tuple[int, ...]) -> str:
    """Return the name of a chunk's file in the folder of its array."""
    return ".".join(["c", *map(str, index)])


def item_chunks(channel: Channel, index: int) -> Iterator[tuple[str, tuple[slice, ...]]]:
    """Yield the file name of every chunk of an item, and the part of the item it holds."""
    cut = _cut(channel)
    for place in np.ndindex(*(n // c for n, c in zip(channel.shape, cut, strict=True))):
        part = tuple(slice(p * c, (p + 1) * c) for p, c in zip(place, cut, strict=True))
        yield chunk_name((index, *place)), part


def _cut(channel: Channel) -> tuple[int, ...]:
    return chunk_shape(channel.dims, channel.shape, channel.dtype.itemsize)


def _make_array(group: Any, key: str, declared: Channel, chunks: tuple[int, ...]) -> None:
    from zarr.codecs import BloscCodec, BloscShuffle, Crc32cCodec

    text = declared.dtype.kind == "T"
    packed = BloscCodec(
        typesize=declared.dtype.itemsize, cname="lz4", clevel=5, shuffle=BloscShuffle.bitshuffle
    )
    group.create_array(
        key,
        shape=declared.shape,
        chunks=chunks,
        dtype=str if text else declared.dtype,
        dimension_names=declared.dims,
        attributes=declared.attrs,
        compressors=[Crc32cCodec()] if text else [packed, Crc32cCodec()],
        # What was not measured reads as NaN where the type allows.
        fill_value=np.nan if declared.dtype.kind in "fc" else "" if text else 0,
        chunk_key_encoding={"name": "default", "separator": "."},
    )


def _describe(folder: Path, template: Template) -> None:
    """Note in the group what belongs to it and the hash of every file that gives it meaning."""
    kept = [key for key, c in template.coordinates.items() if c.values is not None]
    files = [f"{key}/{_META}" for key in (*template.channels, *kept, OWN)]
    files += [f"{key}/{chunk_name((0,) * len(template.coordinates[key].dims))}" for key in kept]
    told = {
        "format": 1,
        "channels": list(template.channels),
        "coordinates": list(template.coordinates),
        "numbers": {
            key: {"dtype": c.dtype.name, "attrs": c.attrs}
            for key, c in template.coordinates.items()
            if c.values is None
        },
        "files": {file: _file_digest(folder / file) for file in files},
        "digest": template.digest,
    }
    meta = json.loads((folder / _META).read_bytes())
    meta["attributes"] = template.attrs | {_KEY: told}
    (folder / _META).write_bytes(json.dumps(meta, indent=2).encode())


def _file_digest(file: Path) -> str:
    """Return the hash of a file's meaning; declaring an array for more items does not change it."""
    data = file.read_bytes() if file.is_file() else b""
    if file.name == _META:
        try:
            meta = json.loads(data)
            if meta["dimension_names"][0] == _ITEM:
                meta["shape"][0] = None
            data = json.dumps(meta, sort_keys=True).encode()
        except (ValueError, KeyError, TypeError, IndexError):
            return "unreadable"
    return hashlib.sha256(data).hexdigest()


def _load_channel(folder: Path) -> Channel:
    meta = json.loads((folder / _META).read_bytes())
    dims, shape = tuple(meta["dimension_names"][1:]), tuple(meta["shape"][1:])
    return Channel(dims, shape, np.dtype(meta["data_type"]), meta["attributes"])


def _load_coordinate(folder: Path, numbers: dict[str, Attrs]) -> Coordinate:
    key = folder.name
    if key in numbers:
        return Coordinate((), np.dtype(numbers[key]["dtype"]), numbers[key]["attrs"], None)
    meta = json.loads((folder / _META).read_bytes())
    shape, dtype = tuple(meta["shape"]), np.dtype(meta["data_type"])
    file = folder / chunk_name((0,) * len(shape))
    values = decode(file.read_bytes(), shape, dtype, f"{folder.parent.name}/{key}/{file.name}")
    return Coordinate(tuple(meta["dimension_names"]), dtype, meta["attributes"], values)


def _swap(new: Path, place: Path) -> None:
    if place.exists():
        old = place.with_name(f".{place.name}{_OLD}")
        shutil.rmtree(old, ignore_errors=True)
        place.rename(old)
        new.rename(place)
        shutil.rmtree(old, ignore_errors=True)
    else:
        new.rename(place)
