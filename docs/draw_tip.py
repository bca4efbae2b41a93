"""Draws the picture of `docs/how-to/see-through-the-tip.md`."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

from nanopilot.analysis.tip import contacts, load_refiner
from nanopilot.bench.tracks.tip_restoration import needle
from nanopilot.models.tip_imaging import dilate
from nanopilot.twins.spm.samples import family


def draw(path: Path) -> None:
    """Image grains with a blunt tip; draw surface, scan, bound, certainty and refined surface."""
    mpl.use("agg")
    rng, margin = np.random.default_rng(3), 12
    height = np.array(family("grains")(rng, pixels=152, size_m=152 * 5e-9).height)
    tip = needle(0.3) * np.ptp(height)
    inner = slice(margin, -margin)
    scan = np.ascontiguousarray(np.asarray(dilate(height, tip))[inner, inner])
    bound, certain = contacts(scan, tip, slack=0.0)
    refined = load_refiner()(scan, tip, slack=0.0)
    panels = {
        "surface": height[inner, inner], "scan with a blunt tip": scan, "bound (erosion)": bound,
        "certain": certain, "below the bound": refined.height,
    }  # fmt: skip
    figure, axes = plt.subplots(1, len(panels), figsize=(13, 3.1), layout="constrained")
    low, high = np.percentile(height[inner, inner] * 1e9, [0, 100])
    for axis, (title, values) in zip(axes, panels.items(), strict=True):
        if values.dtype == bool:
            axis.imshow(values, cmap="gray", origin="lower")
        else:
            shown = axis.imshow(1e9 * values, vmin=low, vmax=high, origin="lower")
        axis.set(title=title, xticks=[], yticks=[])
    axes[0].plot([8, 28], [8, 8], color="white", linewidth=3)
    axes[0].text(8, 11, "100 nm", color="white")
    figure.colorbar(shown, ax=axes, label="height (nm)", shrink=0.9)
    figure.savefig(path, dpi=80)
    plt.close(figure)
