"""Atoms sorted by kind, and what is made of them: patches and neighbours."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from nanopilot.core.errors import SignalError
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
    weights : numpy.ndarray or None
        How much each counts, shape (atoms,); None: 1.
    film : Film or None
        Other matter; its grain goes into every patch.

    Raises
    ------
    SignalError
        Not one weight for each atom.
    """

    def __init__(self, atoms: Atoms, weights: Array | None, film: Film | None) -> None:
        count = len(atoms)
        self.weights = np.ones(count) if weights is None else np.array(weights, dtype=float)
        if self.weights.shape != (count,):
            raise SignalError(f"`weights` has shape {self.weights.shape}; it is ({count},).")
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

    def leave(self, index: Array) -> Iterator[tuple[Kind, Array]]:
        """Let atoms leave, by index; yield those that were there, by kind."""
        index = np.unique(np.asarray(index, dtype=np.int64))
        index = index[self.there[index]]
        self.there[index] = False
        for number, kind in enumerate(self.kinds):
            those = index[self.which[index] == number]
            if len(those):
                yield kind, those

    def neighbours(self, rings: Mapping[str, Ring], reach: float) -> Neighbours:
        """Return all atoms, ready for sums over those within reach (m)."""
        found = Neighbours(rings, reach)
        for number, kind in enumerate(self.kinds):
            those = self.there & (self.which == number)
            found.place(kind, self.position[those, :2], self.weights[those])
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
            patch.density[kind] = lattice.coefficients(x[those], y[those], self.weights[those])
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
        patch.density[kind] = patch.density[kind] + found if kind in patch.density else found


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
