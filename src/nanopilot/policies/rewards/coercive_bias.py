"""Half the width of the loop: how hard the polarisation is to switch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nanopilot.policies.rewards.reward import FeatureReward


@dataclass(frozen=True, slots=True)
class CoerciveBias(FeatureReward):
    """Half the distance between the two zero crossings of the loop, in volts.

    Parameters
    ----------
    direction : {"maximise", "minimise"}
        Which end is looked for.

    Examples
    --------
    >>> CoerciveBias()({"coercive_bias": 3.5})
    3.5
    """

    name: ClassVar[str] = "coercive-bias"
    unit: ClassVar[str] = "V"
    feature: ClassVar[str] = "coercive_bias"
