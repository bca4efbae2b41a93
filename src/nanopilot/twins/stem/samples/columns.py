"""Atomic columns: where they are, what stands in them, how far they are from where they should be.

The truth for whoever finds atoms in frames.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nanopilot.core.errors import Unsupported
from nanopilot.twins.stem.samples.lattice import Sites
from nanopilot.twins.stem.samples.near import nearest
from nanopilot.twins.stem.samples.recipe import BoolArray, FloatArray, IntArray
from nanopilot.twins.stem.scene import Scene

#: Farther than this from every site an atom stands in no column (m).
REACH = 0.8e-10


def _none() -> FloatArray:
    return np.zeros((0, 3))


def _whole() -> IntArray:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Crystalline(Scene):
    """A scene that knows where every atom would be if there were no defect.

    Parameters
    ----------
    ideal : numpy.ndarray
        Metres, shape (sites, 3).
    column : numpy.ndarray
        The column of every site, 0 to columns - 1 without gaps, shape (sites,).
    sublattice : numpy.ndarray
        Index into `sublattices` of every column, shape (columns,).
    sublattices : tuple of str
        Such as ``("Sr", "Ti+O", "O")``: what a full column holds.
    """

    ideal: FloatArray = field(default_factory=_none)
    column: IntArray = field(default_factory=_whole)
    sublattice: IntArray = field(default_factory=_whole)
    sublattices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Columns of a scene as it is now; arrays of one entry to a column.

    Parameters
    ----------
    x, y : numpy.ndarray
        Place in metres, where it should be and its displacement; shape (n,).
    ideal : numpy.ndarray
        Where it should be, metres, shape (n, 2).
    displacement : numpy.ndarray
        Mean of its atoms against their own sites in metres, NaN where none is left, (n, 2).
    sites, atoms : numpy.ndarray
        How many atoms it should have, and how many it has, shape (n,).
    z_sum : numpy.ndarray
        Sum of the atomic numbers, shape (n,).
    sublattice : numpy.ndarray
        Index into `sublattices`, shape (n,).
    sublattices : tuple of str
        What a full column holds.
    of_atom : numpy.ndarray
        The column of every atom of the scene, -1: in none; shape (atoms,).
    number : numpy.ndarray
        Atomic number of every atom of the scene, shape (atoms,).
    """

    x: FloatArray
    y: FloatArray
    ideal: FloatArray
    displacement: FloatArray
    sites: IntArray
    atoms: IntArray
    z_sum: FloatArray
    sublattice: IntArray
    sublattices: tuple[str, ...]
    of_atom: IntArray
    number: IntArray

    def __len__(self) -> int:
        return len(self.x)

    @property
    def occupancy(self) -> FloatArray:
        """Atoms over sites, shape (n,)."""
        found: FloatArray = self.atoms / self.sites
        return found

    @property
    def mean_z(self) -> FloatArray:
        """Mean atomic number, 0 where no atom is left, shape (n,)."""
        found: FloatArray = self.z_sum / np.maximum(self.atoms, 1)
        return found

    def numbers(self, column: int) -> list[int]:
        """Return the atomic numbers of one column, along no particular order."""
        return sorted(int(number) for number in self.number[self.of_atom == column])


def columns(scene: Scene, *, power: float = 0.0) -> Columns:
    """Return the columns of a scene: of a layer its atoms, of a crystal what the beam runs along.

    Every atom belongs to the site nearest to it; atoms may have been removed or exchanged since.

    Parameters
    ----------
    scene : Scene
        Of a crystalline family.
    power : float
        Atoms of a column count with their atomic number to this power where its place is
        averaged: 0 all alike, about 1.6 as an annular dark-field detector sees them.

    Raises
    ------
    Unsupported
        The scene is not crystalline, or none of its atoms are known one by one.
    """
    if not isinstance(scene, Crystalline) or not len(scene.ideal):
        raise Unsupported(
            f"`scene` is {scene.name!r}, which has no columns; crystalline families do: graphene, "
            "dichalcogenide, srtio3, bifeo3, snse, pd-se and interface."
        )
    count = len(scene.sublattice)
    away, site = nearest(scene.atoms.position, scene.ideal, REACH)
    near: BoolArray = np.isfinite(away)
    of_atom = np.full(len(scene.atoms), -1, dtype=np.int64)
    of_atom[near] = scene.column[site[near]]
    sites = np.bincount(scene.column, minlength=count)
    ideal = _means(scene.column, scene.ideal[:, :2], np.ones(len(scene.column)), count)
    atoms = np.bincount(of_atom[near], minlength=count)
    # Of a column that lost atoms, those left are compared with their own sites.
    moved = scene.atoms.position[near, :2] - scene.ideal[site[near], :2]
    weight = scene.atoms.number[near].astype(float) ** power
    displacement = _means(of_atom[near], moved, weight, count)
    place = ideal + np.nan_to_num(displacement)
    z_sum: FloatArray = np.bincount(
        of_atom[near], scene.atoms.number[near].astype(float), count
    ).astype(float)
    return Columns(
        x=place[:, 0], y=place[:, 1], ideal=ideal, displacement=displacement, sites=sites,
        atoms=atoms, z_sum=z_sum, sublattice=scene.sublattice, sublattices=scene.sublattices,
        of_atom=of_atom, number=scene.atoms.number,
    )  # fmt: skip


def _means(group: IntArray, values: FloatArray, weight: FloatArray, count: int) -> FloatArray:
    """Return the weighted mean of (x, y) in every group, NaN where it is empty, (count, 2)."""
    total = [np.bincount(group, values[:, axis] * weight, count) for axis in (0, 1)]
    weights = np.bincount(group, weight, count)
    weights[weights == 0] = np.nan
    found: FloatArray = np.stack(total, axis=1) / weights[:, None]
    return found


def truth_of(sites: Sites) -> dict[str, Any]:
    """Return `ideal`, `column`, `sublattice` and `sublattices` of sites, for a `Crystalline`."""
    from ase.data import chemical_symbols

    column: IntArray = np.unique(sites.column, return_inverse=True)[1].astype(np.int64)
    count = int(column.max(initial=-1)) + 1
    found = np.unique(sites.number)
    has = np.zeros((count, len(found)), dtype=bool)
    has[column, np.searchsorted(found, sites.number)] = True
    # Heaviest first, as one says it: Ti+O.
    patterns, which = np.unique(has[:, ::-1], axis=0, return_inverse=True)
    symbols = [chemical_symbols[number] for number in found[::-1]]
    names = tuple(
        "+".join(symbol for symbol, there in zip(symbols, row, strict=True) if there)
        for row in patterns
    )
    return {
        "ideal": sites.position,
        "column": column,
        "sublattice": np.asarray(which, dtype=np.int64).reshape(-1),
        "sublattices": names,
    }
