"""A surface of 512² seen by a tip of 31², and the tip estimated blind from a small scan."""

import os
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter, grey_dilation

from benchmarks.timing import alternate
from nanopilot.analysis.tip import blind_tip
from nanopilot.models.tip_imaging import dilate

SIZE, TIP = 512, 31
GOAL = 20.0
#: A measurement shorter than a slice of the scheduler says little: so many images are one.
REPEATS = 50
#: The blind estimate: pixels of the scan, and from the apex to the edge of the tip.
BLIND_SIZE, BLIND_HALF, BLIND_GOAL = 40, 5, 100.0
_BLIND_REPEATS = 20


def row() -> dict[str, Any]:
    """Measure dilation against `scipy.ndimage`, and the blind estimate against its textbook."""
    dilation, blind = _dilation(), _blind()
    return dilation | {"blind": blind, "ok": dilation["ok"] and blind["ok"]}


def _dilation() -> dict[str, Any]:
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


def _blind() -> dict[str, Any]:
    """Measure `blind_tip` against the published algorithm written down in numpy."""
    rng = np.random.default_rng(1)
    surface = gaussian_filter(rng.normal(size=(BLIND_SIZE, BLIND_SIZE)), 1.5) * 50e-9
    steps = np.arange(-BLIND_HALF, BLIND_HALF + 1)
    image = dilate(surface, (steps[:, None] ** 2 + 0.5 * steps**2) * 0.3e-9)
    threshold = 0.1e-9
    found: dict[str, Any] = {}

    def ours() -> None:
        for _ in range(_BLIND_REPEATS):
            found["ours"] = blind_tip(image, BLIND_HALF, threshold).shape

    def peer() -> None:
        found["peer"] = textbook(image, BLIND_HALF, threshold)

    ours_s, peer_s = alternate(ours, peer, rounds=1)
    ours_s /= _BLIND_REPEATS
    difference = float(np.abs(found["ours"] - found["peer"]).max())
    side = 2 * BLIND_HALF + 1
    return {
        "kernel": f"blind tip estimate, {BLIND_SIZE}² with a tip of {side}²",
        "ours_s": round(ours_s, 5),
        "peer": "Villarrubia's loops in numpy, contacts of a pixel at once",
        "peer_s": round(peer_s, 3),
        "ratio": round(peer_s / ours_s, 1),
        "threads": 1,
        "largest_difference_m": difference,
        "height_m": float(found["peer"].max()),
        "goal": f"ratio >= {BLIND_GOAL:g}, flanks equal to 1e-18 m",
        "ok": bool(peer_s / ours_s >= BLIND_GOAL and difference <= 1e-18),
    }


def textbook(image: Any, half: int, threshold: float) -> Any:
    """Estimate a tip by the loops of J. S. Villarrubia, J. Res. NIST 102 (1997) 425, section 6."""
    tip = np.zeros((2 * half + 1, 2 * half + 1))
    while _pass(image, tip, threshold):
        pass
    return tip


def _pass(image: Any, tip: Any, threshold: float) -> bool:
    """Go over the image once, raising the flanks in place; tell whether one rose."""
    half, rose = tip.shape[0] // 2, False
    rows, columns = image.shape
    for i in range(half, rows - half):
        for j in range(half, columns - half):
            around = image[i - half : i + half + 1, j - half : j + half + 1] - image[i, j]
            touched = np.argwhere(around >= tip - threshold)
            for u, v in np.ndindex(tip.shape):
                # The contact is at p + c; the apex at p + c - (u, v) must not cut into it.
                y, x = (touched - (u, v) + (i, j)).T
                if min(y.min(), x.min()) < 0 or y.max() >= rows or x.max() >= columns:
                    continue
                flanks = tip[touched[:, 0], touched[:, 1]]
                lowest = float((image[i, j] - image[y, x] + flanks).min())
                if lowest > tip[u, v] + threshold:
                    tip[u, v] = lowest - threshold
                    rose = True
    return rose
