"""Fits and their error bars, held against the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nanopilot.bench.track import Bar
from nanopilot.core.history import FloatArray, IntArray
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


def interval_bars(snrs: Sequence[int]) -> tuple[Bar, ...]:
    """Return that 85 to 95 % of the intervals of nominally 90 % hold the truth, at each SNR."""
    return tuple(
        Bar(what=f"90 % intervals at SNR {snr}: {side}", metric=f"coverage_{snr}", **at)
        for snr in snrs
        for side, at in (
            ("enough", {"bar": 0.85}),
            ("not too wide", {"bar": 0.95, "better": "lower"}),
        )
    )


def scores_by_snr(
    found: Fits, wrong: BoolArray, hits: BoolArray, snr: IntArray, off: Mapping[str, FloatArray]
) -> dict[str, float]:
    """Score answers for each signal-to-noise ratio.

    Parameters
    ----------
    found : Fits
        The answers, n of them.
    wrong : numpy.ndarray of bool
        Which are too far from the truth, shape (n,).
    hits : numpy.ndarray of bool
        Which intervals hold the truth, shape (n, parameters).
    snr : numpy.ndarray
        Shape (n,).
    off : mapping
        Errors by the name under which their median is told, shape (n,).

    Returns
    -------
    dict
        Per SNR ``failures``, wrong or without an answer; ``silent``, wrong without a flag; the
        medians of `off` and the share ``coverage`` of `hits`, of what was answered.
    """
    scores = {}
    for one in np.unique(snr):
        here = snr == one
        answered = here & found.answered
        scores[f"failures_{one}"] = float((wrong | ~found.answered)[here].mean())
        scores[f"silent_{one}"] = float((wrong & found.answered)[here].mean())
        for name, error in off.items():
            given = error[answered]
            scores[f"{name}_{one}"] = float(np.median(given)) if given.size else float("nan")
        scores[f"coverage_{one}"] = share(hits[answered])
    return scores


def share(hits: BoolArray) -> float:
    """Return the share of what is true; nan of nothing."""
    return float(hits.mean()) if hits.size else float("nan")


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number whose logarithm is even between two."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
