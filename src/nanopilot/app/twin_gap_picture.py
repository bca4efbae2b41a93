"""What is left between a fitted twin and real scans, in one picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from nanopilot.app.report.drawing import CONTROL, INK, RUN, drawing_style
from nanopilot.app.report.numbers import power_of_ten
from nanopilot.app.report.scales import bar_label, round_length, scale_for
from nanopilot.core.errors import Unsupported
from nanopilot.workflows.fit_twin.report import Compared, Fitted, ScanReport

#: Inches of a row and of each column; dots per inch.
_HIGH, _WIDE, _DPI = 2.3, 2.3, 110
_COLOURS = {"real": INK, "fitted twin": RUN, "default twin": CONTROL}


def draw_gap(fitted: Fitted, path: Path) -> None:
    """Write one row per scan: three pictures in one colour scale, heights, spectra.

    Raises
    ------
    Unsupported
        The file would be no PNG.
    """
    if path.suffix.lower() != ".png":
        raise Unsupported(f"`picture` is {path}; it is a PNG, so let it end in .png.")
    rows = len(fitted.pictures)
    with drawing_style():
        figure = Figure(
            figsize=(6 * _WIDE, rows * _HIGH + 0.2), facecolor="white", layout="constrained"
        )
        FigureCanvasAgg(figure)
        grid = figure.subplots(rows, 6, squeeze=False)
        for axes, shown, report in zip(grid, fitted.pictures, fitted.report.scans, strict=True):
            _images(list(axes[:3]), shown, report)
            _heights(axes[3], shown)
            _spectrum(axes[4], shown, 1)
            _spectrum(axes[5], shown, 0)
        grid[0][3].legend(fontsize=6.5)
        figure.savefig(path, format="png", dpi=_DPI)


def _images(axes: list[Axes], shown: Compared, report: ScanReport) -> None:
    low, high = np.quantile(shown.real, (0.005, 0.995))
    titles = (
        shown.scan.name,
        f"fitted twin, told apart {report.fitted.classifier:.2f}",
        f"default twin, told apart {report.default.classifier:.2f}",
    )
    for one, image, title in zip(
        axes, (shown.real, shown.fitted, shown.default), titles, strict=True
    ):
        one.imshow(image, origin="lower", cmap="afmhot", vmin=low, vmax=high)
        one.set_title(title, fontsize=8, loc="left", pad=3)
        one.set_xticks([])
        one.set_yticks([])
        one.spines[:].set_visible(False)
    length = round_length(shown.scan.width[0])
    axes[0].set_xlabel(f"bar: {bar_label(length)}", fontsize=7)
    rows, columns = shown.real.shape
    across = length / shown.scan.width[0] * (columns - 1)
    at = (0.05 * columns, 0.06 * rows)
    axes[0].plot([at[0], at[0] + across], [at[1], at[1]], color="white", linewidth=2.5)


def _heights(axes: Axes, shown: Compared) -> None:
    scale = scale_for([float(np.ptp(shown.real))], "m")
    images = {"real": shown.real, "fitted twin": shown.fitted, "default twin": shown.default}
    low, high = np.quantile(shown.real, (0.0, 1.0))
    edges = np.linspace(1.3 * low, 1.3 * high, 60)
    for name, image in images.items():
        counts, _ = np.histogram(image, edges, density=True)
        middle = (edges[1:] + edges[:-1]) / 2
        axes.plot(middle / scale.factor, counts * scale.factor, color=_COLOURS[name], label=name)
    axes.set_title(f"heights ({scale.unit})", fontsize=8, loc="left", pad=3)
    axes.set_yticks([])


def _spectrum(axes: Axes, shown: Compared, axis: int) -> None:
    for name, (wave, power) in shown.spectra(axis).items():
        axes.loglog(wave * 1e-6, power, color=_COLOURS[name], linewidth=1.1)
    along = "along" if axis else "across"
    axes.set_title(f"power {along} lines (m³) over 1/µm", fontsize=8, loc="left", pad=3)
    axes.tick_params(labelsize=6.5)
    for one in (axes.xaxis, axes.yaxis):
        one.set_major_locator(LogLocator(10, numticks=5))
        one.set_major_formatter(FuncFormatter(_power))
        one.set_minor_formatter(NullFormatter())
    axes.grid(axis="y")


def _power(value: float, _: object) -> str:
    """Return a power of ten as it is printed without a formula."""
    return power_of_ten(round(float(np.log10(value)))) if value > 0 else ""
