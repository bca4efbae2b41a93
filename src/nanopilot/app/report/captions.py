"""Captions: what is seen, in plain words, and what is not known."""

from __future__ import annotations

import math

import numpy as np

from nanopilot.app.report.curves import FLOOR, column
from nanopilot.app.report.data import ReportData
from nanopilot.app.report.foresight import Foresight
from nanopilot.app.report.loops import crossings, despiked, same_scale
from nanopilot.app.report.numbers import number, percent, pretty, real, with_unit
from nanopilot.app.report.words import explained


def where(data: ReportData) -> tuple[str, ...]:
    """Explain the structure image and the sites on it."""
    survey = sum(step.survey for step in data.steps)
    lost = sum(not np.isfinite(step.reward) for step in data.steps)
    text = [
        "Left: the overview frame, the only thing known before the first spectrum. "
        "Grey levels run from its 1st to its 99th percentile, so that single spikes do not hide "
        "the rest; pixels are shown as recorded, x to the right and y upwards."
    ]
    if data.steps:
        text.append(
            f"Right: the same frame, paler, with the {len(data.steps):,} measured sites, coloured "
            f"by step. Squares are the {survey} sites of the survey, which were spread before the "
            f"model was asked; the model chose the other {len(data.steps) - survey}."
            + f" A cross marks the {lost} that gave no usable reward." * bool(lost)
            + " Between the sites nothing was measured."
        )
    return tuple(text)


def maps(data: ReportData) -> tuple[str, ...]:
    """Explain the map and its uncertainty."""
    noise = (
        f" A single measurement scatters about it by another {with_unit(data.noise, data.goal.unit)}"
        " (one standard deviation, as learned by the model)."
        if math.isfinite(data.noise)
        else ""
    )
    text = [
        f"Left: the {data.goal.words} that the model expects at every site, from "
        f"{len(data.steps):,} measured ones (dots). Right: one standard deviation of that "
        f"expectation.{noise} Colours run from the 1st to the 99th percentile."
    ]
    text.append(
        "The map is a prediction, not a measurement: away from the dots it is as good as the model, "
        "and the uncertainty is the model's own opinion of itself."
        + _true_quality(data)
    )
    return tuple(text)


def _true_quality(data: ReportData) -> str:
    r2, control = real(data.score.get("r2")), real(data.score.get("r2_control"))
    if not math.isfinite(r2):
        return " How good it really is can be told only by measuring the rest."
    shuffled = f" (with the structure shuffled: {number(control, 2)})" if control == control else ""
    return (
        " Here the truth is known, and was looked at after the run: over the sites not measured "
        f"the map has R² {number(r2, 2)}{shuffled}."
    )


def progress(data: ReportData) -> tuple[str, ...]:
    """Explain rewards and recall."""
    best = data.best[0]
    text = [
        f"The best site, {with_unit(best.reward, data.goal.unit, 4)}, was measured in step "
        f"{best.step + 1} of {len(data.steps)}; {data.goal.superlative} is best."
        + " Whether a better one exists among the sites not measured is not known."
        * (not data.score)
    ]
    if data.score.get("recall_curve"):
        text.append(
            f"Right: the truth is known here, so the {data.score.get('best_sites')} best sites can "
            "be counted; the policy never saw it. Dotted, with a band for 95 % of cases: sites "
            "drawn at random. Dashed: the same run with the structure shuffled."
        )
    else:
        text.append(
            "How many of the best sites were found is left out: that takes the truth about every "
            "site, which a real measurement does not have."
        )
    return tuple(text)


def trust(data: ReportData, told: Foresight | None, learned: bool) -> tuple[str, ...]:
    """Explain R², its control, and the predictions made before each measurement."""
    text = [_explained(data)] if learned else [_no_learning(data)]
    if told is None:
        text.append("Predictions against measurements are left out: fewer than 5 were made.")
        return tuple(text)
    noise = (
        "the model's own 95 % interval, the noise of a measurement included"
        if told.with_noise
        else "the model's own 95 % interval without the noise of a measurement, which is not "
        "known before the run ends, so that too few can be expected inside"
    )
    text.append(
        f"Predicted beforehand: each of {told.measured.size} sites the model chose, as predicted "
        f"before it was measured (bars: {noise}). "
        f"{percent(told.coverage)} of the rewards fell inside. On the line a prediction was "
        "exact. These are sites the model was curious about, not a fair sample of all sites."
    )
    return tuple(text)


def _explained(data: ReportData) -> str:
    facts = explained(data)
    learning = data.summary.get("learning") or ()
    text = (
        "How much is explained: R² of predictions for measured sites that were held back, 1 for "
        "perfect, 0 for no better than the mean. Circles: the model as it ran. Squares: the same "
        "model with the structures dealt out to the wrong sites, so that position is all it knows"
    )
    has_band = bool(np.isfinite(column(learning, "control_low")).any())
    text += "; the band is the spread over shuffles." if has_band else "."
    if np.isfinite(column(learning, "baseline")).any():
        text += " Triangles: a plain Gaussian process on fixed features."
    values = np.concatenate([column(learning, "structure"), column(learning, "control")])
    if np.nanmin(values) < FLOOR:
        text += f" Values below {number(FLOOR, 1)} are drawn at {number(FLOOR, 1)}."
    if facts.verdict == "not known":
        text += " Without both numbers at the end, nothing follows from these curves."
    return text


def _no_learning(data: ReportData) -> str:
    if not data.finished:
        return "How much the structure explains is worked out when the run ends."
    return "How much the structure explains is left out: the run does not say."


def loops(data: ReportData) -> tuple[str, ...]:
    """Explain the spectra."""
    smooth = {step: despiked(loop.to_numpy()) for step, loop in data.loops.items()}
    text = (
        "Grey: every point as measured. Blue: the median of 5 neighbouring points, which removes "
        "spikes; it is drawn to judge by eye and changes no number."
    )
    if any(crossings(one.features) for one in data.best):
        text += " Dashed: the coercive biases."
    text += (
        " All panels have the same axes."
        if same_scale(smooth)
        else " The loops differ in size, so each panel has its own response axis."
    )
    text += " A triangle at the edge is a point that lies beyond it."
    unit = f" in {pretty(data.goal.unit)}" if pretty(data.goal.unit) else ""
    return (f"Titles give the {data.goal.words}{unit}, the place and the step. {text}",)


def cost(data: ReportData) -> tuple[str, ...]:
    """Explain what was spent and what happened."""
    verdicts = f"The guard let {data.allowed:,} requests through and refused {data.refused:,}."
    if not data.incidents:
        verdicts += " Nothing out of the ordinary happened."
    text = [
        "Time is that of the instrument's own clock. The shaded part of the timeline is the "
        f"overview frame. {verdicts}"
    ]
    if data.stopped:
        text.append(f"The run stopped because: {data.stopped}.")
    elif not data.finished:
        text.append("The run has not stopped by itself: it can be resumed.")
    return tuple(text)
