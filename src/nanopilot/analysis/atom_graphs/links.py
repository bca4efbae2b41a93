"""Which columns are a period apart, and so of one sublattice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from nanopilot.core.history import FloatArray

IntArray = np.ndarray[Any, np.dtype[np.int64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: A column is where a period expects it, within this share of the distance of next neighbours.
WITHIN = 0.35
#: Indices of the steps that links are made along: a pair of opposite ones each, four pairs.
STEPS = np.array([[1, 0], [-1, 0], [0, 1], [0, -1], [1, 1], [-1, -1], [1, -1], [-1, 1]])
#: Share of all columns from which a joined set of them is a sublattice.
_SHARE, _FEWEST = 0.05, 6


@dataclass(frozen=True, slots=True, eq=False)
class Links:
    """Neighbours a period apart.

    Parameters
    ----------
    to : numpy.ndarray
        Which node lies at each of the steps of `STEPS`, -1 where none does, shape (n, 8).
    steps : numpy.ndarray
        The steps in the unit of the places, shape (8, 2).
    near : float
        Distance of next neighbours in that unit.
    """

    to: IntArray
    steps: FloatArray
    near: float

    @property
    def there(self) -> BoolArray:
        """Which links there are, shape (n, 8)."""
        return np.asarray(self.to >= 0)

    def of(self, values: FloatArray) -> FloatArray:
        """Return a number of the nodes at the ends of all links, NaN where none is, (n, 8, ...)."""
        there = self.there
        found = np.full((*self.to.shape, *values.shape[1:]), np.nan)
        found[there] = values[self.to[there]]
        return found


def link(place: FloatArray, periods: FloatArray, near: float) -> Links:
    """Look for a column at each of the 8 nearest steps of the lattice from each column.

    Parameters
    ----------
    place : numpy.ndarray
        Shape (n, 2).
    periods : numpy.ndarray
        Rows, shape (2, 2).
    near : float
        Distance of next neighbours.
    """
    steps = STEPS @ periods
    wanted = place[:, None] + steps
    tree: Any = cKDTree(place)
    far, at = tree.query(wanted, distance_upper_bound=WITHIN * near)
    return Links(np.where(np.isfinite(far), at, -1).astype(np.int64), steps, near)


def sublattices(place: FloatArray, links: Links, periods: FloatArray) -> IntArray:
    """Return the sublattice of each node by geometry alone: which periods join it to which.

    Sets of columns that periods join are sublattices if they are large; sets that lie a whole
    number of periods from one another are one sublattice. Nodes of small sets are -1, unless they
    lie whole periods from a large one.

    Parameters
    ----------
    place : numpy.ndarray
        Shape (n, 2).
    links : Links
        As of `link`.
    periods : numpy.ndarray
        Rows, shape (2, 2).

    Returns
    -------
    numpy.ndarray
        Whole numbers, shape (n,); 0 is the sublattice of the most nodes.
    """
    n = len(place)
    rows, ways = np.nonzero(links.there)
    joined = coo_matrix((np.ones(len(rows)), (rows, links.to[rows, ways])), shape=(n, n))
    _, part = connected_components(joined, directed=False)
    part = part.astype(np.int64)
    counts = np.bincount(part)
    large = np.argsort(-counts, kind="stable")
    large = large[counts[large] >= max(_FEWEST, _SHARE * n)]
    named = np.full(n, -1, dtype=np.int64)
    classes = 0
    for one in large:
        own = part == one
        there = _same(place, (own, named), periods, links.near)
        if there < 0:
            there, classes = classes, classes + 1
        named[own] = there
    for one in np.unique(part[named < 0]):
        own = part == one
        named[own] = _same(place, (own, named), periods, links.near)
    return named


def _same(
    place: FloatArray, masks: tuple[BoolArray, IntArray], periods: FloatArray, near: float
) -> int:
    """Return the sublattice whose nodes lie whole periods from a set of nodes, or -1."""
    own, named = masks
    others = np.flatnonzero(named >= 0)
    if not others.size:
        return -1
    some = np.flatnonzero(own)
    tree: Any = cKDTree(place[others])
    far, at = tree.query(place[some], k=min(8, others.size))
    far, at = np.atleast_2d(far.T).T, np.atleast_2d(at.T).T
    # Those that lie next to the other sets; strain adds up with distance.
    close = np.argsort(far[:, 0], kind="stable")[:50]
    away = (place[some[close]][:, None] - place[others[at[close]]]) @ np.linalg.inv(periods)
    off = np.hypot(*((away - np.rint(away)) @ periods).transpose(2, 0, 1)) < WITHIN * near
    votes = np.bincount(named[others[at[close]]][off], minlength=1)
    return int(votes.argmax()) if off.any() and votes.max() >= 0.5 * len(close) else -1
