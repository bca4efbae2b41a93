"""The covariance of a Gaussian process: Matern-5/2 with one length scale per feature group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nanopilot.core.errors import OutOfRange
from nanopilot.core.history import FloatArray

_ROOT_5 = np.sqrt(5.0)


@dataclass(frozen=True, slots=True, eq=False)
class GroupedPoints:
    """Points whose features fall into groups, for instance neighbourhood and position.

    Parameters
    ----------
    blocks : tuple of numpy.ndarray
        One array of shape (points, features of the group) per group.
    names : tuple of str
        Of the groups.
    """

    blocks: tuple[FloatArray, ...]
    names: tuple[str, ...]

    @classmethod
    def split(cls, values: FloatArray, groups: tuple[str, ...]) -> GroupedPoints:
        """Split columns, shape (points, features), by the group each one belongs to."""
        if not np.isfinite(values).all():
            raise OutOfRange("`values` holds NaN or infinity; a Gaussian process needs numbers.")
        names = tuple(dict.fromkeys(groups))
        member = np.array(groups)
        blocks = tuple(np.ascontiguousarray(values[:, member == name]) for name in names)
        return cls(blocks, names)

    def __len__(self) -> int:
        return len(self.blocks[0])

    def take(self, rows: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> GroupedPoints:
        """Return some of the points."""
        return GroupedPoints(tuple(block[rows] for block in self.blocks), self.names)


def squared_distances(left: FloatArray, right: FloatArray) -> FloatArray:
    """Return squared Euclidean distances, shape (n, m), of rows of shape (n, d) and (m, d)."""
    cross = left @ right.T
    cross *= -2.0
    cross += np.einsum("ij,ij->i", left, left)[:, None]
    cross += np.einsum("ij,ij->i", right, right)
    return np.maximum(cross, 0.0, out=cross)


def scaled_distances(
    left: GroupedPoints, right: GroupedPoints, length_scales: FloatArray
) -> FloatArray:
    """Return the squared distances with every group divided by its length scale, shape (n, m)."""
    return squared_distances(_scaled(left, length_scales), _scaled(right, length_scales))


def _scaled(points: GroupedPoints, length_scales: FloatArray) -> FloatArray:
    return np.hstack([block / scale for block, scale in zip(points.blocks, length_scales, strict=True)])


def matern52(squared: FloatArray) -> FloatArray:
    """Return the Matern covariance of smoothness 5/2 at squared scaled distances r².

    (1 + √5 r + 5/3 r²) exp(-√5 r): Rasmussen and Williams 2006, eq. 4.17. `squared` is
    used up: it is working space afterwards.
    """
    root = np.sqrt(squared)
    root *= _ROOT_5
    squared *= 5.0 / 3.0
    squared += root
    squared += 1.0
    np.negative(root, out=root)
    np.exp(root, out=root)
    squared *= root
    return squared


def matern52_slope(squared: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the covariance and the negative of twice its derivative with respect to r².

    With ρ = √5 r the second is 5/3 (1 + ρ) exp(-ρ), so that the derivative with respect
    to the logarithm of a length scale is slope · (r² of that group); `squared` is kept.
    """
    root = np.sqrt(squared)
    root *= _ROOT_5
    decay = np.exp(-root)
    root += 1.0
    slope = root * decay
    slope *= 5.0 / 3.0
    root += (5.0 / 3.0) * squared
    root *= decay
    return root, slope
