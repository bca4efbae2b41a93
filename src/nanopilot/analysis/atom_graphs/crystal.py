"""From a table of columns to nodes: columns and empty sites, linked along the lattice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from nanopilot.analysis.atom_graphs.graph import Graph, build_graph
from nanopilot.analysis.atom_graphs.links import Links, link, sublattices
from nanopilot.analysis.atom_graphs.periods import FEWEST, find_periods, next_distance
from nanopilot.analysis.atom_graphs.sites import Shape, measure, vacant_sites
from nanopilot.core.errors import SignalError
from nanopilot.core.history import FloatArray
from nanopilot.core.signals import Signal, SignalSet

IntArray = np.ndarray[Any, np.dtype[np.int64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: Share of columns that have to have 3 or more neighbours a period away.
_LINKED = 0.6
#: Columns this many widths from the edge of a frame are whole.
_WHOLE = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Crystal:
    """Nodes of a crystal: columns first, then sites that hold none.

    Parameters
    ----------
    place, place_error : numpy.ndarray
        (x, y) in metres and standard errors; errors of sites are NaN, shape (n, 2).
    height, height_error : numpy.ndarray
        In the unit of the frame, shape (n,).
    column : numpy.ndarray of bool
        False where no column was found, shape (n,).
    sublattice : numpy.ndarray
        By geometry, -1 where it is not known, shape (n,).
    graph : Graph
        Bonds.
    links : Links
        Nodes a period apart.
    periods : numpy.ndarray
        Of the lattice in metres, rows, shape (2, 2).
    """

    place: FloatArray
    place_error: FloatArray
    height: FloatArray
    height_error: FloatArray
    column: BoolArray
    sublattice: IntArray
    graph: Graph
    links: Links
    periods: FloatArray

    @property
    def edge(self) -> BoolArray:
        """Nodes at an edge of the crystal or the frame, or with few neighbours a period away."""
        return np.asarray(self.graph.boundary | (self.links.there.sum(axis=1) < 5))


def read_crystal(
    columns: SignalSet,
    frame: Signal | None = None,
    *,
    bonds: Literal["triangles", "nearest"] = "triangles",
) -> Crystal:
    """Find the lattice of columns, the sites it leaves empty, and join all of them.

    Parameters
    ----------
    columns : SignalSet
        As of `find_columns`.
    frame : Signal, optional
        Their frame: heights at empty sites are measured in it. Without it they are 0.
    bonds : {"triangles", "nearest"}
        As of `build_graph`.

    Raises
    ------
    SignalError
        Too few columns, no lattice, or most columns do not fit it.
    """
    table = {str(name): columns[name].to_numpy().astype(np.float64) for name in columns.data_vars}
    place = np.stack([table["x"], table["y"]], axis=1)
    if len(place) < FEWEST:
        raise SignalError(
            f"a lattice needs {FEWEST} columns or more; {len(place)} were found. Scan a larger "
            "field, or check that the frame is atomically resolved."
        )
    periods = find_periods(place, table["height"])
    near = next_distance(place)
    links = link(place, periods, near)
    share = float((links.there.sum(axis=1) >= 3).mean())
    if share < _LINKED:
        raise SignalError(
            f"only {share:.0%} of {len(place)} columns have neighbours where the lattice expects "
            "them: no single crystal along a zone axis. Crop to one grain, or scan more slowly."
        )
    sites = vacant_sites(place, links, _box(place, frame, table["width_major"]))
    height, error = _measured(sites, frame, table)
    whole = np.concatenate([place, sites])
    links = link(whole, periods, near)
    spread = np.stack([table["x_error"], table["y_error"]], axis=1)
    return Crystal(
        whole,
        np.concatenate([spread, np.full(sites.shape, np.nan)]),
        np.concatenate([table["height"], height]),
        np.concatenate([table["height_error"], error]),
        np.arange(len(whole)) < len(place),
        sublattices(whole, links, periods),
        build_graph(whole, bonds=bonds),
        links,
        periods,
    )


def _box(place: FloatArray, frame: Signal | None, width: FloatArray) -> FloatArray:
    """Return the part of the frame in which a column would be seen."""
    if frame is None:
        return np.array([place.min(axis=0), place.max(axis=0)])
    margin = _WHOLE * float(np.median(width))
    axes = [frame[dim].to_numpy() for dim in ("x", "y")]
    return np.array(
        [[one.min() + margin for one in axes], [one.max() - margin for one in axes]], dtype=float
    )


def _measured(
    sites: FloatArray, frame: Signal | None, table: dict[str, FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """Return heights at sites and their errors, in the unit of the frame."""
    usual = float(np.median(table["height_error"]))
    if frame is None or not len(sites):
        return np.zeros(len(sites)), np.full(len(sites), usual)
    axes = [frame[dim].to_numpy() for dim in ("x", "y")]
    start, step = np.array([a[0] for a in axes]), np.array([a[1] - a[0] for a in axes])
    pixel = float(np.abs(step).mean())
    major, minor = (float(np.median(table[f"width_{n}"])) / pixel for n in ("major", "minor"))
    angle = float(table["angle"][0])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    # Directions are those of the axes in metres; pixels may run the other way.
    turn = np.sign(step)[:, None] * turn
    inverse = turn @ np.diag([major**-2, minor**-2]) @ turn.T
    columns = (np.stack([table["x"], table["y"]], axis=1) - start) / step
    values = frame.transpose("y", "x").to_numpy().astype(float)
    found, error = measure(
        values, (sites - start) / step, (columns, table["height"]), Shape(inverse, major)
    )
    return found, np.maximum(error, 1e-12 * usual)
