"""The shift of two smooth noisy frames of 1024 x 1024 pixels, in parts of a pixel."""

import os
from typing import Any

import numpy as np
import scipy.fft
from skimage.registration import phase_cross_correlation

from benchmarks.timing import alternate
from nanopilot.analysis.registration import register
from nanopilot.core.history import FloatArray

SIZE, PAIRS = 1024, 6
#: Standard deviation of the Gaussian that smooths the surface, in pixels, and noise over signal.
SMOOTH, NOISE, FARTHEST = 5.0, 0.1, 8.0


def row() -> dict[str, Any]:
    """Measure ours against `skimage.registration.phase_cross_correlation`."""
    rng = np.random.default_rng(0)
    shifts = rng.uniform(-FARTHEST, FARTHEST, (PAIRS, 2))
    pairs = [_pair(shift, rng) for shift in shifts]

    def ours() -> None:
        register(*pairs[0])

    def peer() -> None:
        _skimage(pairs[0], None)

    ours_s, peer_s = alternate(ours, peer, rounds=7)
    found = [register(*pair) for pair in pairs]
    accuracy = _rms([one.pixels for one in found], shifts)
    pulls = [(one.pixels - true) / one.std for one, true in zip(found, shifts, strict=True)]
    peers = {
        name: _rms([_skimage(pair, normalization) for pair in pairs], shifts)
        for name, normalization in (("unnormalised", None), ("phase, the default", "phase"))
    }
    ratio = peer_s / ours_s
    better = accuracy <= 0.01 and accuracy < min(peers.values())
    return {
        "kernel": "drift, 1024 x 1024, smooth and noisy",
        "ours_s": round(ours_s, 5),
        "peer": "scikit-image phase_cross_correlation, unnormalised, upsample_factor=100",
        "peer_s": round(peer_s, 4),
        "ratio": round(ratio, 1),
        "threads": min(2, os.cpu_count() or 1),
        "ours_accuracy": {
            "rms_px": round(accuracy, 4),
            "pull": round(float(np.sqrt(np.mean(np.square(pulls)))), 2),
        },
        "peer_accuracy": {f"rms_px, {name}": round(value, 4) for name, value in peers.items()},
        "goal": "ratio >= 8, within 0.01 px and better than the peer",
        "ok": bool(ratio >= 8 and better),
    }


def _pair(shift: FloatArray, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Return two windows into one surface, the second shifted by (y, x) pixels."""
    size = SIZE + 128
    ky, kx = scipy.fft.fftfreq(size)[:, None], scipy.fft.rfftfreq(size)
    surface = scipy.fft.rfft2(rng.normal(size=(size, size)))
    surface *= np.exp(-2 * (np.pi * SMOOTH) ** 2 * (kx**2 + ky**2))
    moved = surface * np.exp(-2j * np.pi * (ky * shift[0] + kx * shift[1]))
    images = [scipy.fft.irfft2(one, (size, size))[64:-64, 64:-64] for one in (surface, moved)]
    scale = float(images[0].std())
    first, second = (one / scale + NOISE * rng.normal(size=one.shape) for one in images)
    return first, second


def _skimage(pair: tuple[FloatArray, FloatArray], normalization: str | None) -> FloatArray:
    # It says by how much to move the second picture back.
    shift, *_ = phase_cross_correlation(*pair, upsample_factor=100, normalization=normalization)
    return -np.asarray(shift, dtype=float)


def _rms(found: list[FloatArray], true: FloatArray) -> float:
    return float(np.sqrt(np.mean((np.array(found) - true) ** 2)))
