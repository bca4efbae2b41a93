"""Sums over parts of many patterns: one pass over memory, every sum in double precision.

A mask is cut into runs: stretches of pixels that lie one after the other in memory. Only those
are read, so that what a mask leaves out costs nothing, and may hold anything. A pattern is small
enough to stay in the cache of a core while all masks are applied to it.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.extending import intrinsic

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


def _asked(_context: Any, array: Any, index: Any) -> Any:
    """Tell numba what asks for a value of a flat array to be brought near; nothing waits for it.

    LLVM language reference, ``llvm.prefetch``: for reading (0), to be kept (3), data (1).
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        first = context.make_array(signature.args[0])(context, builder, values[0]).data
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, *3 * [number]])
        ask = builder.module.declare_intrinsic("llvm.prefetch", (byte,), kind)
        at = builder.bitcast(builder.gep(first, [values[1]]), byte)
        builder.call(ask, [at, number(0), number(3), number(1)])
        return context.get_dummy_value()

    return numba.types.void(array, index), generate


_fetch: Any = intrinsic(_asked)


@numba.njit(cache=True, nogil=True)
def integrate(  # noqa: PLR0913, PLR0917 - a kernel: what it needs, one by one
    patterns: Array, runs: Array, masks: Array, weights: Array, lines: Array, out: Array
) -> None:
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
    lines : numpy.ndarray of int64
        First pixel of every piece of a pattern, as long as the lines of a cache, that a run reads
        of; shape (lines,).
    out : numpy.ndarray
        Filled with the sums, shape (n, masks).
    """
    flat = patterns.reshape(-1)
    for i in range(patterns.shape[0]):
        pattern = patterns[i]
        ahead, fetched = min(i + 1, patterns.shape[0] - 1) * patterns.shape[1], 0
        for mask in range(masks.shape[0]):
            total, row = 0.0, masks[mask, 2]
            for run in range(masks[mask, 0], masks[mask, 1]):
                first, behind = runs[run, 0], runs[run, 1]
                while fetched * len(runs) < (run + 1) * len(lines):
                    _fetch(flat, ahead + lines[fetched])
                    fetched += 1
                if row < 0:
                    total += _plain(pattern[first:behind])
                else:
                    total += _weighed(pattern[first:behind], weights[row, first:behind])
            out[i, mask] = total
