"""The response that stays at zero bias."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from nanopilot.policies.rewards.reward import Direction, finite


@dataclass(frozen=True, slots=True)
class Remanence:
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

    direction: Direction = "maximise"
    name: ClassVar[str] = "remanence"
    unit: ClassVar[str] = "a.u."

    def __call__(self, features: Mapping[str, float]) -> float | None:
        """Return the remanent response in arbitrary units, or None where it is not defined."""
        return finite(features, "remanent_response")
