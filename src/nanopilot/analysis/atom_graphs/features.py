"""What a site is like, whatever way the crystal is turned and however large it is drawn."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from nanopilot.analysis.atom_graphs.crystal import Crystal
from nanopilot.analysis.atom_graphs.graph import Graph
from nanopilot.analysis.atom_graphs.strain import local_strain
from nanopilot.analysis.frame_arrays import NORMAL_MAD
from nanopilot.core.history import FloatArray

#: Values of neighbours that a height is held against, at least.
_LEAST = 3
#: Nodes of the other sublattice that one is held against, at most.
_AROUND = 6
#: Bonds over which strain is pooled: of the site itself, and of all around.
HOPS = (0, 1)
#: Names of the numbers of a node, and of a bond.
NODE_FEATURES = (
    "relative height", "height over its spread", "displacement", "displacement over its spread",
    "dilatation", "shear", "rotation", "psi 4", "psi 6", "empty",
)  # fmt: skip
EDGE_FEATURES = ("length", "stretch", "alike")
#: Standard deviations beyond which a number of a node does not get any larger.
_LARGEST = 12.0


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Numbers of nodes and bonds without unit, place or direction.

    Parameters
    ----------
    height : numpy.ndarray
        Height over that of the same sublattice nearby, less 1, shape (n,).
    height_spread : numpy.ndarray
        What is usual of it, a standard deviation, shape (n,).
    displacement : numpy.ndarray
        (x, y) from the middle of opposite neighbours a period away, over the distance of next
        neighbours; NaN without such neighbours, shape (n, 2).
    strain : numpy.ndarray
        As of `local_strain`, of the site itself, shape (n, 4).
    pooled : numpy.ndarray
        The same with the sites around, shape (n, 4).
    polarity : numpy.ndarray
        As of `polarity`, shape (n, 2).
    order : numpy.ndarray
        Bond-orientational order psi 4 and psi 6, shape (n, 2).
    """

    height: FloatArray
    height_spread: FloatArray
    displacement: FloatArray
    strain: FloatArray
    pooled: FloatArray
    polarity: FloatArray
    order: FloatArray


def measure_features(crystal: Crystal) -> Features:
    """Return the features of every node.

    Parameters
    ----------
    crystal : Crystal
        As of `read_crystal`.
    """
    reference = reference_height(crystal)
    height = crystal.height / reference - 1
    single, pooled = (
        local_strain(crystal.graph, crystal.links, crystal.column, hops) for hops in HOPS
    )
    return Features(
        height, _spread(height, reference, crystal), displacement(crystal), single, pooled,
        polarity(crystal), bond_order(crystal.graph),
    )  # fmt: skip


def reference_height(crystal: Crystal) -> FloatArray:
    """Return the median height of up to 16 of the same sublattice around each node, shape (n,).

    Heights are held against it, so that thickness that changes slowly drops out, and so does
    brightness. NaN where fewer than 3 are around.

    Parameters
    ----------
    crystal : Crystal
        As of `read_crystal`.
    """
    to = crystal.links.to
    ways = np.arange(to.shape[1])
    # As far again in the same direction.
    further = np.where(to >= 0, to[np.maximum(to, 0), ways], -1)
    both = np.concatenate([to, further], axis=1)
    around = np.where(both >= 0, crystal.height[np.maximum(both, 0)], np.nan)
    reference = _median(around)
    reference[np.isfinite(around).sum(axis=1) < _LEAST] = np.nan
    lowest = 0.05 * np.median(np.abs(crystal.height))
    return np.asarray(np.maximum(reference, lowest))


def _median(values: FloatArray) -> FloatArray:
    """Return the median along the second axis, NaN left out; NaN where all are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanmedian(values, axis=1))


def _spread(height: FloatArray, reference: FloatArray, crystal: Crystal) -> FloatArray:
    """Return the usual spread of relative heights of a sublattice, more for uncertain ones."""
    spread = np.full(len(height), np.nan)
    error = np.abs(crystal.height_error / reference)
    for kind in np.unique(crystal.sublattice):
        own = crystal.sublattice == kind
        known = own & np.isfinite(height) & ~crystal.edge
        known = known if known.sum() >= 8 else np.isfinite(height)
        middle = np.median(height[known]) if known.any() else 0.0
        usual = NORMAL_MAD * np.median(np.abs(height[known] - middle)) if known.any() else 1.0
        typical = float(np.median(error[known])) if known.any() else 0.0
        more = np.clip(error[own] ** 2 - typical**2, 0, None)
        spread[own] = np.sqrt(max(usual, 1e-3) ** 2 + more)
    return spread


def displacement(crystal: Crystal) -> FloatArray:
    """Return places less the middle of opposite neighbours, over the next-neighbour distance.

    The median over up to four pairs. Even strain moves both of a pair oppositely and drops out.

    Parameters
    ----------
    crystal : Crystal
        As of `read_crystal`.

    Returns
    -------
    numpy.ndarray
        (x, y), shape (n, 2); NaN for empty sites and without a whole pair.
    """
    place = np.where(crystal.column[:, None], crystal.place, np.nan)
    ends = crystal.links.of(place)
    middles = 0.5 * (ends[:, 0::2] + ends[:, 1::2])
    away = place - np.stack([_median(middles[..., axis]) for axis in (0, 1)], axis=1)
    found: FloatArray = away / crystal.links.near
    return found


def polarity(crystal: Crystal) -> FloatArray:
    """Return how far one sublattice is shifted against the other, over the next distance.

    About each node: the mean difference between it and the nearest of the other sublattice, less
    what is usual in the frame, always that of the second sublattice against the first.

    Parameters
    ----------
    crystal : Crystal
        As of `read_crystal`.

    Returns
    -------
    numpy.ndarray
        (x, y), shape (n, 2); NaN for empty sites, and everywhere but for two sublattices.
    """
    found = np.full((len(crystal.place), 2), np.nan)
    if crystal.sublattice.max(initial=-1) != 1:
        return found
    for kind, sign in ((0, -1.0), (1, 1.0)):
        own = np.flatnonzero((crystal.sublattice == kind) & crystal.column)
        others = np.flatnonzero((crystal.sublattice == 1 - kind) & crystal.column)
        if len(own) < _LEAST or len(others) < _AROUND:
            continue
        tree: Any = cKDTree(crystal.place[others])
        far, at = tree.query(crystal.place[own], k=_AROUND)
        away = (crystal.place[own][:, None] - crystal.place[others[at]]) @ np.linalg.inv(
            crystal.periods
        )
        # Differences are known but for whole periods: their mean is one of angles.
        usual = np.angle(np.exp(2j * np.pi * away).mean(axis=(0, 1))) / (2 * np.pi)
        away = ((away - usual + 0.5) % 1.0 - 0.5) @ crystal.periods
        away[far > 1.3 * far[:, :1]] = np.nan
        found[own] = sign * np.stack([np.nanmean(away[..., d], axis=1) for d in (0, 1)], axis=1)
    return np.asarray(found / crystal.links.near)


def jumps(values: FloatArray, crystal: Crystal) -> list[FloatArray]:
    """Return differences between opposite neighbours a period away, four times shape (n, d).

    Parameters
    ----------
    values : numpy.ndarray
        Of the nodes, shape (n, d).
    crystal : Crystal
        As of `read_crystal`.
    """
    ends = crystal.links.of(values)
    return [ends[:, pair] - ends[:, pair + 1] for pair in range(0, ends.shape[1], 2)]


def bond_order(graph: Graph) -> FloatArray:
    """Return the magnitudes of the bond-orientational order psi 4 and psi 6, shape (n, 2).

    The mean over bonds of exp(i m angle): D. R. Nelson and B. I. Halperin, Phys. Rev. B 19 (1979)
    2457, equation 2.8, with m 4 and 6. Bonds longer than 1.25 times the shortest of both ends do
    not count, so that the diagonals a triangulation puts into squares do not either.

    Parameters
    ----------
    graph : Graph
        Bonds.
    """
    n, (first, second) = len(graph.place), graph.edges.T
    shortest = np.full(n, np.inf)
    for ends in (first, second):
        np.minimum.at(shortest, ends, graph.lengths)
    short = graph.lengths < 1.25 * np.minimum(shortest[first], shortest[second])
    angle = np.arctan2(graph.bonds[short, 1], graph.bonds[short, 0])
    ends, twice = np.concatenate([first[short], second[short]]), np.tile(angle, 2)
    count = np.maximum(np.bincount(ends, minlength=n), 1)
    found = []
    for order in (4, 6):
        # The bond from the other end points the other way: the same for even orders.
        real = np.bincount(ends, np.cos(order * twice), minlength=n)
        other = np.bincount(ends, np.sin(order * twice), minlength=n)
        found.append(np.hypot(real, other) / count)
    return np.stack(found, axis=1)


def node_table(crystal: Crystal, features: Features) -> FloatArray:
    """Return `NODE_FEATURES` of every node, standardised robustly, shape (n, 10).

    Numbers are in robust standard deviations of their own frame, except those that are measures
    of their own kind (order, empty) and the relative height. What is not known is 0.

    Parameters
    ----------
    crystal : Crystal
        As of `read_crystal`.
    features : Features
        As of `measure_features`.
    """
    strain = features.pooled - _middle(features.pooled)
    shear = np.hypot(strain[:, 0] - strain[:, 1], 2 * strain[:, 2])
    away = np.hypot(*features.displacement.T)
    table = np.column_stack(
        [
            3 * np.clip(features.height, -1.5, 2.0),
            features.height / features.height_spread,
            50 * away,
            away / max(float(_middle(away[:, None])[0]), 1e-4),
            _standard(strain[:, 0] + strain[:, 1]),
            shear / max(float(_middle(shear[:, None])[0]), 1e-4),
            np.abs(_standard(strain[:, 3])),
            features.order,
            ~crystal.column,
        ]
    )
    known = np.nan_to_num(table, nan=0.0, posinf=0.0, neginf=0.0)
    return np.asarray(np.clip(known, -_LARGEST, _LARGEST))


def edge_table(crystal: Crystal) -> FloatArray:
    """Return `EDGE_FEATURES` of every bond, shape (m, 3).

    Length over the next-neighbour distance; length over the median length of the bonds nearest in
    length, less 1, times 20; whether both ends are of one sublattice.

    Parameters
    ----------
    crystal : Crystal
        As of `read_crystal`.
    """
    length = crystal.graph.lengths / crystal.links.near
    tree: Any = cKDTree(_vectors(crystal))
    _, at = tree.query(_vectors(crystal), k=min(15, len(length)))
    usual = np.median(length[np.atleast_2d(at.T).T], axis=1)
    first, second = crystal.graph.edges.T
    alike = crystal.sublattice[first] == crystal.sublattice[second]
    stretch = np.clip(20 * (length / usual - 1), -_LARGEST, _LARGEST)
    return np.column_stack([length, stretch, alike])


def _vectors(crystal: Crystal) -> FloatArray:
    """Return bond vectors of one half plane, over the next-neighbour distance."""
    bonds = crystal.graph.bonds / crystal.links.near
    up = (bonds[:, 1] > 1e-9) | ((np.abs(bonds[:, 1]) <= 1e-9) & (bonds[:, 0] > 0))
    return np.asarray(np.where(up[:, None], bonds, -bonds))


def _middle(values: FloatArray) -> FloatArray:
    known = values[np.isfinite(values).all(axis=1)]
    return np.asarray(np.median(known, axis=0) if len(known) else np.zeros(values.shape[1]))


def _standard(values: FloatArray) -> FloatArray:
    known = values[np.isfinite(values)]
    middle = float(np.median(known)) if len(known) else 0.0
    spread = NORMAL_MAD * float(np.median(np.abs(known - middle))) if len(known) else 1.0
    return np.asarray((values - middle) / max(spread, 1e-5))
