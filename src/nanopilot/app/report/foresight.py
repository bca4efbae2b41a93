"""Was the model right beforehand? Each prediction against the reward that came after it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import FigureBase

from nanopilot.app.report.data import ReportData
from nanopilot.app.report.drawing import CONTROL, MUTED, RUN, Panel, ticks
from nanopilot.app.report.scales import in_brackets
from nanopilot.core.history import FloatArray

#: Half-width of a 95 % interval in standard deviations.
_Z95 = 1.96


@dataclass(frozen=True, slots=True, eq=False)
class Foresight:
    """Predictions made before a measurement, and what came of it.

    Parameters
    ----------
    expected, spread, measured : numpy.ndarray
        Shape (n,), in the unit of the reward; `spread` is the standard deviation of the
        prediction, with the noise of a measurement where the run knows it.
    with_noise : bool
        Whether it does.
    """

    expected: FloatArray
    spread: FloatArray
    measured: FloatArray
    with_noise: bool

    @property
    def inside(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which rewards fell within the 95 % interval told beforehand."""
        return np.abs(self.measured - self.expected) <= _Z95 * self.spread

    @property
    def coverage(self) -> float:
        """Share of rewards inside, NaN when nothing was predicted."""
        return float(np.mean(self.inside)) if self.measured.size else float("nan")


def foresight(data: ReportData) -> Foresight:
    """Return every prediction that was made before its site was measured."""
    told = [
        (step.action.expected, step.action.uncertainty, step.reward)
        for step in data.steps
        if step.action.expected is not None
        and step.action.uncertainty is not None
        and np.isfinite(step.reward)
    ]
    expected, spread, measured = np.array(told, dtype=float).reshape(-1, 3).T
    with_noise = bool(np.isfinite(data.noise))
    if with_noise:
        spread = np.hypot(spread, data.noise)
    return Foresight(expected, spread, measured, with_noise)


def foresight_panel(data: ReportData, told: Foresight) -> Panel:
    """Return the panel of predicted against measured rewards."""

    def draw(figure: FigureBase, panel: Panel) -> None:
        axes = panel.chart(figure, "Predicted beforehand, then measured", rows=1)
        both = np.concatenate([told.expected, told.measured])
        scale = data.scale
        unit = in_brackets(scale.unit)
        low, high = float(both.min()) / scale.factor, float(both.max()) / scale.factor
        pad = 0.06 * (high - low) or 1.0
        axes.plot([low - pad, high + pad], [low - pad, high + pad], color=MUTED, lw=0.9)
        for some, colour, mark, label in (
            (told.inside, RUN, "o", "inside 95 %"),
            (~told.inside, CONTROL, "^", "outside"),
        ):
            x, y = told.expected[some] / scale.factor, told.measured[some] / scale.factor
            error = _Z95 * told.spread[some] / scale.factor
            axes.errorbar(
                x, y, xerr=error, fmt="none", ecolor=colour, elinewidth=0.4, alpha=0.16, zorder=1
            )
            axes.plot(
                x, y, mark, color=colour, ms=3.6, mew=0.7, mfc="none",
                label=f"{label} ({some.sum()})",
            )  # fmt: skip
        axes.set_xlim(low - pad, high + pad)
        axes.set_ylim(low - pad, high + pad)
        axes.set_xlabel(f"Predicted {data.goal.words}{unit}")
        axes.set_ylabel(f"Measured{unit}")
        axes.grid(axis="x")
        axes.xaxis.set_major_locator(ticks(5))
        axes.yaxis.set_major_locator(ticks(5))
        panel.legend(axes, 2)

    alt = "reward predicted before each measurement against the reward then measured"
    return Panel("foresight", alt, 4.4, 3.1, draw)
