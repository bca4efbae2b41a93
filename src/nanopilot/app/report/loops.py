"""The best spectra: what was measured, and what is left of it without spikes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase
from matplotlib.ticker import MaxNLocator
from scipy.ndimage import median_filter

from nanopilot.app.report.data import Measured, ReportData
from nanopilot.app.report.drawing import CONTROL, MUTED, RUN, Panel
from nanopilot.app.report.numbers import Scale, number, pretty, scale_for
from nanopilot.core.history import FloatArray
from nanopilot.core.signals import Signal

#: Loops whose size differs by more than this are not drawn to the same scale.
_ALIKE = 4.0
_POINTS = 5


def loop_panels(data: ReportData) -> tuple[Panel, ...]:
    """Return one panel per spectrum of the best sites, best first."""
    ranked = [(rank, one) for rank, one in enumerate(data.best, 1) if one.step in data.loops]
    smooth = {one.step: despiked(data.loops[one.step].to_numpy()) for _, one in ranked}
    if not smooth:
        return ()
    scale = scale_for((float(np.nanmax(np.abs(v))) for v in smooth.values()), _unit(data))
    limits = {step: _limits(values / scale.factor) for step, values in smooth.items()}
    if same_scale(smooth):
        shared = min(low for low, _ in limits.values()), max(high for _, high in limits.values())
        limits = dict.fromkeys(limits, shared)
    return tuple(
        _panel(rank, one, data, (scale, limits[one.step])) for rank, one in ranked
    )


def despiked(response: FloatArray) -> FloatArray:
    """Return the median of 5 neighbouring points; the loop is closed, so it goes round.

    Examples
    --------
    >>> despiked(np.array([1.0, 1.0, 500.0, 1.0, 1.0, 1.0])).max()
    np.float64(1.0)
    """
    filtered: FloatArray = median_filter(response, size=_POINTS, mode="wrap")
    return filtered


def same_scale(smooth: Mapping[int, FloatArray]) -> bool:
    """Tell whether the loops are alike enough in size to share an axis."""
    heights = [float(np.nanmax(v) - np.nanmin(v)) for v in smooth.values()]
    return max(heights) <= _ALIKE * max(min(heights), 1e-300)


def crossings(features: Mapping[str, float]) -> tuple[float, ...]:
    """Return the biases (V) at which the loop crosses zero, if the features tell.

    Examples
    --------
    >>> crossings({"coercive_bias": 3.0, "imprint": -0.5})
    (-3.5, 2.5)
    """
    half, centre = features.get("coercive_bias", np.nan), features.get("imprint", np.nan)
    both = (float(centre - half), float(centre + half))
    return both if np.isfinite(both).all() else ()


def _panel(
    rank: int, one: Measured, data: ReportData, axis: tuple[Scale, tuple[float, float]]
) -> Panel:
    loop, (scale, limits) = data.loops[one.step], axis
    x, y = (1e6 * place for place in one.action.position)
    reward = f"{number(one.reward, 4)} {pretty(data.goal.unit)}".strip()

    def draw(figure: FigureBase, panel: Panel) -> None:
        panel.title(figure, f"{rank}   {reward}")
        figure.text(
            0.12 / panel.width, 1 - 0.3 / panel.height, f"x {x:.3f} µm, y {y:.3f} µm, step {one.step + 1}",
            ha="left", va="top", fontsize=8, color=MUTED,
        )  # fmt: skip
        axes = panel.place(figure, (0.6, 0.46, panel.width - 0.74, panel.height - 0.46 - 0.56))
        _draw_loop(axes, loop, scale, limits)
        for bias in crossings(one.features):
            axes.axvline(bias, color=CONTROL, lw=1.0, ls=(0, (3, 2)))
        axes.set_xlabel(f"{str(loop.dims[0]).capitalize()} ({loop[loop.dims[0]].attrs['units']})", labelpad=2)
        axes.set_ylabel("Response" + (f" ({scale.unit})" if scale.unit else ""), labelpad=3)

    alt = f"spectrum of the site of rank {rank}, reward {reward}"
    return Panel(f"loop-{rank}", alt, 3.1, 2.6, draw)


def _draw_loop(axes: Axes, loop: Signal, scale: Scale, limits: tuple[float, float]) -> None:
    bias = loop[loop.dims[0]].to_numpy()
    raw = loop.to_numpy() / scale.factor
    inside = np.clip(raw, *limits)
    axes.plot(bias, inside, "-", color=MUTED, lw=0.6, alpha=0.45)
    fits = raw == inside
    axes.plot(bias[fits], raw[fits], ".", color=MUTED, ms=3.2, alpha=0.8, mew=0)
    for beyond, mark in ((raw > limits[1], "^"), (raw < limits[0], "v")):
        axes.plot(bias[beyond], inside[beyond], mark, color=CONTROL, ms=4, mew=0, clip_on=False)
    smooth = despiked(loop.to_numpy()) / scale.factor
    axes.plot(np.append(bias, bias[0]), np.append(smooth, smooth[0]), color=RUN, lw=1.7)
    axes.axhline(0, color=MUTED, lw=0.6)
    axes.set_ylim(*limits)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.grid(axis="y")


def _limits(smooth: FloatArray) -> tuple[float, float]:
    low, high = float(np.nanmin(smooth)), float(np.nanmax(smooth))
    pad = 0.25 * (high - low) or abs(high) or 1.0
    return low - pad, high + pad


def _unit(data: ReportData) -> str:
    return str(next(iter(data.loops.values())).attrs.get("units", "1"))
