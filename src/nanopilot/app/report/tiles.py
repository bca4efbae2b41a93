"""The numbers to be seen first."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nanopilot.app.report.data import ReportData
from nanopilot.app.report.explained import explained
from nanopilot.app.report.numbers import duration, number, percent, r_squared, real


@dataclass(frozen=True, slots=True)
class Tile:
    """One number worth seeing first."""

    label: str
    value: str
    more: str = ""


def tiles(data: ReportData) -> tuple[Tile, ...]:
    """Return the numbers to be seen first."""
    made = []
    if data.best:
        amount = number(data.best[0].reward / data.scale.factor, 4)
        label = f"{data.goal.superlative} {data.goal.words}"
        made.append(Tile(label, amount, data.scale.unit))
    of = f"{len(data.steps):,} of {data.candidates:,} sites" if data.candidates else "sites"
    share = data.fraction
    made.append(Tile("measured", percent(share) if data.candidates else str(len(data.steps)), of))
    if math.isfinite(data.seconds):
        spectra = f"{data.spent.spectra:,} spectra"
        made.append(Tile("instrument time", duration(data.seconds), spectra))
    recall = real(data.score.get("recall"))
    if math.isfinite(recall):
        chance = percent(real(data.score.get("random")), 0)
        made.append(Tile("of the best found", percent(recall, 0), f"chance: {chance}"))
    facts = explained(data)
    if math.isfinite(facts.structure):
        shuffled = f"shuffled: {r_squared(facts.control)}"
        made.append(Tile("R² with structure", r_squared(facts.structure), shuffled))
    return tuple(made)
