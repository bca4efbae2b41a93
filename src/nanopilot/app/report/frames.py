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
from nanopilot.app.report.drawing import MUTED, TITLE, Panel
from nanopilot.app.report.numbers import bar_label, pretty, round_length, scale_for
from nanopilot.core.history import FloatArray
from nanopilot.core.signals import Signal

#: Colours of the databar, the same in every theme, as under an electron micrograph.
_BAR, _BAR_INK = "#14181d", "#ffffff"
_WIDTH, _SIDE, _BAR_HEIGHT, _COLOUR_BAR = 4.4, 0.12, 0.3, 0.62
#: Pixels along an edge that no reader can tell apart in a page.
_ENOUGH = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """An image laid out on the sample.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (rows, columns), y upwards, x to the right.
    extent : (float, float, float, float)
        Left, right, bottom, top: the outer edges of the pixels, in metres.
    unit : str
        Of the values.
    shape : (int, int)
        Rows and columns as measured.
    """

    values: FloatArray
    extent: tuple[float, float, float, float]
    unit: str
    shape: tuple[int, int]

    @classmethod
    def of(cls, signal: Signal, unit: str | None = None) -> Frame:
        """Return the frame of a signal with dims (y, x)."""
        signal = signal.transpose("y", "x").sortby(["y", "x"])
        left, right = _edges(signal["x"].to_numpy())
        bottom, top = _edges(signal["y"].to_numpy())
        rows, columns = signal.shape
        step = -(-max(signal.shape) // _ENOUGH)
        values = signal.to_numpy()[::step, ::step].astype(float)
        known = str(signal.attrs.get("units", "")) if unit is None else unit
        return cls(values, (left, right, bottom, top), known, (rows, columns))

    @property
    def width(self) -> float:
        """Width on the sample in metres."""
        return self.extent[1] - self.extent[0]

    @property
    def aspect(self) -> float:
        """Height over width."""
        return (self.extent[3] - self.extent[2]) / self.width


@dataclass(frozen=True, slots=True)
class Look:
    """How the values of a frame are coloured and named."""

    title: str
    label: str
    colours: str


def robust_limits(values: FloatArray) -> tuple[float, float]:
    """Return the 1st and 99th percentile: a single spike must not turn an image black.

    Examples
    --------
    >>> robust_limits(np.array([0.0] * 50 + [1.0] * 49 + [100.0]))[1] < 2.1
    True
    """
    known = values[np.isfinite(values)]
    if not known.size:
        return 0.0, 1.0
    low, high = (float(limit) for limit in np.percentile(known, (1, 99)))
    if low < high:
        return low, high
    pad = abs(low) * 0.1 or 1.0
    return low - pad, high + pad


def panel_height(frame: Frame) -> float:
    """Return the height in inches of a panel that shows the frame."""
    return TITLE + _picture(frame)[1] + _BAR_HEIGHT + _COLOUR_BAR


def frame_panel(name: str, frame: Frame, look: Look, sites: Sequence[Measured] = ()) -> Panel:
    """Return the panel of a frame; `sites` are shown as small dots."""

    def draw(figure: FigureBase, panel: Panel) -> None:
        axes = image_axes(figure, panel, frame)
        low, high = robust_limits(frame.values)
        scale = scale_for((low, high), frame.unit)
        norm = Normalize(low / scale.factor, high / scale.factor)
        show(axes, frame, look.colours, norm, scale.factor)
        if sites:
            x, y = where(sites)
            axes.scatter(x, y, s=5, c="#ffffff", edgecolors="#000000", linewidths=0.4)
        panel.title(figure, look.title)
        unit = f" ({scale.unit})" if scale.unit else ""
        values = frame.values / scale.factor
        colour_bar(
            figure, panel, ScalarMappable(norm, colormaps[look.colours]),
            look.label + unit, _beyond(values, norm),
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
    bar.outline.set_visible(False)  # type: ignore[operator]
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
    text = {"va": "center_baseline", "color": _BAR_INK}
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
    low, high = bool(np.nanmin(values) < norm.vmin), bool(np.nanmax(values) > norm.vmax)
    return {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[low, high]


def _edges(centres: FloatArray) -> tuple[float, float]:
    step = (centres[-1] - centres[0]) / (len(centres) - 1) if len(centres) > 1 else 1e-9
    return float(centres[0] - step / 2), float(centres[-1] + step / 2)


def unit_suffix(unit: str) -> str:
    """Return a unit in brackets, or nothing."""
    return f" ({pretty(unit)})" if pretty(unit) else ""
