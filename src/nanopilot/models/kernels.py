"""The covariance of a Gaussian process: Matern-5/2 over features with length scales."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nanopilot.core.errors import OutOfRange
from nanopilot.core.history import FloatArray, IntArray

_ROOT_5 = float(np.sqrt(5.0))


@dataclass(frozen=True, slots=True, eq=False)
class GroupedPoints:
    """Points whose features fall into groups, for instance neighbourhood and position.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (points, features), finite.
    groups : tuple of str
        Group of every feature.
    """

    values: FloatArray
    groups: tuple[str, ...]

    @classmethod
    def split(cls, values: FloatArray, groups: tuple[str, ...]) -> GroupedPoints:
        """Make points of a table of features after a look at its numbers.

        Raises
        ------
        OutOfRange
            A value is NaN or infinite, or the groups do not fit the columns.
        """
        if values.ndim != 2 or values.shape[1] != len(groups) or not groups:
            raise OutOfRange(f"`values` has shape {values.shape}; {len(groups)} groups are given.")
        if not np.isfinite(values).all():
            raise OutOfRange("`values` holds NaN or infinity; a Gaussian process needs numbers.")
        return cls(np.ascontiguousarray(values, dtype=float), groups)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def names(self) -> tuple[str, ...]:
        """The groups, each once, in order of appearance."""
        return tuple(dict.fromkeys(self.groups))

    @property
    def group_of(self) -> IntArray:
        """Number of the group of every feature, shape (features,)."""
        names = self.names
        return np.array([names.index(group) for group in self.groups], dtype=np.int64)

    def take(self, rows: IntArray | slice) -> GroupedPoints:
        """Return some of the points."""
        return GroupedPoints(self.values[rows], self.groups)


def squared_distances(
    left: FloatArray, right: FloatArray, out: FloatArray | None = None
) -> FloatArray:
    """Return squared Euclidean distances, shape (n, m), of rows of shape (n, d) and (m, d).

    As |a|² + |b|² - 2 ab, one matrix product: rounding leaves about 1e-16 |a|² between equal
    points, which no covariance notices.
    """
    cross: FloatArray = np.matmul(left, right.T, out=out)
    cross *= -2.0
    cross += np.einsum("ij,ij->i", left, left)[:, None]
    cross += np.einsum("ij,ij->i", right, right)
    np.maximum(cross, 0.0, out=cross)
    return cross


def covariance_between(
    left: GroupedPoints, right: GroupedPoints, length_scales: FloatArray
) -> FloatArray:
    """Return the covariance of amplitude 1 of all pairs of points, shape (n, m).

    Parameters
    ----------
    left, right : GroupedPoints
        n and m points.
    length_scales : numpy.ndarray
        One per feature, shape (features,).
    """
    return matern52(squared_distances(left.values / length_scales, right.values / length_scales))


def matern52(squared: FloatArray) -> FloatArray:
    """Turn squared scaled distances r² into the Matern covariance of smoothness 5/2, in place.

    (1 + √5 r + 5/3 r²) exp(-√5 r): Rasmussen and Williams 2006, eq. 4.17.
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


def matern52_slope(squared: FloatArray, room: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the covariance, and what its derivatives by length scales share.

    With ρ = √5 r the second is 5/3 (1 + ρ) exp(-ρ): times the squared distance along one
    feature, in units of its length scale, it is the derivative of the covariance by the
    logarithm of that length scale.

    Parameters
    ----------
    squared : numpy.ndarray
        Squared scaled distances, shape (n, n); becomes the covariance.
    room : numpy.ndarray
        Working space, shape (2, n, n); the first half becomes the slope.
    """
    root, decay = room
    np.sqrt(squared, out=root)
    root *= _ROOT_5
    np.negative(root, out=decay)
    np.exp(decay, out=decay)
    root += 1.0
    squared *= 5.0 / 3.0
    squared += root
    squared *= decay
    root *= decay
    root *= 5.0 / 3.0
    return squared, root
