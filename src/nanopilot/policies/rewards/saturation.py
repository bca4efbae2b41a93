"""The response at the ends of the loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nanopilot.policies.rewards.reward import FeatureReward


@dataclass(frozen=True, slots=True)
class Saturation(FeatureReward):
    """Half the difference between the responses at the two ends of the sweep, in a.u.

    Parameters
    ----------
    direction : {"maximise", "minimise"}
        Which end is looked for.

    Examples
    --------
    >>> Saturation()({"saturation": 3e-4})
    0.0003
    """

    name: ClassVar[str] = "saturation"
    unit: ClassVar[str] = "a.u."
    feature: ClassVar[str] = "saturation"
