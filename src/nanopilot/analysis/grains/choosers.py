"""Where to go next: grains and boundaries that a user asks for by what they are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from nanopilot.analysis.frame_arrays import robust_std
from nanopilot.analysis.grains.boundaries import boundary_pieces
from nanopilot.analysis.grains.results import Grains, to_stage
from nanopilot.core.errors import OutOfRange

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """Places to go to, best first.

    Parameters
    ----------
    ids : numpy.ndarray
        Label of the grain at each place, shape (n,); of choosers of grains no label twice.
    places : numpy.ndarray
        x and y in metres in the frame of the stage, float64, shape (n, 2).
    scores : numpy.ndarray
        What they were chosen by, in SI units, shape (n,).
    """

    ids: IntArray
    places: FloatArray
    scores: FloatArray


class Chooser(Protocol):
    """A rule by which targets are chosen."""

    def __call__(self, grains: Grains) -> Targets:
        """Return the targets, fewer than asked for where there are not as many."""


@dataclass(frozen=True, slots=True)
class Largest:
    """The grains of largest area, of those that lie whole in the frame.

    Parameters
    ----------
    count : int
        How many.
    """

    count: int = 1

    def __post_init__(self) -> None:
        _check_count(self.count)

    def __call__(self, grains: Grains) -> Targets:
        """Return the largest first; `scores` are areas in m²."""
        area = grains.table["area"].to_numpy()
        return _ranked(grains, area, -area, self.count)


@dataclass(frozen=True, slots=True)
class Smallest:
    """The grains of smallest area, of those that lie whole in the frame.

    Parameters
    ----------
    count : int
        How many.
    """

    count: int = 1

    def __post_init__(self) -> None:
        _check_count(self.count)

    def __call__(self, grains: Grains) -> Targets:
        """Return the smallest first; `scores` are areas in m²."""
        area = grains.table["area"].to_numpy()
        return _ranked(grains, area, area, self.count)


@dataclass(frozen=True, slots=True)
class Quantile:
    """The grains whose areas lie nearest to a quantile of the areas of whole grains.

    Parameters
    ----------
    share : float
        0 the smallest, 0.5 the median, 1 the largest.
    count : int
        How many.
    """

    share: float = 0.5
    count: int = 1

    def __post_init__(self) -> None:
        _check_count(self.count)
        if not 0 <= self.share <= 1:
            raise OutOfRange(f"`share` is {self.share}; it is 0 to 1.")

    def __call__(self, grains: Grains) -> Targets:
        """Return the nearest first; `scores` are areas in m²."""
        area = grains.table["area"].to_numpy()
        whole = area[grains.whole]
        wanted = float(np.quantile(whole, self.share)) if whole.size else math.nan
        return _ranked(grains, area, np.abs(area - wanted), self.count)


@dataclass(frozen=True, slots=True)
class HeightOutlier:
    """The grains whose mean height is farthest from the median of all, in robust deviations.

    Parameters
    ----------
    count : int
        How many.
    """

    count: int = 1

    def __post_init__(self) -> None:
        _check_count(self.count)

    def __call__(self, grains: Grains) -> Targets:
        """Return the farthest first; `scores` are signed, in robust standard deviations."""
        height = grains.table["mean"].to_numpy()
        spread = robust_std(height) or 1.0
        away = (height - np.median(height)) / spread if len(height) else height
        return _ranked(grains, away, -np.abs(away), self.count)


@dataclass(frozen=True, slots=True)
class Cluster:
    """The middles of places where grains lie densest: clusters of their middles, by OPTICS.

    M. Ankerst et al., ACM SIGMOD Record 28 (1999) 49. Distances are in units of the usual one of
    neighbours, so that nothing depends on the unit of length.

    Parameters
    ----------
    count : int
        How many clusters at most, tightest first.
    members : int
        Grains that a cluster has at least.
    """

    count: int = 5
    members: int = 6

    def __post_init__(self) -> None:
        _check_count(self.count)
        if self.members < 2:
            raise OutOfRange(f"`members` is {self.members}; a cluster has 2 grains or more.")

    def __call__(self, grains: Grains) -> Targets:
        """Return middles of clusters; `scores` are mean distances to them in metres."""
        from sklearn.cluster import OPTICS

        places, labels = _middles(grains)
        if len(places) < 2 * self.members:
            return _none()
        unit = float(np.median(np.asarray(cKDTree(places).query(places, k=2)[0])[:, 1]))
        groups = OPTICS(min_samples=self.members).fit_predict(places / unit)
        found = []
        for one in range(int(groups.max()) + 1):
            members = places[groups == one]
            middle = members.mean(axis=0)
            found.append((float(np.hypot(*(members - middle).T).mean()), middle))
        found.sort(key=lambda entry: (entry[0], *entry[1]))
        taken: list[int] = []
        for _, middle in found[: self.count]:
            order = np.argsort(np.hypot(*(places - middle).T), kind="stable")
            taken.append(int(next(labels[at] for at in order if labels[at] not in taken)))
        return Targets(
            np.array(taken, dtype=np.int64),
            to_stage(np.array([middle for _, middle in found[: self.count]]), grains.labels),
            np.array([score for score, _ in found[: self.count]]),
        )


@dataclass(frozen=True, slots=True)
class BoundaryDensity:
    """Places with the longest boundaries within a square window, no two windows overlapping.

    Parameters
    ----------
    count : int
        How many.
    reach : float, optional
        Side of the window in metres; 1.5 usual diameters of a grain if not given.
    """

    count: int = 10
    reach: float | None = None

    def __post_init__(self) -> None:
        _check_count(self.count)
        if self.reach is not None and not (math.isfinite(self.reach) and self.reach > 0):
            raise OutOfRange(f"`reach` is {self.reach} m; it has to be more than 0.")

    def __call__(self, grains: Grains) -> Targets:
        """Return the densest first; `scores` are lengths of boundary in metres."""
        labels = grains.labels.transpose("y", "x")
        values = labels.to_numpy()
        lengths = length_map(labels)
        steps = [_step(labels, dim) for dim in ("y", "x")]
        reach = self.reach or 1.5 * float(np.median(grains.table["equivalent_diameter"]))
        window = [
            min(max(1, round(reach / step)), size)
            for step, size in zip(steps, values.shape, strict=True)
        ]
        chosen = densest_windows(lengths, (window[0], window[1]), self.count)
        middles = np.array([[top + (window[0] - 1) / 2, left + (window[1] - 1) / 2]
                            for top, left, _ in chosen]).reshape(-1, 2)  # fmt: skip
        at = np.round(middles).astype(int)
        points = np.stack(
            [np.interp(middles[:, k], np.arange(values.shape[k]), labels[dim].to_numpy())
             for k, dim in ((1, "x"), (0, "y"))], axis=-1,
        )  # fmt: skip
        return Targets(
            values[at[:, 0], at[:, 1]].astype(np.int64),
            to_stage(points, grains.labels),
            np.array([score for _, _, score in chosen]),
        )


def length_map(labels: Any) -> FloatArray:
    """Return metres of boundary in each pixel, shape (rows, columns).

    A piece between two pixels is given to both by halves.

    Parameters
    ----------
    labels : Signal
        As of `nanopilot.analysis.grains.boundaries.boundary_pieces`, dims (y, x).
    """
    pieces = boundary_pieces(labels)
    found = np.zeros(labels.shape)
    last = np.array(labels.shape) - 1
    low = np.clip(np.floor(pieces.places).astype(int), 0, last)
    high = np.clip(np.ceil(pieces.places).astype(int), 0, last)
    # Between diagonal pixels all four share.
    for rows, columns in ((low, low), (low, high), (high, low), (high, high)):
        np.add.at(found, (rows[:, 0], columns[:, 1]), pieces.lengths / 4)
    return found


def densest_windows(
    lengths: FloatArray, window: tuple[int, int], count: int
) -> list[tuple[int, int, float]]:
    """Return top row, left column and sum of windows, one after the other the largest left.

    Parameters
    ----------
    lengths : numpy.ndarray
        What is summed, shape (rows, columns).
    window : (int, int)
        Rows and columns of a window; no two overlap, none leaves the frame.
    count : int
        How many at most.
    """
    sums = np.zeros((lengths.shape[0] + 1, lengths.shape[1] + 1))
    sums[1:, 1:] = lengths.cumsum(axis=0).cumsum(axis=1)
    down, across = window
    total = sums[down:, across:] - sums[:-down, across:] - sums[down:, :-across]
    total = total + sums[:-down, :-across]
    least = 1e-9 * float(lengths.sum())
    found = []
    for _ in range(count):
        top, left = (int(at) for at in np.unravel_index(np.argmax(total), total.shape))
        if not total[top, left] > least:
            break
        found.append((top, left, float(total[top, left])))
        total[max(0, top - down + 1) : top + down, max(0, left - across + 1) : left + across] = -1.0
    return found


def _ranked(grains: Grains, scores: FloatArray, order: FloatArray, count: int) -> Targets:
    """Return whole grains, least `order` first; of equals the one with the smaller label."""
    rows = np.flatnonzero(grains.whole)
    rows = rows[np.argsort(order[rows], kind="stable")][:count]
    places, labels = _middles(grains)
    return Targets(labels[rows], to_stage(places[rows], grains.labels), scores[rows])


def _middles(grains: Grains) -> tuple[FloatArray, IntArray]:
    """Return a place inside each grain, the middle where that is inside, and the labels."""
    labels = grains.labels.transpose("y", "x")
    values = labels.to_numpy()
    names = grains.table["label"].to_numpy().astype(np.int64)
    places = np.stack([grains.table[dim].to_numpy() for dim in ("x", "y")], axis=-1)
    axes = [labels[dim].to_numpy() for dim in ("y", "x")]
    for row, name in enumerate(names):
        at = tuple(
            int(np.argmin(np.abs(axis - place)))
            for axis, place in zip(axes, places[row, ::-1], strict=True)
        )
        if values[at] != name:
            deep = np.asarray(distance_transform_edt(np.pad(values == name, 1)))[1:-1, 1:-1]
            down, across = np.unravel_index(int(np.argmax(deep)), deep.shape)
            places[row] = axes[1][across], axes[0][down]
    return places, names


def _none() -> Targets:
    return Targets(np.zeros(0, dtype=np.int64), np.zeros((0, 2)), np.zeros(0))


def _step(labels: Any, dim: str) -> float:
    axis = labels[dim].to_numpy()
    return float(abs(axis[-1] - axis[0]) / (axis.size - 1))


def _check_count(count: int) -> None:
    if count < 1:
        raise OutOfRange(f"`count` is {count}; ask for 1 or more.")
