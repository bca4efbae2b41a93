"""Draws a frame before and after levelling, and two frames before and after drift correction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from nanopilot.analysis import CorrectDrift, DriftFromFrames, Level, RemoveScars
from nanopilot.bench.tracks.drift import draw_pair
from nanopilot.bench.tracks.levelling import draw_frame

Pictures = list[tuple[str, np.ndarray[Any, Any]]]


def draw(path: Path) -> None:
    """Write the picture."""
    figure = Figure(figsize=(9.0, 5.0), layout="constrained", dpi=100)
    axes = figure.subplots(2, 4)
    for row, pictures in zip(axes, (_levelled(), _corrected()), strict=True):
        for place, (title, values) in zip(row, pictures, strict=True):
            low, high = np.nanpercentile(values, (1, 99))
            shown = place.imshow(
                values * 1e9, origin="lower", cmap="viridis", vmin=low * 1e9, vmax=high * 1e9
            )
            place.set_title(title, fontsize=9)
            place.set_axis_off()
            figure.colorbar(shown, ax=place, shrink=0.7).set_label("nm", fontsize=8)
    figure.savefig(path)
    Image.open(path).convert("RGB").quantize(256).save(path, optimize=True)


def _levelled() -> Pictures:
    seen, truth = draw_frame("particles", np.random.default_rng(1))
    replaced = RemoveScars()(seen)["replaced"].to_numpy()
    level = Level()(seen).to_numpy()
    return [
        ("as scanned", seen.to_numpy()),
        ("strokes found", np.where(replaced, seen.to_numpy(), np.nan)),
        ("levelled", level),
        ("truth", truth - np.median(truth)),
    ]


def _corrected() -> Pictures:
    (first, second), _ = draw_pair("grains", 0.1, np.random.default_rng(5))
    drift = DriftFromFrames()(first, second)
    at = float(first["time"].mean())
    straight = [CorrectDrift(drift.velocity, at=at)(one).to_numpy() for one in (first, second)]
    return [
        ("second frame", second.to_numpy()),
        ("second - first", (second - first.to_numpy()).to_numpy()),
        ("second, corrected", straight[1]),
        ("second - first, corrected", straight[1] - straight[0]),
    ]
