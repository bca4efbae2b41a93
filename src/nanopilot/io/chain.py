"""The hash chain of the journal: each row's hash covers the row and the hash before it.

What it finds: any change, removal, insertion or exchange of rows that was not followed by a
new computation of every later hash and of the head; among them all accidents. What it cannot
find: somebody who rewrites the whole rest of the chain with its head, and the loss of the last
transactions together with the head that speaks of them (a deleted ``run.sqlite-wal``). Against
both, keep the head's hash, which `nanopilot verify` prints, in another place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

#: What the first row has for the hash before it.
GENESIS = "0" * 64

#: seq, kind, wall (ns), body, previous, hash: as SQLite returns them, text as bytes.
RawRow = tuple[object, object, object, object, object, object]


@dataclass(frozen=True, slots=True)
class ChainFault:
    """The first place where the chain does not hold.

    Parameters
    ----------
    seq : int
        Number of the row that was altered, lost or added; 0: the file as a whole is damaged.
    why : str
        What is wrong with it.
    """

    seq: int
    why: str

    def __str__(self) -> str:
        return f"row {self.seq}: {self.why}" if self.seq else self.why


def row_hash(seq: int, kind: str, wall: int, previous: str, body: str) -> str:
    """Return the hash of a row: SHA-256 over all it holds, hexadecimal."""
    return hashlib.sha256(f"{seq}\n{kind}\n{wall}\n{previous}\n{body}".encode()).hexdigest()


def first_fault(rows: Iterable[RawRow], head: tuple[int, str]) -> ChainFault | None:
    """Walk the chain from its first row; return the first fault, or None if it holds.

    Parameters
    ----------
    rows : iterable of RawRow
        In the order of `seq`, every text as bytes, straight from the file.
    head : (int, str)
        Number and hash of the last row, as noted beside the rows.
    """
    previous, count = GENESIS, 0
    for row in rows:
        stored, fault = _link(row, count + 1, previous)
        if fault is not None:
            return fault
        previous, count = stored, count + 1
    if head[0] > count:
        return ChainFault(count + 1, f"missing; the journal once ended with row {head[0]}")
    if head != (count, previous):
        return ChainFault(count, "altered or added: the head of the journal says otherwise")
    return None


def _link(row: RawRow, seq: int, previous: str) -> tuple[str, ChainFault | None]:
    """Return the row's hash, and what is wrong with it or with the one before."""
    if row[0] != seq:
        return "", ChainFault(seq, f"missing; the next row is number {row[0]!r}")
    try:
        kind, wall, body, told, stored = _decode(row)
    except (TypeError, ValueError):
        return "", ChainFault(seq, "altered: its columns are not what a journal holds")
    consistent = row_hash(seq, kind, wall, told, body) == stored
    if told != previous and consistent and seq > 1:
        # A row that agrees with itself shows that the one before it was replaced whole.
        return "", ChainFault(seq - 1, "altered, with a hash of its own")
    if told != previous or not consistent:
        return "", ChainFault(seq, "altered")
    return stored, None


def _decode(row: RawRow) -> tuple[str, int, str, str, str]:
    _, kind, wall, body, told, stored = row
    if not isinstance(wall, int):
        raise TypeError("`wall` is no integer")
    texts = []
    for column in (kind, body, told, stored):
        if not isinstance(column, bytes):
            raise TypeError("a text column holds no text")
        texts.append(column.decode())
    return texts[0], wall, texts[1], texts[2], texts[3]
