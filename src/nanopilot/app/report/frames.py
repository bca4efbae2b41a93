"""Images with a databar: the frame as measured, where was measured, and the maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps, patheffects
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import FigureBase
from matplotlib.patches import Rectangle

from nanopilot.app.report.data import Measured
from nanopilot.app.report.drawing import MUTED, TITLE, Panel, ticks
from nanopilot.app.report.frame import Frame, robust_limits, smooth_limits
from nanopilot.app.report.scales import bar_label, in_brackets, round_length, scale_for
from nanopilot.core.history import FloatArray

#: Colours of the databar, the same in every theme, as under an electron micrograph.
_BAR, _BAR_INK = "#14181d", "#ffffff"
_WIDTH, _SIDE, _BAR_HEIGHT, _COLOUR_BAR = 4.4, 0.12, 0.3, 0.62


@dataclass(frozen=True, slots=True)
class Look:
    """How the values of a frame are coloured and named; `robust` leaves spikes out."""

    title: str
    label: str
    colours: str
    robust: bool = False


def panel_height(frame: Frame) -> float:
    """Return the height in inches of a panel that shows the frame."""
    return TITLE + _picture(frame)[1] + _BAR_HEIGHT + _COLOUR_BAR


def frame_panel(name: str, frame: Frame, look: Look, sites: Sequence[Measured] = ()) -> Panel:
    """Return the panel of a frame; `sites` are shown as small dots."""

    def draw(figure: FigureBase, panel: Panel) -> None:
        axes = image_axes(figure, panel, frame)
        low, high = (robust_limits if look.robust else smooth_limits)(frame.values)
        scale = scale_for((low, high), frame.unit)
        norm = Normalize(low / scale.factor, high / scale.factor)
        show(axes, frame, look.colours, norm, scale.factor)
        if sites:
            x, y = where(sites)
            axes.scatter(x, y, s=5, c="#ffffff", edgecolors="#000000", linewidths=0.4)
        panel.title(figure, look.title)
        values = frame.values / scale.factor
        colour_bar(
            figure, panel, ScalarMappable(norm, colormaps[look.colours]),
            look.label + in_brackets(scale.unit), _beyond(values, norm),
        )  # fmt: skip

    return Panel(name, f"{look.title}: {look.label}", _WIDTH, panel_height(frame), draw)


def image_axes(figure: FigureBase, panel: Panel, frame: Frame) -> Axes:
    """Add bare axes in sample coordinates (m), with the databar below them."""
    width, height = _picture(frame)
    left = (panel.width - width) / 2
    bottom = panel.height - TITLE - height
    axes = panel.place(figure, (left, bottom, width, height))
    axes.set_axis_off()
    _databar(panel.place(figure, (left, bottom - _BAR_HEIGHT, width, _BAR_HEIGHT)), frame, width)
    return axes


def show(axes: Axes, frame: Frame, colours: str, norm: Normalize, factor: float) -> None:
    """Draw the pixels as they are, without smoothing."""
    colour_map = colormaps[colours].with_extremes(bad="#9aa3ad")
    axes.imshow(
        np.ma.masked_invalid(frame.values / factor), extent=frame.extent, origin="lower",
        cmap=colour_map, norm=norm, interpolation="none", aspect="auto",
    )  # fmt: skip
    axes.set_xlim(*frame.extent[:2])
    axes.set_ylim(*frame.extent[2:])


def where(sites: Sequence[Measured]) -> tuple[list[float], list[float]]:
    """Return x and y of sites in metres."""
    return [s.action.position[0] for s in sites], [s.action.position[1] for s in sites]


def colour_bar(
    figure: FigureBase, panel: Panel, mappable: ScalarMappable, label: str, extend: str = "neither"
) -> None:
    """Draw a colour bar at the bottom of the panel, over its whole width."""
    box = (_SIDE, _COLOUR_BAR - 0.23, panel.width - 2 * _SIDE, 0.12)
    axes = panel.place(figure, box)
    bar = figure.colorbar(
        mappable, cax=axes, orientation="horizontal", extend=extend, extendfrac=0.025
    )
    bar.outline.set(linewidth=0.5, edgecolor=MUTED)
    bar.locator = ticks(6)
    bar.ax.tick_params(length=2.5, pad=2, color=MUTED)
    bar.set_label(label, labelpad=2)


def outlined(**more: Any) -> dict[str, Any]:
    """Return the look of white text that can be read on any image."""
    dark = [patheffects.withStroke(linewidth=2.2, foreground="#000000")]
    return {"color": "#ffffff", "path_effects": dark, "fontweight": "bold"} | more


def _databar(axes: Axes, frame: Frame, inches: float) -> None:
    axes.set_axis_off()
    axes.set_xlim(0, inches)
    axes.set_ylim(0, _BAR_HEIGHT)
    axes.add_patch(Rectangle((0, 0), inches, _BAR_HEIGHT, facecolor=_BAR, edgecolor="none"))
    metres = round_length(frame.width)
    length = metres / frame.width * inches
    middle = _BAR_HEIGHT / 2
    axes.plot([0.1, 0.1 + length], [middle, middle], color=_BAR_INK, lw=3.2, solid_capstyle="butt")
    text: dict[str, Any] = {"va": "center_baseline", "color": _BAR_INK}
    axes.text(0.2 + length, middle, bar_label(metres), fontsize=9, fontweight="bold", **text)
    rows, columns = frame.shape
    if inches > 2.5:
        axes.text(inches - 0.1, middle, f"{columns} × {rows} px", fontsize=8, ha="right", **text)


def _picture(frame: Frame) -> tuple[float, float]:
    """Return width and height of the image in inches; a tall one is made narrower."""
    width = _WIDTH - 2 * _SIDE
    height = width * frame.aspect
    tallest = 1.4 * width
    if height > tallest:
        return tallest / frame.aspect, tallest
    return width, max(height, 0.3)


def _beyond(values: FloatArray, norm: Normalize) -> str:
    assert norm.vmin is not None and norm.vmax is not None  # noqa: S101, PT018 - given by us
    below, above = bool((values < norm.vmin).any()), bool((values > norm.vmax).any())
    if below and above:
        return "both"
    return "min" if below else "max" if above else "neither"
