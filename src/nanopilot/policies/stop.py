"""Stop rules: when a run has what it came for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nanopilot.core.history import History
from nanopilot.policies.candidates import Candidates
from nanopilot.policies.rewards import Direction
from nanopilot.policies.surrogate import Surrogate
from nanopilot.policies.utilities import expected_improvement


class StopRule(Protocol):
    """Says whether a run should end, and why."""

    def __call__(self, history: History) -> str | None:
        """Return the reason to stop, or None to go on."""


@dataclass(frozen=True, slots=True)
class MeasuredEnough:
    """Stops when so many sites have been measured.

    Parameters
    ----------
    sites : int
        How many.

    Examples
    --------
    >>> MeasuredEnough(0)(History())
    'measured 0 of 0 sites asked for'
    """

    sites: int

    def __call__(self, history: History) -> str | None:
        """Return the reason to stop, or None to go on."""
        if len(history) < self.sites:
            return None
        return f"measured {len(history)} of {self.sites} sites asked for"


@dataclass(frozen=True, slots=True)
class NoImprovement:
    """Stops when the best reward has not become better for a while.

    Parameters
    ----------
    patience : int
        Steps without a better reward.
    direction : {"maximise", "minimise"}
        Of the reward.
    """

    patience: int = 50
    direction: Direction = "maximise"

    def __call__(self, history: History) -> str | None:
        """Return the reason to stop, or None to go on."""
        sign = 1.0 if self.direction == "maximise" else -1.0
        rewards = sign * history.rewards
        if not np.isfinite(rewards).any() or len(history) <= self.patience:
            return None
        if len(history) - 1 - int(np.nanargmax(rewards)) < self.patience:
            return None
        return f"no better reward in the last {self.patience} steps"


@dataclass(frozen=True, slots=True, eq=False)
class Converged:
    """Stops when no site left is expected to be better than the best one measured.

    Parameters
    ----------
    candidates : Candidates
        Sites that may be measured.
    surrogate : Surrogate
        The one the policy uses, so that its prediction is at hand.
    tolerance : float
        Expected improvement that is not worth a step, as a fraction of the standard
        deviation of the rewards seen.
    at_least : int
        Steps before which the surrogate is not believed.
    direction : {"maximise", "minimise"}
        Of the reward.
    """

    candidates: Candidates
    surrogate: Surrogate
    tolerance: float = 1e-3
    at_least: int = 50
    direction: Direction = "maximise"

    def __call__(self, history: History) -> str | None:
        """Return the reason to stop, or None to go on."""
        rewards = history.rewards
        left = self.candidates.without(history).left
        if len(history) < self.at_least or np.isfinite(rewards).sum() < 3 or not left.size:
            return None
        posterior = self.surrogate.fit(history)
        mean = posterior.mean if self.direction == "maximise" else -posterior.mean
        best = float(mean[history.measured].max())
        gain = float(expected_improvement(mean[left], posterior.std[left], best).max())
        enough = self.tolerance * float(np.nanstd(rewards))
        if gain > enough:
            return None
        return f"no site left is expected to be better by more than {gain:.2g}"


@dataclass(frozen=True, slots=True)
class FirstOf:
    """Stops as soon as one of several rules does.

    Parameters
    ----------
    rules : tuple of StopRule
        Asked in this order.

    Examples
    --------
    >>> FirstOf((MeasuredEnough(10), MeasuredEnough(0)))(History())
    'measured 0 of 0 sites asked for'
    """

    rules: tuple[StopRule, ...] = ()

    def __call__(self, history: History) -> str | None:
        """Return the first reason given, or None to go on."""
        return next((why for rule in self.rules if (why := rule(history))), None)
