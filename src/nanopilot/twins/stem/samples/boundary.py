"""Two grains of graphene and the boundary between them.

The rings are the cells of a Voronoi diagram whose seeds are the middles of the rings, and its
vertices are the atoms, so that every atom has three neighbours: C. Ophus, A. Shekhawat, H. Rasool
and A. Zettl, Phys. Rev. B 92, 205402 (2015).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nanopilot.twins.stem.samples.lattice import Box, tile
from nanopilot.twins.stem.samples.near import nearest
from nanopilot.twins.stem.samples.noise import Meander
from nanopilot.twins.stem.samples.recipe import BoolArray, FloatArray, IntArray

#: Distance of ring middles, and of atoms, in metres.
APART, BOND = 2.461e-10, 2.461e-10 / np.sqrt(3)
#: So far from the boundary rings and atoms relax (m).
_BAND = 1.2e-9
#: Rings of both grains that are closer than this become one (of `APART`): from 0.2 to 0.75, the
#: value that leaves bonds the least stretched.
_MERGE = 0.5
#: Sides of triangles longer than this are no neighbours (of `APART`).
_LONGEST = 1.75
#: Rounds in which the rings relax, and the part of a misfit that goes in each.
_ROUNDS, _STEP = 40, 0.15
#: Rounds for which the neighbours are kept.
_KEPT = 4
#: Stiffness between second neighbours over that of bonds: it holds the angles.
_ANGLES = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class Bicrystal:
    """Atoms and rings of two grains.

    Parameters
    ----------
    atoms : numpy.ndarray
        Metres, shape (n, 2).
    rings : numpy.ndarray
        Middle of every ring in metres, shape (m, 2).
    size : numpy.ndarray
        Atoms of every ring, 0 where it is cut by the box, shape (m,).
    """

    atoms: FloatArray
    rings: FloatArray
    size: IntArray


def bicrystal(
    box: Box, rotations: tuple[float, float], shifts: FloatArray, line: Meander
) -> Bicrystal:
    """Return two grains that meet at x = line(y).

    Parameters
    ----------
    box : Box
        Where; near its rim the network is not complete.
    rotations : (float, float)
        Of the left and the right grain, in radians.
    shifts : numpy.ndarray
        Origin of each, metres, shape (2, 2).
    line : Meander
        The boundary.
    """
    rings = _rings(box, rotations, shifts, line)
    triangles, links = _network(rings)
    atoms = rings[triangles].mean(axis=1)
    near = np.abs(atoms[:, 0] - line(atoms[:, 1])) < _BAND
    atoms = _relaxed(atoms, links, near)
    # A ring has as many atoms as triangles meet in its middle; on the rim some are missing.
    size = np.bincount(triangles.ravel(), minlength=len(rings))
    rim = (rings[:, 0] < box.left + 2 * APART) | (rings[:, 0] > box.right - 2 * APART)
    rim |= (rings[:, 1] < box.bottom + 2 * APART) | (rings[:, 1] > box.top - 2 * APART)
    return Bicrystal(atoms, rings, np.where(rim, 0, size))


def _rings(
    box: Box, rotations: tuple[float, float], shifts: FloatArray, line: Meander
) -> FloatArray:
    """Return the middles of the rings, shape (m, 2)."""
    cell = np.array([APART, np.sqrt(3) * APART])
    points = np.array([[0.0, 0.0], cell / 2])
    left, right = (
        tile(cell, points, box, rotation, shift).place
        for rotation, shift in zip(rotations, shifts, strict=True)
    )
    left = left[left[:, 0] < line(left[:, 1])]
    right = right[right[:, 0] >= line(right[:, 1])]
    rings = _merged(left, right)
    near = np.abs(rings[:, 0] - line(rings[:, 1])) < _BAND
    return _spread(rings, near)


def _merged(left: FloatArray, right: FloatArray) -> FloatArray:
    """Return both, of pairs that are too close only their middles."""
    if not len(left) or not len(right):
        return np.concatenate([left, right])
    away, partner = nearest(left, right, _MERGE * APART)
    close = np.flatnonzero(np.isfinite(away))
    # Each right one is taken once, by the nearest left one.
    close = close[np.argsort(away[close], kind="stable")]
    _, first = np.unique(partner[close], return_index=True)
    ours = close[first]
    middles = (left[ours] + right[partner[ours]]) / 2
    gone = np.zeros(len(left), dtype=bool)
    # One whose partner went to another is too close to stay, too.
    gone[close] = True
    kept = np.ones(len(right), dtype=bool)
    kept[partner[close]] = False
    return np.concatenate([left[~gone], right[kept], middles])


def _spread(rings: FloatArray, near: BoolArray) -> FloatArray:
    """Return the middles pushed and pulled towards the distance that they have in a grain."""
    from scipy.spatial import Delaunay

    rings = rings.copy()
    around = np.flatnonzero(_wider(rings, near))
    free = near[around]
    if not free.any():
        return rings
    local, edges = rings[around], np.zeros((0, 2), dtype=np.int64)
    for turn in range(_ROUNDS):
        if turn % _KEPT == 0:
            edges = _edges(Delaunay(local).simplices.astype(np.int64))
        apart = local[edges[:, 1]] - local[edges[:, 0]]
        length = np.hypot(apart[:, 0], apart[:, 1])
        pull = apart * ((length - APART) / length * (length < _LONGEST * APART))[:, None]
        force = np.zeros_like(local)
        np.add.at(force, edges[:, 0], pull)
        np.add.at(force, edges[:, 1], -pull)
        local[free] += _STEP * force[free]
    rings[around] = local
    return rings


def _wider(rings: FloatArray, near: BoolArray) -> BoolArray:
    """Return which middles lie near those that move, or among them."""
    if not near.any():
        return near
    away, _ = nearest(rings, rings[near], 3 * APART)
    found: BoolArray = np.isfinite(away)
    return found


def _edges(simplices: IntArray) -> IntArray:
    """Return the sides of triangles, each once, shape (n, 2)."""
    sides = np.concatenate([simplices[:, [0, 1]], simplices[:, [1, 2]], simplices[:, [2, 0]]])
    # One number for each pair is sorted several times faster than rows are.
    count = int(sides.max()) + 1
    low, high = np.divmod(np.unique(sides.min(axis=1) * count + sides.max(axis=1)), count)
    return np.stack([low, high], axis=1).astype(np.int64)


def _network(rings: FloatArray) -> tuple[IntArray, IntArray]:
    """Return triangles of rings, which are the atoms, and pairs of atoms that are bonded."""
    from scipy.spatial import Delaunay

    mesh = Delaunay(rings)
    corners = rings[mesh.simplices]
    sides = corners - np.roll(corners, 1, axis=1)
    whole = np.hypot(sides[..., 0], sides[..., 1]).max(axis=1) < _LONGEST * APART
    index = np.where(whole, np.cumsum(whole) - 1, -1)
    one = np.repeat(np.arange(len(whole)), 3)
    other = mesh.neighbors.ravel()
    pairs = (one < other) & whole[one] & whole[other]
    links = np.stack([index[one[pairs]], index[other[pairs]]], axis=1)
    return mesh.simplices[whole], links


def _relaxed(atoms: FloatArray, links: IntArray, near: BoolArray) -> FloatArray:
    """Return the atoms with those near the boundary moved to where bonds and angles fit best."""
    from scipy.optimize import minimize

    second = _second(links, len(atoms))
    pairs = np.concatenate([links, second])
    rest = np.concatenate([np.full(len(links), 1.0), np.full(len(second), np.sqrt(3))])
    stiff = np.concatenate([np.full(len(links), 1.0), np.full(len(second), _ANGLES)])
    used = near[pairs].any(axis=1)
    if not used.any():
        return atoms
    few, pairs = np.unique(pairs[used], return_inverse=True)
    pairs, rest, stiff = pairs.reshape(-1, 2), rest[used], stiff[used]
    place, free = atoms[few] / BOND, np.flatnonzero(near[few])

    def energy(flat: FloatArray) -> tuple[float, FloatArray]:
        place[free] = flat.reshape(-1, 2)
        apart = place[pairs[:, 1]] - place[pairs[:, 0]]
        length = np.hypot(apart[:, 0], apart[:, 1])
        misfit = length - rest
        pull = apart * (stiff * misfit / length)[:, None]
        slope = [
            np.bincount(pairs[:, 1], pull[:, axis], len(place))
            - np.bincount(pairs[:, 0], pull[:, axis], len(place))
            for axis in (0, 1)
        ]
        return float(0.5 * np.sum(stiff * misfit**2)), np.stack(slope, axis=1)[free].ravel()

    start = place[free].ravel()
    done = minimize(energy, start, jac=True, method="L-BFGS-B", options={"maxiter": 150})
    found = atoms.copy()
    found[few[free]] = done.x.reshape(-1, 2) * BOND
    return found


def _second(links: IntArray, count: int) -> IntArray:
    """Return pairs of atoms that have a neighbour in common, shape (n, 2)."""
    from scipy.sparse import csr_matrix, triu

    ones = np.ones(2 * len(links))
    both = np.concatenate([links, links[:, ::-1]])
    bonded = csr_matrix((ones, (both[:, 0], both[:, 1])), shape=(count, count))
    pairs = triu(bonded @ bonded, k=1).tocoo()
    found: IntArray = np.stack([pairs.row, pairs.col], axis=1).astype(np.int64)
    return found
