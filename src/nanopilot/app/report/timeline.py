"""What the run cost, and what happened when."""

from __future__ import annotations

from collections import Counter

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase

from nanopilot.app.report.data import ReportData
from nanopilot.app.report.drawing import (
    BASELINE,
    CHANCE,
    CONTROL,
    GRID,
    INK,
    MUTED,
    RUN,
    Panel,
    ticks,
)
from nanopilot.app.report.numbers import duration

#: Colour, marker and words of what may be on the timeline.
_KINDS = {
    "resumed": (BASELINE, "^", "resumed"),
    "unknown": (CONTROL, "D", "unknown, repeated"),
    "refused": (CONTROL, "X", "refused by the guard"),
    "failed": (MUTED, "v", "not measured"),
    "unverified": (CONTROL, "P", "set, and another value read back"),
    "stopped": (CONTROL, "s", "emergency stop"),
    "secured": (MUTED, "s", "made safe"),
}


def timeline_panel(data: ReportData) -> Panel:
    """Return the panel of steps over instrument time with everything out of the ordinary."""
    kinds = [kind for kind in _KINDS if any(one.kind == kind for one in data.incidents)]

    def draw(figure: FigureBase, panel: Panel) -> None:
        rows = 1 + (len(kinds) + 1) // 2
        axes = panel.chart(figure, "Sites measured over instrument time", rows)
        factor, unit = _time_scale(data.seconds)
        times = np.array([step.time for step in data.steps]) / factor
        counts = np.arange(1, len(times) + 1)
        if np.isfinite(data.overview_seconds):
            axes.axvspan(0, data.overview_seconds / factor, color=CHANCE, alpha=0.2, lw=0)
        axes.step(times, counts, where="post", color=RUN, label="sites")
        if data.planned:
            axes.axhline(data.planned, color=MUTED, lw=0.9, ls=(0, (4, 3)), label="asked for")
        axes.set_xlabel(f"Instrument time ({unit})")
        axes.set_ylabel("Sites measured")
        axes.set_xlim(0, max(data.seconds / factor, 1e-9) * 1.03)
        axes.set_ylim(0, max(data.planned or 0, len(times)) * 1.08 + 1)
        _mark_incidents(axes, data, factor)
        axes.xaxis.set_major_locator(ticks(6))
        axes.yaxis.set_major_locator(ticks(5, integer=True))
        panel.legend(axes, 2)

    alt = f"{len(data.steps)} sites measured in {duration(data.seconds)} of instrument time"
    return Panel("timeline", alt, 4.4, 3.1, draw)


def budget_panel(data: ReportData) -> Panel:
    """Return the panel of what was spent of what was allowed, as bars."""

    def draw(figure: FigureBase, panel: Panel) -> None:
        panel.title(figure, "Spent")
        axes = panel.place(figure, (0.12, 0.1, panel.width - 0.24, panel.height - 0.5))
        axes.set_axis_off()
        axes.set_xlim(0, 1)
        rows = _rows(data)
        axes.set_ylim(len(rows) - 0.15, -0.35)
        for place, (words, spent, shares) in enumerate(rows):
            axes.text(0, place - 0.12, words, va="bottom", color=INK)
            axes.text(1, place - 0.12, spent, va="bottom", ha="right", fontweight="bold")
            _bar(axes, place, shares)

    alt = "; ".join(f"{words}: {spent}" for words, spent, _ in _rows(data))
    return Panel("budget", alt, 4.4, 3.1, draw)


def _mark_incidents(axes: Axes, data: ReportData, factor: float) -> None:
    """Mark what was out of the ordinary on the curve; what came at one moment is stacked."""
    times = [step.time for step in data.steps]
    seen: Counter[str | float] = Counter()
    lane = 0.07 * axes.get_ylim()[1]
    for one in data.incidents:
        colour, marker, words = _KINDS[one.kind]
        sites = float(np.searchsorted(times, one.time, side="right")) + lane * seen[one.time]
        count = sum(other.kind == one.kind for other in data.incidents)
        axes.plot(
            one.time / factor, sites, marker, color=colour, ms=7, mec="#ffffff", mew=0.7, ls="none",
            label="" if seen[one.kind] else f"{words} ({count})", clip_on=False, zorder=5,
        )  # fmt: skip
        seen.update((one.kind, one.time))


def _bar(axes: Axes, place: int, shares: tuple[tuple[float, str], ...]) -> None:
    axes.barh(place + 0.06, 1, 0.26, color=GRID, lw=0)
    left = 0.0
    for share, colour in shares:
        axes.barh(place + 0.06, share, 0.26, left=left, color=colour, lw=0)
        left += share


_Row = tuple[str, str, tuple[tuple[float, str], ...]]


def _rows(data: ReportData) -> list[_Row]:
    measured = len(data.steps)
    rows: list[_Row] = []
    if data.candidates:
        shares = ((measured / data.candidates, RUN),)
        rows.append(("Sites of the sample", f"{measured:,} of {data.candidates:,}", shares))
    if data.planned:
        shares = ((min(1.0, measured / data.planned), RUN),)
        rows.append(("Sites asked for", f"{measured:,} of {data.planned:,}", shares))
    rows += _time_rows(data)
    verdicts = data.allowed + data.refused
    if verdicts:
        both = ((data.allowed / verdicts, BASELINE), (data.refused / verdicts, CONTROL))
        text = f"{data.allowed:,} allowed, {data.refused:,} refused"
        rows.append(("Requests seen by the guard", text, both))
    return rows


def _time_rows(data: ReportData) -> list[_Row]:
    seconds, limit = data.seconds, data.record.settings.get("max_seconds")
    if not seconds > 0:
        return []
    frame = data.overview_seconds if np.isfinite(data.overview_seconds) else 0.0
    split = f"{duration(frame)} frame + {duration(seconds - frame)} spectra"
    shares = ((frame / seconds, CHANCE), (1 - frame / seconds, RUN))
    rows: list[_Row] = [("Instrument time", split, shares)]
    if limit:
        share = min(1.0, seconds / limit)
        rows.append(("Time limit", f"{duration(seconds)} of {duration(limit)}", ((share, RUN),)))
    return rows


def _time_scale(seconds: float) -> tuple[float, str]:
    for factor, unit, least in ((3600.0, "h", 7200.0), (60.0, "min", 240.0)):
        if seconds >= least:
            return factor, unit
    return 1.0, "s"
