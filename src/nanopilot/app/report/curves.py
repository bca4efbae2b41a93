"""Curves over the steps: rewards, what structure explains, and how many of the best were found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase

from nanopilot.app.report.data import ReportData
from nanopilot.app.report.drawing import (
    BASELINE,
    CHANCE,
    CONTROL,
    MUTED,
    RUN,
    Panel,
    ticks,
)
from nanopilot.app.report.explained import column, learning, rows
from nanopilot.app.report.numbers import real
from nanopilot.app.report.scales import in_brackets
from nanopilot.core.history import FloatArray

_WIDTH, _HEIGHT = 4.4, 3.1
#: R² below this is shown at the edge: how wrong a useless model is does not matter.
FLOOR = -0.5


def reward_panel(data: ReportData) -> Panel:
    """Return the panel of the reward of every step and the best so far."""

    def draw(figure: FigureBase, panel: Panel) -> None:
        axes = panel.chart(figure, "Reward, step by step", rows=1)
        scale = data.scale
        steps = np.arange(1, len(data.steps) + 1)
        rewards = data.rewards / scale.factor
        survey = np.array([step.survey for step in data.steps], dtype=bool)
        for some, mark, colour, words in (
            (survey, "s", MUTED, "survey"),
            (~survey, "o", RUN, "chosen by the model"),
        ):
            axes.plot(
                steps[some],
                rewards[some],
                mark,
                color=colour,
                mfc="none",
                ms=3.2,
                mew=0.7,
                label=words,
            )
        best = best_so_far(rewards, data.goal.sign)
        axes.step(steps, best, where="post", color=CONTROL, label="best so far")
        axes.set_ylabel(data.goal.words.capitalize() + in_brackets(scale.unit))
        _steps_below(axes, len(steps))
        panel.legend(axes, 3)

    alt = f"{data.goal.words} measured at each step, with the best so far"
    return Panel("reward", alt, _WIDTH, _HEIGHT, draw)


def explained_panel(data: ReportData) -> Panel:
    """Return the panel of R² over the steps, for the structure and for its control."""
    facts, table = learning(data), rows(data)
    steps, baseline = column(table, "steps"), column(table, "baseline")
    structure = np.array([one.structure for one in facts])
    control = np.array([one.control for one in facts])
    low, high = np.array([one.low for one in facts]), np.array([one.high for one in facts])

    def draw(figure: FigureBase, panel: Panel) -> None:
        axes = panel.chart(figure, "How much does the structure explain?", rows=1)
        axes.axhline(0, color=MUTED, lw=0.8)
        axes.fill_between(
            steps, np.maximum(low, FLOOR), np.maximum(high, FLOOR), color=CONTROL, alpha=0.18, lw=0
        )
        _curve(axes, (steps, structure), RUN, "o-", "structure")
        if np.isfinite(baseline).any():
            _curve(axes, (steps, baseline), BASELINE, "^-.", "plain GP")
        _curve(axes, (steps, control), CONTROL, "s--", "shuffled")
        axes.set_ylabel("R² at sites held back")
        _room_for_r2(axes)
        _steps_below(axes, int(np.nanmax(steps)))
        panel.legend(axes, 3)

    alt = "R squared at held-back sites with the structure and with the structure shuffled"
    return Panel("explained", alt, _WIDTH, _HEIGHT, draw)


def recall_panel(score: Mapping[str, Any]) -> Panel:
    """Return the panel of the share of the best sites found, against chance and control."""
    curves = {
        name: np.array([real(value) for value in score.get(name) or ()])
        for name in (
            "steps", "recall_curve", "random_curve", "random_low", "random_high", "control_curve"
        )
    }  # fmt: skip
    steps = curves["steps"]

    def draw(figure: FigureBase, panel: Panel) -> None:
        axes = panel.chart(figure, f"Share of the {score['best_sites']} best sites found", rows=1)
        if len(curves["random_low"]) == len(curves["random_high"]) == len(steps):
            axes.fill_between(
                steps, curves["random_low"], curves["random_high"], color=CHANCE, alpha=0.2, lw=0
            )
        for name, colour, style, label in (
            ("recall_curve", RUN, "-", "this run"),
            ("control_curve", CONTROL, "--", "shuffled"),
            ("random_curve", CHANCE, ":", "random"),
        ):
            if len(curves[name]) == len(steps):
                axes.plot(steps, curves[name], style, color=colour, label=label)
        axes.set_ylabel("Recall")
        axes.set_ylim(0, max(1.0, axes.get_ylim()[1]) * 1.02)
        _steps_below(axes, len(steps))
        panel.legend(axes, 3)

    alt = "share of the best sites found over the steps, against random choice and the control"
    return Panel("recall", alt, _WIDTH, _HEIGHT, draw)


def best_so_far(rewards: FloatArray, sign: float) -> FloatArray:
    """Return the best reward up to every step, NaN before the first one.

    Examples
    --------
    >>> best_so_far(np.array([np.nan, 2.0, 1.0, 3.0]), -1.0).tolist()
    [nan, 2.0, 1.0, 1.0]
    """
    oriented = np.where(np.isfinite(rewards), sign * rewards, -np.inf)
    best = np.maximum.accumulate(oriented) if len(rewards) else oriented
    return np.where(np.isfinite(best), sign * best, np.nan)


def _curve(
    axes: Axes, curve: tuple[FloatArray, FloatArray], colour: str, look: str, label: str
) -> None:
    steps, values = curve
    axes.plot(steps, np.maximum(values, FLOOR), look, color=colour, label=label, ms=5, mec="none")


def _room_for_r2(axes: Axes) -> None:
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, -0.05), min(1.02, max(high * 1.08, 0.2)))


def _steps_below(axes: Axes, last: int) -> None:
    axes.set_xlabel("Sites measured")
    axes.set_xlim(0, last * 1.02 + 1)
    axes.xaxis.set_major_locator(ticks(6, integer=True))
    axes.yaxis.set_major_locator(ticks(5))
