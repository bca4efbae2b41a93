"""How well grains were told apart: counted, sized and directed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import center_of_mass

from nanopilot.analysis.instances import agreement, average_precision

IntArray = np.ndarray[Any, np.dtype[np.int64]]
FloatArray = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: Narrower than so many pixels no grain is told from noise: it counts neither as found nor missed.
LEAST_DIAMETER = 6.0
#: Grains more elongated than this have a direction.
ELONGATED = 1.5


@dataclass(frozen=True, slots=True, eq=False)
class Shapes:
    """Grains of one mask, in pixels.

    Parameters
    ----------
    names : numpy.ndarray
        Labels, shape (n,).
    diameter, aspect, angle : numpy.ndarray
        Of the disc of equal area; ratio and axial direction (row over column) of the ellipse of
        the same moments, shape (n,).
    border : numpy.ndarray of bool
        Cut by the edge of the frame.
    """

    names: IntArray
    diameter: FloatArray
    aspect: FloatArray
    angle: FloatArray
    border: BoolArray


def shapes(labels: IntArray) -> Shapes:
    """Measure every label but 0."""
    names = np.unique(labels)
    names = names[names > 0]
    row, column = np.indices(labels.shape).astype(float)
    index = np.searchsorted(names, labels.ravel())
    inside = labels.ravel() > 0
    where, count = index[inside], len(names)
    area = np.bincount(where, minlength=count).astype(float)
    y, x = (one.ravel()[inside] for one in (row, column))
    my, mx = (np.bincount(where, one, count) / area for one in (y, x))
    y, x = y - my[where], x - mx[where]
    yy = np.bincount(where, y * y, count) / area + 1 / 12
    xx = np.bincount(where, x * x, count) / area + 1 / 12
    xy = np.bincount(where, x * y, count) / area
    apart = np.hypot((xx - yy) / 2, xy)
    large, small = (xx + yy) / 2 + apart, (xx + yy) / 2 - apart
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    return Shapes(
        names.astype(np.int64),
        np.sqrt(4 * area / math.pi),
        np.sqrt(large / np.maximum(small, 1e-9)),
        0.5 * np.arctan2(2 * xy, xx - yy),
        np.isin(names, edge),
    )


def compare(
    found: IntArray, there: IntArray, sure: FloatArray | None = None
) -> Mapping[str, float]:
    """Return what the track `grains` says of one frame.

    Parameters
    ----------
    found, there : numpy.ndarray
        Labels, 0 where no grain is, shape (rows, columns).
    sure : numpy.ndarray, optional
        How sure each grain found is, ascending labels; for ``ap50_ranked``.

    Returns
    -------
    mapping
        ``ap50``: hits over hits, misses and false ones at an intersection over union of a half
        (C. Stringer et al., Nature Methods 18 (2021) 100, methods); ``ap50_ranked``: area under
        precision over recall; ``count_error``; ``diameter_error`` of the mean and
        ``each_diameter_error``, a mean over pairs, of grains that the edge does not cut;
        ``orientation_error``: mean angle in degrees over pairs of elongated grains, NaN if none.
    """
    seen, real = shapes(found), shapes(there)
    paired = agreement(found, there, 0.5)
    small = real.names[real.diameter < LEAST_DIAMETER]
    hit = ~np.isin(paired.pairs[:, 1], small)
    pairs = paired.pairs[hit]
    missed = int(np.count_nonzero(real.diameter >= LEAST_DIAMETER)) - len(pairs)
    alone = seen.names[~np.isin(seen.names, paired.pairs[:, 0])]
    excused = _on_small(found, there, alone, small)
    false = len(alone) - excused
    said = {
        "ap50": len(pairs) / max(len(pairs) + missed + false, 1),
        "count_error": _off(
            float((seen.diameter >= LEAST_DIAMETER).sum()),
            float((real.diameter >= LEAST_DIAMETER).sum()),
        ),
    }
    if sure is not None:
        kept = ~np.isin(there, small)
        there_kept, found_kept = np.where(kept, there, 0), np.where(kept, found, 0)
        left = np.unique(found_kept)
        said["ap50_ranked"] = average_precision(
            found_kept, there_kept, sure[np.isin(seen.names, left[left > 0])]
        )
    return said | _sized(seen, real, pairs)


def _sized(seen: Shapes, real: Shapes, pairs: IntArray) -> dict[str, float]:
    whole = [one.diameter[~one.border & (one.diameter >= LEAST_DIAMETER)] for one in (seen, real)]
    first, second = (
        np.searchsorted(one.names, column)
        for one, column in ((seen, pairs[:, 0]), (real, pairs[:, 1]))
    )
    inner = ~real.border[second] & ~seen.border[first]
    each = np.abs(seen.diameter[first] / real.diameter[second] - 1)[inner]
    long = inner & (real.aspect[second] >= ELONGATED)
    turned = np.abs((seen.angle[first] - real.angle[second] + np.pi / 2) % np.pi - np.pi / 2)[long]
    return {
        "diameter_error": _off(*(one.mean() if one.size else 0.0 for one in whole)),
        "each_diameter_error": float(each.mean()) if each.size else 1.0,
        "orientation_error": float(np.degrees(turned.mean())) if turned.size else math.nan,
    }


def _off(found: float, there: float) -> float:
    return abs(float(found) / float(there) - 1) if there else float(found > 0)


def _on_small(found: IntArray, there: IntArray, alone: IntArray, small: IntArray) -> int:
    """Return how many of the unpaired have their middle on a grain too small to be told."""
    if not len(alone) or not len(small):
        return 0
    ones = np.ones(found.shape)
    middles = np.round(np.atleast_2d(center_of_mass(ones, found, alone))).astype(int)
    return int(np.isin(there[middles[:, 0], middles[:, 1]], small).sum())
