"""Sums over parts of many patterns: one pass over memory, every sum in double precision.

A mask is cut into runs: stretches of pixels that lie one after the other in memory. Only those
are read, so that what a mask leaves out costs nothing, and may hold anything. A pattern is small
enough to stay in the cache of a core while all masks are applied to it.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

#: Sums may be taken in any order, so that several run at once; what is no number stays none.
_REORDERED = {"reassoc", "contract", "nsz"}


@numba.njit(cache=True, nogil=True, fastmath=_REORDERED)
def _plain(values: Array) -> float:
    total = 0.0
    for j in range(values.size):
        total += values[j]
    return total


@numba.njit(cache=True, nogil=True, fastmath=_REORDERED)
def _weighed(values: Array, weights: Array) -> float:
    total = 0.0
    for j in range(values.size):
        total += values[j] * weights[j]
    return total


@numba.njit(cache=True, nogil=True)
def integrate(patterns: Array, runs: Array, masks: Array, weights: Array, out: Array) -> None:
    """Add up every pattern under every mask.

    Parameters
    ----------
    patterns : numpy.ndarray
        Shape (n, pixels), C order; any real type.
    runs : numpy.ndarray of int64
        First pixel of each run and one behind its last, shape (runs, 2).
    masks : numpy.ndarray of int64
        Of each mask its first run, one behind its last, and its row among the weights or -1: all
        pixels count once. Shape (masks, 3).
    weights : numpy.ndarray
        What each pixel counts, shape (rows, pixels).
    out : numpy.ndarray
        Filled with the sums, shape (n, masks).
    """
    for i in range(patterns.shape[0]):
        pattern = patterns[i]
        for mask in range(masks.shape[0]):
            total, row = 0.0, masks[mask, 2]
            for run in range(masks[mask, 0], masks[mask, 1]):
                first, behind = runs[run, 0], runs[run, 1]
                if row < 0:
                    total += _plain(pattern[first:behind])
                else:
                    total += _weighed(pattern[first:behind], weights[row, first:behind])
            out[i, mask] = total
