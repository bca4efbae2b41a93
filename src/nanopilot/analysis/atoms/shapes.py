"""The shape that columns share, by its likelihood, and which columns are of another one."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from nanopilot.analysis.atoms.likelihood import Setting, listed
from nanopilot.analysis.atoms.stamps import GROUND, HEIGHT, PARTS, factored, solved

Array = np.ndarray[Any, np.dtype[Any]]

#: Columns that a common shape is taken from, at most.
_ENOUGH = 2500
#: A shape that differs by more (chi squared of 3) is another shape.
_OTHER = 30.0
#: Largest relative change of the shape in one step.
_LARGEST = 0.3


@numba.njit(cache=True, parallel=True)
def shape_scores(
    image: Array, table: Array, model: Array, inverse: Array, setting: Setting
) -> Array:
    """Return Fisher matrix and score of each column's shape, shape (n, 4, 3): score last.

    The shape is the inverse covariance (rows rows, rows columns, columns columns). Place, height
    and background of each column are free to follow: they are eliminated (the efficient score; A.
    W. van der Vaart, Asymptotic Statistics (1998), section 25.4). Parameters as of
    `nanopilot.analysis.atoms.likelihood.step`.
    """
    found = np.zeros((len(table), 4, 3))
    for part in numba.prange(PARTS):
        first = np.int64(part) * len(table) // PARTS
        last = (np.int64(part) + 1) * len(table) // PARTS
        size = 2 * setting[0] + 1
        space, pixels = np.empty((size + 1, size)), np.empty((5, size * size))
        work = np.zeros((8, 7))
        for n in range(first, last):
            count = listed(image, model, table[n], inverse, setting, space, pixels)
            _summed(pixels[:, :count], table[n], inverse, setting, work)
            _eliminated(work, found[n])
    return found


@numba.njit(cache=True)
def _summed(pixels: Array, own: Array, inverse: Array, setting: Setting, work: Array) -> None:
    """Fill in the Fisher matrix of place, height, background and shape, and the score (row 7)."""
    _, gain, dark, floor = setting
    work[:] = 0.0
    slope = np.empty(7)
    for k in range(pixels.shape[1]):
        value, model, shape = pixels[0, k], pixels[1, k], pixels[2, k]
        dy, dx = pixels[3, k], pixels[4, k]
        mean = own[GROUND] + model
        weight = 1.0 / max(gain * mean + dark, floor)
        tall = own[HEIGHT] * shape
        slope[0] = tall * (inverse[0] * dy + inverse[1] * dx)
        slope[1] = tall * (inverse[1] * dy + inverse[2] * dx)
        slope[2], slope[3] = shape, 1.0
        slope[4], slope[5], slope[6] = -0.5 * tall * dy * dy, -tall * dy * dx, -0.5 * tall * dx * dx
        for u in range(7):
            work[7, u] += slope[u] * (value - mean) * weight
            for v in range(u + 1):
                work[u, v] += slope[u] * slope[v] * weight


@numba.njit(cache=True)
def _eliminated(work: Array, out: Array) -> None:
    """Take the first four parameters out of the Fisher matrix and score of all seven."""
    cross = work[4:7, :4].copy()
    if not factored(work, 4):
        return
    right = work[7, :4].copy()
    solved(work, right, 4)
    for u in range(3):
        out[3, u] = work[7, 4 + u]
        for k in range(4):
            out[3, u] -= cross[u, k] * right[k]
    for v in range(3):
        right = cross[v].copy()
        solved(work, right, 4)
        for u in range(v, 3):
            value = work[4 + u, 4 + v]
            for k in range(4):
                value -= cross[u, k] * right[k]
            out[u, v] = out[v, u] = value


def oddness(scores: Array) -> Array:
    """Return how far each column's shape is from the common one: chi squared of 3, shape (n,)."""
    bend = scores[:, :3] + 1e-12 * np.eye(3) * (1 + np.abs(scores[:, :3]).max(initial=0.0))
    moved = np.linalg.solve(bend, scores[:, 3][:, :, None])[:, :, 0]
    found: Array = (moved * scores[:, 3]).sum(axis=1)
    return found


def sampled(table: Array, kept: Array) -> Array:
    """Return which columns the common shape is taken from: some of `kept`, spread evenly."""
    among = np.flatnonzero(kept)
    if len(among) > _ENOUGH:
        among = among[np.linspace(0, len(among) - 1, _ENOUGH).astype(int)]
    found: Array = among[table[among, HEIGHT] > 0]
    return found


def reshaped(shape: Array, scores: Array) -> Array:
    """Return the common shape after one step of scoring; columns of another shape do not count.

    Parameters
    ----------
    shape : numpy.ndarray
        Covariance in pixels squared, shape (2, 2).
    scores : numpy.ndarray
        `shape_scores` of some columns.
    """
    odd = oddness(scores)
    # Far from the answer every shape is another one: then all of them count.
    usual = odd <= max(_OTHER, 3 * float(np.median(odd)))
    sums = scores[usual].sum(axis=0)
    inverse = np.linalg.inv(shape)
    try:
        change = np.linalg.solve(sums[:3], sums[3])
    except np.linalg.LinAlgError:
        return shape
    change = np.array([[change[0], change[1]], [change[1], change[2]]])
    # In units of the shape itself, so that a limit is the same in all directions.
    root = np.linalg.cholesky(shape)
    relative = root.T @ change @ root
    largest = float(np.abs(np.linalg.eigvalsh(relative)).max())
    found: Array = np.linalg.inv(inverse + change * min(1.0, _LARGEST / max(largest, 1e-12)))
    return found
