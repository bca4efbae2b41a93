"""The plain twin's sample: a wavy surface whose height and response are formulas."""

from __future__ import annotations

import numpy as np

from nanopilot.core.geometry import FloatArray

#: Frames of the plain twin: channel, quantity, unit, which world has it.
CHANNELS = {
    "height": ("height", "m", "tip"),
    "current": ("current", "A", "tip"),
    "haadf": ("intensity", "counts", "beam"),
    "bf": ("intensity", "counts", "beam"),
}
_WAVE = 200e-9


def response(channel: str, x: FloatArray, y: FloatArray) -> FloatArray:
    """Return what a detector records at places x, y (metres), in the channel's unit."""
    waves: FloatArray = np.sin(2 * np.pi * x / _WAVE) * np.cos(2 * np.pi * y / (1.5 * _WAVE))
    if channel == "height":
        return 1e-9 * waves
    if channel == "current":
        return 1e-10 * (1 + 0.1 * waves)
    bright: FloatArray = np.round(1000 * (1.2 + waves))
    return bright if channel == "haadf" else 2400 - bright


def spectrum(kind: str, axis: FloatArray, x: float, y: float) -> FloatArray:
    """Return a spectrum at a place: current over bias, force over time, counts over energy."""
    here = float(response("height", np.array(x), np.array(y))) / 1e-9
    if kind == "bias":
        curve: FloatArray = 1e-10 * (axis + 0.05 * (1 + 0.2 * here) * axis**3)
    elif kind == "force":
        depth = np.clip(0.5 - np.abs(2 * axis / max(float(axis[-1]), 1e-12) - 1), 0, None)
        curve = 1e-8 * (1 + 0.2 * here) * depth
    else:
        edge = 532 * (1 + 1e-3 * here)
        curve = 1e4 * np.exp(-axis / 300) + np.where(axis > edge, 500.0, 0.0)
    return curve
