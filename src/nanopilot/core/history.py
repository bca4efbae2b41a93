"""What a run has done so far: the only thing a policy sees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nanopilot.core.values import Value

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]


class Action(Value):
    """A place to measure.

    Parameters
    ----------
    index : int
        Of the site in the run's list of candidates.
    position : (float, float)
        (x, y) in metres.
    why : str
        The part of the policy that chose it, for instance ``"survey"``.
    expected, uncertainty, utility : float, optional
        What the policy predicted for the reward here, its standard deviation, and the
        utility that won; None when the policy does not predict.
    """

    index: int
    position: tuple[float, float]
    why: str = ""
    expected: float | None = None
    uncertainty: float | None = None
    utility: float | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One measurement: where, what it was worth, and the features it was judged by.

    `reward` is None where the measurement gave no usable answer.
    """

    action: Action
    reward: float | None
    features: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class History:
    """All steps of a run in order."""

    steps: tuple[Step, ...] = ()

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __getitem__(self, position: slice) -> History:
        return History(self.steps[position])

    def plus(self, step: Step) -> History:
        """Return the history with one more step."""
        return History((*self.steps, step))

    @property
    def measured(self) -> IntArray:
        """Candidate index of every step, shape (n,)."""
        return np.array([step.action.index for step in self.steps], dtype=np.int64)

    @property
    def rewards(self) -> FloatArray:
        """Reward of every step, shape (n,); NaN where there was none."""
        return np.array(
            [np.nan if step.reward is None else step.reward for step in self.steps], dtype=float
        )
