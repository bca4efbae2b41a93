"""Regions put together where nothing speaks for a boundary between them."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import Any

import numpy as np

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: Regions that are too small go first, whatever their boundary looks like.
_FIRST = -1e6


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What speaks for a boundary at every pixel: a symmetric tensor.

    Across a boundary whose normal is n, n·T·n is the evidence for it; for a number p that knows no
    direction, T is p times the unit matrix.

    Parameters
    ----------
    rows, mixed, columns : numpy.ndarray
        Its three components, shape of the frame.
    """

    rows: FloatArray
    mixed: FloatArray
    columns: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Regions that touch.

    Parameters
    ----------
    names : numpy.ndarray
        Labels (smaller, larger), shape (pairs, 2), in order.
    sums : numpy.ndarray
        Evidence summed along the boundary, shape (pairs, 3).
    counts : numpy.ndarray
        Pixel edges of the boundary, shape (pairs,).
    """

    names: IntArray
    sums: FloatArray
    counts: FloatArray


def touching(labels: IntArray, evidence: Evidence) -> Pairs:
    """Return which labels touch along pixel edges, 0 left out, and the evidence between them."""
    names, parts = [], []
    tensor = np.stack([evidence.rows, evidence.mixed, evidence.columns], axis=-1)
    every = slice(None)
    for near, far in (
        ((slice(1, None), every), (slice(None, -1), every)),
        ((every, slice(1, None)), (every, slice(None, -1))),
    ):
        one, two = labels[near], labels[far]
        there = (one != two) & (one > 0) & (two > 0)
        names.append(np.stack([one[there], two[there]], axis=-1))
        parts.append((tensor[near][there] + tensor[far][there]) / 2)
    ends = np.sort(np.concatenate(names), axis=1)
    values = np.concatenate(parts)
    if not len(ends):
        return Pairs(np.zeros((0, 2), np.int64), np.zeros((0, 3)), np.zeros(0))
    size = int(labels.max()) + 1
    keys, place = np.unique(ends[:, 0] * size + ends[:, 1], return_inverse=True)
    sums: Any = np.stack([np.bincount(place, values[:, k]) for k in range(3)], axis=-1)
    return Pairs(
        np.stack([keys // size, keys % size], axis=-1),
        sums,
        np.bincount(place).astype(float),
    )


def scores(pairs: Pairs, middles: FloatArray) -> FloatArray:
    """Return the mean evidence across each boundary, along the line between both middles.

    Parameters
    ----------
    pairs : Pairs
        Regions that touch.
    middles : numpy.ndarray
        Row and column of the middle of each label, shape (labels, 2).
    """
    way = middles[pairs.names[:, 1]] - middles[pairs.names[:, 0]]
    square = np.maximum((way**2).sum(axis=1), 1e-12)
    y, x = way.T
    across = pairs.sums[:, 0] * y**2 + 2 * pairs.sums[:, 1] * y * x + pairs.sums[:, 2] * x**2
    return np.asarray(across / square / np.maximum(pairs.counts, 1))


def middles_of(labels: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return row and column of the middle of every label, shape (labels, 2), and its area."""
    size = int(labels.max()) + 1
    area = np.bincount(labels.ravel(), minlength=size).astype(np.float64)
    places = [
        np.bincount(labels.ravel(), one.ravel(), size) / np.maximum(area, 1)
        for one in np.indices(labels.shape)
    ]
    return np.stack(places, axis=-1), area


def merge_regions(
    labels: IntArray, evidence: Evidence, threshold: float, least_area: float
) -> IntArray:
    """Put regions together, the least evidence between them first, until all there is suffices.

    Parameters
    ----------
    labels : numpy.ndarray
        Whole numbers, 0 where nothing is, shape (rows, columns).
    evidence : Evidence
        For a boundary.
    threshold : float
        Mean evidence that a boundary needs.
    least_area : float
        Pixels; what is smaller goes to the neighbour with the least evidence between them.

    Returns
    -------
    numpy.ndarray
        Labels 1, 2, ... without gaps, 0 where it was.
    """
    middles, area = middles_of(labels)
    forest = _Forest(middles, area, least_area)
    pairs = touching(labels, evidence)
    for (one, two), total, count in zip(pairs.names, pairs.sums, pairs.counts, strict=True):
        forest.join(int(one), int(two), (*(float(part) for part in total), float(count)))
    forest.run(threshold)
    kept = forest.roots()[labels]
    kept[labels == 0] = 0
    names, dense = np.unique(kept, return_inverse=True)
    return dense.reshape(labels.shape).astype(np.int64) + (0 if names[0] == 0 else 1)


@dataclass(slots=True, eq=False)
class _Forest:
    """Regions while they are being put together."""

    middles: FloatArray
    area: FloatArray
    least: float
    near: dict[int, dict[int, tuple[float, ...]]] = field(default_factory=dict)
    parent: list[int] = field(default_factory=list)
    changed: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.parent = list(range(len(self.area)))
        self.changed = [0] * len(self.area)
        self.near = {one: {} for one in self.parent}

    def join(self, one: int, two: int, link: tuple[float, ...]) -> None:
        self.near[one][two] = link
        self.near[two][one] = link

    def run(self, threshold: float) -> None:
        queue = [self._entry(a, b) for a, others in self.near.items() for b in others if a < b]
        heapq.heapify(queue)
        while queue:
            score, one, two, seen_one, seen_two = heapq.heappop(queue)
            if score >= threshold:
                return
            if (seen_one, seen_two) != (self.changed[one], self.changed[two]):
                continue
            self._swallow(one, two)
            for other in self.near[one]:
                heapq.heappush(queue, self._entry(min(one, other), max(one, other)))

    def roots(self) -> IntArray:
        found = np.array(self.parent)
        while (found[found] != found).any():
            found = found[found]
        return found

    def _entry(self, one: int, two: int) -> tuple[float, int, int, int, int]:
        return self._score(one, two), one, two, self.changed[one], self.changed[two]

    def _score(self, one: int, two: int) -> float:
        rows, mixed, columns, count = self.near[one][two]
        y, x = self.middles[two] - self.middles[one]
        score = (rows * y * y + 2 * mixed * y * x + columns * x * x) / max(y * y + x * x, 1e-12)
        first = _FIRST if min(self.area[one], self.area[two]) < self.least else 0.0
        return float(first + score / count)

    def _swallow(self, one: int, two: int) -> None:
        """Add the second region to the first."""
        both = self.area[one] + self.area[two]
        self.middles[one] = (
            self.area[one] * self.middles[one] + self.area[two] * self.middles[two]
        ) / both
        self.area[one] = both
        self.parent[two] = one
        # Entries of either that wait in the queue are of the past.
        self.changed[one] += 1
        self.changed[two] += 1
        del self.near[one][two], self.near[two][one]
        for other, link in self.near.pop(two).items():
            del self.near[other][two]
            known = self.near[one].get(other, (0.0,) * len(link))
            self.join(one, other, tuple(a + b for a, b in zip(link, known, strict=True)))
        self.near[two] = {}
