"""How far the loop is shifted along the bias: a built-in field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from nanopilot.policies.rewards.reward import Direction, finite


@dataclass(frozen=True, slots=True)
class Imprint:
    """Mean of the two zero crossings of the loop, in volts.

    Parameters
    ----------
    direction : {"maximise", "minimise"}
        Which end is looked for.

    Examples
    --------
    >>> Imprint()({"imprint": -0.5})
    -0.5
    """

    direction: Direction = "maximise"
    name: ClassVar[str] = "imprint"
    unit: ClassVar[str] = "V"

    def __call__(self, features: Mapping[str, float]) -> float | None:
        """Return the imprint in volts, with its sign, or None where it is not defined."""
        return finite(features, "imprint")
