"""Measured signals in Zarr v3: one item per chunk, checked when written and when read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import numpy as np

from nanopilot.core.errors import SignalError, StoreError, Tampered
from nanopilot.core.events import SignalRef
from nanopilot.core.signals import SignalSet
from nanopilot.io import layout
from nanopilot.io.chunks import Array, decode, decode_text, encode, encode_text
from nanopilot.io.durable import Durability, store_errors, write_together
from nanopilot.io.item import item_digest, item_set, item_text
from nanopilot.io.template import Channel, Template, template_of

_TOGETHER = 16  # files held open at once
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class SignalStore:
    """The measured signals of a run, in named series of equal-shaped measurements.

    A measurement that stands alone (a structure image, a map) is a series of one. Any Zarr v3
    reader can open the files; what was not measured yet reads there as NaN or 0.

    Parameters
    ----------
    path : pathlib.Path
        The Zarr folder.
    write : bool
        Whether signals may be added.
    durability : {"power", "process"}
        What a signal survives once the method that wrote it has returned.
    """

    def __init__(self, path: Path, write: bool = False, durability: Durability = "power") -> None:
        self.path = path
        self._write = write
        self._durability = durability
        self._templates: dict[str, Template] = {}
        self._capacities: dict[str, int] = {}

    @classmethod
    def make(cls, path: Path, durability: Durability = "power") -> Self:
        """Make an empty store and open it for writing."""
        with store_errors("the store of signals", path):
            layout.make_root(path)
        return cls(path, write=True, durability=durability)

    def names(self) -> tuple[str, ...]:
        """Return the names of all series."""
        return layout.series_names(self.path)

    def create(self, name: str, like: SignalSet, capacity: int) -> None:
        """Make a series for measurements that look like one.

        Parameters
        ----------
        name : str
            Of the series, such as ``"spectra"``.
        like : SignalSet
            One of the measurements to come: its channels, dims, coordinates and units are
            kept once for all. Coordinates without a dim (a position, a time) and attributes
            may differ from item to item.
        capacity : int
            How many are expected; the series grows beyond it by itself.

        Raises
        ------
        StoreError
            There is a series of that name for other measurements. One that `like` fits is
            kept with all it holds, so that a resumed run may call this again.
        """
        template = template_of(like)
        if self._fits(name, like):
            return
        if name in self.names():
            raise StoreError(f"`{name}` exists for other measurements; choose another name.")
        self._make(name, template, capacity)

    def put(self, name: str, signals: SignalSet) -> tuple[SignalRef, ...]:
        """Keep a measurement that stands alone, in place of what had that name.

        Returns
        -------
        tuple of SignalRef
            One per channel, for the journal.
        """
        if not self._fits(name, signals):
            self._make(name, template_of(signals), 1)
        return self.append(name, 0, signals)

    def append(self, name: str, index: int, signals: SignalSet) -> tuple[SignalRef, ...]:
        """Keep one measurement of a series; it replaces one of the same index.

        Returns
        -------
        tuple of SignalRef
            One per channel, for the journal.

        Raises
        ------
        SignalError
            The measurement is not like the one the series was made with.
        DiskFull
            There was no space; the series stays good without this item.
        """
        self._check_write()
        if index < 0:
            raise StoreError(f"`index` is {index}; items are counted from 0.")
        template, folder = self._template(name), self.path / name
        text = item_text(template, signals)
        refs = []
        with store_errors(f"item {index} of `{name}`", self.path):
            if index >= self._capacities[name]:
                capacity = max(index + 1, 2 * self._capacities[name])
                layout.grow(folder, template, capacity, self._durability)
                self._capacities[name] = capacity
            files = [(folder / layout.OWN / layout.chunk_name((index,)), encode_text(text))]
            for key, channel in template.channels.items():
                values = signals.variables[key].to_numpy()
                for file, part in layout.item_chunks(channel, index):
                    files.append((folder / key / file, encode(values[part])))
                    if len(files) >= _TOGETHER:
                        write_together(files, self._durability)
                        files.clear()
                digest = item_digest(template, text, key, values)
                refs.append(SignalRef(array=f"{name}/{key}", index=index, sha256=digest))
            write_together(files, self._durability)
        return tuple(refs)

    def get(self, name: str, index: int = 0, refs: Iterable[SignalRef] = ()) -> SignalSet:
        """Return a measurement as it was kept, all parts checked again.

        Parameters
        ----------
        name, index : str, int
            Which one.
        refs : iterable of SignalRef
            What the journal says of it; without, only damage is found, not exchange.

        Raises
        ------
        Tampered
            A chunk is missing, damaged, or not what the journal says.
        StoreError
            There is no such series.
        """
        template = self._template(name)
        text = self._text(name, index)
        values = {key: self._values(name, key, c, index) for key, c in template.channels.items()}
        expected = {ref.array.rpartition("/")[2]: ref.sha256 for ref in refs}
        for key, digest in expected.items():
            if key not in values or item_digest(template, text, key, values[key]) != digest:
                raise Tampered(f"`{name}/{key}` item {index} is not what the journal says.")
        return item_set(template, text, values)

    def digest(self, ref: SignalRef) -> str:
        """Return the hash that a kept channel has now, to be compared with the journal's.

        Raises
        ------
        Tampered, StoreError
            It cannot be read.
        """
        name, _, key = ref.array.partition("/")
        template = self._template(name)
        if key not in template.channels:
            raise Tampered(f"`{ref.array}` is not among the signals of this run.")
        values = self._values(name, key, template.channels[key], ref.index)
        return item_digest(template, self._text(name, ref.index), key, values)

    def kept(self, name: str) -> tuple[int, ...]:
        """Return the indices of the items a series holds, sorted."""
        files = (self.path / name / layout.OWN).glob("c.*")
        return tuple(sorted(int(f.name[2:]) for f in files if f.name[2:].isdigit()))

    def _fits(self, name: str, signals: SignalSet) -> bool:
        try:
            return name in self.names() and bool(item_text(self._template(name), signals))
        except (SignalError, Tampered):
            return False

    def _make(self, name: str, template: Template, capacity: int) -> None:
        self._check_write()
        if not _NAME.fullmatch(name):
            raise StoreError(f"`{name}` cannot name a series; use letters, digits, `_` and `-`.")
        with store_errors(f"`{name}`", self.path):
            layout.make_series(self.path, name, template, max(1, capacity), self._durability)
        self._templates.pop(name, None)

    def _template(self, name: str) -> Template:
        if name not in self._templates:
            template = layout.load_series(self.path, name)
            self._capacities[name] = layout.capacity_of(self.path / name, template)
            self._templates[name] = template
        return self._templates[name]

    def _text(self, name: str, index: int) -> str:
        file = self.path / name / layout.OWN / layout.chunk_name((index,))
        return decode_text(
            _read(file, f"{name}/{layout.OWN}", index), f"{name}/{layout.OWN}/{file.name}"
        )

    def _values(self, name: str, key: str, channel: Channel, index: int) -> Array:
        values = np.empty(channel.shape, channel.dtype)
        for file, part in layout.item_chunks(channel, index):
            data = _read(self.path / name / key / file, f"{name}/{key}", index)
            values[part] = decode(data, values[part].shape, channel.dtype, f"{name}/{key}/{file}")
        return values

    def _check_write(self) -> None:
        if not self._write:
            raise StoreError(f"`{self.path}` is open to be read; open the run with `write=True`.")


def _read(file: Path, array: str, index: int) -> bytes:
    with store_errors(f"item {index} of `{array}`", file, verb="read"):
        try:
            return file.read_bytes()
        except FileNotFoundError:
            raise Tampered(f"`{array}` item {index} is missing.") from None
