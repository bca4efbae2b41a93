"""A surface of 512² seen by a tip of 31²: grey dilation in metres."""

import os
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter, grey_dilation

from benchmarks.timing import alternate
from nanopilot.models.tip_imaging import dilate

SIZE, TIP = 512, 31
GOAL = 20.0
#: A measurement shorter than a slice of the scheduler says little: so many images are one.
REPEATS = 50


def row() -> dict[str, Any]:
    """Measure ours against `scipy.ndimage.grey_dilation` on the same float32 arrays."""
    rng = np.random.default_rng(0)
    surface = (gaussian_filter(rng.normal(size=(SIZE, SIZE)), 4) * 50e-9).astype(np.float32)
    steps = np.arange(TIP) - TIP // 2
    tip = (np.hypot(*np.meshgrid(steps, steps)) ** 2 * 0.1e-9).astype(np.float32)
    found: dict[str, Any] = {}

    def ours() -> None:
        for _ in range(REPEATS):
            found["ours"] = dilate(surface, tip)

    def peer() -> None:
        # The tip turned round is the structuring element; it is symmetric here.
        found["peer"] = grey_dilation(
            surface, structure=-tip, mode="constant", cval=-1.0, output=np.float32
        )

    ours_s, peer_s = alternate(ours, peer, rounds=5)
    ours_s /= REPEATS
    # In float32 heights of 10 nm have steps of 1e-15 m.
    difference = float(np.abs(found["ours"] - found["peer"]).max())
    return {
        "kernel": f"tip imaging, {SIZE}² with a tip of {TIP}², float32",
        "ours_s": round(ours_s, 5),
        "peer": "scipy grey_dilation",
        "peer_s": round(peer_s, 4),
        "ratio": round(peer_s / ours_s, 1),
        "threads": min(2, os.cpu_count() or 1),
        "largest_difference_m": difference,
        "goal": f"ratio >= {GOAL:g}, heights equal to 1e-14 m",
        "ok": bool(peer_s / ours_s >= GOAL and difference <= 1e-14),
    }
