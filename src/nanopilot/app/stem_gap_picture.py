"""What is left between a fitted electron twin and real frames, in one picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nanopilot.analysis.surface_statistics import autocorrelation
from nanopilot.app.report.drawing import CONTROL, INK, RUN, drawing_style
from nanopilot.app.report.scales import bar_label, round_length
from nanopilot.core.errors import Unsupported
from nanopilot.core.history import FloatArray
from nanopilot.workflows.fit_stem import FittedStem, radial_spectrum

#: Inches of a row and of each column; dots per inch.
_HIGH, _WIDE, _DPI = 2.4, 2.4, 110
_COLOURS = {"real": INK, "fitted twin": RUN, "default twin": CONTROL}


def draw_stem_gap(fitted: FittedStem, path: Path) -> None:
    """Write three frames in one scale of counts, and their histograms, spectra, correlations.

    Raises
    ------
    Unsupported
        The file would be no PNG.
    """
    if path.suffix.lower() != ".png":
        raise Unsupported(f"`picture` is {path}; it is a PNG, so let it end in .png.")
    shown = {"real": fitted.real, "fitted twin": fitted.fitted, "default twin": fitted.default}
    with drawing_style():
        figure = Figure(figsize=(6 * _WIDE, _HIGH + 0.2), facecolor="white", layout="constrained")
        FigureCanvasAgg(figure)
        axes = list(figure.subplots(1, 6))
        _frames(axes[:3], shown, fitted)
        _counts(axes[3], shown)
        _spectra(axes[4], shown, fitted.pixel)
        _correlations(axes[5], shown)
        axes[3].legend(fontsize=6.5)
        figure.savefig(path, format="png", dpi=_DPI)


def _frames(axes: list[Axes], shown: dict[str, FloatArray], fitted: FittedStem) -> None:
    report = fitted.report
    low, high = np.quantile(fitted.real, (0.005, 0.995))
    told = {
        "real": report.frames,
        "fitted twin": f"fitted twin, told apart {report.fitted.classifier:.2f}",
        "default twin": f"default twin, told apart {report.default.classifier:.2f}",
    }
    for one, (name, image) in zip(axes, shown.items(), strict=True):
        one.imshow(image, origin="lower", cmap="gray", vmin=low, vmax=high)
        one.set_title(told[name], fontsize=8, loc="left", pad=3)
        one.set_xticks([])
        one.set_yticks([])
        one.spines[:].set_visible(False)
    rows, columns = fitted.real.shape
    length = round_length(fitted.pixel * (columns - 1))
    axes[0].set_xlabel(f"bar: {bar_label(length)}", fontsize=7)
    at = (0.05 * columns, 0.06 * rows)
    axes[0].plot(
        [at[0], at[0] + length / fitted.pixel], [at[1], at[1]], color="white", linewidth=2.5
    )


def _counts(axes: Axes, shown: dict[str, FloatArray]) -> None:
    low, high = np.quantile(shown["real"], (0.0, 1.0))
    edges = np.linspace(low - 0.1 * (high - low), high, 60)
    for name, image in shown.items():
        number, _ = np.histogram(image, edges, density=True)
        axes.plot((edges[1:] + edges[:-1]) / 2, number, color=_COLOURS[name], label=name)
    axes.set_title("counts", fontsize=8, loc="left", pad=3)
    axes.set_yticks([])


def _spectra(axes: Axes, shown: dict[str, FloatArray], pixel: float) -> None:
    for name, image in shown.items():
        wave, power = radial_spectrum(image, pixel)
        axes.semilogy(wave * 1e-9, power, color=_COLOURS[name], linewidth=1.1)
    axes.set_title("power (counts²) over 1/nm", fontsize=8, loc="left", pad=3)
    axes.tick_params(labelsize=6.5)
    axes.grid(axis="y")


def _correlations(axes: Axes, shown: dict[str, FloatArray]) -> None:
    for name, image in shown.items():
        axes.plot(autocorrelation(image, 1), color=_COLOURS[name], linewidth=1.1)
    axes.set_title("correlation along lines, pixels", fontsize=8, loc="left", pad=3)
    axes.tick_params(labelsize=6.5)
