"""The policy that measures where a utility is largest."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nanopilot.core.history import Action, FloatArray, History, IntArray
from nanopilot.policies.candidates import Candidates
from nanopilot.policies.rewards import Direction
from nanopilot.policies.surrogate import Surrogate
from nanopilot.policies.survey import Survey
from nanopilot.policies.utilities import Utility

#: Fewer rewards than this say nothing about a length scale.
_ENOUGH = 3


@dataclass(frozen=True, slots=True, eq=False)
class MaximiseUtility:
    """Survey first; then go where the utility of the surrogate's prediction is largest.

    Parameters
    ----------
    candidates : Candidates
        Sites that may be measured.
    surrogate : Surrogate
        Predicts the reward at all of them, in the same order.
    utility : Utility
        Scores the prediction.
    seed : int
        Of every draw; with the number of the step it decides them all.
    survey : Survey
        The first sites.
    direction : {"maximise", "minimise"}
        Of the reward.
    """

    candidates: Candidates
    surrogate: Surrogate
    utility: Utility
    seed: int
    survey: Survey = Survey()
    direction: Direction = "maximise"

    def propose(self, history: History) -> Action | None:
        """Return the next site with what is expected there, or None when none is left."""
        rewards = int(np.isfinite(history.rewards).sum())
        if len(history) < self.survey.size or rewards < _ENOUGH:
            return self.survey.propose(self.candidates, history, self.seed)
        left = self.candidates.without(history).left
        if not left.size:
            return None
        posterior = self.surrogate.fit(history)
        rng = np.random.default_rng([self.seed, len(history)])
        turn = self.direction == "minimise"
        seen = oriented(history) if turn else history
        scores = self.utility(posterior.turned() if turn else posterior, seen, rng)
        best = first_of_the_best(scores, left)
        return self.candidates.action(best, type(self.utility).__name__).model_copy(
            update={
                "expected": float(posterior.mean[best]),
                "uncertainty": float(posterior.std[best]),
                "utility": float(scores[best]),
            }
        )


def oriented(history: History) -> History:
    """Return the history with every reward turned into its negative."""
    return History(
        tuple(
            step if step.reward is None else replace(step, reward=-step.reward) for step in history
        )
    )


def first_of_the_best(scores: FloatArray, left: IntArray) -> int:
    """Return the lowest of the numbers in `left` whose score is the largest.

    Scores within 1e-9 of the largest magnitude count as equal, so that rounding, which may
    differ between machines, does not decide.

    Parameters
    ----------
    scores : numpy.ndarray
        Shape (sites,); NaN never wins.
    left : numpy.ndarray of int
        Sites to choose from, ascending, at least one.
    """
    values = np.where(np.isnan(scores[left]), -np.inf, scores[left])
    finite = np.abs(values[np.isfinite(values)])
    slack = 1e-9 * (finite.max() if finite.size else 0.0)
    return int(left[np.argmax(values >= values.max() - slack)])
