"""The area of the loop: how much work the switching takes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from nanopilot.policies.rewards.reward import Direction, finite


@dataclass(frozen=True, slots=True)
class LoopArea:
    """Decimal logarithm of the area of the closed loop, which spans decades over one sample.

    Parameters
    ----------
    direction : {"maximise", "minimise"}
        Which end is looked for.

    Examples
    --------
    >>> LoopArea()({"loop_area": 1e-3})
    -3.0
    """

    direction: Direction = "maximise"
    name: ClassVar[str] = "loop-area"
    unit: ClassVar[str] = "log10(a.u. V)"

    def __call__(self, features: Mapping[str, float]) -> float | None:
        """Return log10 of the area, or None where there is no loop."""
        area = finite(features, "loop_area")
        return math.log10(area) if area is not None and area > 0 else None
