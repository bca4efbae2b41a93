"""The parts of a `discover` run: what can be chosen, and how it is wired over an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from pydantic import Field, model_validator

from nanopilot.analysis.structure import StructureFeatures
from nanopilot.core import registry
from nanopilot.core.features import FeatureTable
from nanopilot.core.signals import Signal, positions
from nanopilot.core.units import Duration
from nanopilot.core.values import Value
from nanopilot.policies import (
    Candidates,
    Converged,
    FirstOf,
    GPSurrogate,
    MaximiseUtility,
    MeasuredEnough,
    Reward,
    StopRule,
    Survey,
    Utility,
)
from nanopilot.policies.rewards import unit_of


class DiscoverSettings(Value):
    """What can be chosen in a `discover` run.

    Parameters
    ----------
    reward : str
        Name of the reward (``nanopilot.rewards``).
    policy : str
        Name of the utility the policy maximises (``nanopilot.policies``).
    budget : float
        Fraction of the candidate sites that may be measured, above 0 and at most 1.
    seed : int
        Decides every draw of the run.
    survey : int
        Sites measured before the surrogate is asked.
    channel : str
        Channel of the frame and of the spectra; empty: the instrument's first.
    window : int
        Edge of the neighbourhood that describes a site, in pixels.
    until_converged : bool
        Stop early when no site left is expected to be better.
    shuffled : bool
        Carry out the control: every site gets the neighbourhood of another one.
    max_seconds : float, optional
        Instrument time the run may take; the guard holds it.
    reward_settings, policy_settings : dict
        Parameters of the reward and of the utility.
    """

    reward: str = "loop-area"
    policy: str = "ucb"
    budget: float = Field(default=0.1, gt=0, le=1)
    seed: int = Field(default=0, ge=0)
    survey: int = Field(default=20, ge=3)
    channel: str = ""
    window: int = Field(default=9, ge=3)
    until_converged: bool = False
    shuffled: bool = False
    max_seconds: Duration | None = Field(default=None, gt=0)
    reward_settings: dict[str, Any] = {}
    policy_settings: dict[str, Any] = {}

    @model_validator(mode="after")
    def _odd_window(self) -> Self:
        if self.window % 2 == 0:
            raise ValueError(f"`window` is {self.window}; it must be odd, to have a centre")
        return self

    def sites(self, candidates: int) -> int:
        """Return how many of the candidate sites the budget pays for."""
        return max(1, round(self.budget * candidates))


@dataclass(frozen=True, slots=True)
class Discovery:
    """The parts of a `discover` run over one structure image."""

    settings: DiscoverSettings
    reward: Reward
    candidates: Candidates
    surrogate: GPSurrogate
    policy: MaximiseUtility
    stop: StopRule
    unit: str


def make_reward(settings: DiscoverSettings) -> Reward:
    """Return the reward that the settings name."""
    reward: Reward = registry.build("rewards", settings.reward, **settings.reward_settings)
    return reward


def make_utility(settings: DiscoverSettings) -> Utility:
    """Return the utility that the settings name."""
    utility: Utility = registry.build("policies", settings.policy, **settings.policy_settings)
    return utility


def plan_discovery(structure: Signal, settings: DiscoverSettings) -> Discovery:
    """Wire policy, surrogate and stop rule over the sites of a structure image."""
    reward = make_reward(settings)
    utility = make_utility(settings)
    features = StructureFeatures(window=settings.window)(structure)
    if settings.shuffled:
        features = shuffled(features, settings.seed)
    usable = np.flatnonzero(np.isfinite(structure.to_numpy().ravel()))
    candidates = Candidates(features, positions(structure)).only(usable)
    surrogate = GPSurrogate(features)
    sites = settings.sites(len(candidates))
    policy = MaximiseUtility(
        candidates,
        surrogate,
        utility,
        settings.seed,
        survey=Survey(min(settings.survey, max(3, sites // 2))),
        direction=reward.direction,
    )
    rules: tuple[StopRule, ...] = (MeasuredEnough(sites),)
    if settings.until_converged:
        rules = (*rules, Converged(candidates, surrogate, direction=reward.direction))
    unit = unit_of(reward, structure.attrs["units"])
    return Discovery(settings, reward, candidates, surrogate, policy, FirstOf(rules), unit)


def shuffled(features: FeatureTable, seed: int) -> FeatureTable:
    """Return the control's features: what is known of the structure, at the wrong sites."""
    return features.shuffled(np.random.default_rng([seed, 1]))
