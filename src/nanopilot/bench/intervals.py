"""How sure a mean over seeds is: the percentile bootstrap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nanopilot.core.values import Value


class Interval(Value):
    """A mean with its bootstrap interval."""

    mean: float
    low: float
    high: float


def bootstrap(
    values: Sequence[float],
    rng: np.random.Generator,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
) -> Interval:
    """Return the mean and the interval that resampling the values gives.

    Parameters
    ----------
    values : sequence of float
        One per seed; NaN (no answer) is left out, all NaN gives NaN.
    rng : numpy.random.Generator
        Draws the resamples.
    confidence : float
        Share of resampled means inside the interval.
    resamples : int
        How many.

    Notes
    -----
    Efron & Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3. With few seeds
    the interval is too narrow, as every bootstrap is.

    Examples
    --------
    >>> bootstrap([2.0, 2.0, 2.0], np.random.default_rng(0)).high
    2.0
    """
    known = np.array([value for value in values if np.isfinite(value)], dtype=float)
    if known.size == 0:
        return Interval(mean=float("nan"), low=float("nan"), high=float("nan"))
    means = rng.choice(known, size=(resamples, known.size)).mean(axis=1)
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, (tail, 1 - tail))
    return Interval(mean=float(known.mean()), low=float(low), high=float(high))
