"""Half the width of the loop: how hard the polarisation is to switch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from nanopilot.policies.rewards.reward import Direction, finite


@dataclass(frozen=True, slots=True)
class CoerciveBias:
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

    direction: Direction = "maximise"
    name: ClassVar[str] = "coercive-bias"
    unit: ClassVar[str] = "V"

    def __call__(self, features: Mapping[str, float]) -> float | None:
        """Return the coercive bias in volts, or None where it is not defined."""
        return finite(features, "coercive_bias")
