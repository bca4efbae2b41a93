"""A twin in one picture: what the instrument sees beside what is there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap, to_hex
from matplotlib.figure import Figure, FigureBase
from matplotlib.patches import Rectangle

from nanopilot.app.report.drawing import drawing_style, ticks
from nanopilot.app.report.scales import bar_label, in_brackets, round_length, scale_for

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Inches of one image with its colour bar and title; dots per inch.
_WIDE, _HIGH, _DPI = 2.35, 2.05, 110
#: Inches above the images, and columns of truth.
_ABOVE, _TRUE = 0.45, 3
#: Substrate, and twenty colours that neighbours are told apart by.
_LABELS = ListedColormap(["#e6e8eb", *map(to_hex, colormaps["tab20"](np.arange(20)))])


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One image.

    Parameters
    ----------
    name, quantity, unit : str
        Of what it shows.
    values : numpy.ndarray
        Shape (rows, columns), row 0 at the lowest y.
    labels : bool
        Whether the values are numbers of things: then they have colours, but no scale.
    """

    name: str
    quantity: str
    unit: str
    values: FloatArray
    labels: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return what it shows and its range, as JSON; None where nothing is finite."""
        finite = self.values[np.isfinite(self.values)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (None, None)
        told = {"name": self.name, "quantity": self.quantity, "unit": self.unit}
        return told | {"low": low, "high": high}


def draw_twin(
    seen: Sequence[Picture], true: Sequence[Picture], width: float, title: str, path: Path
) -> None:
    """Write the channels on the left and the truth on the right of one PNG.

    Parameters
    ----------
    seen, true : sequence of Picture
        Channels, and layers of the sample with its height.
    width : float
        Of every image in metres.
    title : str
        Above it all.
    path : Path
        Of the PNG.
    """
    rows = max(math.ceil(len(true) / _TRUE), 1)
    columns = max(math.ceil(len(seen) / rows), 1)
    shares = [columns * _WIDE + 0.1, _TRUE * _WIDE + 0.1]
    size = (sum(shares), rows * _HIGH + _ABOVE)
    with drawing_style():
        figure = Figure(figsize=size, facecolor="white")
        FigureCanvasAgg(figure)
        figure.text(0.1 / size[0], 1 - 0.08 / size[1], title, va="top", fontweight="bold")
        sides = figure.subfigures(1, 2, squeeze=False, width_ratios=shares, wspace=0)
        left, right = sides.ravel()
        _side(left, "what the instrument sees", seen, (rows, columns), width)
        _side(right, "what is there", true, (rows, _TRUE), width)
        figure.savefig(path, format="png", dpi=_DPI)


def _side(
    figure: FigureBase,
    title: str,
    pictures: Sequence[Picture],
    grid: tuple[int, int],
    width: float,
) -> None:
    rows, columns = grid
    high, wide = rows * _HIGH + _ABOVE, columns * _WIDE + 0.1
    figure.text(0.1 / wide, 1 - 0.26 / high, title, va="top", color="#626c78")
    for number, picture in enumerate(pictures):
        row, column = divmod(number, columns)
        bottom = high - _ABOVE - (row + 1) * _HIGH + 0.12
        box = (0.1 + column * _WIDE, bottom, 1.65, 1.65)
        shape = np.array([wide, high, wide, high])
        axes = figure.add_axes(tuple(np.array(box) / shape))
        bar = (box[0] + 1.7, bottom + 0.1, 0.09, 1.45)
        image = draw_image(axes, picture, width)
        if not picture.labels:
            scale = figure.add_axes(tuple(np.array(bar) / shape))
            figure.colorbar(image, cax=scale)
            scale.yaxis.set_major_locator(ticks(5))
            scale.tick_params(labelsize=7, length=2)
            scale.spines[:].set_visible(False)


def draw_image(axes: Axes, picture: Picture, width: float) -> Any:
    """Draw one image with its title and its scale bar."""
    values, look = _shown(picture)
    image = axes.imshow(values, origin="lower", aspect="equal", **look)
    unit = "" if picture.labels else in_brackets(scale_for(_extremes(picture), picture.unit).unit)
    axes.set_title(f"{picture.name}{unit}", fontsize=8, loc="left", pad=3)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    rows, columns = values.shape
    length = round_length(width)
    across, thick = length / width * (columns - 1), rows / 60
    at = (0.05 * columns, 0.05 * rows)
    axes.add_patch(
        Rectangle(at, across, thick, facecolor="white", edgecolor="black", linewidth=0.4)
    )
    axes.text(
        at[0] + across / 2, at[1] + 1.6 * thick, bar_label(length), ha="center", va="bottom",
        fontsize=6.5, color="black",
        bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8},
    )  # fmt: skip
    return image


def _extremes(picture: Picture) -> tuple[float, float]:
    """Return lowest and highest value, a thousandth of the outliers at either end left out."""
    finite = picture.values[np.isfinite(picture.values)]
    if not finite.size:
        return 0.0, 0.0
    low, high = np.quantile(finite, (0.001, 0.999))
    return float(low), float(high)


def _shown(picture: Picture) -> tuple[FloatArray, dict[str, Any]]:
    """Return values as they are drawn, and in which colours."""
    if picture.labels:
        # Neighbouring numbers get different colours; 0, the substrate, gets none.
        colours = np.where(picture.values > 0, 1 + (7 * picture.values) % 20, 0)
        return colours, {"cmap": _LABELS, "vmin": 0, "vmax": 20, "interpolation": "nearest"}
    low, high = _extremes(picture)
    scale = scale_for((low, high), picture.unit)
    look: dict[str, Any]
    signed = low < 0 < high and picture.quantity not in ("height", "deflection", "amplitude")
    if picture.unit == "rad":
        # One turn, so that its two ends, which are the same, have the same colour.
        low = -math.pi if -math.pi <= low and high <= math.pi else low
        high, look = low + 2 * math.pi, {"cmap": "twilight"}
    elif signed and picture.unit != "m":
        high = max(-low, high)
        low, look = -high, {"cmap": "RdBu_r"}
    else:
        look = {"cmap": "afmhot" if picture.unit == "m" else "viridis"}
    if low == high:
        high = low + scale.factor
    shown: FloatArray = picture.values / scale.factor
    return shown, look | {"vmin": low / scale.factor, "vmax": high / scale.factor}
