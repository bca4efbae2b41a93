"""Periods of a crystal: the two shortest steps that bring columns onto columns alike."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from nanopilot.core.errors import SignalError
from nanopilot.core.history import FloatArray

#: Columns that a lattice needs, and how many of them vote at most.
FEWEST, _VOTERS = 20, 400
#: Neighbours whose steps are looked at.
_ASKED = 24
#: Steps are one, and a column is where it is expected, within this share of the next neighbour.
_SAME, _WITHIN = 0.15, 0.25
#: A period brings at least this share of columns onto columns, relative to the best and at all.
_RELATIVE, _LEAST = 0.75, 0.5
#: Heights a period apart differ by no more than this factor over those of the best, and by this
#: much more (of their logarithms): thickness changes along a step.
_ALIKE, _SLOPE = 1.4, 0.06
#: Two steps are independent from this sine of the angle between them.
_SINE = 0.35


def next_distance(place: FloatArray) -> float:
    """Return the median distance of next neighbours, in the unit of the places.

    Parameters
    ----------
    place : numpy.ndarray
        Shape (n, 2).
    """
    far, _ = cKDTree(place).query(place, k=2)
    return float(np.median(np.asarray(far)[:, 1]))


def find_periods(place: FloatArray, height: FloatArray) -> FloatArray:
    """Return the two shortest independent periods as rows, shape (2, 2).

    Steps between neighbours are gathered into clusters. A step is a period if most columns have
    another there (in a honeycomb the step to the next neighbour has that for one half only), and
    if heights a step apart are as alike as they are for the best of steps (in rock salt the step
    to the next neighbour joins unlike columns).

    Parameters
    ----------
    place : numpy.ndarray
        Shape (n, 2), any unit.
    height : numpy.ndarray
        Of the columns, shape (n,).

    Raises
    ------
    SignalError
        Fewer than 20 columns, or no two independent steps that recur.
    """
    if len(place) < FEWEST:
        raise SignalError(
            f"a lattice needs {FEWEST} columns or more; there are {len(place)}. Scan a larger "
            "field, or check that the frame is atomically resolved."
        )
    tree: Any = cKDTree(place)
    near = next_distance(place)
    steps = _steps(place, tree, near)
    shares, unlike = _judged(steps, (place, height), tree, near)
    good = shares >= max(_RELATIVE * shares.max(initial=0.0), _LEAST)
    if good.any():
        good &= unlike <= _ALIKE * unlike[good].min() + _SLOPE
    found: list[FloatArray] = []
    for step in steps[good][np.argsort(np.hypot(*steps[good].T), kind="stable")]:
        if found:
            cross = found[0][0] * step[1] - found[0][1] * step[0]
            if abs(cross) < _SINE * np.hypot(*found[0]) * np.hypot(*step):
                continue
        found.append(step)
        if len(found) == 2:
            return np.array(found)
    raise SignalError(
        "columns have no two independent periods: no crystal is seen along a zone axis. Give a "
        "frame with lattice fringes in two directions, of one grain."
    )


def _steps(place: FloatArray, tree: Any, near: float) -> FloatArray:
    """Return the steps that recur between neighbours, one of each opposite pair."""
    voters = np.linspace(0, len(place) - 1, min(_VOTERS, len(place))).astype(int)
    _, at = tree.query(place[voters], k=min(_ASKED + 1, len(place)))
    away = (place[at[:, 1:]] - place[voters][:, None]).reshape(-1, 2)
    away = away[(away[:, 1] > 0) | ((away[:, 1] == 0) & (away[:, 0] > 0))]
    away = np.concatenate([away, -away])
    pairs: Any = cKDTree(away)
    votes = pairs.query_ball_point(away, _SAME * near, return_length=True)
    found: list[FloatArray] = []
    left = votes >= 0.2 * votes.max(initial=1)
    while left.any():
        one = int(np.argmax(np.where(left, votes, -1)))
        found.append(away[pairs.query_ball_point(away[one], _SAME * near)].mean(axis=0))
        for other in (away[one], -away[one]):
            left &= np.hypot(*(away - other).T) >= 2.2 * _SAME * near
    return np.array(found).reshape(-1, 2)


def _judged(
    steps: FloatArray, columns: tuple[FloatArray, FloatArray], tree: Any, near: float
) -> tuple[FloatArray, FloatArray]:
    """Return which share of columns a step brings onto columns, and how unlike these are."""
    place, height = columns
    low, high = place.min(axis=0), place.max(axis=0)
    size = np.log(np.maximum(height, 1e-3 * np.median(np.abs(height))))
    shares, unlike = np.zeros(len(steps)), np.full(len(steps), np.inf)
    for n, step in enumerate(steps):
        wanted = place + step
        far, at = tree.query(wanted)
        asked = ((wanted > low) & (wanted < high)).all(axis=1)
        hit = asked & (far < _WITHIN * near)
        if hit.sum() >= FEWEST // 4:
            shares[n] = hit.sum() / asked.sum()
            unlike[n] = np.median(np.abs(size[at[hit]] - size[hit]))
    return shares, unlike
