"""Which grains touch, and along what length."""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from nanopilot.core.errors import SignalError, UnknownName
from nanopilot.core.signals import Signal

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: Steps (rows, columns) along which lines are laid through the frame.
_STEPS = ((0, 1), (1, 1), (1, 0), (1, -1))


@dataclass(frozen=True, slots=True, eq=False)
class BoundaryGraph:
    """Grains, and the boundaries between those that touch.

    Parameters
    ----------
    labels : numpy.ndarray
        All grains, ascending, shape (grains,).
    pairs : numpy.ndarray
        Labels (smaller, larger) of grains that touch along a pixel edge, shape (boundaries, 2).
    lengths : numpy.ndarray
        Metres, shape (boundaries,).
    """

    labels: IntArray
    pairs: IntArray
    lengths: FloatArray

    def length(self, one: int, two: int) -> float:
        """Return the length of the boundary between two grains in metres, 0 if they are apart."""
        low, high = min(one, two), max(one, two)
        here = (self.pairs[:, 0] == low) & (self.pairs[:, 1] == high)
        return float(self.lengths[here].sum())

    def neighbours(self, label: int) -> tuple[int, ...]:
        """Return the grains that touch one, ascending.

        Raises
        ------
        UnknownName
            There is no such grain.
        """
        if label not in self.labels:
            raise UnknownName("label", str(label), [str(one) for one in self.labels])
        beside = self.pairs[(self.pairs == label).any(axis=1)]
        return tuple(sorted(int(one) for one in beside[beside != label]))

    def to_networkx(self) -> Any:
        """Return a `networkx.Graph`: nodes are labels, edges have ``length`` in metres."""
        graph = import_module("networkx").Graph()
        graph.add_nodes_from(int(one) for one in self.labels)
        for (one, two), length in zip(self.pairs, self.lengths, strict=True):
            graph.add_edge(int(one), int(two), length=float(length))
        return graph


@dataclass(frozen=True, slots=True, eq=False)
class BoundaryPieces:
    """Short pieces that all boundaries between grains are made of.

    Parameters
    ----------
    places : numpy.ndarray
        Fractional row and column of the middle of each, shape (pieces, 2).
    lengths : numpy.ndarray
        Metres that each stands for, shape (pieces,).
    pairs : numpy.ndarray
        Labels (smaller, larger) on its sides, shape (pieces, 2).
    beside : numpy.ndarray of bool
        It lies between pixels that share an edge, and not only a corner; shape (pieces,).
    """

    places: FloatArray
    lengths: FloatArray
    pairs: IntArray
    beside: np.ndarray[Any, np.dtype[np.bool_]]


def boundary_pieces(labels: Signal) -> BoundaryPieces:
    """Cut all boundaries into pieces whose lengths add up to theirs.

    A curve's length is half the integral, over directions and offsets of straight lines, of how
    often they cross it (Cauchy and Crofton; L. A. Santaló, Integral Geometry and Geometric
    Probability, 1976, equation 3.17). Lines run through the pixels along both axes and both
    diagonals: a staircase of pixels is as long as the line it stands for, within 6 % at the worst
    angle, and within 9 % where pixels are oblong. Between substrate and a grain nothing is
    counted: no two grains meet there.

    Parameters
    ----------
    labels : Signal
        Whole numbers, 0 where no grain is, dims (y, x) in metres; pixels may be oblong.

    Raises
    ------
    SignalError
        Labels are no whole numbers over (y, x).
    """
    values, dy, dx = _checked(labels)
    spans = _spans(dy, dx)
    last = np.array(values.shape) - 0.5
    # Pixels at the edge go on half a pixel beyond their middles, and so do boundaries.
    values = np.pad(values, 1, mode="edge")
    places, lengths, pairs, beside = [], [], [], []
    for (down, across), span in zip(_STEPS, spans, strict=True):
        near, far = _shifted(values.shape, down, across)
        one, two = values[near], values[far]
        row, column = np.nonzero((one != two) & (one > 0) & (two > 0))
        first = np.array([near[0].start or 0, near[1].start or 0]) - 1
        place = np.stack([row, column], axis=-1) + first + np.array([down, across]) / 2
        inside = ((place >= -0.5) & (place <= last)).all(axis=1)
        at_edge = ((place == -0.5) | (place == last)).any(axis=1)
        ends = np.stack([one[row, column], two[row, column]], axis=-1)
        places.append(place[inside])
        pairs.append(np.sort(ends, axis=1)[inside])
        lengths.append(np.where(at_edge, span / 2, span)[inside])
        beside.append(np.full(int(inside.sum()), down == 0 or across == 0))
    return BoundaryPieces(
        np.concatenate(places), np.concatenate(lengths), np.concatenate(pairs),
        np.concatenate(beside),
    )  # fmt: skip


def boundary_graph(labels: Signal) -> BoundaryGraph:
    """Return which grains touch along a pixel edge, and the lengths of their boundaries.

    Parameters
    ----------
    labels : Signal
        As of `boundary_pieces`.

    Raises
    ------
    SignalError
        Labels are no whole numbers over (y, x).

    Examples
    --------
    >>> from nanopilot.core.signals import Axis, make_signal
    >>> axis = Axis(np.arange(40) * 1e-9, "m", "position")
    >>> halves = np.where(np.arange(40) < 20, 1, 2) * np.ones((40, 1), dtype=int)
    >>> cut = make_signal(halves, {"y": axis, "x": axis}, quantity="label", units="1")
    >>> graph = boundary_graph(cut)
    >>> graph.pairs.tolist(), bool(abs(graph.lengths[0] - 40e-9) < 3e-9)
    ([[1, 2]], True)
    """
    pieces = boundary_pieces(labels)
    present = np.unique(labels.to_numpy())
    pairs, place = np.unique(pieces.pairs, axis=0, return_inverse=True)
    place = place.reshape(-1)
    lengths = np.asarray(np.bincount(place, pieces.lengths, len(pairs)), dtype=np.float64)
    edge = np.bincount(place, pieces.beside, len(pairs)) > 0
    kept = present[present > 0].astype(np.int64)
    return BoundaryGraph(kept, pairs.reshape(-1, 2)[edge].astype(np.int64), lengths[edge])


def _checked(labels: Signal) -> tuple[IntArray, float, float]:
    if set(labels.dims) != {"y", "x"} or labels.dtype.kind not in "iu":
        raise SignalError(
            f"`labels` has dims {labels.dims} of {labels.dtype}; it is whole numbers over (y, x)."
        )
    values = labels.transpose("y", "x").to_numpy().astype(np.int64)
    steps = []
    for dim in ("y", "x"):
        axis = labels[dim].to_numpy()
        if axis.size < 2 or axis[-1] == axis[0]:
            raise SignalError(f"`{dim}` of `labels` needs two pixels or more.")
        steps.append(abs(float(axis[-1] - axis[0])) / (axis.size - 1))
    return values, steps[0], steps[1]


def _shifted(
    shape: tuple[int, ...], down: int, across: int
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return where pixels lie that have a neighbour a step away, and where those neighbours do.

    Nothing is taken round the edge of the frame to its other side.
    """
    rows, columns = shape
    near_rows, far_rows = slice(0, rows - down), slice(down, rows)
    if across >= 0:
        return (near_rows, slice(0, columns - across)), (far_rows, slice(across, columns))
    return (near_rows, slice(-across, columns)), (far_rows, slice(0, columns + across))


def _spans(dy: float, dx: float) -> FloatArray:
    """Return half of what a crossing counts: distance of the lines times their share of angles."""
    ways = np.array(_STEPS) * np.array([dy, dx])
    angle = np.arctan2(ways[:, 0], ways[:, 1]) % math.pi
    order = np.argsort(angle)
    turned = angle[order]
    gaps = np.diff(np.concatenate([turned, turned[:1] + math.pi]))
    share = np.empty(len(ways))
    share[order] = (gaps + np.roll(gaps, 1)) / 2
    spans: FloatArray = 0.5 * share * dy * dx / np.hypot(*ways.T)
    return spans
