"""How much the structure explained, beside its control."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from nanopilot.app.report.data import ReportData
from nanopilot.app.report.numbers import r_squared, real
from nanopilot.core.history import FloatArray

Verdict = Literal["helped", "a little", "no better", "useless", "not known"]

#: A gain in R² below this is nothing, and one below the second is little.
_NOTHING, _LITTLE = 0.02, 0.1
#: Standard deviations of the control over its shuffles that make its band.
BAND = 2.0


@dataclass(frozen=True, slots=True)
class Explained:
    """R² with the structure, and with the structure dealt out at random.

    Parameters
    ----------
    structure, control, low, high : float
        With the structure; mean over the shuffles, and their band. NaN where not known.
    shuffles : int
        How many times it was shuffled; 0 when not told.
    why : str
        Why something is not known.
    """

    structure: float = math.nan
    control: float = math.nan
    low: float = math.nan
    high: float = math.nan
    shuffles: int = 0
    why: str = ""

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Explained:
        """Read one row of a summary."""
        control, spread = real(row.get("control")), real(row.get("control_spread"))
        shuffles = real(row.get("shuffles"))
        return cls(
            structure=real(row.get("structure")),
            control=control,
            low=control - BAND * spread,
            high=control + BAND * spread,
            shuffles=int(shuffles) if math.isfinite(shuffles) else 0,
            why=str(row.get("why") or ""),
        )

    @property
    def verdict(self) -> Verdict:
        """Whether the structure told more than its shuffled control."""
        gain = self.structure - self.control
        if not math.isfinite(gain):
            return "not known"
        if self.structure <= 0:
            return "useless"
        beyond = not math.isfinite(self.high) or self.structure > self.high
        if gain <= _NOTHING or not beyond:
            return "no better"
        return "helped" if gain > _LITTLE else "a little"

    @property
    def control_words(self) -> str:
        """The control with its spread."""
        if not math.isfinite(self.high):
            return r_squared(self.control)
        times = f" in {self.shuffles} shuffles" if self.shuffles else ""
        return f"{r_squared(self.control)} ({r_squared(self.low)} to {r_squared(self.high)}{times})"


def explained(data: ReportData) -> Explained:
    """Return how much the structure explained in all, as far as the run knows."""
    return Explained.of(data.summary.get("explained") or {})


def learning(data: ReportData) -> tuple[Explained, ...]:
    """Return the same at several points of the run."""
    return tuple(Explained.of(row) for row in rows(data))


def rows(data: ReportData) -> list[Mapping[str, Any]]:
    """Return the rows of a summary that say after how many steps they were made."""
    found = data.summary.get("learning") or ()
    return [row for row in found if math.isfinite(real(row.get("steps")))]


def column(table: Sequence[Mapping[str, Any]], name: str) -> FloatArray:
    """Return one entry of every row; NaN where it is missing."""
    return np.array([real(row.get(name)) for row in table], dtype=float)
