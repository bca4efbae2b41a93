"""The response that stays at zero bias."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nanopilot.policies.rewards.reward import FeatureReward


@dataclass(frozen=True, slots=True)
class Remanence(FeatureReward):
    """Half the difference between the two branches of the loop at zero bias, in a.u.

    Parameters
    ----------
    direction : {"maximise", "minimise"}
        Which end is looked for.

    Examples
    --------
    >>> Remanence()({"remanent_response": 2e-4})
    0.0002
    """

    name: ClassVar[str] = "remanence"
    unit: ClassVar[str] = "a.u."
    feature: ClassVar[str] = "remanent_response"
