"""Anode or cathode: two kinds that take turns, told by length and strength."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nanopilot.analysis.electrodes.ends import Line

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: Chance that the kind changes from one place to the next.
_TURN = 0.98
#: Pixels, and standard deviations, by which the lengths of the kinds must differ.
_APART, _CLEAR = 1.5, 2.5


@dataclass(frozen=True, slots=True, eq=False)
class Kinds:
    """Which plates are anodes.

    Parameters
    ----------
    anode : numpy.ndarray
        Chance of every plate, shape (n,); NaN where the kinds could not be told apart.
    apart : float
        How much longer anodes are than cathodes, in pixels.
    clear : float
        The same in standard deviations of the ends of one kind.
    """

    anode: FloatArray
    apart: float
    clear: float

    @property
    def told(self) -> bool:
        """Whether the kinds could be told apart."""
        return bool(np.isfinite(self.anode).all())


def tell_kinds(rows: FloatArray, level: FloatArray, place: FloatArray, slot: IntArray,
               line: Line) -> Kinds:  # fmt: skip
    """Tell anodes from cathodes by a hidden Markov model of two kinds.

    Both kinds have a length and a strength of their own, normally distributed, found by
    expectation and maximisation (L. R. Rabiner, Proc. IEEE 77 (1989) 257, sec. III C). Anodes are
    the longer ones, as cells are built: lithium must find graphite opposite everywhere.

    Parameters
    ----------
    rows, level : numpy.ndarray
        Free end and strength of every plate, shape (n,).
    place : numpy.ndarray
        Where the plates are across the stack.
    slot : numpy.ndarray
        Number of its place in the stack, gaps where plates are missing.
    line : Line
        Bow of the ends across the stack.
    """
    n = len(rows)
    nothing = Kinds(np.full(n, np.nan), 0.0, 0.0)
    if n < 4:
        return nothing
    seen = np.stack([rows - np.polyval(line.bow, place), level], axis=1)
    scale = np.maximum(1.4826 * np.median(np.abs(seen - np.median(seen, axis=0)), axis=0), 1e-12)
    even = (slot % 2 == 0).astype(float)
    share = np.clip(even, 0.02, 0.98)
    middle = spread = np.zeros((2, 2))
    for _ in range(12):
        weights = np.stack([share, 1 - share])
        if weights.sum(axis=1).min() < 1.5:
            return nothing
        middle, spread = _moments(weights, seen, scale)
        share = _smoothed(_likelihood(seen, middle, spread), slot)
    length = middle[:, 0]
    apart = float(abs(length[0] - length[1]))
    clear = apart / float(np.sqrt(np.mean(spread[:, 0] ** 2)))
    if apart < _APART or clear < _CLEAR:
        return Kinds(np.full(n, np.nan), apart, clear)
    return Kinds(share if length[0] < length[1] else 1 - share, apart, clear)


def _moments(
    weights: FloatArray, seen: FloatArray, scale: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return means and standard deviations of both kinds; what lies far out counts little."""
    middle, spread = np.empty((2, 2)), np.empty((2, 2))
    for kind in (0, 1):
        for what in (0, 1):
            w, x = weights[kind], seen[:, what]
            order = np.argsort(x)
            at = np.searchsorted(np.cumsum(w[order]), w.sum() / 2)
            centre = float(x[order][min(at, len(x) - 1)])
            away = np.abs(x - centre)
            order = np.argsort(away)
            at = np.searchsorted(np.cumsum(w[order]), w.sum() / 2)
            middle[kind, what] = centre
            spread[kind, what] = 1.4826 * float(away[order][min(at, len(x) - 1)])
    floor = np.array([0.4, 0.03 * float(np.abs(middle[:, 1]).max()) + 1e-12])
    return middle, np.maximum(np.maximum(spread, floor), 0.02 * scale)


def _likelihood(seen: FloatArray, middle: FloatArray, spread: FloatArray) -> FloatArray:
    """Return the log-likelihood of both kinds, shape (2, n); one odd plate cannot decide alone."""
    away = (seen[None] - middle[:, None]) / spread[:, None]
    return np.asarray(np.sum(-0.5 * np.minimum(away**2, 12.0) - np.log(spread[:, None]), axis=-1))


def _smoothed(log_like: FloatArray, slot: IntArray) -> FloatArray:
    """Return the chance of the first kind at every plate, forward and backward."""
    like = np.exp(log_like - log_like.max(axis=0))
    n = like.shape[1]
    forth, back = np.empty((2, n)), np.ones((2, n))
    forth[:, 0] = like[:, 0] / like[:, 0].sum()
    turns = [_turn(int(step)) for step in np.diff(slot)]
    for k in range(1, n):
        forth[:, k] = like[:, k] * (turns[k - 1] @ forth[:, k - 1])
        forth[:, k] /= forth[:, k].sum()
    for k in range(n - 2, -1, -1):
        back[:, k] = turns[k] @ (like[:, k + 1] * back[:, k + 1])
        back[:, k] /= back[:, k].sum()
    both = forth * back
    return np.asarray(both[0] / both.sum(axis=0))


def _turn(steps: int) -> FloatArray:
    """Return the chances of staying and changing after some places."""
    one = np.array([[1 - _TURN, _TURN], [_TURN, 1 - _TURN]])
    return np.linalg.matrix_power(one, max(steps, 1))
