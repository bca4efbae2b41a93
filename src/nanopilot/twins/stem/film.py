"""Matter without known atoms: its mean signal, and the grain that a focus is found by.

Atoms of amorphous matter are counted, not placed: over a small area there are ``n + sqrt(n) g`` of
them, g being a normal number that hangs on the place alone. Seen through a lens they show its
transfer, as a film of carbon does. Atoms keep their distance, so that slow fluctuations are weaker
than those of places drawn by chance: their power is taken to be
``s0 + (1 - s0) (1 - exp(-(k d)^2))``, d being the cube root of the volume of an atom, which has the
rise of a structure factor and none of its peaks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numba
import numpy as np

from nanopilot.models.electron_optics import Lens
from nanopilot.twins.stem.contrast import Ring, matter_exponent
from nanopilot.twins.stem.materials import material
from nanopilot.twins.stem.scene import Matter

Array = np.ndarray[Any, np.dtype[Any]]

#: Distance in metres of the places that have a number: half the shortest period that is shown.
PITCH = 25e-12
#: Power of fluctuations without end over that of chance.
_SLOWEST = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Film:
    """Matter of which the thickness is known.

    Parameters
    ----------
    matters : sequence of Matter
        The sample's, and what has grown on it; what the sample knows atom by atom is left out.
    seed : int
        Of the grain.
    """

    matters: Sequence[Matter]
    seed: int = 0
    _layers: list[tuple[int, int, dict[int, float]]] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        for number, matter in enumerate(self.matters):
            for layer, (name, known) in enumerate(
                zip(matter.materials, matter.by_atoms, strict=True)
            ):
                if not known:
                    self._layers.append((number, layer, material(name).concentration()))

    def mean(self, x: Array, y: Array, lens: Lens, rings: Mapping[str, Ring]) -> Array:
        """Return mean exponents (see `contrast.fractions`) at places x, y (m), any shape.

        Shape (detectors, *x.shape).
        """
        found = np.zeros((len(rings), *x.shape))
        for thickness, atoms in self._thicknesses(x, y):
            for number, ring in enumerate(rings.values()):
                each = matter_exponent(atoms, lens.voltage, ring, lens.convergence_angle)
                found[number] += each * thickness
        return found

    def grain(
        self, low: tuple[float, float], high: tuple[float, float]
    ) -> Iterator[tuple[int, Array, Array, Array, float]]:
        """Yield the grain between two corners (m): places that count as atoms of either sign.

        Yields
        ------
        (int, numpy.ndarray, numpy.ndarray, numpy.ndarray, float)
            Atomic number, x and y in metres and weights, shape (n,), and the distance d of atoms in
            metres (see `power`).
        """
        first = [math.ceil(one / PITCH) for one in low]
        last = [math.floor(one / PITCH) for one in high]
        columns, rows = (np.arange(a, b + 1) for a, b in zip(first, last, strict=True))
        if not self._layers or not len(rows) or not len(columns):
            return
        x, y = (one.ravel() for one in np.meshgrid(columns * PITCH, rows * PITCH))
        for salt, (thickness, atoms) in enumerate(self._thicknesses(x, y)):
            there = np.flatnonzero(thickness > 0)
            if not len(there):
                continue
            distance = sum(atoms.values()) ** (-1 / 3)
            for number, each in atoms.items():
                luck = normals(rows, columns, self._key(salt, number)).ravel()[there]
                weights = np.sqrt(each * thickness[there]) * PITCH * luck
                yield number, x[there], y[there], weights, distance

    def coarse(self, x: Array, y: Array, spread: Mapping[int, Array], cell: float) -> Array:
        """Return the grain where places are farther apart than the beam is wide.

        Parameters
        ----------
        x, y : numpy.ndarray
            Metres, shape (n,).
        spread : mapping of int to numpy.ndarray
            By atomic number: the integral over the squared image of an atom for each detector, m².
        cell : float
            Places nearer to each other than this, in metres, have the same number.

        Returns
        -------
        numpy.ndarray
            Exponents, shape (detectors, n).
        """
        channels = len(next(iter(spread.values()))) if spread else 0
        found = np.zeros((channels, len(x)))
        rows, columns = (np.floor(one / cell).astype(np.int64) for one in (y, x))
        for salt, (thickness, atoms) in enumerate(self._thicknesses(x, y)):
            for number, each in atoms.items():
                luck = normals_at(rows, columns, self._key(salt, number))
                root = np.sqrt(each * np.clip(thickness, 0, None)) * luck
                found += np.multiply.outer(np.sqrt(spread[number]), root)
        return found

    def elements(self) -> set[int]:
        """Return the atomic numbers there are."""
        return {number for _, _, atoms in self._layers for number in atoms}

    def distance(self) -> float:
        """Return the distance of atoms in metres of the first layer; 0 without one."""
        return sum(self._layers[0][2].values()) ** (-1 / 3) if self._layers else 0.0

    def _thicknesses(self, x: Array, y: Array) -> Iterator[tuple[Array, dict[int, float]]]:
        last, found = -1, np.zeros(0)
        for number, layer, atoms in self._layers:
            if number != last:
                last, found = number, self.matters[number].thickness(x, y)
            yield found[layer], atoms

    def _key(self, salt: int, number: int) -> int:
        return (self.seed * 1009 + salt) * 131 + number


def power(frequency: Array, distance: float) -> Array:
    """Return the power of fluctuations over that of chance, at frequencies in 1/m.

    Parameters
    ----------
    frequency : numpy.ndarray
        1/m, any shape.
    distance : float
        Of atoms, in metres.
    """
    found: Array = 1 - (1 - _SLOWEST) * np.exp(-((frequency * distance) ** 2))
    return found


def normals(rows: Array, columns: Array, key: int) -> Array:
    """Return normal numbers of the places (row, column), whole numbers; shape (rows, columns)."""
    down, across = np.meshgrid(rows, columns, indexing="ij")
    return normals_at(down.ravel(), across.ravel(), key).reshape(down.shape)


def normals_at(rows: Array, columns: Array, key: int) -> Array:
    """Return normal numbers of places, shape (n,), the same whenever they are asked for."""
    out = np.empty(len(rows))
    _normals(rows.astype(np.int64), columns.astype(np.int64), np.uint64(key % 2**64), out)
    return out


@numba.njit(cache=True, nogil=True)
def _normals(rows: Array, columns: Array, key: Any, out: Array) -> None:
    for n in range(len(rows)):
        row, column = np.uint64(rows[n]), np.uint64(columns[n])
        mixed = _mixed(_mixed(_mixed(key) ^ row) ^ column)
        other = _mixed(mixed)
        # Box and Muller, from 53 bits each; the first is never 0.
        first = (float(mixed >> np.uint64(11)) + 0.5) / 9007199254740992.0
        second = float(other >> np.uint64(11)) / 9007199254740992.0
        out[n] = math.sqrt(-2 * math.log(first)) * math.cos(2 * math.pi * second)


@numba.njit(cache=True, nogil=True)
def _mixed(state: Any) -> Any:
    """Return well mixed bits: splitmix64, S. Vigna, public domain (2015)."""
    state = np.uint64(state + np.uint64(0x9E3779B97F4A7C15))
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
