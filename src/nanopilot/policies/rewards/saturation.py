"""The response at the ends of the loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from nanopilot.policies.rewards.reward import Direction, finite


@dataclass(frozen=True, slots=True)
class Saturation:
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

    direction: Direction = "maximise"
    name: ClassVar[str] = "saturation"
    unit: ClassVar[str] = "a.u."

    def __call__(self, features: Mapping[str, float]) -> float | None:
        """Return the saturation response in arbitrary units, or None where it is not defined."""
        return finite(features, "saturation")
