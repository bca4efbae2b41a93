"""Surfaces on which seeing through the tip is judged: no network was trained on their families.

Twelve of them are drawn here, the others are samples of the scanning-probe twin. Training lives
in a room that cannot import this one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from nanopilot.twins.spm.samples import family
from nanopilot.workflows.tip_surfaces import Family, FloatArray, fractal, grid


def _checker(rng: np.random.Generator, pixels: int) -> FloatArray:
    x, y = grid(rng, pixels)
    period = rng.uniform(10, 40)
    return np.asarray((np.floor(x / period) + np.floor(y / period)) % 2, dtype=float)


def _spiral(rng: np.random.Generator, pixels: int) -> FloatArray:
    y, x = np.mgrid[:pixels, :pixels] - rng.uniform(0.3, 0.7, (2, 1, 1)) * pixels
    turn = np.arctan2(y, x) / (2 * np.pi) - np.hypot(x, y) / rng.uniform(12, 40)
    return np.asarray(-np.hypot(x, y) / 40 * rng.uniform(0, 1) + turn - np.floor(turn))


def _rings(rng: np.random.Generator, pixels: int) -> FloatArray:
    y, x = np.mgrid[:pixels, :pixels] - rng.uniform(0, 1, (2, 1, 1)) * pixels
    return np.asarray(np.cos(2 * np.pi * np.hypot(x, y) / rng.uniform(8, 30)))


def _holes(rng: np.random.Generator, pixels: int) -> FloatArray:
    x, y = grid(rng, pixels)
    pitch = rng.uniform(12, 36)
    row = np.floor(y / (pitch * 0.866))
    dx = (x / pitch - 0.5 * (row % 2)) % 1 - 0.5
    dy = (y / (pitch * 0.866)) % 1 - 0.5
    return (np.hypot(dx, 0.866 * dy) > rng.uniform(0.2, 0.4)).astype(float)


def _pyramids(rng: np.random.Generator, pixels: int) -> FloatArray:
    x, y = grid(rng, pixels)
    pitch = rng.uniform(12, 40)
    distance = np.maximum(np.abs(x / pitch % 1 - 0.5), np.abs(y / pitch % 1 - 0.5))
    return np.clip(rng.uniform(0.3, 0.5) - distance, 0, None)


def _grating(rng: np.random.Generator, pixels: int) -> FloatArray:
    x, _ = grid(rng, pixels)
    wave = np.abs((x / rng.uniform(12, 48)) % 1 - 0.5)
    return np.clip(rng.uniform(2, 20) * (wave - rng.uniform(0.15, 0.3)), 0, 1)


def _herringbone(rng: np.random.Generator, pixels: int) -> FloatArray:
    x, y = grid(rng, pixels)
    zigzag = np.abs((y / rng.uniform(20, 60)) % 1 - 0.5) * rng.uniform(10, 40)
    return np.maximum(np.cos(2 * np.pi * (x + zigzag) / rng.uniform(8, 24)), -0.5)


def _wrinkles(rng: np.random.Generator, pixels: int) -> FloatArray:
    height = fractal(rng, pixels, hurst=rng.uniform(0.8, 1.2))
    return np.asarray(-np.sqrt(np.abs(height) / height.std()))


def _cracks(rng: np.random.Generator, pixels: int) -> FloatArray:
    seeds = rng.uniform(0, pixels, (int(rng.integers(8, 40)), 2))
    y, x = np.mgrid[:pixels, :pixels]
    found, _ = cKDTree(seeds).query(np.stack([y.ravel(), x.ravel()], axis=1), k=2)
    distance = np.asarray(found)
    gap = (distance[:, 1] - distance[:, 0]).reshape(pixels, pixels)
    return np.asarray(np.tanh(gap / rng.uniform(2, 6)))


def _cubes(rng: np.random.Generator, pixels: int) -> FloatArray:
    height = np.zeros((pixels, pixels))
    y, x = np.mgrid[:pixels, :pixels].astype(float)
    for _ in range(int(rng.integers(4, 20))):
        angle, half = rng.uniform(0, np.pi), rng.uniform(4, 10)
        dx, dy = x - rng.uniform(0, pixels), y - rng.uniform(0, pixels)
        along = np.abs(np.cos(angle) * dx + np.sin(angle) * dy)
        across = np.abs(np.cos(angle) * dy - np.sin(angle) * dx)
        height = np.where(np.maximum(along, across) < half, np.maximum(height, 2 * half), height)
    return height


def _islands(rng: np.random.Generator, pixels: int) -> FloatArray:
    height = fractal(rng, pixels, hurst=0.9)
    return np.clip(height - np.quantile(height, rng.uniform(0.4, 0.8)), 0, None)


def _crossbars(rng: np.random.Generator, pixels: int) -> FloatArray:
    x, y = grid(rng, pixels)
    pitch, width = rng.uniform(14, 40), rng.uniform(0.15, 0.4)
    first, second = (x / pitch % 1) < width, (y / pitch % 1) < width
    return gaussian_filter(first + rng.uniform(0.5, 1.5) * second, rng.uniform(0, 1.5))


def _sample(name: str, pitch: float) -> Family:
    def draw(rng: np.random.Generator, pixels: int) -> FloatArray:
        sample = family(name)(rng, pixels=pixels, size_m=pitch * (pixels - 1))
        return np.array(sample.height)

    return draw


#: Samples of the twin, and metres per pixel at which 128 of them show what is typical.
_SAMPLES = {
    "droplets": 40e-9, "ferroelectric": 12e-9, "filaments": 2.5e-9, "grains": 5e-9,
    "lattice": 0.05e-9, "nanolitho": 10e-9, "particles": 3e-9, "rough": 5e-9, "steps": 4e-9,
}  # fmt: skip
_DRAWN: Mapping[str, Callable[[np.random.Generator, int], FloatArray]] = {
    "checker": _checker, "cracks": _cracks, "crossbars": _crossbars, "cubes": _cubes,
    "grating": _grating, "herringbone": _herringbone, "holes": _holes, "islands": _islands,
    "pyramids": _pyramids, "rings": _rings, "spiral": _spiral, "wrinkles": _wrinkles,
}  # fmt: skip
#: Twenty-one families, by name.
FAMILIES: Mapping[str, Family] = {
    **_DRAWN,
    **{f"twin-{name}": _sample(name, pitch) for name, pitch in _SAMPLES.items()},
}
