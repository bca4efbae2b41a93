"""Draws a frame of grains: outlines, which touch, and where to go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from PIL import Image

from nanopilot.analysis.grains import BoundaryDensity, Grains, Largest, SegmentGrains
from nanopilot.analysis.instances import outlines
from nanopilot.bench.grain_frames import draw_scene

#: Kind and seed of what is shown.
_SHOWN = ("terraced", 1004)


def draw(path: Path) -> None:
    """Write the picture."""
    kind, seed = _SHOWN
    scene = draw_scene(kind, np.random.default_rng(seed), snr=14.0)
    grains = SegmentGrains("classical")(scene.frame)
    figure = Figure(figsize=(9.6, 2.9), layout="constrained", dpi=110)
    places: Any = figure.subplots(1, 4)
    values = scene.frame.to_numpy()
    y, x = np.indices(values.shape)
    basis = np.stack([np.ones(x.size), x.ravel(), y.ravel()], axis=1)
    plane = basis @ np.linalg.lstsq(basis, values.ravel(), rcond=None)[0]
    extent = [float(scene.frame[dim][end]) * 1e9
              for dim, end in (("x", 0), ("x", -1), ("y", -1), ("y", 0))]  # fmt: skip
    for place in places:
        place.imshow(values - plane.reshape(values.shape), cmap="gray", extent=extent)
        place.set_axis_off()
    places[0].set_title("as scanned, plane taken off", fontsize=8)
    _outlines(places[1], grains)
    _graph(places[2], grains)
    _targets(places[3], grains)
    figure.savefig(path)
    Image.open(path).convert("RGB").quantize(128).save(path, optimize=True)


def _outlines(place: Any, grains: Grains) -> None:
    cut = set(grains.table["label"].to_numpy()[~grains.whole].tolist())
    for label, points in outlines(grains.labels).items():
        closed = 1e9 * np.concatenate([points, points[:1]])
        colour = "tab:blue" if label in cut else "tab:orange"
        place.plot(closed[:, 0], closed[:, 1], color=colour, lw=0.7)
    place.set_title(f"{grains.count} grains; blue: cut by the edge", fontsize=8)


def _graph(place: Any, grains: Grains) -> None:
    names = grains.table["label"].to_numpy()
    middles = 1e9 * np.stack([grains.table[dim].to_numpy() for dim in ("x", "y")], axis=-1)
    ends = middles[np.searchsorted(names, grains.boundaries.pairs)]
    widths = grains.boundaries.lengths / grains.boundaries.lengths.max()
    place.add_collection(LineCollection(list(ends), colors="tab:green", linewidths=2.5 * widths))
    place.set_title("which touch; width: length", fontsize=8)


def _targets(place: Any, grains: Grains) -> None:
    dense, large = (1e9 * rule(grains).places for rule in (BoundaryDensity(6), Largest(3)))
    place.plot(*dense.T, "s", mfc="none", mec="tab:red", ms=9)
    place.plot(*large.T, "*", color="tab:orange", ms=9)
    place.set_title("largest grains, densest boundaries", fontsize=8)


if __name__ == "__main__":
    draw(Path(__file__).parent / "pictures" / "segment-grains.png")
