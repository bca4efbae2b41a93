"""Draws what is found in an X-ray image of a battery cell."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image
from skimage.segmentation import find_boundaries

from nanopilot.analysis.electrodes import FindElectrodes
from nanopilot.bench.xray_stacks import draw_image

_COLOURS = {1: "#2a78d6", -1: "#eb6834"}


def draw(path: Path) -> None:
    """Write the picture: the image with its box, the plates with their ends, the overhangs."""
    drawn = draw_image("clean", np.random.default_rng(10), shape=(768, 1024))
    found = FindElectrodes().found(drawn.frame)
    values = drawn.frame.to_numpy()
    with mpl.rc_context({"font.size": 9}):
        figure = Figure(figsize=(11, 4.2), layout="constrained")
        whole, close, bars = figure.subplots(1, 3, width_ratios=(1.1, 1.3, 1))
        whole.imshow(values, cmap="gray")
        top, left, bottom, right = found.box
        whole.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, ec="#eda100",
                                  lw=1.5))  # fmt: skip
        whole.set_title(f"region found, {found.count} plates")
        whole.set_axis_off()
        _plates(close, values, found)
        _overhangs(bars, found)
        figure.savefig(path, dpi=110)
    Image.open(path).convert("RGB").quantize(256).save(path, optimize=True)


def _plates(axes, values, found) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    labels, table = found.labels.to_numpy(), found.table
    kinds = dict(zip(table["label"].to_numpy().astype(int), table["kind"].to_numpy(), strict=True))
    shade = np.zeros((*labels.shape, 4))
    for kind, colour in _COLOURS.items():
        those = np.isin(labels, [name for name, one in kinds.items() if one == kind])
        edge = find_boundaries(labels, mode="inner") & those
        shade[those] = mpl.colors.to_rgba(colour, 0.25)
        shade[edge] = mpl.colors.to_rgba(colour, 0.9)
    axes.imshow(values, cmap="gray")
    axes.imshow(shade, interpolation="nearest")
    for kind, name in ((1, "anode"), (-1, "cathode")):
        some = table["kind"].to_numpy() == kind
        axes.plot(table["column"][some], table["row"][some], "o", ms=3, mfc="none",
                  mec=_COLOURS[kind], label=f"end of {name}")  # fmt: skip
    row, column = table["row"].to_numpy(), table["column"].to_numpy()
    middle = (float(np.median(row)), float(np.median(column)))
    axes.set_xlim(middle[1] - 75, middle[1] + 75)
    axes.set_ylim(middle[0] + 60, middle[0] - 60)
    axes.set_title("plates and their free ends")
    axes.legend(loc="lower right", fontsize=7)
    axes.set_axis_off()


def _overhangs(axes, found) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    length = found.overhangs["overhang_pixels"].to_numpy()
    error = found.overhangs["overhang_pixels_error"].to_numpy()
    at = np.arange(1, len(length) + 1)
    axes.bar(at, length, color="#9aa4b1", width=0.75)
    lines = [[(k, a - e), (k, a + e)] for k, a, e in zip(at, length, error, strict=True)]
    axes.add_collection(LineCollection(lines, colors="black", linewidths=1))
    axes.set_xlabel("pair of neighbours")
    axes.set_ylabel("overhang (px)")
    axes.set_ylim(0, None)
    axes.set_title("overhang, with standard errors")


if __name__ == "__main__":
    draw(Path(__file__).parent / "pictures" / "electrode-overhang.png")
