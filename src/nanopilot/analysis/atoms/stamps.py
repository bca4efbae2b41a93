"""Columns drawn as elliptical Gaussians, and small sets of equations: what all kernels share."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

#: Columns of the table of parameters: row, column (pixels), height and background (counts).
ROW, COLUMN, HEIGHT, GROUND = range(4)
#: Sums may be taken in any order, so that several run at once.
REORDERED = {"reassoc", "contract", "nsz", "arcp"}
#: Parts that the columns of a frame are dealt into, for threads.
PARTS = 8


@numba.njit(cache=True, fastmath=REORDERED)
def draw(centre: Array, corner: tuple[int, int], inverse: Array, out: Array) -> None:
    """Fill a window with a column of height 1.

    One exponential for each row and column of pixels, and not for each pixel: what mixes the two
    is a geometric series along a row.

    Parameters
    ----------
    centre : numpy.ndarray
        Row and column first, in pixels of the frame.
    corner : (int, int)
        Where the window begins.
    inverse : numpy.ndarray
        Inverse of the covariance of a column: (rows rows, rows columns, columns columns), 1/px².
    out : numpy.ndarray
        float64, shape (rows + 1, columns); the last row is used to count in.
    """
    rows, columns = out.shape[0] - 1, out.shape[1]
    for j in range(columns):
        away = corner[1] + j - centre[COLUMN]
        out[rows, j] = math.exp(-0.5 * inverse[2] * away * away)
    first = corner[1] - centre[COLUMN]
    for i in range(rows):
        dy = corner[0] + i - centre[ROW]
        ratio = math.exp(-inverse[1] * dy)
        term = math.exp(-0.5 * inverse[0] * dy * dy - inverse[1] * dy * first)
        for j in range(columns):
            out[i, j] = term * out[rows, j]
            term *= ratio


@numba.njit(cache=True, inline="always")
def window(centre: float, reach: int, size: int) -> tuple[int, int]:
    """Return where a window about a centre begins and ends within a frame; empty far outside."""
    middle = math.floor(centre + 0.5)
    low = min(max(0, middle - reach), size)
    return low, max(low, min(size, middle + reach + 1))


@numba.njit(cache=True, parallel=True, fastmath=REORDERED)
def painted(table: Array, inverse: Array, reach: int, shape: tuple[int, int]) -> Array:
    """Return the sum of all columns without their backgrounds, float64, shape `shape`.

    Parameters
    ----------
    table : numpy.ndarray
        Shape (n, 4).
    inverse : numpy.ndarray
        As of `draw`.
    reach : int
        Pixels to either side that a column is painted.
    shape : (int, int)
        Rows and columns.
    """
    rows, columns = shape
    out = np.zeros((rows, columns), dtype=np.float64)
    for part in numba.prange(PARTS):
        first = np.int64(part) * rows // PARTS
        last = (np.int64(part) + 1) * rows // PARTS
        space = np.empty((2 * reach + 2, 2 * reach + 1))
        for n in range(len(table)):
            if not first - reach - 1 <= table[n, ROW] <= last + reach + 1:
                continue
            low, high = window(table[n, ROW], reach, rows)
            left, right = window(table[n, COLUMN], reach, columns)
            low, high = max(low, int(first)), min(high, int(last))
            if high <= low or right <= left:
                continue
            stamp = space[: high - low + 1, : right - left]
            draw(table[n], (low, left), inverse, stamp)
            for i in range(high - low):
                for j in range(right - left):
                    out[low + i, left + j] += table[n, HEIGHT] * stamp[i, j]
    return out


@numba.njit(cache=True)
def factored(matrix: Array, size: int) -> bool:
    """Put the Cholesky factor of a symmetric matrix into its lower triangle; False: there is none.

    G. H. Golub and C. F. Van Loan, Matrix Computations (1996), section 4.2.
    """
    for a in range(size):
        for b in range(a + 1):
            total = matrix[a, b]
            for c in range(b):
                total -= matrix[a, c] * matrix[b, c]
            if a == b:
                if not total > 1e-13 * matrix[a, a]:
                    return False
                matrix[a, a] = math.sqrt(total)
            else:
                matrix[a, b] = total / matrix[b, b]
    return True


@numba.njit(cache=True)
def solved(factor: Array, right: Array, size: int) -> None:
    """Solve for a right side in place, by the factor of `factored`."""
    for a in range(size):
        for c in range(a):
            right[a] -= factor[a, c] * right[c]
        right[a] /= factor[a, a]
    for a in range(size - 1, -1, -1):
        for c in range(a + 1, size):
            right[a] -= factor[c, a] * right[c]
        right[a] /= factor[a, a]
