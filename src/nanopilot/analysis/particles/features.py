"""What is measured of each candidate, for its probability."""

from __future__ import annotations

from typing import Any

import numpy as np

from nanopilot.analysis.particles.outline import BEND, LADDER, RAYS, Traced, gains, gathered
from nanopilot.analysis.particles.outline_kernels import closed_paths

Array = np.ndarray[Any, np.dtype[Any]]

#: Steps of the ladder between an outline and what counts as beside it.
_BESIDE = 3
#: A path that is not possible.
_NEVER = -1000.0
#: Rays of an eighth of the outline.
_PART = RAYS // 8

NAMES = (
    "slope", "weak slope", "closed", "slope over surroundings", "outside, same", "outside, other",
    "inside, same", "inside, other", "bends", "not round", "size", "filter", "sharpness", "shift",
    "growth", "weakest eighth", "second weakest eighth", "uneven", "evidence", "contrast",
    "slope among all", "weak slope among all", "filter among all", "weakest eighth among all",
    "evidence among all",
)  # fmt: skip
#: Those that are also compared with the other candidates of the frame.
_COMPARED = ("slope", "weak slope", "filter", "weakest eighth", "evidence")


def features(traced: Traced, radius: Array, score: Array, scale: float, contrast: Array) -> Array:
    """Return numbers that tell particles from what looks like them.

    Parameters
    ----------
    traced : Traced
        The outlines.
    radius, score : numpy.ndarray
        Radius of the seed in pixels of the level, and what its filter said, shape (n,).
    scale : float
        Pixels of the frame in a pixel of the level.
    contrast : numpy.ndarray
        Of `contrast`, in units of the spread of the level, shape (n,).

    Returns
    -------
    numpy.ndarray
        float64, shape (n, m): the first of `NAMES`, in their order; `compared` adds the others.
    """
    gain = gains(traced.slope, traced.sign)
    along = gathered(gain, traced.path)
    mean = along.mean(axis=1)
    steps = np.arange(len(LADDER))
    out = steps >= traced.path[:, :, None] + _BESIDE
    within = steps <= traced.path[:, :, None] - _BESIDE
    around = np.sqrt((traced.slope**2 * out).sum(axis=(1, 2)) / np.maximum(out.sum((1, 2)), 1))
    parts = np.sort(along.reshape(-1, 8, _PART).mean(axis=2), axis=1)
    beside = [
        gathered(gain, np.clip(traced.path + way, 0, len(LADDER) - 1)).mean(axis=1)
        for way in (-_BESIDE - 1, _BESIDE + 1)
    ]
    columns = [
        mean,
        np.quantile(along, 0.2, axis=1),
        (along > 1).mean(axis=1),
        mean / (around + 0.3),
        _best(gain, out),
        _best(-gain, out),
        _best(gain, within),
        _best(-gain, within),
        np.abs(np.diff(traced.path, axis=1, append=traced.path[:, :1])).mean(axis=1),
        traced.reach.std(axis=1) / traced.radius,
        np.log(traced.radius * scale),
        np.log(score),
        mean - 0.5 * (beside[0] + beside[1]),
        np.hypot(*(traced.place - traced.middle).T) / traced.radius,
        np.log(traced.radius / radius),
        parts[:, 0],
        parts[:, 1],
        along.std(axis=1),
        mean * np.sqrt(traced.radius),
        np.log(np.abs(contrast) + 0.05),
    ]
    found: Array = np.stack(columns, axis=1).astype(np.float64)
    return found


def compared(own: Array) -> Array:
    """Add how candidates stand among all of their frame, in spreads round the middle.

    A background full of edges gives strong candidates everywhere; a particle is stronger still.

    Parameters
    ----------
    own : numpy.ndarray
        Of `features`, of all candidates of a frame, shape (n, m).

    Returns
    -------
    numpy.ndarray
        Shape (n, len(NAMES)).
    """
    some = own[:, [NAMES.index(name) for name in _COMPARED]]
    away = some - np.median(some, axis=0)
    spread = 1.4826 * np.median(np.abs(away), axis=0) + 0.05
    found: Array = np.concatenate([own, away / spread], axis=1)
    return found


def _best(gain: Array, there: Array) -> Array:
    """Return the mean gain along the best closed path through part of the rays; -2 at least."""
    path = np.zeros(gain.shape[:2], np.int64)
    limited = np.where(there, gain, np.float32(_NEVER))
    closed_paths(limited, BEND, path)
    best: Array = np.maximum(gathered(limited, path).mean(axis=1), -2.0)
    return best


def contrast(traced: Traced, spread: float, beside: float = 0.0) -> Array:
    """Return the level of particles less that of their surroundings, shape (n,).

    Slopes are summed outwards; from a third of the radius to the outline, weighted by area,
    against a ring around the outline.

    Parameters
    ----------
    traced : Traced
        The outlines.
    spread : float
        Unit of the slopes, per pixel of the level.
    beside : float
        Pixels of the level on either side of the outline that belong to its edge.
    """
    unit = float(LADDER[1] - LADDER[0]) * traced.unit
    level = np.cumsum(traced.slope, axis=2) * (unit * spread)[:, None, None]
    steps = np.arange(len(LADDER))
    edge = np.ceil(beside / unit)[:, None, None]
    path = traced.path[:, :, None]
    inside = (steps < np.maximum(path - 1 - edge, 1)) * LADDER
    # At the end of the ladder a little of the ring is better than none.
    first = np.minimum(path + 2 + edge, len(LADDER) - 3)
    ring = (steps > first) & (steps < first + 7)
    weight = np.maximum(inside.sum(axis=(1, 2)), 1e-9), np.maximum(ring.sum(axis=(1, 2)), 1)
    found: Array = (level * inside).sum((1, 2)) / weight[0] - (level * ring).sum((1, 2)) / weight[1]
    return found
