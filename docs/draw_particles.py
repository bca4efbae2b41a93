"""Draws frames of the track `particles` with the outlines that were found in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from nanopilot.analysis.particles import find_particles
from nanopilot.bench.particle_scenes import Scene, draw_pair

#: Seeds that show different backgrounds and kinds, and the variance of the noise of each.
_SHOWN = ((1003, 0.003), (1007, 0.01), (1011, 0.02), (1016, 0.03))


def draw(path: Path) -> None:
    """Write the picture."""
    figure = Figure(figsize=(9.6, 2.7), layout="constrained", dpi=110)
    for place, (seed, variance) in zip(figure.subplots(1, 4), _SHOWN, strict=True):
        scene, _ = draw_pair(np.random.default_rng(seed), variance)
        _shown(place, scene)
    figure.savefig(path)
    Image.open(path).convert("RGB").quantize(128).save(path, optimize=True)


def _shown(place: object, scene: Scene) -> None:
    found = find_particles(scene.frame, method="classical")
    values = scene.frame.to_numpy()
    low, high = np.percentile(values, (0.5, 99.5))
    extent = [
        float(scene.frame[dim][end]) * 1e9
        for dim, end in (("x", 0), ("x", -1), ("y", -1), ("y", 0))
    ]
    place.imshow(values, cmap="gray", vmin=low, vmax=high, extent=extent)  # type: ignore[attr-defined]
    sure = found.table["probability"].to_numpy()
    for outline, one in zip(found.outlines, sure, strict=True):
        closed = 1e9 * np.concatenate([outline, outline[:1]])
        place.plot(closed[:, 0], closed[:, 1], color="tab:orange", lw=1.5)  # type: ignore[attr-defined]
        middle, lower = 1e9 * outline.mean(axis=0), 1e9 * outline.max(axis=0)
        place.annotate(  # type: ignore[attr-defined]
            f"{one:.2f}", (middle[0], lower[1]), xytext=(0, -8), textcoords="offset points",
            ha="center", color="white", fontsize=7,
            bbox={"facecolor": "black", "alpha": 0.6, "pad": 1, "lw": 0},
        )  # fmt: skip
    place.set_title(f"noise variance {scene.variance:g}", fontsize=8)  # type: ignore[attr-defined]
    place.set_axis_off()  # type: ignore[attr-defined]


if __name__ == "__main__":
    draw(Path(__file__).parent / "pictures" / "find-particles.png")
