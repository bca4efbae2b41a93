"""Whether particles stand on an even ground, so that what differs from it is a particle."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import binary_dilation, median

from nanopilot.analysis.particle_shapes import Outlined
from nanopilot.core.signals import Signal

Array = np.ndarray[Any, np.dtype[Any]]

#: Rows and columns of the middle of a frame that is looked at.
_PART = 4096
#: Pixels about a particle that are neither particle nor ground, and the rarest of those left.
_EDGE, _RARE = 3, 0.999
#: Share of a frame that particles on a ground cover at most.
_COVERED = 0.5
#: Particles stand out from this many times the contrast of the rarest ground on.
LEAST = 3.0


def standing_out(frame: Signal, outlined: Outlined) -> float:
    """Return by how much particles differ from the ground, over what the ground itself reaches.

    Parameters
    ----------
    frame : Signal
        Dims (y, x).
    outlined : Outlined
        What was outlined in it.

    Returns
    -------
    float
        Contrast of the middling particle over the 99.9 % quantile of the contrast, of either sign,
        of all pixels away from particles; 0 without particles, or with more than half of the frame
        covered: which is the ground is then open. On drawn frames of particles on carbon films it
        is 4 and more, on textures and clouds below 2.5.
    """
    labels = outlined.labels.transpose("y", "x").to_numpy()
    values = frame.transpose("y", "x").to_numpy()
    first = [max(0, (size - _PART) // 2) for size in values.shape]
    part = tuple(slice(at, at + _PART) for at in first)
    shown, marked = np.asarray(values[part], dtype=np.float64), labels[part]
    corner = (first[0], first[1])
    # Where an uneven ground is restless, it reaches further without anything on it.
    contrast = outlined.ground.contrast(shown, corner) / outlined.ground.unrest_of(
        shown.shape, corner
    )
    there = np.unique(marked[marked > 0])
    ground = contrast[~binary_dilation(marked > 0, iterations=_EDGE)]
    if not there.size or not ground.size or (marked > 0).mean() > _COVERED:
        return 0.0
    height = float(np.median(median(contrast, marked, there)))
    return height / max(float(np.quantile(np.abs(ground), _RARE)), 1e-12)
