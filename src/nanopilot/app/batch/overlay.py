"""What was found, drawn over the frame it was found in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from nanopilot.app.report.drawing import drawing_style
from nanopilot.app.report.scales import bar_label, round_length
from nanopilot.core.signals import Signal
from nanopilot.workflows.analyse import Mark

Array = np.ndarray[Any, np.dtype[np.float64]]

#: Kinds of marks in their order (P. Wong, Nature Methods 8 (2011) 441: safe for the colour-blind).
_COLOURS = (
    "#e69f00", "#56b4e9", "#d55e00", "#009e73", "#cc79a7", "#f0e442", "#0072b2", "#8c8c8c",
)  # fmt: skip
#: Pixels of the longer edge of the picture.
_MOST, _LEAST, _DPI = 1600, 560, 100
#: Inches below the frame for what the colours mean.
_LEGEND = 0.34
#: Points of the letters in a picture of `_LEAST` pixels, and at most.
_LETTERS, _LARGEST = 8.0, 15.0


def draw_overlay(
    frame: Signal,
    marks: Sequence[Mark],
    path: Path,
    *,
    in_pixels: bool,
    order: Sequence[str] = (),
) -> None:
    """Write a PNG of a frame with marks over it; the file appears when it is whole.

    Parameters
    ----------
    frame : Signal
        Dims (y, x) in metres; y points up, so that a picture looks as it does elsewhere.
    marks : sequence of Mark
        In the coordinates of the frame.
    path : Path
        Of the PNG.
    in_pixels : bool
        A nanometre stands for a pixel; the scale bar says so.
    order : sequence of str
        Kinds that have the first colours, whether or not they are in this frame.
    """
    grey = shade(frame.to_numpy())
    rows, columns = frame.shape
    edge = float(np.clip(max(rows, columns) * 2, _LEAST, _MOST)) / max(rows, columns) / _DPI
    size = (columns * edge, rows * edge + _LEGEND)
    there = dict.fromkeys(mark.kind for mark in marks)
    kinds = {kind: n for n, kind in enumerate(dict.fromkeys((*order, *there))) if kind in there}
    with drawing_style():
        figure = Figure(figsize=size, dpi=_DPI, facecolor="white")
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0.0, _LEGEND / size[1], 1.0, 1 - _LEGEND / size[1]))
        axes.imshow(grey, cmap="gray", vmin=0, vmax=1, aspect="auto", interpolation="antialiased",
                    origin="lower", extent=(-0.5, columns - 0.5, -0.5, rows - 0.5))  # fmt: skip
        for kind, number in kinds.items():
            _draw(axes, frame, [one for one in marks if one.kind == kind], number)
        axes.set_xlim(-0.5, columns - 0.5)
        axes.set_ylim(-0.5, rows - 0.5)
        axes.set_axis_off()
        _scale_bar(axes, frame, _letters(figure), in_pixels=in_pixels)
        _legend(figure, kinds, marks)
        half = path.with_suffix(".part")
        figure.savefig(half, format="png", dpi=_DPI)
    half.replace(path)


def shade(values: np.ndarray[Any, np.dtype[Any]]) -> Array:
    """Return a frame as shades from 0 to 1, the outermost two thousandths cut off; NaN stays."""
    step = max(1, max(values.shape) // (2 * _MOST))
    shown = values[::step, ::step].astype(np.float64)
    finite = shown[np.isfinite(shown)]
    if not finite.size:
        return np.zeros_like(shown)
    low, high = np.quantile(finite, (0.002, 0.998))
    shades: Array = np.clip((shown - low) / ((high - low) or 1.0), 0, 1)
    return shades


def _draw(axes: Axes, frame: Signal, marks: Sequence[Mark], number: int) -> None:
    colour = _COLOURS[number % len(_COLOURS)]
    drawn = [(mark.shape, _in_pixels(frame, mark.points)) for mark in marks]
    dots = [points for shape, points in drawn if shape == "dot" or len(points) == 1]
    if dots:
        places = np.concatenate(dots)
        area = float(np.clip(6e4 / len(places), 3, 45))
        axes.scatter(
            places[:, 0], places[:, 1], s=area, facecolors="none", edgecolors=colour, linewidths=0.9
        )
    lines = [points for shape, points in drawn if shape == "line" and len(points) > 1]
    lines += [
        np.vstack([points, points[:1]])
        for shape, points in drawn
        if shape == "outline" and len(points) > 1
    ]
    if lines:
        axes.add_collection(LineCollection(lines, colors=colour, linewidths=1.1))


def _in_pixels(frame: Signal, points: Array) -> Array:
    """Return places in metres as columns and rows."""
    made = []
    for values, dim in zip(
        np.asarray(points, dtype=np.float64).reshape(-1, 2).T, "xy", strict=True
    ):
        places = frame[dim].to_numpy()
        pitch = (places[-1] - places[0]) / (len(places) - 1)
        made.append((values - places[0]) / pitch)
    return np.stack(made, axis=1)


def _scale_bar(axes: Axes, frame: Signal, letters: float, *, in_pixels: bool) -> None:
    rows, columns = frame.shape
    places = frame["x"].to_numpy()
    width = abs(float(places[-1] - places[0])) * columns / (columns - 1)
    length = round_length(width)
    across, thick = length / width * columns, rows / 90
    at = (0.03 * columns, rows * 0.03)
    axes.add_patch(Rectangle(at, across, thick, facecolor="white", edgecolor="black", lw=0.5))
    label = f"{length * 1e9:g} px" if in_pixels else bar_label(length)
    axes.text(
        at[0] + across / 2, at[1] + thick * 1.6, label, ha="center", va="bottom",
        fontsize=letters,
        bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1.0},
    )  # fmt: skip


def _letters(figure: Figure) -> float:
    """Return the size of letters that are read as well in a large picture shown small."""
    longer = float(max(figure.get_size_inches())) * _DPI
    return float(np.clip(_LETTERS * longer / _LEAST, _LETTERS, _LARGEST))


def _legend(figure: Figure, kinds: Mapping[str, int], marks: Sequence[Mark]) -> None:
    """Say in one line below the frame what each colour is, and how many there are."""
    size = figure.get_size_inches()
    at, letters = 0.06 / size[0], _letters(figure)
    if not kinds:
        figure.text(at, 0.1 / size[1], "nothing marked", fontsize=letters, color="#626c78")
    for kind, number in kinds.items():
        count = sum(
            len(mark.points) if mark.shape == "dot" else 1 for mark in marks if mark.kind == kind
        )
        text = figure.text(
            at, 0.1 / size[1], f"{kind} ({count})", fontsize=letters, fontweight="bold",
            color=_COLOURS[number % len(_COLOURS)],
        )  # fmt: skip
        box = text.get_window_extent()
        at += (box.width + 14) / figure.dpi / size[0]
