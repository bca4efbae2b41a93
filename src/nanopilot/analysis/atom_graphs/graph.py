"""Bonds between atomic columns: a triangulation whose long edges are cut, or next neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.spatial import Delaunay, QhullError, cKDTree

from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.core.history import FloatArray

IntArray = np.ndarray[Any, np.dtype[np.int64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: Edges longer than this many next-neighbour distances of their ends are cut.
LONGEST = 1.75
#: A node without others in so wide an angle lies at an edge; others so near are looked at.
_OPEN, _AROUND, _ASKED = np.radians(140.0), 2.3, 18


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """Nodes and the bonds between them.

    Parameters
    ----------
    place : numpy.ndarray
        (x, y) of the nodes in metres, shape (n, 2).
    edges : numpy.ndarray
        Nodes at both ends, each pair once, the smaller number first, shape (m, 2).
    boundary : numpy.ndarray of bool
        Nodes at an edge of the crystal or of the frame, shape (n,).
    """

    place: FloatArray
    edges: IntArray
    boundary: BoolArray

    @property
    def bonds(self) -> FloatArray:
        """Bond vectors from the first to the second node in metres, shape (m, 2)."""
        found: FloatArray = self.place[self.edges[:, 1]] - self.place[self.edges[:, 0]]
        return found

    @property
    def lengths(self) -> FloatArray:
        """Lengths of the bonds in metres, shape (m,)."""
        return np.asarray(np.hypot(*self.bonds.T))

    def degrees(self) -> IntArray:
        """Return how many bonds each node has, shape (n,)."""
        return np.bincount(self.edges.ravel(), minlength=len(self.place))


def build_graph(
    place: FloatArray,
    *,
    bonds: Literal["triangles", "nearest"] = "triangles",
    nearest: int = 6,
    longest: float = LONGEST,
) -> Graph:
    """Join columns to their neighbours.

    Parameters
    ----------
    place : numpy.ndarray
        (x, y) in metres, shape (n, 2).
    bonds : {"triangles", "nearest"}
        Delaunay triangulation, or each node with its `nearest` next neighbours. Memory grows with
        the number of nodes for both.
    nearest : int
        How many neighbours, for "nearest".
    longest : float
        Edges longer than so many next-neighbour distances (of the end with the larger one) are
        cut: those across vacuum and along the hull.

    Raises
    ------
    SignalError
        Fewer than 4 nodes, or all on one line.
    OutOfRange
        `nearest` is less than 1, or `longest` not more than 1.
    """
    if nearest < 1 or longest <= 1:
        raise OutOfRange(
            f"`nearest` is {nearest}, `longest` {longest}; they are at least 1 and more than 1."
        )
    if len(place) < 4:
        raise SignalError(f"a graph needs 4 columns or more; there are {len(place)}.")
    tree: Any = cKDTree(place)
    far, at = tree.query(place, k=min(max(nearest, _ASKED) + 1, len(place)))
    pairs = _nearest(at, nearest) if bonds == "nearest" else _triangles(place)
    pairs = np.unique(np.sort(pairs, axis=1), axis=0)
    # The middling of three, so that one short bond does not cut the others of its node.
    scale = np.maximum(np.median(far[:, 1:4], axis=1), np.median(far[:, 1]))
    length = np.hypot(*(place[pairs[:, 1]] - place[pairs[:, 0]]).T)
    pairs = pairs[length <= longest * scale[pairs].max(axis=1)]
    return Graph(place, pairs.astype(np.int64), boundary(place))


def boundary(place: FloatArray) -> BoolArray:
    """Return which nodes have no others in an angle of 140 degrees or more, shape (n,).

    Others up to 2.3 next-neighbour distances away count, so that a vacancy beside a node does not
    make it one at an edge, nor does a fixed number of neighbours.

    Parameters
    ----------
    place : numpy.ndarray
        Shape (n, 2).
    """
    tree: Any = cKDTree(place)
    far, at = tree.query(place, k=min(_ASKED + 1, len(place)))
    reach = _AROUND * float(np.median(far[:, 1]))
    away = place[at[:, 1:]] - place[:, None]
    angle = np.where(far[:, 1:] <= reach, np.arctan2(away[..., 1], away[..., 0]), np.inf)
    return np.asarray(_gaps(angle) > _OPEN)


def largest_gap(vectors: FloatArray) -> float:
    """Return the largest angle between neighbouring directions, in radians.

    Parameters
    ----------
    vectors : numpy.ndarray
        Shape (n, 2), n at least 1.
    """
    return float(_gaps(np.arctan2(vectors[:, 1], vectors[:, 0])[None])[0])


def _gaps(angle: FloatArray) -> FloatArray:
    """Return the largest gap between angles of each row; infinite ones are none."""
    ordered = np.sort(angle, axis=1)
    known = np.isfinite(ordered)
    with np.errstate(invalid="ignore"):
        steps = np.where(known[:, 1:], np.diff(ordered, axis=1), 0.0)
    last = np.where(known, ordered, -np.inf).max(axis=1)
    round_ = np.where(known[:, 0], ordered[:, 0] + 2 * np.pi - last, 2 * np.pi)
    return np.asarray(np.maximum(steps.max(axis=1, initial=0.0), round_))


def _nearest(at: IntArray, nearest: int) -> IntArray:
    own = np.repeat(np.arange(len(at)), min(nearest, at.shape[1] - 1))
    return np.stack([own, at[:, 1 : nearest + 1].ravel()], axis=1)


def _triangles(place: FloatArray) -> IntArray:
    scale = np.ptp(place, axis=0).max()
    try:
        found = Delaunay((place - place.mean(axis=0)) / (scale or 1.0)).simplices
    except QhullError as cause:
        raise SignalError("columns lie on one line; a graph needs a plane of them.") from cause
    return np.concatenate([found[:, [0, 1]], found[:, [1, 2]], found[:, [2, 0]]])
