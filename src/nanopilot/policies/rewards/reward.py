"""What every reward is: one number out of the features of a measurement."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

Direction = Literal["maximise", "minimise"]


class Reward(Protocol):
    """Says what a measurement was worth."""

    @property
    def name(self) -> str:
        """What it is registered as."""

    @property
    def unit(self) -> str:
        """Unit of its values; "a.u." in it stands for the unit of the response."""

    @property
    def direction(self) -> Direction:
        """Whether large or small values are looked for."""

    def __call__(self, features: Mapping[str, float]) -> float | None:
        """Return the reward, or None where the features give no usable answer."""


@dataclass(frozen=True, slots=True)
class FeatureReward:
    """A reward that is one feature of the measurement, as it is.

    Parameters
    ----------
    direction : {"maximise", "minimise"}
        Which end is looked for.
    """

    direction: Direction = "maximise"
    name: ClassVar[str]
    unit: ClassVar[str]
    feature: ClassVar[str]

    def __call__(self, features: Mapping[str, float]) -> float | None:
        """Return the feature, or None where it is not defined."""
        return finite(features, self.feature)


def unit_of(reward: Reward, response: str) -> str:
    """Return the unit of a reward where the response was recorded in a unit of its own.

    Examples
    --------
    >>> from nanopilot.policies.rewards.loop_area import LoopArea
    >>> unit_of(LoopArea(), "m")
    'log10(m V)'
    """
    return reward.unit.replace("a.u.", response)


def finite(features: Mapping[str, float | None], name: str) -> float | None:
    """Return one feature, or None when it is missing, NaN or infinite."""
    value = features.get(name)
    # A feature that came through JSON is None where it was NaN.
    return float(value) if value is not None and math.isfinite(value) else None
