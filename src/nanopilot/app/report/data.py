"""Everything the report speaks of, read from a run folder once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np

from nanopilot.app.report.numbers import number, real
from nanopilot.app.report.scales import Scale, scale_for
from nanopilot.core.events import Plan
from nanopilot.core.history import Action, FloatArray
from nanopilot.core.limits import Spent
from nanopilot.core.signals import Signal, SignalSet
from nanopilot.io.run_folder import RunRecord

#: How many of the best sites are named, ringed and drawn.
BEST = 6


@dataclass(frozen=True, slots=True)
class Goal:
    """What was looked for: the reward's name, unit and direction."""

    name: str
    unit: str
    direction: Literal["maximise", "minimise"] = "maximise"

    @property
    def words(self) -> str:
        """The name as words."""
        return self.name.replace("-", " ").replace("_", " ")

    @property
    def sign(self) -> float:
        """-1 where small values are looked for, else 1."""
        return -1.0 if self.direction == "minimise" else 1.0

    @property
    def superlative(self) -> str:
        """Which end is looked for."""
        return "smallest" if self.direction == "minimise" else "largest"


@dataclass(frozen=True, slots=True)
class Measured:
    """One step with its outcome; `reward` is NaN where there was no usable answer."""

    step: int
    action: Action
    reward: float
    features: Mapping[str, float]
    time: float
    error: str = ""

    @property
    def survey(self) -> bool:
        """Whether the site was chosen before the model was asked."""
        return self.action.why == "survey"


@dataclass(frozen=True, slots=True)
class Incident:
    """Something out of the ordinary, and when (s of instrument time)."""

    kind: Literal["resumed", "unknown", "failed", "refused", "unverified", "stopped", "secured"]
    text: str
    time: float


@dataclass(frozen=True)
class ReportData:
    """A run as its report sees it; what a run does not have is None or empty.

    Parameters
    ----------
    record : RunRecord
        What was asked.
    goal : Goal
        The reward.
    plan : Plan, optional
        What the journal says was asked, with the instrument's description.
    steps : tuple of Measured
        Every step that came to an outcome, in order.
    structure : Signal, optional
        The overview frame, dims (y, x).
    overview_seconds : float
        Instrument time at its end.
    maps : SignalSet, optional
        Prediction at every site and its uncertainty.
    loops : mapping of int to Signal
        Spectra of the best sites, by step.
    summary, score : mapping
        The notes of these topics; empty where there is none.
    planned : int or None
        Sites that were to be measured.
    candidates : int or None
        Sites that could have been measured.
    incidents : tuple of Incident
        What was out of the ordinary.
    allowed, refused : int
        Verdicts of the guard.
    spent : Spent
        As of the last outcome.
    seconds : float
        Instrument time at the last outcome.
    stopped : str
        Why the policy stopped; empty when it did not.
    finished : bool
        Whether the run came to its end.
    head : (int, str), optional
        Number and hash of the last row of the journal.
    """

    record: RunRecord
    goal: Goal
    plan: Plan | None = None
    steps: tuple[Measured, ...] = ()
    structure: Signal | None = None
    overview_seconds: float = float("nan")
    maps: SignalSet | None = None
    loops: Mapping[int, Signal] = field(default_factory=dict)
    summary: Mapping[str, Any] = field(default_factory=dict)
    score: Mapping[str, Any] = field(default_factory=dict)
    planned: int | None = None
    candidates: int | None = None
    incidents: tuple[Incident, ...] = ()
    allowed: int = 0
    refused: int = 0
    spent: Spent = Spent()
    seconds: float = float("nan")
    stopped: str = ""
    finished: bool = False
    head: tuple[int, str] | None = None

    @cached_property
    def best(self) -> tuple[Measured, ...]:
        """The best sites measured, best first."""
        return best_of(self.steps, self.goal)

    @cached_property
    def rewards(self) -> FloatArray:
        """Reward of every step, shape (n,); NaN where there was none."""
        return np.array([step.reward for step in self.steps], dtype=float)

    @cached_property
    def scale(self) -> Scale:
        """The unit in which rewards are told, the same everywhere."""
        return scale_for(self.rewards, self.goal.unit)

    def told(self, reward: float, digits: int = 4) -> str:
        """Return a reward in the unit of `scale`."""
        return f"{number(reward / self.scale.factor, digits)} {self.scale.unit}".strip()

    @cached_property
    def lengths(self) -> Scale:
        """The unit in which positions are told."""
        return scale_for([abs(p) for step in self.steps for p in step.action.position], "m")

    def place(self, one: Measured) -> tuple[str, str]:
        """Return x and y of a step as numbers in the unit of `lengths`."""
        x, y = (f"{p / self.lengths.factor:.3f}".replace("-", "−") for p in one.action.position)
        return x, y

    @property
    def fraction(self) -> float:
        """Share of the candidate sites that was measured, NaN when that is not known."""
        return len(self.steps) / self.candidates if self.candidates else float("nan")

    @property
    def has_recall(self) -> bool:
        """Whether the truth was known, and recall was noted for every step."""
        steps, curve = self.score.get("steps") or (), self.score.get("recall_curve") or ()
        return len(steps) == len(curve) > 0 and "best_sites" in self.score

    @property
    def noise(self) -> float:
        """Standard deviation of one measurement as the model learned it, NaN if it did not."""
        return real(self.summary.get("noise"))


def best_of(steps: tuple[Measured, ...], goal: Goal) -> tuple[Measured, ...]:
    """Return the best steps, best first; of equals the earlier one comes first."""
    usable = [step for step in steps if np.isfinite(step.reward)]
    return tuple(sorted(usable, key=lambda step: -goal.sign * step.reward)[:BEST])
