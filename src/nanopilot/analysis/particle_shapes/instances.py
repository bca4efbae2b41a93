"""Particles as outlines of their own: where two overlap, the shared pixels belong to both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from nanopilot.analysis.instances import Agreement
from nanopilot.analysis.particle_shapes.polygons import inside

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """One particle in a frame; pixels.

    Parameters
    ----------
    points : numpy.ndarray
        Outline between pixels, rows and columns of the frame, shape (n, 2); not closed.
    mask : numpy.ndarray
        Pixels inside it, shape (rows, columns).
    row, column : int
        Where the mask begins in the frame.
    overlapped : bool
        It was cut from a neighbour.
    error : float
        Standard error of its equivalent diameter; NaN where not known.
    """

    points: FloatArray
    mask: BoolArray
    row: int
    column: int
    overlapped: bool = False
    error: float = math.nan

    @property
    def window(self) -> tuple[slice, slice]:
        """Where the mask lies in the frame."""
        rows, columns = self.mask.shape
        return slice(self.row, self.row + rows), slice(self.column, self.column + columns)

    def touches(self, shape: Sequence[int]) -> bool:
        """Tell whether it reaches the edge of a frame of this shape."""
        rows, columns = self.mask.shape
        far = self.row + rows >= shape[0] or self.column + columns >= shape[1]
        return self.row <= 0 or self.column <= 0 or far


def instance(
    points: FloatArray, shape: tuple[int, int], *, overlapped: bool = False, error: float = math.nan
) -> Instance | None:
    """Return the particle within an outline; None where no pixel's centre lies inside.

    Parameters
    ----------
    points : numpy.ndarray
        Rows and columns of the frame, shape (n, 2).
    shape : (int, int)
        Of the frame.
    overlapped : bool
        It was cut from a neighbour.
    error : float
        Standard error of its equivalent diameter.
    """
    start = np.clip(np.floor(points.min(axis=0)).astype(int), 0, None)
    stop = np.minimum(np.ceil(points.max(axis=0)).astype(int) + 1, shape)
    if (stop <= start).any():
        return None
    mask = inside(points - start, (int(stop[0] - start[0]), int(stop[1] - start[1])))
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return None
    kept = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    at = (int(start[0] + rows[0]), int(start[1] + columns[0]))
    return Instance(points, kept, *at, overlapped, error)


def label_map(
    instances: Sequence[Instance], shape: tuple[int, int]
) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Return one picture of all particles, numbered from 1 in their order.

    A picture has one number for a pixel: shared pixels show the particle that comes first.
    """
    labels = np.zeros(shape, dtype=np.int32)
    for number, one in reversed(list(enumerate(instances, start=1))):
        labels[one.window][one.mask] = number
    return labels


def shared_pixels(a: Any, b: Any) -> int:
    """Count the pixels in which two masks overlap; each has ``mask``, ``row`` and ``column``."""
    top, left = max(a.row, b.row), max(a.column, b.column)
    low = min(a.row + a.mask.shape[0], b.row + b.mask.shape[0])
    right = min(a.column + a.mask.shape[1], b.column + b.mask.shape[1])
    if low <= top or right <= left:
        return 0
    part = [
        one.mask[top - one.row : low - one.row, left - one.column : right - one.column]
        for one in (a, b)
    ]
    return int(np.count_nonzero(part[0] & part[1]))


def match_instances(found: Sequence[Any], there: Sequence[Any], least: float = 0.5) -> Agreement:
    """Pair particles that may overlap so that the intersections over unions sum up to the most.

    As `agreement` of label maps, which cannot hold particles that share pixels.

    Parameters
    ----------
    found, there : sequence
        Each with ``mask``, ``row`` and ``column``; pairs name them by their number from 1.
    least : float
        Intersection over union that counts as the same particle.
    """
    overlap = np.zeros((len(found), len(there)))
    sizes = [np.array([np.count_nonzero(one.mask) for one in part]) for part in (found, there)]
    for i, one in enumerate(found):
        for j, other in enumerate(there):
            shared = shared_pixels(one, other)
            overlap[i, j] = shared / max(sizes[0][i] + sizes[1][j] - shared, 1)
    rows, columns = linear_sum_assignment(-np.where(overlap >= least, overlap, 0.0))
    good = overlap[rows, columns] >= least
    pairs = np.stack([rows[good], columns[good]], axis=-1).astype(np.int64) + 1
    return Agreement(pairs, overlap[rows[good], columns[good]], len(found), len(there))
