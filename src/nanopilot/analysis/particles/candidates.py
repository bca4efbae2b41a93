"""Candidates of a frame: maxima over place and radius, each with outlines and what they tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import maximum_filter
from scipy.spatial import cKDTree

from nanopilot.analysis.particles.features import NAMES, compared, contrast, features
from nanopilot.analysis.particles.outline import RAYS, Slopes, trace
from nanopilot.analysis.particles.responses import pyramid, responses

Array = np.ndarray[Any, np.dtype[Any]]

#: Filters have to say so many standard deviations.
LEAST = 4.0
#: Seeds followed at most: a number, and so many per area of the smallest disc looked for.
_MOST, _DENSE = 60, 0.12
#: Seeds nearer than this part of the radius, and more alike than this ratio, are one.
_NEAR, _ALIKE = 0.4, 1.33
#: Pixels of its level that the edge of a particle takes up on either side.
_EDGE = 2.0
#: Radius in pixels of the level on which an outline is drawn, at least.
_DRAWN = 8.0


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Outlines that may be particles; all in pixels of the frame.

    Parameters
    ----------
    place, radius : numpy.ndarray
        Centre of area (row, column), shape (n, 2), and radius of the disc of the same area, (n,).
    middle, reach : numpy.ndarray
        What the outline is drawn about, shape (n, 2), and its distance on each ray, (n, RAYS).
    contrast : numpy.ndarray
        Level less that of the surroundings, in the unit of the frame, shape (n,).
    features : numpy.ndarray
        Shape (n, len(NAMES)).
    """

    place: Array
    radius: Array
    middle: Array
    reach: Array
    contrast: Array
    features: Array

    def take(self, which: Array) -> Candidates:
        """Return some of them."""
        return Candidates(
            self.place[which], self.radius[which], self.middle[which], self.reach[which],
            self.contrast[which], self.features[which],
        )  # fmt: skip


def candidates(image: Array, smallest: float, largest: float) -> Candidates:
    """Return the candidates of a frame or of a tile of one.

    Parameters
    ----------
    image : numpy.ndarray
        Finite, shape (rows, columns).
    smallest, largest : float
        Radii looked for, in pixels.
    """
    values = np.asarray(image, dtype=np.float32)
    # Large offsets would eat up the digits of float32.
    values = values - np.float32(np.median(values[::4, ::4]))
    stack = pyramid(values, 12)
    place, radius, score = seeds(stack, smallest, largest)
    level = np.floor(np.log2(np.maximum(radius / _DRAWN, 1))).astype(int)
    level = np.clip(level, 0, len(stack) - 1)
    found = []
    for one in np.unique(level):
        at = np.flatnonzero(level == one)
        found.append(_traced(stack[one], 2.0**one, (place[at], radius[at], score[at])))
    if not found:
        return _nothing()
    parts = [np.concatenate(list(part)) for part in zip(*found, strict=True)]
    place, radius, middle, reach, level_over, own = parts
    return Candidates(place, radius, middle, reach, level_over, compared(own))


def _nothing() -> Candidates:
    empty = np.zeros(0)
    return Candidates(
        np.zeros((0, 2)), empty, np.zeros((0, 2)), np.zeros((0, RAYS)), empty,
        np.zeros((0, len(NAMES))),
    )  # fmt: skip


def _traced(image: Array, scale: float, seeded: tuple[Array, Array, Array]) -> tuple[Array, ...]:
    """Return fields of `Candidates` of the seeds of one level; two outlines each, one a sign."""
    place, radius, score = (np.concatenate([one, one]) for one in seeded)
    sign = np.repeat([1.0, -1.0], len(seeded[0]))
    slopes = Slopes.of(image)
    traced = trace(slopes, (place + 0.5) / scale - 0.5, radius / scale, sign)
    middle = (traced.middle + 0.5) * scale - 0.5
    level = contrast(traced, slopes.spread)
    around = image[::2, ::2]
    spread = float(np.median(np.abs(around - np.median(around)))) * 1.4826 or 1.0
    return (
        (traced.place + 0.5) * scale - 0.5,
        traced.radius * scale,
        middle,
        traced.reach * scale,
        contrast(traced, slopes.spread, _EDGE),
        features(traced, radius / scale, score, scale, level / spread),
    )


def seeds(stack: list[Array], smallest: float, largest: float) -> tuple[Array, Array, Array]:
    """Return place (n, 2), radius and score (n,) of maxima over place and radius, best first."""
    rows: list[Array] = [np.zeros((0, 4))]
    for one in responses(stack, smallest, largest):
        scale = 2.0**one.level
        wide = 2 * max(1, int(_NEAR * one.radius)) + 1
        top = (one.score == maximum_filter(one.score, size=wide)) & (one.score > LEAST)
        at = np.argwhere(top)
        numbers = np.full(len(at), one.radius * scale), one.score[top]
        rows.append(np.column_stack([(at + 0.5) * scale - 0.5, *numbers]))
    found = np.concatenate(rows)
    found = found[np.argsort(-found[:, 3], kind="stable")]
    room = stack[0].size / (np.pi * smallest**2)
    found = found[: 4 * (_MOST + int(_DENSE * room))]
    found = found[_distinct(found[:, :2], found[:, 2])][: _MOST + int(_DENSE * room)]
    return found[:, :2], found[:, 2], found[:, 3]


def _distinct(place: Array, radius: Array) -> Array:
    """Return which seeds no better one is like, the best first."""
    kept = np.ones(len(place), dtype=bool)
    if not len(place):
        return np.flatnonzero(kept)
    # Distances are relative to the radius: as a third coordinate its logarithm would not do.
    tree = cKDTree(place)
    for one in range(len(place)):
        if not kept[one]:
            continue
        near = np.array(tree.query_ball_point(place[one], _NEAR * _ALIKE * radius[one]), dtype=int)
        near = near[(near > one) & kept[near]]
        ratio = np.maximum(radius[near] / radius[one], radius[one] / radius[near])
        apart = np.hypot(*(place[near] - place[one]).T)
        alike = (ratio < _ALIKE) & (apart < _NEAR * np.maximum(radius[near], radius[one]))
        kept[near[alike]] = False
    return np.flatnonzero(kept)
