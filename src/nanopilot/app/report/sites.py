"""Where was measured, in which order, and where the best sites are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import FigureBase

from nanopilot.app.report.data import Measured, ReportData
from nanopilot.app.report.drawing import Panel
from nanopilot.app.report.frame import Frame, robust_limits
from nanopilot.app.report.frames import (
    colour_bar,
    image_axes,
    outlined,
    panel_height,
    show,
    where,
)
from nanopilot.core.history import FloatArray

_ORDER = "viridis"


def sites_panel(data: ReportData, frame: Frame) -> Panel:
    """Return the panel of the measured sites over the structure image."""

    def draw(figure: FigureBase, panel: Panel) -> None:
        axes = image_axes(figure, panel, frame)
        show(axes, frame, "gray", Normalize(*_faded(frame.values)), 1.0)
        norm = Normalize(0, max(1, len(data.steps) - 1))
        _marks(axes, data.steps, norm)
        ring_best(axes, data.best, frame)
        panel.title(figure, "Where was measured, in order")
        order = ScalarMappable(norm, colormaps[_ORDER])
        colour_bar(figure, panel, order, "Step (squares: survey; rings: the best, 1 = best)")

    alt = f"{len(data.steps)} measured sites on the structure image, coloured by step"
    return Panel("sites", alt, 4.4, panel_height(frame), draw)


def ring_best(axes: Axes, best: Sequence[Measured], frame: Frame) -> None:
    """Ring the best sites and number them where there is room."""
    if not best:
        return
    x, y = where(best)
    for colour, width in (("#000000", 3.0), ("#ffffff", 1.5)):
        axes.scatter(
            x, y, s=110, facecolors="none", edgecolors=colour, linewidths=width, clip_on=False
        )
    places = label_places(np.column_stack([x, y]), frame)
    for rank, (place_x, place_y) in enumerate(places, start=1):
        axes.text(place_x, place_y, str(rank), ha="center", va="center", fontsize=9, **outlined())


def label_places(sites: FloatArray, frame: Frame) -> FloatArray:
    """Return where the number of each site goes: beside it, away from the others, inside.

    Parameters
    ----------
    sites : numpy.ndarray
        (x, y) in metres, shape (n, 2).
    frame : Frame
        The image they are on.
    """
    left, right, bottom, top = frame.extent
    reach = 0.052 * max(right - left, top - bottom)
    angles = np.linspace(0, 2 * np.pi, 16, endpoint=False) + np.pi / 4
    rings = np.concatenate([reach * far * np.column_stack([np.cos(angles), np.sin(angles)])
                            for far in (1.0, 1.7)])  # fmt: skip
    taken, places = list(sites), []
    for site in sites:
        options = site + rings
        margin = 0.6 * reach
        inside = (
            (options[:, 0] > left + margin) & (options[:, 0] < right - margin)
            & (options[:, 1] > bottom + margin) & (options[:, 1] < top - margin)
        )  # fmt: skip
        gaps = np.linalg.norm(options[:, None] - np.array(taken)[None], axis=-1).min(axis=1)
        # The nearest option that is clear of everything; the clearest one if none is.
        good = inside & (gaps >= 0.95 * reach)
        pick = int(np.argmax(good)) if good.any() else int(np.argmax(np.where(inside, gaps, -1)))
        # A frame narrower than the margins has no room beside a site; the number goes inside.
        place = np.clip(options[pick], (left, bottom), (right, top))
        places.append(place)
        taken.append(place)
    return np.array(places)


def _marks(axes: Axes, steps: Sequence[Measured], norm: Normalize) -> None:
    size = float(np.clip(4000 / max(len(steps), 1), 7, 26))
    for survey, marker in ((True, "s"), (False, "o")):
        some = [(n, step) for n, step in enumerate(steps) if step.survey is survey]
        usable = [(n, step) for n, step in some if np.isfinite(step.reward)]
        x, y = where([step for _, step in usable])
        axes.scatter(
            x, y, c=[n for n, _ in usable], cmap=_ORDER, norm=norm, marker=marker,
            s=size * (1.3 if survey else 1.0), edgecolors="#ffffff", linewidths=0.6,
        )  # fmt: skip
    lost_x, lost_y = where([step for step in steps if not np.isfinite(step.reward)])
    axes.scatter(lost_x, lost_y, c="#d55e00", marker="x", s=size * 1.5, linewidths=1.3)


def _faded(values: FloatArray) -> tuple[float, float]:
    """Return limits that leave the image pale enough for coloured marks to stand out."""
    low, high = robust_limits(values)
    return low - 0.6 * (high - low), high + 0.15 * (high - low)
