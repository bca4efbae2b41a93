"""Draws a frame of a crystal with planted defects, its graph, and its sites as they are ranked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from PIL import Image

from nanopilot.analysis.atom_graphs import CLASSES, AtomGraph
from nanopilot.bench.lattice_defects import Plan, draw_scene

#: Colour of each class that is drawn.
COLOURS = {
    "vacancy": "#d62728", "heavier": "#ff7f0e", "lighter": "#bcbd22", "antisite": "#e377c2",
    "strain": "#17becf", "wall": "#1f77b4",
}  # fmt: skip


def draw(path: Path) -> None:
    """Write the picture."""
    scene = draw_scene(Plan("perovskite", wall=True), np.random.default_rng(1003), pixels=256)
    ranked = AtomGraph().rank(scene.frame)
    place = ranked.crystal.place / scene.pixel
    figure = Figure(figsize=(10.0, 3.6), layout="constrained", dpi=110)
    frame, graph, sites = figure.subplots(1, 3)
    for axes, title in ((frame, "frame"), (graph, "columns and bonds"), (sites, "unusual sites")):
        axes.imshow(scene.frame, cmap="gray", origin="lower")
        axes.set_title(title, fontsize=9)
        axes.set_axis_off()
    ends = place[ranked.crystal.graph.edges]
    graph.add_collection(LineCollection(list(ends), colors="#ffd34d", linewidths=0.5))
    edge = ranked.crystal.edge
    graph.plot(*place[edge].T, ".", color="#9467bd", markersize=3, label="boundary")
    graph.plot(*place[~edge].T, ".", color="#2ca02c", markersize=3, label="ranked")
    graph.legend(fontsize=6, loc="lower left")
    for name, colour in COLOURS.items():
        own = place[ranked.kind == CLASSES.index(name)]
        if len(own):
            sites.plot(*own.T, "o", mfc="none", mec=colour, markersize=6, label=name)
    for rank, site in enumerate(ranked.order()[:8], start=1):
        sites.text(*(place[site] + 3), str(rank), color="white", fontsize=7)
    sites.legend(fontsize=6, loc="lower left")
    figure.savefig(path)
    Image.open(path).convert("RGB").quantize(256).save(path, optimize=True)
