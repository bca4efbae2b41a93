"""Places of atoms: a crystal's cells repeated over an area, with its columns known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nanopilot.twins.stem.samples.recipe import FloatArray, IntArray
from nanopilot.twins.stem.samples.stability import displacement_energy, ionisation, thermal
from nanopilot.twins.stem.scene import Atoms

#: Places of a cell that lie closer than this along the beam make one column (m).
COLUMN = 0.3e-10


@dataclass(frozen=True, slots=True, eq=False)
class Sites:
    """Places that atoms may take; arrays of `n` each.

    Parameters
    ----------
    position : numpy.ndarray
        Metres, shape (n, 3).
    number, kind, column : numpy.ndarray
        Atomic number; index into `kinds`; index of the column. Shape (n,).
    rms, energy, radiolysis : numpy.ndarray
        As `rms`, `displacement_energy` and `radiolysis` of `Atoms`. Shape (n,).
    kinds : tuple of str
        Names of the places of the structure.
    """

    position: FloatArray
    number: IntArray
    kind: IntArray
    column: IntArray
    rms: FloatArray
    energy: FloatArray
    radiolysis: FloatArray
    kinds: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.number)

    def keep(self, kept: np.ndarray[Any, Any]) -> Sites:
        """Return some of the sites, by mask or index; columns keep their numbers."""
        return Sites(
            self.position[kept], self.number[kept], self.kind[kept], self.column[kept],
            self.rms[kept], self.energy[kept], self.radiolysis[kept], self.kinds,
        )  # fmt: skip

    def moved(self, by: FloatArray) -> Sites:
        """Return the sites moved by metres, shape (n, 3) or what broadcasts to it."""
        return replace(self, position=self.position + by)

    def atoms(self) -> Atoms:
        """Return an atom on every site."""
        return Atoms(
            self.position, self.number, self.rms, self.kind, self.kinds, self.energy,
            self.radiolysis,
        )  # fmt: skip


def joined(parts: Sequence[Sites]) -> Sites:
    """Return sites one after the other, their columns and kinds numbered on."""
    kinds = tuple(dict.fromkeys(name for part in parts for name in part.kinds))
    columns, first = [], 0
    for part in parts:
        columns.append(part.column + first)
        first += int(part.column.max(initial=-1)) + 1
    places = [
        np.array([kinds.index(name) for name in part.kinds], dtype=np.int64) for part in parts
    ]
    return Sites(
        np.concatenate([part.position for part in parts]),
        np.concatenate([part.number for part in parts]),
        np.concatenate([one[part.kind] for one, part in zip(places, parts, strict=True)]),
        np.concatenate(columns),
        np.concatenate([part.rms for part in parts]),
        np.concatenate([part.energy for part in parts]),
        np.concatenate([part.radiolysis for part in parts]),
        kinds,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Motif:
    """One cell with right angles.

    Parameters
    ----------
    name : str
        Of the crystal.
    size : numpy.ndarray
        Metres along x, y, z, shape (3,).
    position : numpy.ndarray
        Metres, shape (m, 3).
    number, kind, column : numpy.ndarray
        Atomic number, index into `kinds`, and column in the cell, shape (m,).
    kinds : tuple of str
        Element symbols unless told otherwise.
    """

    name: str
    size: FloatArray
    position: FloatArray
    number: IntArray
    kind: IntArray
    column: IntArray
    kinds: tuple[str, ...]

    @property
    def density(self) -> float:
        """Atoms per cubic metre."""
        return len(self.number) / float(np.prod(self.size))

    @property
    def columns(self) -> int:
        """How many columns a cell has."""
        return int(self.column.max()) + 1


def motif(name: str, zone: str = "001") -> Motif:
    """Return the cell of a crystal along a zone axis, its kinds of place the elements."""
    from nanopilot.twins.stem.samples.crystals import orthogonal

    cell: Any = orthogonal(name, zone)
    symbols = cell.get_chemical_symbols()
    kinds = tuple(dict.fromkeys(symbols))
    size = np.array(cell.cell.lengths()) * 1e-10
    position = np.asarray(cell.positions, dtype=float) * 1e-10
    kind = np.array([kinds.index(symbol) for symbol in symbols], dtype=np.int64)
    number = np.asarray(cell.numbers, dtype=np.int64)
    return Motif(name, size, position, number, kind, _columns(position, size), kinds)


def _columns(position: FloatArray, size: FloatArray) -> IntArray:
    """Return the column of every place: those that lie on each other along z share one."""
    apart = position[:, None, :2] - position[None, :, :2]
    apart -= size[:2] * np.rint(apart / size[:2])
    near = np.hypot(apart[..., 0], apart[..., 1]) < COLUMN
    first = near.argmax(axis=1)
    found: IntArray = np.unique(first, return_inverse=True)[1].astype(np.int64)
    return found


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle to fill with a crystal, in metres."""

    left: float
    right: float
    bottom: float
    top: float

    def grown(self, by: float) -> Box:
        """Return it with so much more on every side (m)."""
        return Box(self.left - by, self.right + by, self.bottom - by, self.top + by)


def square_box(size: float) -> Box:
    """Return the square of this edge (m) round (0, 0)."""
    return Box(-size / 2, size / 2, -size / 2, size / 2)


@dataclass(frozen=True, slots=True, eq=False)
class Tiling:
    """Points of a cell repeated over a rectangle; `n` of them.

    Parameters
    ----------
    place : numpy.ndarray
        Metres, shape (n, 2).
    point, cell : numpy.ndarray
        Which point of the cell, and which cell, shape (n,).
    """

    place: FloatArray
    point: IntArray
    cell: IntArray


def tile(
    size: FloatArray, points: FloatArray, box: Box, rotation: float, origin: FloatArray
) -> Tiling:
    """Return the points of a repeated cell that lie in a rectangle.

    Parameters
    ----------
    size : numpy.ndarray
        Edges of the cell in metres, shape (2,).
    points : numpy.ndarray
        Metres in it, shape (m, 2).
    box : Box
        Where.
    rotation : float
        Of the cell, counter-clockwise, in radians.
    origin : numpy.ndarray
        Of the cell, metres, shape (2,).
    """
    cos, sin = math.cos(rotation), math.sin(rotation)
    turn = np.array([[cos, -sin], [sin, cos]])
    corners = np.array([[x, y] for x in (box.left, box.right) for y in (box.bottom, box.top)])
    inner = (corners - origin) @ turn / size
    low, high = np.floor(inner.min(0)).astype(int) - 1, np.ceil(inner.max(0)).astype(int) + 1
    i, j = np.mgrid[low[0] : high[0], low[1] : high[1]]
    cells = np.stack([i.ravel(), j.ravel()], axis=1) * size
    plane = (cells[:, None] + points[None]).reshape(-1, 2) @ turn.T + origin
    there = (plane[:, 0] >= box.left) & (plane[:, 0] < box.right)
    there &= (plane[:, 1] >= box.bottom) & (plane[:, 1] < box.top)
    point = np.tile(np.arange(len(points)), len(cells))[there]
    return Tiling(plane[there], point, np.repeat(np.arange(len(cells)), len(points))[there])


def fill(
    cell: Motif,
    box: Box,
    *,
    rotation: float = 0.0,
    shift: FloatArray | None = None,
    layers: int = 1,
) -> Sites:
    """Return the sites of a crystal whose columns lie in a rectangle.

    Parameters
    ----------
    cell : Motif
        What is repeated.
    box : Box
        Where, in the plane.
    rotation : float
        Of the crystal, counter-clockwise, in radians.
    shift : numpy.ndarray, optional
        Of the crystal's origin, metres, shape (2,).
    layers : int
        Cells along the beam, the middle of them at z = 0.
    """
    origin = np.zeros(2) if shift is None else shift
    tiled = tile(cell.size[:2], cell.position[:, :2], box, rotation, origin)
    column = tiled.cell * cell.columns + cell.column[tiled.point]
    column = np.unique(column, return_inverse=True)[1].astype(np.int64)
    depth = cell.size[2] * (np.arange(layers) - layers / 2)
    z = (depth[:, None] + cell.position[tiled.point, 2]).ravel()
    # Whole planes, so that the crystal is centred whatever the cell's origin is.
    z -= (cell.position[:, 2].min() + cell.position[:, 2].max() - cell.size[2]) / 2
    position = np.column_stack([np.tile(tiled.place, (layers, 1)), z])
    return sites_of(cell, np.tile(tiled.point, layers), position, np.tile(column, layers))


def sites_of(cell: Motif, of_cell: IntArray, position: FloatArray, column: IntArray) -> Sites:
    """Return sites, given which place of the cell each one is; the rest from the tables."""
    from ase.data import chemical_symbols

    symbols = [chemical_symbols[number] for number in cell.number]
    rms = np.array([thermal(cell.name, symbol) for symbol in symbols])
    energy = np.array([displacement_energy(cell.name, symbol) for symbol in symbols])
    radiolysis = np.array([ionisation(cell.name, symbol) for symbol in symbols])
    return Sites(
        position, cell.number[of_cell], cell.kind[of_cell], column, rms[of_cell],
        energy[of_cell], radiolysis[of_cell], cell.kinds,
    )  # fmt: skip
