"""Fits and their error bars, held against the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nanopilot.core.history import FloatArray
from nanopilot.core.signals import SignalSet

BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: Nine of ten normal deviates lie within so many standard deviations.
NINETY = 1.6448536269514722


@dataclass(frozen=True, slots=True, eq=False)
class Fits:
    """What a method says of some curves.

    Parameters
    ----------
    values, std : numpy.ndarray
        Parameters and their standard deviations, shape (n, parameters).
    answered : numpy.ndarray of bool
        Shape (n,); False where the method gives no answer.
    """

    values: FloatArray
    std: FloatArray
    answered: BoolArray

    @classmethod
    def of(cls, maps: SignalSet, names: Sequence[str]) -> Fits:
        """Take parameters out of what a fitting operator returned."""
        values, std = (
            np.stack([maps[name + end].to_numpy().ravel() for name in names], axis=1)
            for end in ("", "_std")
        )
        return cls(values, std, maps["reason"].to_numpy().ravel() == 0)

    @classmethod
    def joined(cls, parts: Sequence[Fits]) -> Fits:
        """Put the answers to several signals into one."""
        return cls(
            np.concatenate([part.values for part in parts]),
            np.concatenate([part.std for part in parts]),
            np.concatenate([part.answered for part in parts]),
        )


def covered(
    values: FloatArray,
    std: FloatArray,
    truth: FloatArray,
    *,
    positive: Sequence[bool],
    deviations: float = NINETY,
) -> BoolArray:
    """Tell which intervals hold the truth.

    Parameters
    ----------
    values, std, truth : numpy.ndarray
        Shape (n, parameters).
    positive : sequence of bool
        Parameters whose interval is value · exp(± deviations · std / value).
    deviations : float
        Half the width of an interval in standard deviations.

    Examples
    --------
    >>> ones = np.ones((1, 2))
    >>> covered(ones, ones, 5.0 * ones, positive=(True, False)).tolist()
    [[True, False]]
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = values * np.abs(np.log(np.abs(truth / values)))
    away = np.where(np.asarray(positive), ratio, np.abs(values - truth))
    return np.asarray(away <= deviations * std)
