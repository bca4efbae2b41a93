"""Surrogates: what the measurements so far say about every candidate site."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from nanopilot.core.errors import OutOfRange
from nanopilot.core.features import FeatureTable
from nanopilot.core.history import FloatArray, History, IntArray
from nanopilot.models import OnlineGaussianProcess, RefitSchedule


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """Prediction of the reward at every candidate site.

    Parameters
    ----------
    mean, std : numpy.ndarray
        Shape (sites,), in the unit of the reward; `std` is that of the value itself, without
        the noise of a measurement.
    noise : float
        Standard deviation of one measurement about that value.
    settings : mapping of str to float
        What the model learned about itself, such as its length scales.
    covariance : callable, optional
        From the numbers of m sites to the covariance of every site with them, shape
        (sites, m); None where the surrogate cannot tell.
    """

    mean: FloatArray
    std: FloatArray
    noise: float = 0.0
    settings: Mapping[str, float] = field(default_factory=dict)
    covariance: Callable[[IntArray], FloatArray] | None = field(default=None, repr=False)

    def turned(self) -> Posterior:
        """Return the prediction of the negative reward."""
        return replace(self, mean=-self.mean)


class Surrogate(Protocol):
    """Predicts the reward of every candidate site from the history."""

    def fit(self, history: History) -> Posterior:
        """Return the prediction; the same history gives the same prediction, bit for bit."""


class _Memo:
    """The model as the last history left it; forgetting it changes no prediction."""

    def __init__(self) -> None:
        self.sites: list[int] = []
        self.rewards: list[float] = []
        self.model: OnlineGaussianProcess | None = None


@dataclass(frozen=True, slots=True, eq=False)
class GPSurrogate:
    """Exact Gaussian process over the features of the candidate sites.

    Steps without a reward are passed over. A history that goes on from the last one costs
    one row; any other is worked through from its beginning, with the same result.

    Parameters
    ----------
    features : FeatureTable
        One row per candidate site.
    schedule : RefitSchedule
        At which numbers of rewards the hyperparameters are learned anew.
    """

    features: FeatureTable
    schedule: RefitSchedule = field(default_factory=RefitSchedule)
    _memo: _Memo = field(default_factory=_Memo, init=False, repr=False)

    def fit(self, history: History) -> Posterior:
        """Return the prediction at every site.

        Raises
        ------
        OutOfRange
            Fewer than two steps have a reward.
        """
        rewards = history.rewards
        usable = np.flatnonzero(np.isfinite(rewards))
        if len(usable) < 2:
            raise OutOfRange(
                f"`history` has {len(usable)} rewards; a Gaussian process needs at least 2."
            )
        sites = history.measured[usable].tolist()
        model = self._model(sites, rewards[usable].tolist())
        mean, std = model.predict()
        return Posterior(mean, std, model.noise, model.settings, model.covariance())

    def _model(self, sites: list[int], rewards: list[float]) -> OnlineGaussianProcess:
        memo = self._memo
        known = len(memo.sites)
        if memo.model is None or sites[:known] != memo.sites or rewards[:known] != memo.rewards:
            memo.model = OnlineGaussianProcess(self.features, self.schedule)
            known = 0
        memo.model.extend(np.array(sites[known:], dtype=np.int64), np.array(rewards[known:]))
        memo.sites, memo.rewards = sites, rewards
        return memo.model
