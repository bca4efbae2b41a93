"""Virtual images side by side."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from nanopilot.core.signals import SignalSet


def draw_images(images: SignalSet, path: Path) -> None:
    """Write a picture with every image, dims (y, x), on its own scale.

    Parameters
    ----------
    images : SignalSet
        Of `nanopilot.analysis.virtual_detectors.virtual_images`.
    path : pathlib.Path
        Where the picture goes; its ending says the format.
    """
    across = math.ceil(len(images.data_vars) / 2)
    figure = Figure(figsize=(2.9 * across, 5.2), layout="constrained", dpi=100)
    spots = figure.subplots(2, across, squeeze=False).ravel()
    x, y = (images[dim].to_numpy() * 1e9 for dim in ("x", "y"))
    edges = (float(x[0]), float(x[-1]), float(y[0]), float(y[-1]))
    wide = edges[0] < edges[1] and edges[2] < edges[3]
    for spot, (name, image) in zip(spots, images.data_vars.items(), strict=False):
        values = image.to_numpy() * (1e3 if image.units == "rad" else 1.0)
        signed = image.units == "rad"
        most = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 1.0
        shown = spot.imshow(
            values,
            origin="lower",
            cmap="RdBu" if signed else "gray",
            vmin=-most if signed else None,
            vmax=most if signed else None,
            extent=edges if wide else None,
        )
        spot.set_title(f"{name} ({'mrad' if signed else image.units})", fontsize=9)
        spot.tick_params(labelsize=7)
        figure.colorbar(shown, ax=spot, shrink=0.7).ax.tick_params(labelsize=7)
    for spot in spots[len(images.data_vars) :]:
        spot.set_axis_off()
    for spot in spots[: len(images.data_vars)]:
        spot.set_xlabel("nm", fontsize=8)
    figure.savefig(path)
