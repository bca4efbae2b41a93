"""The diary of a twin: from entry to entry what has changed, as bytes that a run keeps."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from nanopilot.core.clock import Clock
from nanopilot.core.differences import Change, Difference, Facts, decode, encode, plain
from nanopilot.core.errors import StoreError
from nanopilot.core.memory import Array, Memory, numbers_of
from nanopilot.core.requests import Position

#: Puts a twin back: time in seconds, place in metres, and what it had become.
Restore = Callable[[float, Position, Memory | None], None]


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """What has changed since the entry before; made by `Diary.entry`, final by `Diary.keep`.

    Parameters
    ----------
    time : float
        On the twin's clock, in seconds.
    data : bytes
        To be kept; empty: nothing has changed but the time.
    """

    time: float
    data: bytes = b""

    @property
    def sha256(self) -> str:
        """Hash of what is to be kept; empty where there is nothing."""
        return hashlib.sha256(self.data).hexdigest() if self.data else ""


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """What an entry said, until it is kept."""

    entry: Entry
    change: Difference | None
    fixed: dict[str, Array]


class Diary:
    """Writes down what a twin has become, and makes another one the same.

    The guard gives it out; what it holds can be read by nobody but the run that keeps it.

    Parameters
    ----------
    read : callable
        `Restorable.memory`.
    restore : callable
        `Restorable.restore`.
    clock : Clock
        Of the twin.
    """

    def __init__(self, read: Callable[[], Memory], restore: Restore, clock: Clock) -> None:
        self.__read = read
        self.__restore = restore
        self.__clock = clock
        self.__time = math.nan
        self.__facts: Facts = {}
        self.__layers: dict[str, Array] | None = None
        self.__begun = False
        #: Layers that cannot be changed in place, and were looked at.
        self.__fixed: dict[str, Array] = {}
        self.__last: _Found | None = None

    def entry(self, *, whole: bool = True) -> Entry:
        """Return what has changed since the last entry that was kept.

        Parameters
        ----------
        whole : bool
            Look at the layers although neither the time nor a fact has moved on.
        """
        now, memory = self.__clock.now(), self.__read()
        found = Difference.of_facts(self.__facts, memory.facts)
        if not whole and self.__begun and now == self.__time and not found.changed:
            return self.__found(_Found(Entry(now), None, self.__fixed))
        known = self.__known(memory)
        for name, layer in memory.layers.items():
            if self.__fixed.get(name) is layer:
                continue
            change = Change.between(known.get(name), layer)
            if change is not None:
                found.layers[name] = change
        found.dropped.extend(known.keys() - memory.layers.keys())
        if not self.__begun:
            found.made.update({name: _digest(layer) for name, layer in memory.made.items()})
        entry = Entry(now, encode(found) if found.changed else b"")
        fixed = {name: one for name, one in memory.layers.items() if _is_fixed(one)}
        return self.__found(_Found(entry, found if entry.data else None, fixed))

    def keep(self, entry: Entry) -> None:
        """Take an entry for kept: the next one says what has changed since.

        Raises
        ------
        ValueError
            It is not the last one that was made.
        """
        found = self.__last
        if found is None or found.entry is not entry:
            raise ValueError("`entry` is not the last one; keep each before the next is made.")
        if found.change is not None and self.__layers is not None:
            found.change.apply(self.__facts, self.__layers)
        self.__time, self.__begun, self.__fixed = entry.time, True, found.fixed
        self.__last = None

    def recall(self, time: float, position: Position, entries: Iterable[bytes]) -> None:
        """Make the twin what it had become; later entries go on from there.

        Parameters
        ----------
        time : float
            On the twin's clock, in seconds.
        position : (float, float)
            Where it was last sent, (x, y) in metres, for a run without entries.
        entries : iterable of bytes
            All that were kept, in their order.

        Raises
        ------
        StoreError
            The twin is not made as the one of the run was.
        Tampered
            An entry is not what was kept.
        """
        memory = self.__read()
        self.__facts, self.__layers, self.__begun = {}, None, False
        self.__fixed, self.__last = {}, None
        layers = self.__known(memory)
        for data in entries:
            change = decode(data)
            _check_same(change, memory)
            change.apply(self.__facts, layers)
            self.__begun = True
        # Copies: what the twin does with its own is no longer what the diary has kept.
        kept = Memory(plain(self.__facts), {name: one.copy() for name, one in layers.items()})
        self.__restore(time, position, kept if self.__begun else None)
        self.__time = time

    def __found(self, found: _Found) -> Entry:
        self.__last = found
        return found.entry

    def __known(self, memory: Memory) -> dict[str, Array]:
        """Return the layers as they were last kept; before that, as they were made."""
        if self.__layers is None:
            self.__layers = {name: _little(layer) for name, layer in memory.made.items()}
        return self.__layers


def _is_fixed(layer: Array) -> bool:
    """Tell whether nobody can change an array in place: it is read-only, and its own."""
    return not layer.flags.writeable and layer.base is None


def _little(layer: Array) -> Array:
    """Return a copy in the order of bytes in which it is kept."""
    return np.array(layer, layer.dtype.newbyteorder("<"), order="C")


def _digest(layer: Array) -> str:
    told = f"{layer.shape} {layer.dtype.newbyteorder('<').str}\n".encode()
    return hashlib.sha256(told + numbers_of(layer).tobytes()).hexdigest()


def _check_same(change: Difference, memory: Memory) -> None:
    for name, digest in change.made.items():
        if name not in memory.made or _digest(memory.made[name]) != digest:
            raise StoreError(
                f"`{name}` of the twin is not made as it was for this run; resume with the "
                "options, the versions and the kind of machine that `run.json` names."
            )
