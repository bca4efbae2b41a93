"""Sites that the lattice expects and where no column was found, and what is there instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from nanopilot.analysis.atom_graphs.graph import largest_gap
from nanopilot.analysis.atom_graphs.links import WITHIN, Links
from nanopilot.core.history import FloatArray

#: Of the 8 neighbours a period away, so many have to expect a site, and all round.
_VOTES, _GAP = 4, np.radians(150.0)
#: A site has no column within this share of the distance of next neighbours.
_FREE = 0.4
#: Widths of a column within which its height is measured.
_MEASURED = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """How columns of a frame look.

    Parameters
    ----------
    inverse : numpy.ndarray
        Inverse covariance of a column (x, y), per pixel squared, shape (2, 2).
    width : float
        Larger standard deviation in pixels.
    """

    inverse: FloatArray
    width: float


def vacant_sites(place: FloatArray, links: Links, box: FloatArray) -> FloatArray:
    """Return where a column should be and is not, shape (m, 2).

    Every node expects others a period away. A place that four or more of the eight expect, from
    all round, and where no column is, is a site. Beyond an edge of the crystal only nodes of one
    side expect anything, so no site is there.

    Parameters
    ----------
    place : numpy.ndarray
        Of the columns, shape (n, 2).
    links : Links
        Of the columns.
    box : numpy.ndarray
        Least and largest place that can be judged, rows, shape (2, 2).
    """
    nodes, ways = np.nonzero(~links.there)
    wanted = place[nodes] + links.steps[ways]
    inside = ((wanted > box[0]) & (wanted < box[1])).all(axis=1)
    nodes, ways, wanted = nodes[inside], ways[inside], wanted[inside]
    if not len(wanted):
        return np.zeros((0, 2))
    tree: Any = cKDTree(wanted)
    pairs = tree.query_pairs(WITHIN * links.near, output_type="ndarray")
    joined = coo_matrix((np.ones(len(pairs)), tuple(pairs.T)), shape=(len(wanted), len(wanted)))
    _, part = connected_components(joined, directed=False)
    found = []
    for one in np.unique(part):
        votes = np.flatnonzero(part == one)
        middle = np.median(wanted[votes], axis=0)
        directions = np.unique(ways[votes])
        if len(directions) >= _VOTES and largest_gap(links.steps[directions]) < _GAP:
            found.append(middle)
    sites = np.array(found).reshape(-1, 2)
    far, _ = cKDTree(place).query(sites) if len(sites) else (np.zeros(0), None)
    kept: FloatArray = sites[np.asarray(far) > _FREE * links.near]
    return kept


def measure(
    image: FloatArray, sites: FloatArray, columns: tuple[FloatArray, FloatArray], shape: Shape
) -> tuple[FloatArray, FloatArray]:
    """Return the height of a column at each site and its error, by least squares.

    What columns nearby add is taken away first; a column of the common shape and a constant
    background are fitted to what is left. So a column that the search has missed is told from an
    empty site, and the error says how surely.

    Parameters
    ----------
    image : numpy.ndarray
        Counts, shape (rows, columns).
    sites : numpy.ndarray
        (x, y) in pixels, shape (m, 2).
    columns : (numpy.ndarray, numpy.ndarray)
        Of the columns: (x, y) in pixels and heights.
    shape : Shape
        Of a column.
    """
    place, height = columns
    reach = max(2, int(np.ceil(_MEASURED * shape.width)))
    around = np.arange(-reach, reach + 1)
    tree: Any = cKDTree(place)
    found, errors = np.zeros(len(sites)), np.zeros(len(sites))
    for n, site in enumerate(sites):
        middle = np.rint(site).astype(int)
        x, y = (np.clip(middle[d] + around, 0, image.shape[1 - d] - 1) for d in (0, 1))
        grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
        left = image[grid[:, 1], grid[:, 0]].astype(float)
        for other in tree.query_ball_point(site, 7 * shape.width + reach):
            left -= height[other] * _bump(grid - place[other], shape)
        design = np.column_stack([_bump(grid - site, shape), np.ones(len(grid))])
        spread = np.linalg.inv(design.T @ design)
        answer = spread @ design.T @ left
        noise = ((left - design @ answer) ** 2).sum() / max(len(left) - 2, 1)
        found[n], errors[n] = answer[0], np.sqrt(spread[0, 0] * noise)
    return found, errors


def _bump(away: FloatArray, shape: Shape) -> FloatArray:
    return np.asarray(np.exp(-0.5 * np.einsum("ij,jk,ik->i", away, shape.inverse, away)))
