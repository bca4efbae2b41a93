"""The atoms near a place, also where a sample knows its matter by thickness only."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from nanopilot.twins.stem.materials import Material, material
from nanopilot.twins.stem.scene import Atoms, FloatArray, Matter

IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: Thermal displacement of atoms in amorphous matter along each axis, in metres.
_LOOSE = 9e-12
#: More atoms than this near one place are not drawn; the beam would not come through.
_MOST = 400_000
#: Edge of the cubes in which amorphous atoms are drawn, in metres: the same ones for every visit.
_CUBE = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Neighbourhood:
    """Atoms near a place, as arrays that multislice takes.

    Parameters
    ----------
    position : numpy.ndarray
        Metres, shape (n, 3).
    number : numpy.ndarray
        Atomic numbers, shape (n,).
    rms : numpy.ndarray
        Metres, shape (n,).
    """

    position: FloatArray
    number: IntArray
    rms: FloatArray


def neighbourhood(
    atoms: Atoms, matter: Matter, centre: tuple[float, float], width: float, seed: int
) -> Neighbourhood:
    """Return all atoms within a square about a place.

    Amorphous matter is filled with atoms at random, the same at the same place whenever it is
    visited; crystalline matter of which only the thickness is known, with a crystal in an
    orientation of its own.

    Parameters
    ----------
    atoms : Atoms
        Those known one by one.
    matter : Matter
        Of it, what `by_atoms` does not count is filled in, below the known atoms.
    centre : (float, float)
        x and y in metres.
    width : float
        Of the square, in metres.
    seed : int
        Of what is drawn.
    """
    near = (np.abs(atoms.position[:, :2] - np.array(centre)) <= width / 2).all(axis=1)
    parts = [Neighbourhood(atoms.position[near], atoms.number[near], atoms.rms[near])]
    low = float(parts[0].position[:, 2].max()) if near.any() else 0.0
    x, y = np.array([centre[0]]), np.array([centre[1]])
    thickness = matter.thickness(x, y)[:, 0]
    for name, known, deep in zip(matter.materials, matter.by_atoms, thickness, strict=True):
        if known or deep < 1e-11:
            continue
        filled = _filled(material(name), centre, width, float(deep), seed)
        below = filled.position + np.array([0.0, 0.0, low])
        parts.append(Neighbourhood(below, filled.number, filled.rms))
        low += float(deep)
    return Neighbourhood(
        np.concatenate([part.position for part in parts]),
        np.concatenate([part.number for part in parts]),
        np.concatenate([part.rms for part in parts]),
    )


def _filled(
    one: Material, centre: tuple[float, float], width: float, deep: float, seed: int
) -> Neighbourhood:
    dense = sum(one.concentration().values())
    deep = min(deep, _MOST / (dense * width**2))
    if one.crystal:
        return _crystal(one, centre, width, deep)
    return _amorphous(one, centre, width, deep, seed)


def _amorphous(
    one: Material, centre: tuple[float, float], width: float, deep: float, seed: int
) -> Neighbourhood:
    """Return atoms at random, drawn column by column of cubes that have their own numbers."""
    shares = one.concentration()
    first = [math.floor((c - width / 2) / _CUBE) for c in centre]
    last = [math.floor((c + width / 2) / _CUBE) for c in centre]
    places, numbers = [], []
    for column in range(first[0], last[0] + 1):
        for row in range(first[1], last[1] + 1):
            key = [seed, zlib.crc32(one.name.encode()), column & 0xFFFFFFFF, row & 0xFFFFFFFF]
            rng = np.random.default_rng(key)
            for number, per_volume in shares.items():
                count = rng.poisson(per_volume * _CUBE**2 * deep)
                spots = rng.uniform(size=(count, 3)) * np.array([_CUBE, _CUBE, deep])
                places.append(spots + np.array([column * _CUBE, row * _CUBE, 0.0]))
                numbers.append(np.full(count, number))
    position, found = np.concatenate(places), np.concatenate(numbers)
    inside = (np.abs(position[:, :2] - np.array(centre)) <= width / 2).all(axis=1)
    return Neighbourhood(
        position[inside], found[inside].astype(np.int64), np.full(int(inside.sum()), _LOOSE)
    )


def _crystal(
    one: Material, centre: tuple[float, float], width: float, deep: float
) -> Neighbourhood:
    """Return a piece of crystal, its cell along the axes, repeated over the square."""
    from nanopilot.twins.stem.samples.crystals import crystal
    from nanopilot.twins.stem.samples.stability import thermal
    from nanopilot.twins.stem.spectra.tables import symbol

    cell = crystal(one.crystal)
    vectors = np.asarray(cell.cell.array, dtype=float) * 1e-10
    inverse = np.linalg.inv(vectors)
    half = np.array([width / 2, width / 2, deep])
    corners = np.array([[i, j, k] for i in (-1, 1) for j in (-1, 1) for k in (0, 1)]) * half
    steps = (corners + np.array([*centre, 0.0])) @ inverse
    ranges = [
        np.arange(math.floor(low) - 1, math.ceil(high) + 2)
        for low, high in zip(steps.min(axis=0), steps.max(axis=0), strict=True)
    ]
    offsets = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3) @ vectors
    basis = np.asarray(cell.positions, dtype=float) * 1e-10
    position = (offsets[:, None, :] + basis[None, :, :]).reshape(-1, 3)
    number = np.tile(np.asarray(cell.numbers, dtype=np.int64), len(offsets))
    inside = (np.abs(position[:, :2] - np.array(centre)) <= width / 2).all(axis=1)
    inside &= (position[:, 2] >= 0) & (position[:, 2] < deep)
    numbers = number[inside]
    rms = np.zeros(len(numbers))
    for z in np.unique(numbers):
        rms[numbers == z] = thermal(one.crystal, symbol(int(z)))
    return Neighbourhood(position[inside], numbers, rms)
