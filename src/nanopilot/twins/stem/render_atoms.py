"""Atoms sorted by kind, and what is made of them: patches and neighbours."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from nanopilot.models.electron_optics import Lens
from nanopilot.twins.stem.channelling import Columns, columns_of
from nanopilot.twins.stem.contrast import Ring
from nanopilot.twins.stem.film import Film, power
from nanopilot.twins.stem.render_direct import Neighbours
from nanopilot.twins.stem.render_lattice import Lattice
from nanopilot.twins.stem.render_patch import Kind, Patch
from nanopilot.twins.stem.scene import Atoms

Array = np.ndarray[Any, np.dtype[Any]]

#: Atoms whose thermal displacements differ by less than this (m) have the same image.
_SAME = 5e-13


class AtomsByKind:
    """Atoms by kind, some of which may leave.

    Parameters
    ----------
    atoms : Atoms
        All there are.
    film : Film or None
        Other matter; its grain goes into every patch.
    columns : bool
        Atoms below one another scatter together, once `pair` has been told under which lens.
    """

    def __init__(self, atoms: Atoms, film: Film | None, columns: bool = False) -> None:
        count = len(atoms)
        #: How much each counts: one row for all detectors, or one for each.
        self.weights = np.ones((1, count))
        self._paired = atoms if columns else None
        self._columns: Columns | None = None
        self.position, self.film = atoms.position, film
        self.there = np.ones(count, dtype=bool)
        same = np.stack([atoms.number.astype(float), np.round(atoms.rms / _SAME)])
        kinds, which = np.unique(same, axis=1, return_inverse=True)
        self.kinds: list[Kind] = [(int(z), float(u) * _SAME) for z, u in kinds.T]
        self.which = np.ravel(which)

    def within(
        self, corner: tuple[float, float], period: tuple[float, float]
    ) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Tell which atoms are in a rectangle: its corner and its size in metres."""
        x, y = self.position[:, 0], self.position[:, 1]
        return np.asarray(self.there & inside(x, y, corner, period))

    def pair(self, lens: Lens, rings: Mapping[str, Ring]) -> None:
        """Let atoms in columns count by the pairs they are part of from now on."""
        if self._paired is not None:
            self._columns = columns_of(self._paired, lens, rings)
            self.weights = self._columns.weights(self.there)

    def leave(self, index: Array) -> Array:
        """Let atoms leave, by index; return by how much less each counts, shape of `weights`."""
        before = self.weights * self.there
        self.there[np.asarray(index, dtype=np.int64)] = False
        if self._columns is not None:
            self.weights = self._columns.weights(self.there)
        return np.asarray(before - self.weights * self.there)

    def by_kind(self, index: Array) -> Iterator[tuple[Kind, Array]]:
        """Yield atoms of each kind, by index."""
        for number, kind in enumerate(self.kinds):
            those = index[self.which[index] == number]
            if len(those):
                yield kind, those

    def neighbours(self, rings: Mapping[str, Ring], reach: float) -> Neighbours:
        """Return all atoms, ready for sums over those within reach (m)."""
        found = Neighbours(rings, reach)
        for number, kind in enumerate(self.kinds):
            those = self.there & (self.which == number)
            found.place(kind, self.position[those, :2], self.weights[:, those])
        return found

    def patch(
        self, lattice: Lattice, rings: Mapping[str, Ring], turn: tuple[float, float, float]
    ) -> Patch:
        """Return a rectangle of the sample.

        Parameters
        ----------
        lattice : Lattice
            Its place along turned axes, in metres from the pivot.
        rings : mapping of str to Ring
            Detectors.
        turn : (float, float, float)
            x and y of the pivot in metres, and the angle of the axes in radians.
        """
        patch = Patch(lattice, rings)
        x, y = turned_places(self.position[:, 0], self.position[:, 1], turn)
        near = self.there & inside(x, y, lattice.corner, lattice.period)
        for number, kind in enumerate(self.kinds):
            those = near & (self.which == number)
            patch.density[kind] = np.stack(
                [lattice.coefficients(x[those], y[those], one[those]) for one in self.weights]
            )
        if self.film is not None:
            _add_grain(patch, self.film, turn)
        return patch


def _add_grain(patch: Patch, film: Film, turn: tuple[float, float, float]) -> None:
    """Add the grain of a film to the coefficients of a patch."""
    lattice = patch.lattice
    (left, low), (wide, high) = lattice.corner, lattice.period
    cos, sin = math.cos(turn[2]), math.sin(turn[2])
    across, up = np.array([left, left + wide]), np.array([low, low + high])
    x = turn[0] + np.add.outer(cos * across, -sin * up)
    y = turn[1] + np.add.outer(sin * across, cos * up)
    ky, kx = lattice.frequencies()
    frequency = np.sqrt(kx**2 + ky**2)
    corners = (float(x.min()), float(y.min())), (float(x.max()), float(y.max()))
    for number, *place, weights, distance in film.grain(*corners):
        x, y = turned_places(place[0], place[1], turn)
        near = inside(x, y, lattice.corner, lattice.period)
        found = lattice.coefficients(x[near], y[near], weights[near])
        found *= np.sqrt(power(frequency, distance)).astype(np.float32)
        kind = number, 0.0
        patch.density[kind] = patch.density.get(kind, np.zeros(1, dtype=np.complex64)) + found[None]


def turned_places(x: Array, y: Array, turn: tuple[float, float, float]) -> tuple[Array, Array]:
    """Return places (m) along axes turned about a pivot: x, y of it in m, and radians."""
    x, y = x - turn[0], y - turn[1]
    cos, sin = math.cos(turn[2]), math.sin(turn[2])
    return cos * x + sin * y, cos * y - sin * x


def inside(
    x: Array, y: Array, corner: tuple[float, float], period: tuple[float, float]
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Tell which places (m) are in a rectangle: its corner and its size."""
    across = (x >= corner[0]) & (x < corner[0] + period[0])
    found: np.ndarray[Any, np.dtype[np.bool_]] = (
        across & (y >= corner[1]) & (y < corner[1] + period[1])
    )
    return found
