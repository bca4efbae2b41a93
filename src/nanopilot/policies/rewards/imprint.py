"""How far the loop is shifted along the bias: a built-in field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nanopilot.policies.rewards.reward import FeatureReward


@dataclass(frozen=True, slots=True)
class Imprint(FeatureReward):
    """Mean of the two zero crossings of the loop, in volts, with its sign.

    Parameters
    ----------
    direction : {"maximise", "minimise"}
        Which end is looked for.

    Examples
    --------
    >>> Imprint()({"imprint": -0.5})
    -0.5
    """

    name: ClassVar[str] = "imprint"
    unit: ClassVar[str] = "V"
    feature: ClassVar[str] = "imprint"
