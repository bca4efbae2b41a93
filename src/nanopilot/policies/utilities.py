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

    Parameters
    ----------
    beta : float
        How many standard deviations a site is given the benefit of.
    """

    beta: float = 2.0

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
class TwoGoal:
    """Every other step or so serves the map, the rest the discovery.

    A weighted sum of the two goals lets the one with the larger numbers win at every step;
    taking turns gives each goal its share whatever the units of the reward.

    Parameters
    ----------
    map_share : float
        Share of the steps, 0 to 1, that go where the prediction is least certain.
    beta : float
        Of the upper confidence bound used in the other steps.
    """

    map_share: float = 0.5
    beta: float = 2.0

    def __call__(
        self, posterior: Posterior, history: History, rng: np.random.Generator
    ) -> FloatArray:
        """Return the score of every site, shape (sites,)."""
        step = len(history)
        if int((step + 1) * self.map_share) > int(step * self.map_share):
            return posterior.std
        return posterior.mean + self.beta * posterior.std


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
    std = np.maximum(std, np.finfo(float).tiny)
    z = (mean - best) / std
    density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    low = np.minimum(z, 0.0)
    tail = density * (1.0 + low * np.sqrt(np.pi / 2) * erfcx(-low / np.sqrt(2)))
    return std * np.maximum(np.where(z < -1.0, tail, density + z * ndtr(z)), 0.0)
