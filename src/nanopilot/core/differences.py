"""What is different between a twin's memory and the one before, and its bytes.

The bytes are one zlib stream (short ones follow a zero, unpacked): the length of a header, the
header (JSON), and for every layer the places that have changed and the values they have now. Places
count along the layer in C order and are written as steps from one to the next; the bytes of numbers
are sorted by their place in the number, so that what is alike lies together.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nanopilot.core.errors import Tampered
from nanopilot.core.memory import Array, numbers_of

#: Facts as a diary knows them: a list as it is, anything else as its JSON.
Facts = dict[str, Any]

_FORMAT = 1
_JSON = json.JSONEncoder(separators=(",", ":"), default=lambda number: number.item())
#: Bytes up to which packing is not worth the time; they follow a zero instead.
_SMALL = 1 << 8
#: Bytes from which a difference is packed quickly rather than tightly.
_LARGE = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """What has changed in a layer.

    Parameters
    ----------
    shape : tuple of int
        Of the layer.
    dtype : numpy.dtype
        Of the layer.
    anew : bool
        It takes the place of one of another shape or type, and begins as zeros.
    places : numpy.ndarray
        Where, along the layer's numbers (`numbers_of`), ascending, shape (n,).
    values : numpy.ndarray
        What is there now, shape (n,).
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    anew: bool
    places: Array
    values: Array

    @classmethod
    def between(cls, before: Array | None, now: Array) -> Change | None:
        """Return what makes `now` of `before`; None: they are the same, bit by bit."""
        dtype = now.dtype.newbyteorder("<")
        found = numbers_of(now)
        if before is None or (before.shape, before.dtype.newbyteorder("<")) != (now.shape, dtype):
            anew, kept = True, np.zeros_like(found)
        else:
            anew, kept = False, numbers_of(before)
        places = np.flatnonzero(found != kept)
        if not places.size and not anew:
            return None
        return cls(now.shape, dtype, anew, places, found[places])

    def apply(self, layers: dict[str, Array], name: str) -> None:
        """Carry it out on one of `layers`, which is changed in place unless it begins anew."""
        if self.anew:
            layers[name] = np.zeros(self.shape, self.dtype)
        layer = layers.get(name)
        if layer is None or layer.shape != self.shape or layer.dtype != self.dtype:
            raise Tampered(f"`{name}` of the memory does not follow from what was kept before.")
        numbers_of(layer)[self.places] = self.values


@dataclass(slots=True)
class Difference:
    """What has changed since the last entry of a diary.

    Parameters
    ----------
    facts : dict
        New or other ones, whole.
    grown : dict of str to list
        What lists have grown by.
    gone : list of str
        Facts there are no longer.
    layers : dict of str to Change
        Those that have changed.
    dropped : list of str
        Layers there are no longer.
    made : dict of str to str
        Hash of every layer as it was made; in the first entry only.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    grown: dict[str, list[Any]] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    layers: dict[str, Change] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    made: dict[str, str] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """Whether there is anything to keep."""
        return any((self.facts, self.grown, self.gone, self.layers, self.dropped, self.made))

    @classmethod
    def of_facts(cls, before: Facts, now: Mapping[str, Any]) -> Difference:
        """Return what has changed of the facts."""
        found = cls(gone=sorted(before.keys() - now.keys()))
        for name, value in now.items():
            known = before.get(name)
            if not isinstance(value, list):
                if known != _text(value):
                    found.facts[name] = value
            elif not isinstance(known, list) or value[: len(known)] != known:
                found.facts[name] = list(value)
            elif len(value) > len(known):
                found.grown[name] = value[len(known) :]
        return found

    def apply(self, facts: Facts, layers: dict[str, Array]) -> None:
        """Carry it out on the facts and layers of a diary."""
        for name in self.gone:
            facts.pop(name, None)
        for name, value in self.facts.items():
            facts[name] = list(value) if isinstance(value, list) else _text(value)
        for name, tail in self.grown.items():
            facts[name] = [*facts.get(name, ()), *tail]
        for name in self.dropped:
            layers.pop(name, None)
        for name, change in self.layers.items():
            change.apply(layers, name)


def plain(facts: Facts) -> dict[str, Any]:
    """Return facts as a twin gave them, of what a diary knows."""
    return {
        name: list(value) if isinstance(value, list) else json.loads(value)
        for name, value in facts.items()
    }


def encode(difference: Difference) -> bytes:
    """Return the bytes of a difference; the same difference has the same bytes."""
    told, body = [], []
    for name, change in sorted(difference.layers.items()):
        steps = np.diff(change.places, prepend=0).astype("<u8")
        wide = 8 if steps.size and int(steps.max()) >> 32 else 4
        told.append(
            {
                "name": name, "shape": change.shape, "dtype": change.dtype.str,
                "anew": change.anew, "count": change.places.size, "wide": wide,
            }
        )  # fmt: skip
        body += [_shuffled(steps.astype(f"<u{wide}")), _shuffled(change.values)]
    header = {
        "format": _FORMAT, "facts": difference.facts, "grown": difference.grown,
        "gone": difference.gone, "dropped": sorted(difference.dropped),
        "made": difference.made, "layers": told,
    }  # fmt: skip
    text = _text(header).encode()
    whole = b"".join([len(text).to_bytes(8, "little"), text, *body])
    if len(whole) <= _SMALL:
        return b"\0" + whole
    return zlib.compress(whole, 1 if len(whole) > _LARGE else 6)


def decode(data: bytes) -> Difference:
    """Return the difference of bytes.

    Raises
    ------
    Tampered
        They are not what `encode` returned.
    """
    try:
        whole = memoryview(data[1:] if data[:1] == b"\0" else zlib.decompress(data))
        at = 8 + int.from_bytes(whole[:8], "little")
        header = json.loads(bytes(whole[8:at]))
        if header["format"] != _FORMAT:
            raise ValueError(f"its format is {header['format']}, this version reads {_FORMAT}")
        layers = {}
        for told in header["layers"]:
            dtype, count = np.dtype(told["dtype"]), told["count"]
            steps, at = _ordered(whole, at, count, told["wide"])
            values, at = _ordered(whole, at, count, min(dtype.itemsize, 8))
            places = np.cumsum(steps, dtype=np.int64)
            layers[told["name"]] = Change(tuple(told["shape"]), dtype, told["anew"], places, values)
        return Difference(
            header["facts"], header["grown"], header["gone"], layers, header["dropped"],
            header["made"],
        )  # fmt: skip
    except (zlib.error, ValueError, KeyError, TypeError) as cause:
        raise Tampered(f"the memory of a twin cannot be read: {cause}.") from cause


def _text(value: Any) -> str:
    return _JSON.encode(value)


def _shuffled(numbers: Array) -> bytes:
    return numbers.view("u1").reshape(-1, numbers.dtype.itemsize).T.tobytes()


def _ordered(data: memoryview, at: int, count: int, wide: int) -> tuple[Array, int]:
    end = at + count * wide
    sorted_bytes = np.frombuffer(data[at:end], "u1").reshape(wide, count)
    return np.ascontiguousarray(sorted_bytes.T).view(f"<u{wide}").reshape(-1), end
