"""Captions: what is seen, in plain words, and what is not known."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nanopilot.analysis.despike import cyclic_median
from nanopilot.app.report.curves import FLOOR
from nanopilot.app.report.data import ReportData
from nanopilot.app.report.explained import BAND, column, explained, learning, rows
from nanopilot.app.report.foresight import Foresight
from nanopilot.app.report.loops import POINTS, crossings, same_scale
from nanopilot.app.report.numbers import number, percent, r_squared, real


@dataclass(frozen=True, slots=True)
class Caption:
    """A paragraph, and the panel or the matter that it speaks of."""

    about: str
    text: str


def where(data: ReportData) -> tuple[Caption, ...]:
    """Explain the structure image and the sites on it."""
    survey = sum(step.survey for step in data.steps)
    lost = sum(not np.isfinite(step.reward) for step in data.steps)
    frame = Caption(
        "The structure",
        "is the overview frame, the only thing known before the first spectrum. Pixels are shown "
        "as recorded, x to the right and y upwards; grey levels leave out the most extreme values "
        "(beyond the pointed ends of the bar), so that spikes do not hide the rest.",
    )
    if not data.steps:
        return (frame,)
    sites = Caption(
        "Where was measured",
        f"shows the {len(data.steps):,} measured sites on the same frame, coloured by step. "
        f"Squares are the {survey} sites of the survey, spread before the model was asked; the "
        f"model chose the other {len(data.steps) - survey}."
        + f" A cross marks the {lost} that gave no usable reward." * bool(lost)
        + " Between the sites nothing was measured. Steps count from 0, as in the journal.",
    )
    return frame, sites


def maps(data: ReportData) -> tuple[Caption, ...]:
    """Explain the map and its uncertainty."""
    spread = data.told(data.noise, 3)
    noise = (
        f" A single measurement scatters about it by another {spread} (standard deviation, as "
        "learned by the model)."
        if math.isfinite(data.noise)
        else ""
    )
    return (
        Caption(
            "The map",
            f"is the {data.goal.words} that the model expects at every site after "
            f"{len(data.steps):,} measurements (dots). It is a prediction: away from the dots it "
            f"is as good as the model.{_true_quality(data)}",
        ),
        Caption(
            "Its uncertainty",
            f"is one standard deviation of that expectation, in the model's own opinion.{noise} "
            "The colours of both leave out the most extreme 1 % at either end.",
        ),
    )


def _true_quality(data: ReportData) -> str:
    r2, control = real(data.score.get("r2")), real(data.score.get("r2_control"))
    if not math.isfinite(r2):
        return " How good it really is can be told only by measuring the rest."
    shuffled = (
        f" (with the structure shuffled: {r_squared(control)})" if math.isfinite(control) else ""
    )
    return (
        " Here the truth is known, and was looked at after the run: over the sites not measured "
        f"the map has R² {r_squared(r2)}{shuffled}."
    )


def progress(data: ReportData) -> tuple[Caption, ...]:
    """Explain rewards and recall."""
    best = data.best[0]
    rewards = Caption(
        "The best site",
        f"was measured in step {best.step} of {len(data.steps)}: "
        f"{data.told(best.reward)}, where the {data.goal.superlative} is best."
        + " Whether there is a better one among the sites not measured is not known."
        * (not data.score),
    )
    if data.has_recall:
        recall = Caption(
            "Recall",
            "can be drawn because the truth is known here; the policy never saw it. Dotted, with "
            "a band for 95 % of cases: sites drawn at random. Dashed: a run of its own that was "
            "shown the structure shuffled.",
        )
    else:
        recall = Caption(
            "Recall",
            "of the best sites is left out: it takes the truth about every site, which a real "
            "measurement does not have.",
        )
    return rewards, recall


def trust(data: ReportData, told: Foresight | None, learned: bool) -> tuple[Caption, ...]:
    """Explain R², its control, and the predictions made before each measurement."""
    first = _explained(data) if learned else _no_learning(data)
    about = "Predictions beforehand"
    if told is None:
        few = "are left out: there are too few of them to hold against measurements."
        return first, Caption(about, few)
    noise = (
        "the noise of a measurement included"
        if told.with_noise
        else "without the noise of a measurement, which is learned only as the run goes on, so "
        "that too few are to be expected inside"
    )
    text = (
        f"are held against the rewards then measured, at {told.measured.size} sites that the model "
        f"chose. Bars are the model's own 95 % interval, {noise}; {percent(told.coverage)} of the "
        "rewards fell inside. On the line a prediction was exact. These are sites the model was "
        "curious about, not a fair sample of all."
    )
    return first, Caption(about, text)


def _explained(data: ReportData) -> Caption:
    facts = learning(data)
    text = (
        "is the R² of predictions for measured sites that were held back: 1 is perfect, 0 no "
        "better than the mean. Squares: the same model with the structures dealt out to the wrong "
        f"sites, so that it knows the position only; the band is {BAND:g} standard deviations over "
        "the shuffles. The sites were chosen, not drawn: read the distance between the curves, "
        "not their height."
    )
    if np.isfinite(column(rows(data), "baseline")).any():
        text += " Triangles: a plain Gaussian process on fixed features."
    values = [value for one in facts for value in (one.structure, one.low)]
    if np.nanmin(values) < FLOOR:
        text += f" Values below {number(FLOOR, 1)} are drawn at {number(FLOOR, 1)}."
    return Caption("What the structure explains", text)


def _no_learning(data: ReportData) -> Caption:
    why = f"is left out: {explained(data).why or 'the run does not say'}."
    if not data.finished:
        why = "is worked out when the run ends."
    return Caption("What the structure explains", why)


def loops(data: ReportData) -> tuple[Caption, ...]:
    """Explain the spectra."""
    smooth = {step: cyclic_median(loop.to_numpy(), POINTS) for step, loop in data.loops.items()}
    text = (
        "are every point as measured, with triangles where one lies beyond the axis. Blue is the "
        f"median of {POINTS} neighbouring points, which takes spikes away. Where it is ragged "
        "still, spikes of several points have passed, and the rank may be theirs: look before "
        "you believe."
    )
    if any(crossings(one.features) for one in data.best):
        text += " Dashed are the coercive biases."
    text += (
        " All panels have the same axes."
        if same_scale(smooth)
        else " The loops differ in size, so each panel has a response axis of its own."
    )
    text += f" Titles give the {data.goal.words}, the place and the step."
    return (Caption("Grey dots", text),)


def cost(data: ReportData) -> tuple[Caption, ...]:
    """Explain what was spent and what happened."""
    text = (
        "is that of the instrument's own clock; the shaded part of the timeline is the overview "
        f"frame. The guard let {data.allowed:,} requests through and refused {data.refused:,}."
    )
    if not data.incidents:
        text += " Nothing out of the ordinary happened."
    if data.stopped:
        text += f" The run stopped because: {data.stopped}."
    elif not data.finished:
        text += " The run has not stopped by itself: it can be resumed."
    return (Caption("Time", text),)
