"""Utilities (acquisition functions): how much is gained by measuring a site.

Posterior and history reach a utility turned so that larger rewards are better, whatever
the direction of the reward.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import erfcx, ndtr

from nanopilot.core.history import FloatArray, History
from nanopilot.policies.surrogate import Posterior


class Utility(Protocol):
    """Scores every candidate site; the largest score is measured next."""

    def __call__(
        self, posterior: Posterior, history: History, rng: np.random.Generator
    ) -> FloatArray:
        """Return the score of every site, shape (sites,)."""


@dataclass(frozen=True, slots=True)
class UpperConfidenceBound:
    """Predicted reward plus `beta` standard deviations (Srinivas et al. 2010, arXiv:0912.3995).

    Their theorem 1 asks for beta² = 2 log(sites · step² π² / 6δ), about 45 for 7,000 sites
    and 250 steps; scaled down by 5 as in their experiments that is the default of 3. Below
    2 a run digs where it first found something.

    Parameters
    ----------
    beta : float
        How many standard deviations a site is given the benefit of.
    """

    beta: float = 3.0

    def __call__(
        self, posterior: Posterior, history: History, rng: np.random.Generator
    ) -> FloatArray:
        """Return the score of every site in units of the reward, shape (sites,)."""
        return posterior.mean + self.beta * posterior.std


@dataclass(frozen=True, slots=True)
class ExpectedImprovement:
    """Expected gain over the best site measured (Jones et al. 1998, eq. 15).

    The best site is the one predicted best among those measured, not the largest value
    seen, which noise makes too large.

    Parameters
    ----------
    margin : float
        Gain, in units of the reward, that counts as none.
    """

    margin: float = 0.0

    def __call__(
        self, posterior: Posterior, history: History, rng: np.random.Generator
    ) -> FloatArray:
        """Return the expected gain at every site in units of the reward, shape (sites,)."""
        best = posterior.mean[history.measured].max() + self.margin
        return expected_improvement(posterior.mean, posterior.std, float(best))


@dataclass(frozen=True, slots=True)
class MaximumVariance:
    """The standard deviation of the prediction: measure where least is known."""

    def __call__(
        self, posterior: Posterior, history: History, rng: np.random.Generator
    ) -> FloatArray:
        """Return the standard deviation at every site, shape (sites,)."""
        return posterior.std


@dataclass(frozen=True, slots=True)
class RandomUtility:
    """Any site as good as any other: what every other utility has to beat."""

    def __call__(
        self, posterior: Posterior, history: History, rng: np.random.Generator
    ) -> FloatArray:
        """Return one uniform number per site, shape (sites,)."""
        return rng.random(len(posterior.mean))


@dataclass(frozen=True, slots=True)
class MapGain:
    """How much one more measurement would lower the variance over the whole map.

    The mean over sites z of cov(x, z)² / (var(x) + noise²): Cohn, Ghahramani and Jordan 1996,
    arXiv:cs/9603104. Unlike the variance itself it leaves sites alone that are unlike all
    others and so teach nothing about them. A surrogate that knows no covariance is asked
    for its standard deviation instead.

    Parameters
    ----------
    references : int
        Sites z, drawn anew at every step, that stand for the map.
    """

    references: int = 128

    def __call__(
        self, posterior: Posterior, history: History, rng: np.random.Generator
    ) -> FloatArray:
        """Return the mean decrease of the variance, in squared units, shape (sites,)."""
        if posterior.covariance is None:
            return posterior.std
        sites = len(posterior.mean)
        chosen = rng.choice(sites, min(self.references, sites), replace=False)
        shared = posterior.covariance(chosen.astype(np.int64))
        gain = np.einsum("nm,nm->n", shared, shared) / shared.shape[1]
        return np.asarray(gain / (posterior.std**2 + posterior.noise**2))


@dataclass(frozen=True, slots=True)
class TwoGoal:
    """Some steps serve the map, the others the discovery.

    A weighted sum of the two goals lets the one with the larger numbers win at every step;
    taking turns gives each goal its share whatever the units of the reward.

    Parameters
    ----------
    map_share : float
        Share of the steps, 0 to 1, that go where the map gains most (`MapGain`).
    beta : float
        Of the upper confidence bound used in the other steps.
    """

    map_share: float = 0.3
    beta: float = 3.0

    def __call__(
        self, posterior: Posterior, history: History, rng: np.random.Generator
    ) -> FloatArray:
        """Return the score of every site, shape (sites,)."""
        step = len(history)
        if int((step + 1) * self.map_share) > int(step * self.map_share):
            return MapGain()(posterior, history, rng)
        return UpperConfidenceBound(self.beta)(posterior, history, rng)


def expected_improvement(mean: FloatArray, std: FloatArray, best: float) -> FloatArray:
    """Return the expected amount by which a normal variable exceeds `best`, never below 0.

    Far below the best the textbook form cancels to nothing; there the ratio of the normal
    distribution to its density is taken from the scaled complementary error function.

    Parameters
    ----------
    mean, std : numpy.ndarray
        Of the variable, shape (n,).
    best : float
        What is to be exceeded.
    """
    gain = mean - best
    # Beyond 1,000 standard deviations nothing changes but the risk of overflow.
    z = np.clip(gain / np.maximum(std, 1e-150), -1e3, 1e3)
    density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    low = np.minimum(z, 0.0)
    tail = density * (1.0 + low * np.sqrt(np.pi / 2) * erfcx(-low / np.sqrt(2)))
    improvement = std * np.maximum(np.where(z < -1.0, tail, density + z * ndtr(z)), 0.0)
    return np.where(z > 30.0, gain, improvement)
