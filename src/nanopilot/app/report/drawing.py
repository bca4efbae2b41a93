"""One look for all figures: colours, type sizes, panels, and how they become SVG and PNG.

A panel is drawn once in inches. The page shows it as inline SVG whose ink follows the
reader's light or dark theme and whose letters are real text; the slide gets all panels of
a section side by side as PNG on white.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import MaxNLocator

#: Okabe and Ito's colours, which colour-blind readers tell apart, and three greys.
INK, MUTED, GRID = "#1c2128", "#626c78", "#d8dde3"
RUN, CONTROL, BASELINE, CHANCE = "#0072b2", "#d55e00", "#009e73", "#767e88"

#: In the page these are variables of the style sheet, so that a dark theme can change them.
_VARIABLES = {
    INK: "ink", MUTED: "muted", GRID: "grid", RUN: "run", CONTROL: "control",
    BASELINE: "baseline", CHANCE: "chance",
}  # fmt: skip

_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.labelsize": 8.5,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "axes.formatter.use_mathtext": False,
    "axes.formatter.useoffset": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.width": 0.8,
    "ytick.major.width": 0.8,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "svg.fonttype": "none",
    "svg.image_inline": True,
    "text.usetex": False,
    "text.parse_math": False,
    "path.simplify": True,
}

#: Dots per inch of the PNG figures.
DPI = 300
#: Height of the line that holds a panel's title, and of one row of its legend, in inches.
TITLE, LEGEND_ROW = 0.34, 0.17


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture: its size in inches, what draws it, and what it shows in words."""

    name: str
    alt: str
    width: float
    height: float
    draw: Callable[[FigureBase, Panel], None]

    def place(self, figure: FigureBase, box: tuple[float, float, float, float]) -> Axes:
        """Add axes at (left, bottom, width, height) in inches."""
        left, bottom, width, height = box
        return figure.add_axes(
            (left / self.width, bottom / self.height, width / self.width, height / self.height)
        )

    def title(self, figure: FigureBase, text: str) -> None:
        """Write the title at the top left."""
        figure.text(
            0.12 / self.width, 1 - 0.1 / self.height, text,
            ha="left", va="top", fontsize=9.5, fontweight="bold",
        )  # fmt: skip

    def chart(self, figure: FigureBase, title: str, rows: int = 0) -> Axes:
        """Add axes for a chart, with a title and room for a legend of so many rows above."""
        self.title(figure, title)
        left, bottom = 0.66, 0.52
        top = TITLE + rows * LEGEND_ROW + 0.06
        axes = self.place(
            figure, (left, bottom, self.width - left - 0.16, self.height - bottom - top)
        )
        axes.grid(axis="y")
        return axes

    def legend(self, axes: Axes, columns: int, **more: Any) -> None:
        """Put the legend between title and axes, where it covers no data."""
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.15, borderpad=0.1,
            ncols=columns, handlelength=1.7, columnspacing=1.4, handletextpad=0.6,
            labelspacing=0.3, **more,
        )  # fmt: skip


def drawing_style(salt: str = "") -> AbstractContextManager[None]:
    """Return the context in which panels are drawn; `salt` makes the ids in an SVG its own."""
    return mpl.rc_context(_STYLE | {"svg.hashsalt": salt})


def to_svg(panel: Panel) -> str:
    """Return a panel as SVG to stand in a page: no fixed ink, no fixed font, unique ids."""
    with drawing_style(panel.name):
        figure = Figure(figsize=(panel.width, panel.height), facecolor="none")
        panel.draw(figure, panel)
        stream = StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(stream, format="svg", transparent=True, metadata=nothing)
    return _at_home_in_html(stream.getvalue(), panel)


def to_png(panels: Sequence[Panel], columns: int, path: Path) -> None:
    """Write panels of equal size as one picture, `columns` to a row."""
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    width, height = panels[0].width, panels[0].height
    with drawing_style():
        figure = Figure(figsize=(width * columns, height * rows), facecolor="white")
        FigureCanvasAgg(figure)
        cells = figure.subfigures(rows, columns, squeeze=False, wspace=0, hspace=0)
        for cell, panel in zip(cells.ravel(), panels, strict=False):
            panel.draw(cell, panel)
        stream = BytesIO()
        figure.savefig(stream, format="png", dpi=DPI)
    path.write_bytes(stream.getvalue())


def _at_home_in_html(svg: str, panel: Panel) -> str:
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    used = set(re.findall(r'(?:url\(|href=")#([^")]+)', svg))
    svg = re.sub(
        r' id="([^"]*)"', lambda m: f' id="{panel.name}-{m[1]}"' if m[1] in used else "", svg
    )
    svg = re.sub(r'(url\(|href=")#', rf"\1#{panel.name}-", svg)
    svg = svg.replace("'DejaVu Sans'", "var(--font)")
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var(--{variable})")
    size = re.compile(r'^<svg [^>]*?viewBox="([^"]*)"[^>]*>')
    label = f'<svg viewBox="\\1" role="img" aria-label="{_attribute(panel.alt)}">'
    return size.sub(label, svg, count=1)


def _attribute(text: str) -> str:
    for mark, name in {"&": "&amp;", '"': "&quot;", "<": "&lt;", "\\": "&#92;"}.items():
        text = text.replace(mark, name)
    return text


def ticks(most: int, *, integer: bool = False) -> MaxNLocator:
    """Return a locator of at most so many ticks at round numbers."""
    return MaxNLocator(most, steps=[1, 2, 2.5, 5, 10], integer=integer)
