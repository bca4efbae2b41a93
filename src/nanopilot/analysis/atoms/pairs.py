"""One column or two? Blobs that are too long for a column, and two of the common shape in them.

Both accounts have seven parameters: two columns of the common shape have two places and two
heights; one column of a shape of its own has a place, a height and three numbers of shape; either
has a background. So the one whose likelihood is larger is better by any information criterion;
two columns must also beat one of the common shape by the criterion of G. Schwarz, Ann. Stat. 6
(1978) 461.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from nanopilot.analysis.atoms.likelihood import Setting, likelier
from nanopilot.analysis.atoms.stamps import COLUMN, GROUND, HEIGHT, ROW, factored, solved

Array = np.ndarray[Any, np.dtype[Any]]

#: Rounds of damped scoring, and the damping they begin with.
_ROUNDS, _DAMPING = 60, 1e-2
#: One of two has left when it has moved by more than this share of the window's reach.
_LEFT = 0.5
#: By how much two columns must beat one long one, twice the logarithm of the likelihoods.
_MARGIN = 6.0


@numba.njit(cache=True)
def _two(pixels: Array, own: Array, inverse: Array, slopes: Array) -> None:
    """Fill in mean (column 7) and slopes of two columns: places, heights, and the background."""
    for k in range(len(pixels)):
        slopes[k, 6], slopes[k, 7] = 1.0, pixels[k, 1] + own[6]
        for one in range(2):
            dy, dx = pixels[k, 2] - own[3 * one], pixels[k, 3] - own[3 * one + 1]
            a, b = inverse[0] * dy + inverse[1] * dx, inverse[1] * dy + inverse[2] * dx
            shape = math.exp(-0.5 * (a * dy + b * dx))
            tall = own[3 * one + 2] * shape
            slopes[k, 3 * one], slopes[k, 3 * one + 1] = tall * a, tall * b
            slopes[k, 3 * one + 2] = shape
            slopes[k, 7] += tall


@numba.njit(cache=True)
def _long(pixels: Array, own: Array, slopes: Array) -> None:
    """Do the same for one column with an inverse covariance of its own: parameters 3 to 5."""
    for k in range(len(pixels)):
        dy, dx = pixels[k, 2] - own[0], pixels[k, 3] - own[1]
        a, b = own[3] * dy + own[4] * dx, own[4] * dy + own[5] * dx
        shape = math.exp(-0.5 * (a * dy + b * dx))
        tall = own[2] * shape
        slopes[k, 0], slopes[k, 1], slopes[k, 2] = tall * a, tall * b, shape
        slopes[k, 3], slopes[k, 4] = -0.5 * tall * dy * dy, -tall * dy * dx
        slopes[k, 5], slopes[k, 6] = -0.5 * tall * dx * dx, 1.0
        slopes[k, 7] = pixels[k, 1] + own[6] + tall


@numba.njit(cache=True)
def _allowed(own: Array, two: bool) -> bool:
    if two:
        return bool(own[2] > 0 and own[5] > 0)
    return bool(own[2] > 0 and own[3] > 0 and own[5] > 0 and own[3] * own[5] > own[4] ** 2)


@numba.njit(cache=True)
def _climbed(
    pixels: Array, own: Array, inverse: Array, setting: Setting, two: bool
) -> tuple[float, Array]:
    """Climb the likelihood by damped scoring, in place; return it and the last Fisher matrix.

    K. Levenberg, Quart. Appl. Math. 2 (1944) 164, on the Fisher matrix. The likelihood is relative
    to means equal to the counts.
    """
    slopes, trial = np.empty((len(pixels), 8)), own.copy()
    best, damping = -np.inf, _DAMPING
    fisher, score = np.zeros((7, 7)), np.zeros(7)
    work, move = np.zeros((7, 7)), np.zeros(7)
    for _ in range(_ROUNDS):
        total = -np.inf
        if _allowed(trial, two):
            if two:
                _two(pixels, trial, inverse, slopes)
            else:
                _long(pixels, trial, slopes)
            total = 0.0
            for k in range(len(pixels)):
                total -= likelier(pixels[k, 0], pixels[k, 0], slopes[k, 7], setting)
        if total > best:
            done, best, damping = total - best < 1e-4, total, max(damping * 0.2, 1e-9)
            own[:] = trial
            _information(pixels, slopes, setting, fisher, score)
            if done:
                break
        else:
            damping *= 8.0
        work[:], move[:] = fisher, score
        for u in range(7):
            work[u, u] += damping * fisher[u, u] + 1e-12
        if damping > 1e6 or not factored(work, 7):
            break
        solved(work, move, 7)
        trial[:] = own + move
    return best, fisher


@numba.njit(cache=True)
def _information(
    pixels: Array, slopes: Array, setting: Setting, fisher: Array, score: Array
) -> None:
    _, gain, dark, floor = setting
    fisher[:], score[:] = 0.0, 0.0
    for k in range(len(pixels)):
        weight = 1.0 / max(gain * slopes[k, 7] + dark, floor)
        away = (pixels[k, 0] - slopes[k, 7]) * weight
        for u in range(7):
            score[u] += slopes[k, u] * away
            for v in range(7):
                fisher[u, v] += slopes[k, u] * slopes[k, v] * weight


def window_of(image: Array, others: Array, place: Array, reach: int) -> Array:
    """Return count, mean of all else, row and column of the pixels about a place, shape (n, 4)."""
    rows, columns = (
        np.arange(max(0, round(p) - reach), min(size, round(p) + reach + 1))
        for p, size in zip(place.tolist(), image.shape, strict=True)
    )
    y, x = np.meshgrid(rows, columns, indexing="ij")
    disc = (y - place[0]) ** 2 + (x - place[1]) ** 2 <= (reach + 0.5) ** 2
    y, x = y[disc], x[disc]
    return np.column_stack([image[y, x], others[y, x], y, x]).astype(np.float64)


def split(pixels: Array, own: Array, inverse: Array, setting: Setting) -> Array | None:
    """Return two columns in place of one, shape (2, 4), or None where one is enough.

    Parameters
    ----------
    pixels : numpy.ndarray
        As of `window_of`, all other columns in the mean.
    own : numpy.ndarray
        Row, column, height and background of the one column, shape (4,).
    inverse : numpy.ndarray
        Inverse covariance of the common shape, shape (3,).
    setting : (int, float, float, float)
        Reach; gain, dark and floor of the variance.
    """
    single = np.array([*own[:3], *inverse, own[GROUND]])
    plain = _climbed_common(pixels, own, inverse, setting)
    longer, _ = _climbed(pixels, single, inverse, setting, False)
    shape = np.linalg.inv(np.array([[single[3], single[4]], [single[4], single[5]]]))
    common = np.linalg.inv(np.array([[inverse[0], inverse[1]], [inverse[1], inverse[2]]]))
    size, axes = np.linalg.eigh(shape - common)
    half = math.sqrt(max(float(size[1]), 0.1 * float(np.trace(common)))) * axes[:, 1]
    best, found = -np.inf, np.zeros(7)
    for share in (0.5, 0.3, 0.7):
        # About the middle of both, weighted by their heights.
        first, second = single[:2] + 2 * (1 - share) * half, single[:2] - 2 * share * half
        trial = np.array([*first, share * own[2], *second, (1 - share) * own[2], own[GROUND]])
        likely, _ = _climbed(pixels, trial, inverse, setting, True)
        if likely > best:
            best, found = likely, trial.copy()
    enough = 2 * (best - plain) > 3 * math.log(len(pixels)) + _MARGIN
    if not enough or 2 * (best - longer) < _MARGIN:
        return None
    return np.array([[*found[:3], found[6]], [*found[3:6], found[6]]])


def _climbed_common(pixels: Array, own: Array, inverse: Array, setting: Setting) -> float:
    """Return the likelihood of one column of the common shape where it is."""
    dy, dx = pixels[:, 2] - own[ROW], pixels[:, 3] - own[COLUMN]
    power = inverse[0] * dy**2 + 2 * inverse[1] * dy * dx + inverse[2] * dx**2
    means = pixels[:, 1] + own[GROUND] + own[HEIGHT] * np.exp(-0.5 * power)
    counts = pixels[:, 0]
    terms = [
        likelier(value, value, mean, setting) for value, mean in zip(counts, means, strict=True)
    ]
    return -float(np.sum(terms))


def refit_pair(
    pixels: Array, pair: Array, inverse: Array, setting: Setting
) -> tuple[Array, Array] | None:
    """Fit two columns that overlap, jointly; return them, shape (2, 4), and covariances, (2, 4, 4).

    None where there is no room for two: one of them leaves.

    Parameters
    ----------
    pixels : numpy.ndarray
        As of `window_of`, all columns but these two in the mean.
    pair : numpy.ndarray
        Where to begin, shape (2, 4).
    inverse, setting
        As of `split`.
    """
    own = np.array([*pair[0, :3], *pair[1, :3], pair[:, GROUND].mean()])
    own[[2, 5]] = np.maximum(own[[2, 5]], 1e-6)
    likely, fisher = _climbed(pixels, own, inverse, setting, True)
    moved = np.abs(own[[0, 1, 3, 4]] - pair[:, :2].ravel()).max()
    if not np.isfinite(likely) or moved > _LEFT * setting[0]:
        return None
    size = np.sqrt(np.maximum(np.diag(fisher), 1e-30))
    spread = np.linalg.inv(fisher / np.outer(size, size) + 1e-9 * np.eye(7)) / np.outer(size, size)
    parts = [[0, 1, 2, 6], [3, 4, 5, 6]]
    return own[parts], np.array([spread[np.ix_(part, part)] for part in parts])
