"""The first sites of a run, chosen before anything is known about the reward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.spatial import KDTree

from nanopilot.core.history import Action, History
from nanopilot.policies.candidates import Candidates


@dataclass(frozen=True, slots=True)
class Survey:
    """Looks at the sample evenly before a surrogate has anything to learn from.

    Parameters
    ----------
    size : int
        How many sites.
    kind : {"spread", "random"}
        ``"spread"`` takes the site farthest, in the plane of the sample, from all measured
        so far; the first one is drawn. ``"random"`` draws every one.
    """

    size: int = 20
    kind: Literal["spread", "random"] = "spread"

    def propose(self, candidates: Candidates, history: History, seed: int) -> Action | None:
        """Return the next site of the survey, or None when no candidate is left.

        Draws depend on `seed` and the number of the step alone.
        """
        left = candidates.without(history).left
        if not left.size:
            return None
        rng = np.random.default_rng([seed, len(history)])
        if self.kind == "random" or not len(history):
            return candidates.action(int(rng.choice(left)), "survey")
        measured = KDTree(candidates.positions[history.measured])
        nearest, _ = measured.query(candidates.positions[left])
        return candidates.action(int(left[np.argmax(nearest)]), "survey")
