"""Where the electrons went: a map of cells, of which only those near the beam are kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numba
import numpy as np

from nanopilot.core.errors import OutOfRange, SignalError

Array = np.ndarray[Any, np.dtype[Any]]

#: Cells along each side of a block: memory is taken block by block.
BLOCK = 64


@dataclass(eq=False)
class CellMap:
    """Sums by cell over an endless plane.

    Parameters
    ----------
    cell : float
        Edge of a cell in metres.

    Raises
    ------
    OutOfRange
        The edge is not positive.
    """

    cell: float
    _blocks: dict[tuple[int, int], Array] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        if not (self.cell > 0 and math.isfinite(self.cell)):
            raise OutOfRange(f"`cell` is {self.cell:g} m; it is positive.")

    def add(self, x: Array, y: Array, amount: Array | float) -> None:
        """Add amounts to the cells that places (m, any one shape) lie in.

        Raises
        ------
        SignalError
            A place or an amount that is no number.
        """
        x, y = np.ravel(x).astype(float), np.ravel(y).astype(float)
        amounts = np.ravel(np.broadcast_to(np.asarray(amount, dtype=float), x.shape))
        if not (np.isfinite(x).all() and np.isfinite(y).all() and np.isfinite(amounts).all()):
            raise SignalError("`x`, `y` or `amount` is no number in some place.")
        done = np.zeros(len(x), dtype=np.bool_)
        start = 0
        while start < len(x):
            row, column = math.floor(y[start] / self.cell), math.floor(x[start] / self.cell)
            key = row // BLOCK, column // BLOCK
            block = self._blocks.setdefault(key, np.zeros((BLOCK, BLOCK)))
            start = _add(np.stack([x, y, amounts]), start, self.cell, (*key, block), done)

    def rows(self, y: Array) -> Array:
        """Return which rows of cells coordinates (m) lie in; columns are counted the same way."""
        found: Array = np.floor(np.asarray(y) / self.cell).astype(np.int64)
        return found

    def dense(self, first: tuple[int, int], shape: tuple[int, int]) -> Array:
        """Return the cells from row and column `first` on, shape `shape`."""
        out = np.zeros(shape)
        for (row, column), block in self._blocks.items():
            top, left = row * BLOCK - first[0], column * BLOCK - first[1]
            a, b = max(top, 0), min(top + BLOCK, shape[0])
            c, d = max(left, 0), min(left + BLOCK, shape[1])
            if a < b and c < d:
                out[a:b, c:d] = block[a - top : b - top, c - left : d - left]
        return out

    def add_dense(self, first: tuple[int, int], amounts: Array) -> None:
        """Add amounts to the cells from row and column `first` on, shape (rows, columns)."""
        last = first[0] + amounts.shape[0], first[1] + amounts.shape[1]
        for row in range(first[0] // BLOCK, (last[0] - 1) // BLOCK + 1):
            for column in range(first[1] // BLOCK, (last[1] - 1) // BLOCK + 1):
                top, left = row * BLOCK, column * BLOCK
                a, b = max(top, first[0]), min(top + BLOCK, last[0])
                c, d = max(left, first[1]), min(left + BLOCK, last[1])
                block = self._blocks.setdefault((row, column), np.zeros((BLOCK, BLOCK)))
                part = amounts[a - first[0] : b - first[0], c - first[1] : d - first[1]]
                block[a - top : b - top, c - left : d - left] += part

    def at(self, x: Array, y: Array) -> Array:
        """Return the sums in the cells that places (m, any one shape) lie in."""
        rows, columns = self.rows(y), self.rows(x)
        if rows.size == 0:
            return np.zeros(rows.shape)
        keys = (rows // BLOCK, columns // BLOCK)
        out = np.zeros(rows.shape)
        for key, block in self._blocks.items():
            here = (keys[0] == key[0]) & (keys[1] == key[1])
            if here.any():
                out[here] = block[rows[here] % BLOCK, columns[here] % BLOCK]
        return out

    def smooth(self, x: Array, y: Array) -> Array:
        """Return the sums at places (m, any one shape), linear between middles of cells."""
        x, y = np.asarray(x) / self.cell - 0.5, np.asarray(y) / self.cell - 0.5
        left, low = np.floor(x), np.floor(y)
        out = np.zeros(np.shape(x))
        for across in (0, 1):
            for up in (0, 1):
                share = np.abs(1 - across - (x - left)) * np.abs(1 - up - (y - low))
                middle = (left + across + 0.5) * self.cell, (low + up + 0.5) * self.cell
                out += share * self.at(*middle)
        return out

    def layers(self, name: str) -> dict[str, Array]:
        """Return every block there is as a layer of a `Memory`, by name, row and column."""
        return {f"{name} {row} {column}": block for (row, column), block in self._blocks.items()}

    def recall(self, name: str, layers: Mapping[str, Array]) -> None:
        """Take over what `layers` returned."""
        self._blocks = {
            (int(key.split()[1]), int(key.split()[2])): layer
            for key, layer in layers.items()
            if key.startswith(f"{name} ")
        }

    @property
    def total(self) -> float:
        """Sum over all cells."""
        return math.fsum(float(block.sum()) for block in self._blocks.values())

    @property
    def most(self) -> float:
        """Largest sum of a cell."""
        return max((float(block.max()) for block in self._blocks.values()), default=0.0)


@dataclass(eq=False)
class DoseMap:
    """Electrons per square metre, by cell.

    What is delivered is never lost: the sum over the cells is the number of electrons.

    Parameters
    ----------
    cell : float
        Edge of a cell in metres.
    """

    cell: float
    cells: CellMap = field(init=False)

    def __post_init__(self) -> None:
        self.cells = CellMap(self.cell)

    def add(self, x: Array, y: Array, electrons: Array | float) -> None:
        """Add electrons that arrived at places (m, any one shape).

        Raises
        ------
        SignalError
            A place or a number that is none.
        """
        self.cells.add(x, y, electrons)

    def at(self, x: Array, y: Array) -> Array:
        """Return electrons per square metre at places (m, any one shape)."""
        return self.cells.at(x, y) / self.cell**2

    @property
    def total(self) -> float:
        """All electrons there have been."""
        return self.cells.total

    @property
    def most(self) -> float:
        """Highest dose of a cell, electrons per square metre."""
        return self.cells.most / self.cell**2


@numba.njit(cache=True, nogil=True)
def _add(places: Array, start: int, cell: float, to: tuple[int, int, Array], done: Array) -> int:
    """Add what lies in one block; return the first place from `start` on that is left."""
    row, column, block = to
    first = places.shape[1]
    for n in range(start, places.shape[1]):
        if done[n]:
            continue
        i = math.floor(places[1, n] / cell) - row * BLOCK
        j = math.floor(places[0, n] / cell) - column * BLOCK
        if 0 <= i < BLOCK and 0 <= j < BLOCK:
            block[i, j] += places[2, n]
            done[n] = True
        elif n < first:
            first = n
    return int(first)
