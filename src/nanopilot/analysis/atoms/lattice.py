"""Lattices through columns: vectors, displacements, strain, and polarisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.core.signals import SignalSet

Array = np.ndarray[Any, np.dtype[Any]]

#: Columns that a lattice needs.
_FEWEST = 6
#: A neighbour lies where it is expected within so much of the shorter vector.
_WITHIN = 0.3
#: Neighbours that are looked at for the vectors, and for the strain.
_ASKED = 8
#: Two vectors are independent from this sine of the angle between them.
_SINE = 0.35


@dataclass(frozen=True, slots=True, eq=False)
class Lattice:
    """Two vectors, and which column is where in them.

    Parameters
    ----------
    origin : numpy.ndarray
        Place (x, y) of index (0, 0) in metres, shape (2,).
    vectors, errors : numpy.ndarray
        The two vectors as rows (x, y), in metres, and their standard errors, shape (2, 2).
    index : numpy.ndarray
        Of every column, shape (n, 2); columns outside have 0.
    inside : numpy.ndarray of bool
        Columns that belong to it, shape (n,).
    """

    origin: Array
    vectors: Array
    errors: Array
    index: Array
    inside: Array

    def ideal(self) -> Array:
        """Return where every column would be, (x, y) in metres; NaN outside, shape (n, 2)."""
        places = self.origin + self.index @ self.vectors
        found: Array = np.where(self.inside[:, None], places, np.nan)
        return found


def fit_lattice(columns: SignalSet, sublattice: int | None = None) -> Lattice:
    """Fit a lattice to columns, by least squares from neighbour to neighbour.

    Parameters
    ----------
    columns : SignalSet
        ``x, y`` in metres, and ``sublattice`` if one is chosen.
    sublattice : int, optional
        Only these columns; otherwise all.

    Raises
    ------
    SignalError
        Fewer than 6 columns, no two independent vectors between them, or no `sublattice`.
    """
    place = np.stack([columns["x"].to_numpy(), columns["y"].to_numpy()], axis=1)
    chosen = np.ones(len(place), dtype=bool)
    if sublattice is not None:
        if "sublattice" not in columns:
            raise SignalError("`columns` has no `sublattice`; `assign_sublattices` names them.")
        chosen = columns["sublattice"].to_numpy() == sublattice
    if chosen.sum() < _FEWEST:
        raise SignalError(f"a lattice needs {_FEWEST} columns or more; there are {chosen.sum()}.")
    own = place[chosen]
    vectors = _shortest(own)
    index, inside = _indexed(own, vectors)
    design = np.column_stack([np.ones(int(inside.sum())), index[inside]])
    solution, *_ = np.linalg.lstsq(design, own[inside], rcond=None)
    left = own[inside] - design @ solution
    variance = (left**2).sum(axis=0) / max(len(design) - 3, 1)
    spread = np.linalg.pinv(design.T @ design)
    errors = np.sqrt(np.diag(spread)[1:, None] * variance)
    whole = np.zeros((len(place), 2), dtype=np.int64)
    belongs = np.zeros(len(place), dtype=bool)
    whole[chosen], belongs[chosen] = index, inside
    return Lattice(solution[0], solution[1:], errors, whole, belongs)


def _shortest(place: Array) -> Array:
    """Return the two shortest independent vectors that recur between neighbours, shape (2, 2)."""
    from scipy.spatial import cKDTree

    places: Any = cKDTree(place)
    _, near = places.query(place, k=min(_ASKED + 1, len(place)))
    away = (place[near[:, 1:]] - place[:, None]).reshape(-1, 2)
    size = np.hypot(*away.T)
    tolerated = _WITHIN * float(np.median(size[:: near.shape[1] - 1]))
    tree: Any = cKDTree(away)
    votes = np.array([len(one) for one in tree.query_ball_point(away, tolerated)])
    common = votes > 0.35 * votes.max()
    order = np.flatnonzero(common)[np.argsort(size[common], kind="stable")]
    found: list[Array] = []
    for one in order:
        cluster = away[tree.query_ball_point(away[one], tolerated)]
        vector = np.median(cluster, axis=0)
        if found:
            cross = found[0][0] * vector[1] - found[0][1] * vector[0]
            if abs(cross) < _SINE * np.hypot(*found[0]) * np.hypot(*vector):
                continue
        found.append(vector)
        if len(found) == 2:
            return np.array(found)
    raise SignalError("columns have no two independent vectors between neighbours; a row of them?")


def _indexed(place: Array, vectors: Array) -> tuple[Array, Array]:
    """Return the index of every column, told from neighbour to neighbour, and which have one."""
    from scipy.spatial import cKDTree

    tree: Any = cKDTree(place)
    tolerated = _WITHIN * float(np.hypot(*vectors.T).min())
    index = np.zeros((len(place), 2), dtype=np.int64)
    inside = np.zeros(len(place), dtype=bool)
    steps = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
    largest = inside
    best = index
    for seed in np.argsort(np.hypot(*(place - place.mean(axis=0)).T)):
        if largest.sum() > len(place) / 2 or inside[seed]:
            break
        index, reached = np.zeros_like(index), np.zeros_like(inside)
        reached[seed], queue = True, np.array([seed])
        while len(queue):
            wanted = (place[queue][:, None] + steps @ vectors).reshape(-1, 2)
            names = (index[queue][:, None] + steps).reshape(-1, 2)
            far, at = tree.query(wanted)
            good = far < tolerated
            at, names = at[good], names[good]
            at, first = np.unique(at, return_index=True)
            new = ~reached[at]
            index[at[new]], reached[at[new]] = names[first][new], True
            queue = at[new]
        inside = inside | reached
        if reached.sum() > largest.sum():
            largest, best = reached, index
    return best, largest


def map_strain(columns: SignalSet, lattice: Lattice) -> SignalSet:
    """Return the columns with displacement, strain and rotation against a lattice.

    Displacement is place less ideal place. Strain is that of the affine map, by least squares, from
    the ideal differences to a column's neighbours (up to 8) to the true ones: its symmetric part
    less one (small strains; M. J. Hytch, E. Snoeck and R. Kilaas, Ultramicroscopy 74 (1998) 131).
    Columns with fewer than 3 neighbours, or outside the lattice, have NaN.

    Parameters
    ----------
    columns : SignalSet
        As of `find_columns`.
    lattice : Lattice
        As of `fit_lattice` of the same columns.

    Raises
    ------
    OutOfRange
        The lattice is of another number of columns.
    """
    if len(lattice.index) != columns.sizes["point"]:
        raise OutOfRange(
            f"`lattice` has {len(lattice.index)} columns, the table {columns.sizes['point']}; "
            f"fit it to the same table."
        )
    place = np.stack([columns["x"].to_numpy(), columns["y"].to_numpy()], axis=1)
    away = place - lattice.ideal()
    bend = _gradients(place, lattice)
    strain = 0.5 * (bend + bend.transpose(0, 2, 1))
    numbers = {
        "displacement_x": (away[:, 0], "displacement along x", "m"),
        "displacement_y": (away[:, 1], "displacement along y", "m"),
        "strain_xx": (strain[:, 0, 0], "strain", "1"),
        "strain_yy": (strain[:, 1, 1], "strain", "1"),
        "strain_xy": (strain[:, 0, 1], "shear strain", "1"),
        "rotation": (0.5 * (bend[:, 1, 0] - bend[:, 0, 1]), "rotation from x towards y", "rad"),
    }
    return columns.assign(_signals(numbers))


def _gradients(place: Array, lattice: Lattice) -> Array:
    """Return the gradient of displacement about every column, row: component, shape (n, 2, 2)."""
    from scipy.spatial import cKDTree

    found = np.full((len(place), 2, 2), np.nan)
    inside = np.flatnonzero(lattice.inside)
    ideal = lattice.ideal()
    tree: Any = cKDTree(ideal[inside])
    reach = 1.2 * float(np.hypot(*(np.array([[1, 1], [1, -1]]) @ lattice.vectors).T).max())
    far, near = tree.query(
        ideal[inside], k=min(_ASKED + 1, len(inside)), distance_upper_bound=reach
    )
    for n, (distance, at) in enumerate(zip(far, near, strict=True)):
        others = inside[at[(distance > 0) & np.isfinite(distance)]]
        here = inside[n]
        before, after = ideal[others] - ideal[here], place[others] - place[here]
        if len(others) < 3 or np.linalg.matrix_rank(before) < 2:
            continue
        change, *_ = np.linalg.lstsq(before, after - before, rcond=None)
        found[here] = change.T
    return found


def map_polarisation(
    columns: SignalSet, *, of: int, against: int, neighbours: int = 4
) -> SignalSet:
    """Return how far columns of one sublattice are from the middle of their neighbours of another.

    Parameters
    ----------
    columns : SignalSet
        With ``sublattice``, as of `assign_sublattices`.
    of, against : int
        The sublattices.
    neighbours : int
        How many neighbours of the other sublattice make the middle, 2 or more.

    Returns
    -------
    SignalSet
        Dim ``point``, the columns of sublattice `of`: ``x, y, polarisation_x, polarisation_y`` and
        their errors in metres. NaN where the neighbours do not surround the column.

    Raises
    ------
    SignalError
        A sublattice has too few columns, or none are named.
    OutOfRange
        Fewer than 2 neighbours.
    """
    from scipy.spatial import cKDTree

    if neighbours < 2:
        raise OutOfRange(f"`neighbours` is {neighbours}; it is 2 or more.")
    if "sublattice" not in columns:
        raise SignalError("`columns` has no `sublattice`; `assign_sublattices` names them.")
    named = columns["sublattice"].to_numpy()
    place = np.stack([columns["x"].to_numpy(), columns["y"].to_numpy()], axis=1)
    error = np.stack([columns["x_error"].to_numpy(), columns["y_error"].to_numpy()], axis=1)
    own, others = named == of, named == against
    if not own.any() or others.sum() < neighbours:
        raise SignalError(f"sublattices {of} and {against} have {own.sum()} and {others.sum()}.")
    tree: Any = cKDTree(place[others])
    far, near = tree.query(place[own], k=neighbours)
    middle = place[others][near].mean(axis=1)
    away = place[own] - middle
    spread = np.sqrt(error[own] ** 2 + (error[others][near] ** 2).mean(axis=1) / neighbours)
    # At an edge the nearest lie on one side: the middle is no middle there.
    away[(np.hypot(*away.T) > 0.3 * far.mean(axis=1)) | (far[:, -1] > 1.6 * far[:, 0])] = np.nan
    numbers = {
        "x": (place[own, 0], "position", "m"),
        "y": (place[own, 1], "position", "m"),
        "polarisation_x": (away[:, 0], "polar displacement along x", "m"),
        "polarisation_y": (away[:, 1], "polar displacement along y", "m"),
        "polarisation_x_error": (spread[:, 0], "standard error of polar displacement", "m"),
        "polarisation_y_error": (spread[:, 1], "standard error of polar displacement", "m"),
    }
    return xr.Dataset(_signals(numbers))


def _signals(numbers: dict[str, tuple[Array, str, str]]) -> dict[str, xr.DataArray]:
    return {
        name: xr.DataArray(values, dims="point", attrs={"quantity": quantity, "units": units})
        for name, (values, quantity, units) in numbers.items()
    }
