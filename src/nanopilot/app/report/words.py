"""What the run says in plain words: what was asked, what was found, whether structure helped."""

from __future__ import annotations

import math

import numpy as np

from nanopilot.app.report.data import ReportData
from nanopilot.app.report.explained import Explained, explained
from nanopilot.app.report.numbers import duration, percent, r_squared, real
from nanopilot.app.report.scales import without_logarithm


def headline(data: ReportData) -> tuple[str, str, str]:
    """Return three sentences: what was asked, what was found at what cost, did structure help."""
    return asked(data), found(data), helped(data)


def asked(data: ReportData) -> str:
    """Say what was looked for, where, and with what."""
    settings = data.record.settings
    where = sample(data)
    budget = real(settings.get("budget"))
    limit = ""
    if math.isfinite(budget):
        limit = f", measuring at most {percent(budget, _digits(budget))} of the sites"
    policy = settings.get("policy")
    chooser = f"; the policy {policy} chose each site" * bool(policy)
    control = "; as a control, it was shown the structure shuffled" * bool(settings.get("shuffled"))
    wanted = f"the {data.goal.superlative} {data.goal.words} of {where}"
    return f"Asked for: {wanted}{limit}{chooser}{control}."


def found(data: ReportData) -> str:
    """Say what the best site is and what it took to find it."""
    cost = _cost(data)
    if not data.best:
        return f"Found: nothing yet with a usable {data.goal.words}; {cost}."
    best = data.best[0]
    (x, y), length = data.place(best), data.lengths.unit
    value = data.told(best.reward)
    plain = without_logarithm(best.reward, data.goal.unit)
    value = f"{plain} (as reward: {value})" if plain else value
    text = (
        f"Found: a {data.goal.words} of {value} at x = {x} {length}, y = {y} {length}, in step "
        f"{best.step}; {cost}"
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
    """Say whether looking at the structure helped, with all numbers."""
    question = "Did the structure help?"
    facts = explained(data)
    if facts.verdict == "not known":
        return f"{question} {_why_not_known(data, facts)}"
    answer = {"helped": "yes", "a little": "yes, but little"}.get(facts.verdict, "no")
    return (
        f"{question} In this run, {answer}: at measured sites that were held back R² is "
        f"{r_squared(facts.structure)} with the structure and {facts.control_words} with the "
        f"structure shuffled{_truth(data)}."
    )


def caution(data: ReportData) -> str:
    """Say where the claim ends, or that the run has not; empty where there is no claim."""
    if not data.finished:
        return (
            "This run is unfinished: all numbers are as of its last step, and what only the end of "
            "a run brings (map, control) is left out."
        )
    facts = explained(data)
    words = data.goal.words
    return {
        "helped": "Not more than that: it holds for this area of this sample, and that image and "
        f"{words} go together does not say why.",
        "a little": f"Not more than that: most of how the {words} varies is not explained, and "
        "what is holds for this area of this sample.",
        "no better": "Not more than that: a model that was shown the structure of the wrong places "
        f"predicts the {words} as well, so this run gives no reason to believe the image.",
        "useless": "Not more than that: from the structure the model predicts no better than the "
        "mean of what was measured, so its map is not to be relied on.",
        "not known": "",
    }[facts.verdict]


def _why_not_known(data: ReportData, facts: Explained) -> str:
    if not data.finished:
        return "Not known yet: that is worked out when the run ends."
    if math.isfinite(facts.structure):
        r2 = r_squared(facts.structure)
        return f"Not known: R² is {r2}, but without a control that means nothing."
    return f"Not known: {facts.why or 'the run does not say'}."


def _truth(data: ReportData) -> str:
    """Return what the known truth adds, where there is one."""
    parts = []
    r2, shuffled = real(data.score.get("r2")), real(data.score.get("r2_control"))
    if math.isfinite(r2) and math.isfinite(shuffled):
        parts.append(
            "at the sites never measured, where the truth is known, it is "
            f"{r_squared(r2)} and {r_squared(shuffled)}"
        )
    control = [real(value) for value in data.score.get("control_curve") or ()]
    if control and math.isfinite(control[-1]):
        share = percent(control[-1], 0)
        parts.append(f"a run that was shown the structure shuffled found {share} of the best sites")
    return "".join(f"; {part}" for part in parts)


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
    time = f" in {duration(data.seconds)} of instrument time" * math.isfinite(data.seconds)
    lost = int(np.sum(~np.isfinite(data.rewards)))
    without = f", {lost:,} of them without a usable {data.goal.words}" * bool(lost)
    return f"{sites} were measured{time}{without}"


def _digits(fraction: float) -> int:
    return 0 if abs(100 * fraction - round(100 * fraction)) < 1e-9 else 1
