"""What the run says in plain words: what was asked, what was found, whether structure helped."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from nanopilot.app.report.data import ReportData
from nanopilot.app.report.numbers import (
    duration,
    number,
    percent,
    real,
    with_unit,
    without_logarithm,
)

Verdict = Literal["helped", "no better", "useless", "not known"]


@dataclass(frozen=True, slots=True)
class Explained:
    """R² with the structure, and with the structure dealt out at random.

    Parameters
    ----------
    structure, control, low, high : float
        NaN where the run does not know.
    shuffles : int
        How many times it was shuffled; 0 when not told.
    """

    structure: float = math.nan
    control: float = math.nan
    low: float = math.nan
    high: float = math.nan
    shuffles: int = 0

    @property
    def verdict(self) -> Verdict:
        """Whether the structure told more than its shuffled control."""
        if not math.isfinite(self.structure) or not math.isfinite(self.control):
            return "not known"
        if self.structure <= max(self.control, self.high if math.isfinite(self.high) else -1):
            return "useless" if self.structure <= 0 else "no better"
        return "helped" if self.structure > 0 else "useless"

    @property
    def control_words(self) -> str:
        """The control with its spread."""
        text = number(self.control, 2)
        if math.isfinite(self.low) and math.isfinite(self.high):
            text += f" ({number(self.low, 2)} to {number(self.high, 2)}"
            text += f" in {self.shuffles} shuffles)" if self.shuffles else ")"
        return text


@dataclass(frozen=True, slots=True)
class Tile:
    """One number worth seeing first."""

    label: str
    value: str
    more: str = ""


def explained(data: ReportData) -> Explained:
    """Return how much the structure explained, as far as the run knows."""
    facts = data.summary.get("explained") or {}
    control: dict[str, Any] = facts.get("control") or {}
    shuffles = real(control.get("shuffles"))
    return Explained(
        structure=real(facts.get("structure")),
        control=real(control.get("mean")),
        low=real(control.get("low")),
        high=real(control.get("high")),
        shuffles=int(shuffles) if math.isfinite(shuffles) else 0,
    )


def headline(data: ReportData) -> tuple[str, str, str]:
    """Return three sentences: what was asked, what was found at what cost, did structure help."""
    return asked(data), found(data), helped(data)


def asked(data: ReportData) -> str:
    """Say what was looked for, where, and with what."""
    settings = data.record.settings
    where = sample(data)
    budget = real(settings.get("budget"))
    limit = f", measuring at most {percent(budget, _digits(budget))} of the sites" * (budget == budget)
    policy = settings.get("policy")
    chooser = f"; the policy {policy} chose each site" * bool(policy)
    return f"Asked for: the {data.goal.superlative} {data.goal.words} of {where}{limit}{chooser}."


def found(data: ReportData) -> str:
    """Say what the best site is and what it took to find it."""
    cost = _cost(data)
    if not data.best:
        return f"Found: nothing yet with a usable {data.goal.words}; {cost}."
    best = data.best[0]
    x, y = (f"{1e6 * place:.3f}" for place in best.action.position)
    plain = without_logarithm(best.reward, data.goal.unit)
    plain = f", that is {plain}," if plain else ""
    text = (
        f"Found: {with_unit(best.reward, data.goal.unit, 4)}{plain} at x = {x} µm, y = {y} µm, "
        f"in step {best.step + 1}; {cost}"
    )
    recall = real(data.score.get("recall"))
    if math.isfinite(recall):
        sites = data.score.get("best_sites")
        text += (
            f", and {percent(recall, 0)} of the {sites} best sites are among them "
            f"(chance: {percent(real(data.score.get('random')), 0)})"
        )
    return text + "."


def helped(data: ReportData) -> str:
    """Say whether looking at the structure helped, with both numbers."""
    facts = explained(data)
    if facts.verdict == "not known":
        if not data.finished:
            return "Did the structure help? Not known yet: that is worked out when the run ends."
        if math.isfinite(facts.structure):
            r2 = number(facts.structure, 2)
            return f"Did the structure help? R² is {r2}, but without a control that means nothing."
        return "Did the structure help? Not known: the run holds too few rewards to tell."
    answer = "yes" if facts.verdict == "helped" else "no"
    return (
        f"Did the structure help? In this run, {answer}: R² is {number(facts.structure, 2)} with "
        f"the structure and {facts.control_words} with the structure shuffled."
    )


def caution(data: ReportData) -> str:
    """Say where the claim ends; empty while there is none."""
    facts = explained(data)
    words = data.goal.words
    return {
        "helped": "Not more than that: it holds for this area and this sample, and a correlation "
        f"of image and {words} is not its cause.",
        "no better": "Not more than that: a model that was shown the structure of the wrong places "
        f"predicts the {words} as well, so what was found owes nothing to the image.",
        "useless": "Not more than that: from the structure the model predicts no better than the "
        "mean of what was measured, so its map is not to be relied on.",
        "not known": "",
    }[facts.verdict]


def tiles(data: ReportData) -> tuple[Tile, ...]:
    """Return the numbers to be seen first."""
    made = []
    if data.best:
        value = with_unit(data.best[0].reward, data.goal.unit, 4)
        amount, _, unit = value.partition(" ")
        made.append(Tile(f"{data.goal.superlative} {data.goal.words}", amount, unit))
    of = f"{len(data.steps):,} of {data.candidates:,} sites" if data.candidates else "sites"
    share = data.fraction
    made.append(Tile("measured", percent(share) if share == share else str(len(data.steps)), of))
    made.append(Tile("instrument time", duration(data.seconds), f"{data.spent.spectra:,} spectra"))
    recall = real(data.score.get("recall"))
    if math.isfinite(recall):
        chance = percent(real(data.score.get("random")), 0)
        made.append(Tile("of the best found", percent(recall, 0), f"chance: {chance}"))
    facts = explained(data)
    if math.isfinite(facts.structure):
        shuffled = f"shuffled: {number(facts.control, 2)}"
        made.append(Tile("R² with structure", number(facts.structure, 2), shuffled))
    return tuple(made)


def sample(data: ReportData) -> str:
    """Return the sample by name, without the folders of whoever measured it."""
    options = data.record.instrument.get("options") or {}
    named = str(options.get("sample", "")).replace("\\", "/").rstrip("/").rpartition("/")[2]
    if named:
        return f"the sample {named}"
    return f"what the instrument {data.record.instrument.get('instrument', '')} showed".strip()


def _cost(data: ReportData) -> str:
    sites = f"{len(data.steps):,}"
    if data.candidates:
        sites += f" of {data.candidates:,} sites ({percent(data.fraction)})"
    else:
        sites += " sites"
    return f"{sites} were measured in {duration(data.seconds)} of instrument time"


def _digits(fraction: float) -> int:
    return 0 if abs(100 * fraction - round(100 * fraction)) < 1e-9 else 1
