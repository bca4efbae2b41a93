"""Columns sorted by their brightness, where that tells them apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from nanopilot.core.errors import OutOfRange
from nanopilot.core.signals import SignalSet

Array = np.ndarray[Any, np.dtype[Any]]

#: Rounds of expectation and maximisation.
_ROUNDS = 300
#: A class is at least so wide, as a share of the spread of all; it is one from so many columns.
_NARROWEST, _FEWEST = 0.01, 5
#: Share of columns that may be expected under a wrong name; beyond, none is named.
_CONFUSED = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """Classes of a number, dimmest first.

    Parameters
    ----------
    mean, std, share : numpy.ndarray
        Of every class, shape (k,).
    bic : float
        Bayesian information criterion; lower is better.
    """

    mean: Array
    std: Array
    share: Array
    bic: float

    def odds(self, values: Array) -> Array:
        """Return the probability of every class for every value, shape (n, k)."""
        logs = self.logs(values)
        odds = np.exp(logs - logs.max(axis=1, keepdims=True))
        found: Array = odds / odds.sum(axis=1, keepdims=True)
        return found

    def logs(self, values: Array) -> Array:
        """Return the logarithm of share times density of every class, shape (n, k)."""
        away = (values[:, None] - self.mean) / self.std
        found: Array = np.log(self.share / self.std / np.sqrt(2 * np.pi)) - 0.5 * away**2
        return found


def fit_mixture(values: Array, classes: int) -> Mixture:
    """Fit normal classes to numbers by expectation and maximisation.

    A. P. Dempster, N. M. Laird and D. B. Rubin, J. R. Stat. Soc. B 39 (1977) 1; the start
    are cuts that leave the least squares. G. Schwarz, Ann. Stat. 6 (1978) 461 for the criterion.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (n,).
    classes : int
        How many.
    """
    ordered = np.sort(values)
    narrowest = max(_NARROWEST * float(values.std()), 1e-12 * float(np.abs(values).max()), 1e-300)
    parts = _cut(ordered, classes)
    mean = np.array([part.mean() for part in parts])
    std = np.maximum([part.std() for part in parts], narrowest)
    share = np.array([len(part) for part in parts]) / len(values)
    now = Mixture(mean, std, share, np.inf)
    for _ in range(_ROUNDS):
        odds = now.odds(values)
        weight = np.maximum(odds.sum(axis=0), 1e-9)
        mean = (odds * values[:, None]).sum(axis=0) / weight
        std = np.sqrt((odds * (values[:, None] - mean) ** 2).sum(axis=0) / weight)
        now = Mixture(mean, np.maximum(std, narrowest), weight / weight.sum(), np.inf)
    logs = now.logs(values)
    top = logs.max(axis=1)
    likely = float((top + np.log(np.exp(logs - top[:, None]).sum(axis=1))).sum())
    order = np.argsort(now.mean)
    bic = (3 * classes - 1) * float(np.log(len(values))) - 2 * likely
    return Mixture(now.mean[order], now.std[order], now.share[order], bic)


def _cut(ordered: Array, classes: int) -> list[Array]:
    """Cut sorted numbers, one cut after the other, where it leaves the least squares."""
    parts = [ordered]
    while len(parts) < classes:
        widest = int(np.argmax([len(part) * part.var() if len(part) > 1 else -1 for part in parts]))
        part = parts.pop(widest)
        n = np.arange(1, len(part))
        first, total = np.cumsum(part)[:-1], part.sum()
        between = first**2 / n + (total - first) ** 2 / (len(part) - n)
        cut = int(np.argmax(between)) + 1
        parts += [part[:cut], part[cut:]]
    return parts


def assign_sublattices(columns: SignalSet, *, most: int = 3) -> SignalSet:
    """Return the columns with a class by their height: ``sublattice`` and ``probability``.

    The number of classes is that of the lowest Bayesian information criterion. Where more than two
    of a hundred columns would be expected under a wrong name, the classes overlap and no column is
    named: all are -1, probability 0, and ``attrs["sublattices"]`` is 0.

    Parameters
    ----------
    columns : SignalSet
        As of `find_columns`.
    most : int
        Classes at most.

    Raises
    ------
    OutOfRange
        `most` is less than 1.
    """
    if most < 1:
        raise OutOfRange(f"`most` is {most}; it is 1 or more.")
    values = columns["height"].to_numpy().astype(float)
    named = np.full(len(values), -1, dtype=np.int64)
    sure, count = np.zeros(len(values)), 0
    if len(values):
        limit = max(1, min(most, len(values) // _FEWEST))
        fits = [fit_mixture(values, k) for k in range(1, limit + 1)]
        best = min(fits, key=lambda one: one.bic)
        odds = best.odds(values)
        if 1 - odds.max(axis=1).mean() <= _CONFUSED:
            named, sure, count = odds.argmax(axis=1), odds.max(axis=1), len(best.mean)
    labels = {"quantity": "sublattice, dimmest first, -1: not told apart", "units": "1"}
    chance = {"quantity": "probability of sublattice", "units": "1"}
    found = columns.assign(
        sublattice=xr.DataArray(named, dims="point", attrs=labels),
        probability=xr.DataArray(sure, dims="point", attrs=chance),
    )
    return found.assign_attrs(sublattices=count)
