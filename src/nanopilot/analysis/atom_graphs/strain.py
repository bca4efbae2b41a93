"""How the lattice is stretched and bent about each site, against what is usual in the frame."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix, eye

from nanopilot.analysis.atom_graphs.graph import Graph
from nanopilot.analysis.atom_graphs.links import Links
from nanopilot.core.history import FloatArray

BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: Pairs of a period that an affine map has to rest on.
_FEWEST = 6
#: Rounds of weighting, and the share of regular sites whose distance weight reaches, and beyond.
_ROUNDS, _REGULAR, _BEYOND = 12, 0.99, 1.3


def local_strain(graph: Graph, links: Links, known: BoolArray, hops: int = 1) -> FloatArray:
    """Return the affine distortion about each node: strain xx, yy, xy and rotation, shape (n, 4).

    Least squares from the lattice's own steps to those found between columns a period apart, over
    the node and all that are up to `hops` bonds away, of every sublattice. NaN where fewer than 6
    steps, or steps of one direction only, are there.

    Parameters
    ----------
    graph : Graph
        Bonds that pool nodes.
    links : Links
        Columns a period apart.
    known : numpy.ndarray of bool
        Nodes that are columns; vacant sites have no place of their own, shape (n,).
    hops : int
        Bonds over which steps are pooled.
    """
    n = len(graph.place)
    rows, ways = np.nonzero(links.there)
    ends = links.to[rows, ways]
    both = known[rows] & known[ends]
    rows, ways, ends = rows[both], ways[both], ends[both]
    before, after = links.steps[ways], graph.place[ends] - graph.place[rows]
    pairs = [before[:, :, None] * before[:, None, :], after[:, :, None] * before[:, None, :]]
    sums = np.zeros((n, 9))
    for column, values in enumerate(np.concatenate([one.reshape(-1, 4) for one in pairs], 1).T):
        sums[:, column] = np.bincount(rows, values, minlength=n)
    sums[:, 8] = np.bincount(rows, minlength=n)
    pool = _pool(graph)
    for _ in range(hops):
        sums = pool @ sums
    found = np.full((n, 4), np.nan)
    moment = sums[:, :4].reshape(-1, 2, 2) / links.near**2
    sure = (sums[:, 8] >= _FEWEST) & (np.linalg.eigvalsh(moment)[:, 0] > 0.5)
    bend = (sums[sure, 4:8].reshape(-1, 2, 2) / links.near**2) @ np.linalg.inv(moment[sure])
    bend -= np.eye(2)
    found[sure] = np.stack(
        [
            bend[:, 0, 0],
            bend[:, 1, 1],
            0.5 * (bend[:, 0, 1] + bend[:, 1, 0]),
            0.5 * (bend[:, 1, 0] - bend[:, 0, 1]),
        ],
        axis=1,
    )
    return found


def _pool(graph: Graph) -> csr_matrix:
    """Return the matrix that sums over a node and those bonded to it."""
    n, (first, second) = len(graph.place), graph.edges.T
    ones = np.ones(len(first))
    joined = coo_matrix((ones, (first, second)), shape=(n, n)).tocsr()
    return (joined + joined.T + eye(n)).tocsr()


def unusual(values: FloatArray, place: FloatArray, floor: float = 0.0) -> FloatArray:
    """Return the squared Mahalanobis distance of each row from what is usual where it is.

    Usual is a plane over the frame (a stretch that changes slowly, as drift and bending do, is no
    anomaly) and a covariance, both by Tukey's biweight on the distance itself, so that anomalies
    do not set their own measure; P. J. Huber, Robust Statistics (1981), chapter 8. NaN rows stay.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (n, d).
    place : numpy.ndarray
        Shape (n, 2), any unit.
    floor : float
        Spread that is usual in any case: smaller differences are no anomaly, however surely they
        are measured.
    """
    from scipy.stats import chi2

    found = np.full(len(values), np.nan)
    known = np.isfinite(values).all(axis=1)
    if known.sum() < 10:
        return found
    rows, at = values[known], place[known]
    at = (at - at.mean(axis=0)) / np.maximum(at.std(axis=0), 1e-300)
    design = np.column_stack([np.ones(len(at)), at])
    middle = np.median(rows, axis=0)
    left = rows - middle
    spread = np.diag(np.maximum(1.4826 * np.median(np.abs(left), axis=0), 1e-12) ** 2)
    usual = float(chi2.ppf(0.5, rows.shape[1]))
    cut = _BEYOND * float(chi2.ppf(_REGULAR, rows.shape[1]))
    for _ in range(_ROUNDS):
        square = _square(left, spread)
        spread *= max(float(np.median(square)), 1e-300) / usual
        square *= usual / max(float(np.median(square)), 1e-300)
        weight = np.clip(1 - square / cut, 0, None) ** 2
        right = design.T * weight
        left = rows - design @ np.linalg.lstsq(right @ design, right @ rows, rcond=None)[0]
        spread = (left.T * weight) @ left / max(weight.sum(), 1e-300)
    spread *= max(float(np.median(_square(left, spread))), 1e-300) / usual
    found[known] = _square(left, spread + floor**2 * np.eye(rows.shape[1]))
    return found


def _square(left: FloatArray, spread: FloatArray) -> FloatArray:
    inverse = np.linalg.pinv(spread, hermitian=True)
    return np.asarray(np.einsum("ij,jk,ik->i", left, inverse, left))


def as_normal(square: FloatArray, free: int) -> FloatArray:
    """Return squared distances as deviations of a normal number, about 0 with spread 1.

    E. B. Wilson and M. M. Hilferty, Proc. Natl. Acad. Sci. 17 (1931) 684: the cube root of a
    chi-square number over its degrees of freedom is nearly normal.

    Parameters
    ----------
    square : numpy.ndarray
        Any shape.
    free : int
        Degrees of freedom.
    """
    part = 2 / (9 * free)
    return np.asarray((np.cbrt(square / free) - (1 - part)) / np.sqrt(part))
