"""How unusual each site is, how sure that is, and of which class it looks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from nanopilot.analysis.atom_graphs.crystal import Crystal
from nanopilot.analysis.atom_graphs.features import Features, jumps, measure_features
from nanopilot.analysis.atom_graphs.strain import as_normal, unusual
from nanopilot.analysis.frame_arrays import robust_std
from nanopilot.core.history import FloatArray

IntArray = np.ndarray[Any, np.dtype[np.int64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: Classes of sites, by number.
CLASSES = (
    "regular", "vacancy", "heavier", "lighter", "antisite", "strain", "wall", "boundary",
)  # fmt: skip
REGULAR, VACANCY, HEAVIER, LIGHTER, ANTISITE, STRAIN, WALL, BOUNDARY = range(len(CLASSES))
#: A site is unusual from this score; a column less by so much is at least partly missing.
FLAGGED, _MISSING = 5.0, 0.3
#: Two sublattices are told apart if their relative heights lie so many spreads from one another.
_APART = 4.0
#: A wall is at least so many next-neighbour distances long and so many times longer than wide.
_LONG, _SLENDER = 6.0, 3.0
#: Displacement over the distance of next neighbours, and strain, that are no anomaly in any case.
_LITTLE_MOVED, _LITTLE_BENT = 0.004, 0.002
#: Directions in which a jump has to be known, and the least that their mean spreads.
_FEWEST, _NARROWEST = 3, 0.3


@dataclass(frozen=True, slots=True, eq=False)
class Channels:
    """How unusual a site is in each respect, about 0 with spread 1 where nothing is.

    Parameters
    ----------
    height : numpy.ndarray
        Relative height over its spread, with sign, shape (n,).
    displacement, strain, jump : numpy.ndarray
        Mahalanobis distances as normal deviations, shape (n,); NaN where they are not known. The
        last is that of the differences of strain, and of the shift of one sublattice against the
        other, between opposite neighbours.
    """

    height: FloatArray
    displacement: FloatArray
    strain: FloatArray
    jump: FloatArray

    def score(self) -> FloatArray:
        """Return the largest of the four, NaN left out, shape (n,)."""
        parts = np.stack([np.abs(self.height), self.displacement, self.strain, self.jump])
        return np.asarray(np.where(np.isfinite(parts), parts, -np.inf).max(axis=0))


def judge(crystal: Crystal, features: Features) -> Channels:
    """Return how unusual each site is.

    Parameters
    ----------
    crystal : Crystal
        As of `read_crystal`.
    features : Features
        As of `measure_features`.
    """
    moved = np.full(len(crystal.place), np.nan)
    for kind in np.unique(crystal.sublattice):
        # Sublattices are not equally well placed: the dimmer one has the larger errors.
        own = crystal.sublattice == kind
        moved[own] = unusual(features.displacement[own], crystal.place[own], _LITTLE_MOVED)
    bent = unusual(features.pooled, crystal.place, _LITTLE_BENT)
    return Channels(
        features.height / features.height_spread,
        as_normal(moved, 2),
        as_normal(bent, 4),
        np.fmax(
            _jump(features.strain, crystal, _LITTLE_BENT),
            _jump(features.polarity, crystal, _LITTLE_MOVED),
        ),
    )


def _jump(values: FloatArray, crystal: Crystal, floor: float) -> FloatArray:
    """Return how unusually a number differs between opposite neighbours, as normal deviations."""
    found = [
        as_normal(unusual(one, crystal.place, np.sqrt(2) * floor), values.shape[1])
        for one in jumps(values, crystal)
    ]
    known = np.isfinite(found).sum(axis=0)
    # A mean over directions that mostly agree: along a wall one of four sees nothing.
    mean = np.where(known >= _FEWEST, np.nansum(found, axis=0) / np.maximum(known, 1), np.nan)
    if not np.isfinite(mean).any():
        return mean
    middle: FloatArray = mean - np.nanmedian(mean)
    # The mean of several spreads less than each.
    return middle / max(robust_std(mean), _NARROWEST)


def spread(crystal: Crystal) -> FloatArray:
    """Return how much scores depend on which neighbours are asked, a standard error, shape (n,).

    The jackknife over the four pairs of opposite steps of the lattice: each is left out in turn.
    B. Efron and C. Stein, Ann. Stat. 9 (1981) 586.

    Parameters
    ----------
    crystal : Crystal
        As of `read_crystal`.
    """
    scores = []
    for pair in range(0, crystal.links.to.shape[1], 2):
        to = crystal.links.to.copy()
        to[:, pair : pair + 2] = -1
        other = replace(crystal, links=replace(crystal.links, to=to))
        scores.append(judge(other, measure_features(other)).score())
    values = np.stack(scores)
    away = np.where(np.isfinite(values), values, np.nan)
    known = np.isfinite(away).all(axis=0)
    found = np.full(values.shape[1], np.nan)
    count = len(values)
    middle = away[:, known].mean(axis=0)
    found[known] = np.sqrt((count - 1) / count * ((away[:, known] - middle) ** 2).sum(axis=0))
    return found


def classify(
    crystal: Crystal, features: Features, channels: Channels, flagged: float = FLAGGED
) -> IntArray:
    """Return the class of each site, a number of `CLASSES`, shape (n,).

    Sites at an edge are "boundary", whatever their score. "antisite" is only said where both
    sublattices are told apart by their heights: see `told_apart`.

    Parameters
    ----------
    crystal : Crystal
        As of `read_crystal`.
    features : Features
        As of `measure_features`.
    channels : Channels
        As of `judge`.
    flagged : float
        Score from which a site is unusual.
    """
    found = np.full(len(crystal.place), REGULAR, dtype=np.int64)
    by_height = np.abs(channels.height) > flagged
    found[by_height] = np.where(features.height[by_height] > 0, HEAVIER, LIGHTER)
    found[by_height & (features.height <= -_MISSING)] = VACANCY
    if told_apart(crystal, features):
        off = other_height(crystal)
        near = np.abs(off) < np.minimum(4 * features.height_spread, 0.12)
        found[by_height & near & crystal.column] = ANTISITE
    by_place = [channels.strain, channels.displacement, channels.jump]
    bent = (np.fmax.reduce(by_place) > flagged) & ~by_height
    found[bent] = STRAIN
    # Many in a row are a wall though none of them would be sure alone.
    found[_walls(crystal, (channels.jump > 0.6 * flagged) & ~by_height)] = WALL
    found[crystal.edge] = BOUNDARY
    return found


def told_apart(crystal: Crystal, features: Features) -> bool:
    """Return whether there are two sublattices or more and heights name them surely.

    Parameters
    ----------
    crystal : Crystal
        As of `read_crystal`.
    features : Features
        As of `measure_features`.
    """
    if crystal.sublattice.max(initial=0) < 1:
        return False
    known = np.isfinite(features.height_spread) & ~crystal.edge & (crystal.sublattice >= 0)
    off = np.abs(other_height(crystal))[known]
    good = np.isfinite(off)
    if good.sum() < 8:
        return False
    return bool(np.median(off[good] / features.height_spread[known][good]) > _APART)


def other_height(crystal: Crystal) -> FloatArray:
    """Return height over that of the nearest nodes of the other sublattice, less 1, shape (n,).

    Of several others the one that is nearest in height. NaN where there is none.

    Parameters
    ----------
    crystal : Crystal
        As of `read_crystal`.
    """
    from scipy.spatial import cKDTree

    found = np.full(len(crystal.place), np.nan)
    for kind in range(int(crystal.sublattice.max(initial=-1)) + 1):
        others = np.flatnonzero(crystal.sublattice == kind)
        mine = np.flatnonzero(crystal.sublattice != kind)
        if len(others) < 5 or not len(mine):
            continue
        _, at = cKDTree(crystal.place[others]).query(crystal.place[mine], k=5)
        level = np.maximum(np.median(crystal.height[others[at]], axis=1), 1e-300)
        off = crystal.height[mine] / level - 1
        less = np.isnan(found[mine]) | (np.abs(off) < np.abs(found[mine]))
        found[mine[less]] = off[less]
    return found


def _walls(crystal: Crystal, bent: BoolArray) -> BoolArray:
    """Return the bent sites that hang together in a long, slender set."""
    first, second = crystal.graph.edges.T
    both = bent[first] & bent[second]
    n = len(bent)
    joined = coo_matrix((np.ones(int(both.sum())), (first[both], second[both])), shape=(n, n))
    _, part = connected_components(joined, directed=False)
    found = np.zeros(n, dtype=bool)
    for one in np.flatnonzero(np.bincount(part[bent], minlength=1) >= _LONG):
        own = np.asarray((part == one) & bent)
        size = np.sqrt(np.linalg.eigvalsh(np.cov(crystal.place[own].T)) * 12)
        if size[1] > _LONG * crystal.links.near and size[1] > _SLENDER * size[0]:
            found |= own
    return found
