"""What every reward is: one number out of the features of a measurement."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, Protocol

Direction = Literal["maximise", "minimise"]


class Reward(Protocol):
    """Says what a measurement was worth."""

    @property
    def name(self) -> str:
        """What it is registered as."""

    @property
    def unit(self) -> str:
        """Unit of its values."""

    @property
    def direction(self) -> Direction:
        """Whether large or small values are looked for."""

    def __call__(self, features: Mapping[str, float]) -> float | None:
        """Return the reward, or None where the features give no usable answer."""


def finite(features: Mapping[str, float | None], name: str) -> float | None:
    """Return one feature, or None when it is missing, NaN or infinite."""
    value = features.get(name)
    # A feature that came through JSON is None where it was NaN.
    return float(value) if value is not None and math.isfinite(value) else None
