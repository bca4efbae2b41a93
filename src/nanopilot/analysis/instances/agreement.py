"""How well things found agree with things that are there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

IntArray = np.ndarray[Any, np.dtype[np.int64]]
FloatArray = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """Things found and things there, paired one to one.

    Parameters
    ----------
    pairs : numpy.ndarray
        Labels (found, there) of every pair, shape (n, 2).
    overlap : numpy.ndarray
        Intersection over union of every pair, shape (n,).
    found, there : int
        How many there are in all.
    """

    pairs: IntArray
    overlap: FloatArray
    found: int
    there: int

    @property
    def precision(self) -> float:
        """Share of the things found that are there; 1 where nothing was found."""
        return len(self.pairs) / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """Share of the things there that were found; 1 where there are none."""
        return len(self.pairs) / self.there if self.there else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of both; 1 where there is nothing and nothing was found."""
        both = self.found + self.there
        return 2 * len(self.pairs) / both if both else 1.0


def agreement(found: IntArray, there: IntArray, least: float = 0.5) -> Agreement:
    """Pair labels of two masks of one shape so that the overlaps sum up to the most.

    Parameters
    ----------
    found, there : numpy.ndarray
        Whole numbers, 0 where nothing is.
    least : float
        Intersection over union that counts as the same thing.
    """
    names_f, index_f = np.unique(found, return_inverse=True)
    names_t, index_t = np.unique(there, return_inverse=True)
    joint = np.bincount(
        index_f.ravel() * len(names_t) + index_t.ravel(), minlength=len(names_f) * len(names_t)
    ).reshape(len(names_f), len(names_t))
    union = joint.sum(axis=1)[:, None] + joint.sum(axis=0)[None, :] - joint
    overlap = (joint / np.maximum(union, 1))[names_f != 0][:, names_t != 0]
    kept_f, kept_t = names_f[names_f != 0], names_t[names_t != 0]
    # Only what may count takes part: a hopeless pair must not push out a good one.
    rows, columns = linear_sum_assignment(-np.where(overlap >= least, overlap, 0.0))
    good = overlap[rows, columns] >= least
    pairs = np.stack([kept_f[rows[good]], kept_t[columns[good]]], axis=-1).astype(np.int64)
    return Agreement(pairs, overlap[rows[good], columns[good]], len(kept_f), len(kept_t))


def average_precision(
    found: IntArray, there: IntArray, scores: FloatArray, least: float = 0.5
) -> float:
    """Return the area under precision over recall, things taken in the order of their scores.

    Parameters
    ----------
    found, there : numpy.ndarray
        As of `agreement`.
    scores : numpy.ndarray
        Of every label of `found`, ascending labels, shape (n,).
    """
    paired = agreement(found, there, least)
    names = np.unique(found)
    names = names[names != 0]
    hit = np.isin(names, paired.pairs[:, 0])[np.argsort(-scores, kind="stable")]
    if not paired.there:
        return 1.0 if not len(names) else 0.0
    counts = np.cumsum(hit)
    precision = counts / np.arange(1, len(hit) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(best[hit]) / paired.there)
