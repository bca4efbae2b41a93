"""The loops of tip analysis over plain arrays; tips as in `nanopilot.models.tip_imaging`."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]


@numba.njit(cache=True)
def bound_beyond(image: FloatArray, tip: FloatArray) -> FloatArray:
    """Return the erosion of an image, continued beyond its edge by half a tip on every side.

    There the surface is bounded too: by the flanks of a tip whose apex was inside. A place no
    flank reached is bounded by nothing, and infinite.

    Parameters
    ----------
    image : numpy.ndarray
        Shape (rows, columns).
    tip : numpy.ndarray
        Shape (2 a + 1, 2 b + 1).

    Returns
    -------
    numpy.ndarray
        Shape (rows + 2 a, columns + 2 b).
    """
    rows, columns = image.shape
    up, right = tip.shape[0] // 2, tip.shape[1] // 2
    bound = np.full((rows + 2 * up, columns + 2 * right), np.inf)
    for i in range(rows):
        for u in range(tip.shape[0]):
            line = bound[i + u]
            for v in range(tip.shape[1]):
                height = tip[u, v]
                if height == np.inf:
                    continue
                target = line[v : v + columns]
                source = image[i]
                for j in range(columns):
                    target[j] = min(target[j], source[j] + height)
    return bound


@numba.njit(cache=True)
def single_contacts(
    image: FloatArray, bound: FloatArray, tip: FloatArray, slack: float
) -> BoolArray:
    """Mark the places that the tip touched when it could touch nowhere else.

    Parameters
    ----------
    image : numpy.ndarray
        Shape (rows, columns).
    bound : numpy.ndarray
        Of `bound_beyond`.
    tip : numpy.ndarray
        Shape (2 a + 1, 2 b + 1).
    slack : float
        How far from the tip, in metres, a place still counts as touched.

    Returns
    -------
    numpy.ndarray of bool
        Shape (rows, columns).
    """
    rows, columns = image.shape
    up, right = tip.shape[0] // 2, tip.shape[1] // 2
    certain = np.zeros((rows, columns), dtype=np.bool_)
    for i in range(rows):
        for j in range(columns):
            touched, row, column = 0, 0, 0
            for u in range(tip.shape[0]):
                for v in range(tip.shape[1]):
                    if bound[i + u, j + v] - tip[u, v] >= image[i, j] - slack:
                        touched += 1
                        row, column = i + u - up, j + v - right
                if touched > 1:
                    break
            inside = 0 <= row < rows and 0 <= column < columns
            if touched == 1 and inside:
                certain[row, column] = True
    return certain


@numba.njit(cache=True)
def sharpen(image: FloatArray, tip: FloatArray, threshold: float) -> int:
    """Raise the flanks of a tip to what an image proves, in place; return how many rose.

    One pass of blind estimation. With the apex at x the tip touched somewhere, at x + u say,
    so that no other apex position y may push a flank through that point:
    t(v) >= min over possible u of I(x) - I(x + u - v) + t(u), for every x.
    J. S. Villarrubia, J. Res. Natl. Inst. Stand. Technol. 102 (1997) 425, equation 20.

    Parameters
    ----------
    image : numpy.ndarray
        Shape (rows, columns), both larger than the tip.
    tip : numpy.ndarray
        Lower estimate of the flanks, shape (2 a + 1, 2 b + 1).
    threshold : float
        Height difference in metres that noise alone can make.
    """
    rows, columns = image.shape
    up, right = tip.shape[0] // 2, tip.shape[1] // 2
    width = tip.shape[1]
    size = tip.size
    rose = 0
    contact_row, contact_column = np.empty(size, np.int64), np.empty(size, np.int64)
    for i in range(up, rows - up):
        for j in range(right, columns - right):
            here = image[i, j]
            count = 0
            for k in range(size):
                u, v = k // width, k % width
                if image[i + u - up, j + v - right] - here >= tip[u, v] - threshold:
                    contact_row[count], contact_column[count] = u - up, v - right
                    count += 1
            last = 0
            for k in range(size):
                u, v = k // width - up, k % width - right
                least = tip[u + up, v + right] + threshold
                lowest = np.inf
                # The contact that said no last time is likely to say no again.
                for m in range(count):
                    c = m + last if m + last < count else m + last - count
                    row = i + contact_row[c] - u
                    column = j + contact_column[c] - v
                    if not (0 <= row < rows and 0 <= column < columns):
                        lowest = -np.inf
                    else:
                        flank = tip[contact_row[c] + up, contact_column[c] + right]
                        lowest = min(lowest, here - image[row, column] + flank)
                    if lowest <= least:
                        last = c
                        break
                if lowest > least:
                    tip[u + up, v + right] = lowest - threshold
                    rose += 1
    return rose
