"""Columns that overlap: long blobs taken for two columns, and close pairs fitted as one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from nanopilot.analysis.atoms.pairs import refit_pair, split, window_of
from nanopilot.analysis.atoms.refining import (
    Refined,
    inverse_of,
    judged,
    modelled,
    setting_of,
    width_of,
)
from nanopilot.analysis.atoms.shapes import oddness, shape_scores
from nanopilot.analysis.atoms.stamps import COLUMN, HEIGHT, ROW

Array = np.ndarray[Any, np.dtype[Any]]

#: A shape that differs by more (chi squared of 3) is looked at.
_ODD = 30.0
#: Columns that stand out by less are never looked at.
_SEEN = 6.0
#: Two columns closer than so many widths are fitted as one piece, so many times in turn.
_CLOSE, _TURNS = 3.2, 4
#: Half the window of a pair, in widths.
_AROUND = 4.0


def told_apart(image: Array, now: Refined) -> Refined:
    """Return the columns with two in place of each that holds two, close pairs fitted jointly.

    Parameters
    ----------
    image : numpy.ndarray
        Counts, float64, shape (rows, columns).
    now : Refined
        A fit of all columns.
    """
    if not len(now.table):
        return now
    suspects = np.flatnonzero(odd(image, now))
    now = _split(image, now, suspects) if len(suspects) else now
    pairs = _close(now)
    return _jointly(image, now, pairs) if len(pairs) else now


def odd(image: Array, now: Refined) -> Array:
    """Tell which columns are plainly there and of another shape than the rest, shape (n,)."""
    scores = shape_scores(
        image, now.table, modelled(image, now), inverse_of(now.shape), setting_of(now)
    )
    found: Array = (now.significance > _SEEN) & ~now.stepped & (oddness(scores) > _ODD)
    return found


def _split(image: Array, now: Refined, suspects: Array) -> Refined:
    model, inverse = modelled(image, now), inverse_of(now.shape)
    reach = max(3, round(_AROUND * width_of(now.shape)))
    table, more = now.table.copy(), []
    for n in suspects:
        pixels = window_of(image, model, now.table[n, :2], reach)
        pixels[:, 1] -= _stamp(pixels, now.table[n], inverse)
        found = split(pixels, now.table[n], inverse, setting_of(now))
        if found is not None:
            table[n] = found[0]
            more.append(found[1])
    if not more:
        return now
    table = np.concatenate([table, more])
    room = np.zeros((len(more), 4, 4))
    now = replace(
        now, table=table, covariance=np.concatenate([now.covariance, room]),
        gain=np.concatenate([now.gain, np.zeros(len(more))]),
        stepped=np.concatenate([now.stepped, np.zeros(len(more), dtype=bool)]),
    )  # fmt: skip
    return judged(image, now)[0]


def _stamp(pixels: Array, own: Array, inverse: Array) -> Array:
    dy, dx = pixels[:, 2] - own[ROW], pixels[:, 3] - own[COLUMN]
    power = inverse[0] * dy**2 + 2 * inverse[1] * dy * dx + inverse[2] * dx**2
    found: Array = own[HEIGHT] * np.exp(-0.5 * power)
    return found


def _close(now: Refined) -> Array:
    """Return pairs of columns that are next to each other and close, shape (n, 2)."""
    from scipy.spatial import cKDTree

    if len(now.table) < 2:
        return np.zeros((0, 2), dtype=int)
    tree: Any = cKDTree(now.table[:, :2])
    far, near = tree.query(now.table[:, :2], k=2)
    own, other = np.arange(len(near)), near[:, 1]
    close = (far[:, 1] < _CLOSE * width_of(now.shape)) & (other[other] == own) & (own < other)
    close &= ~now.stepped & ~now.stepped[other]
    return np.stack([own[close], other[close]], axis=1)


def _jointly(image: Array, now: Refined, pairs: Array) -> Refined:
    inverse, setting = inverse_of(now.shape), setting_of(now)
    reach = max(3, round(_AROUND * width_of(now.shape)))
    table, covariance = now.table.copy(), now.covariance.copy()
    for _ in range(_TURNS):
        model = modelled(image, replace(now, table=table))
        for pair in pairs:
            pixels = window_of(image, model, table[pair, :2].mean(axis=0), reach)
            for one in pair:
                pixels[:, 1] -= _stamp(pixels, table[one], inverse)
            found = refit_pair(pixels, table[pair], inverse, setting)
            if found is not None:
                table[pair], covariance[pair] = found
    fitted, _ = judged(image, replace(now, table=table))
    kept = fitted.covariance.copy()
    kept[pairs.ravel()] = covariance[pairs.ravel()]
    worth = fitted.gain.copy()
    # What one of two is worth hangs on the other: no more than its height over its error.
    height = table[:, HEIGHT] ** 2 / np.maximum(kept[:, HEIGHT, HEIGHT], 1e-300)
    worth[pairs.ravel()] = np.minimum(worth, height)[pairs.ravel()]
    return replace(fitted, covariance=kept, gain=worth)
