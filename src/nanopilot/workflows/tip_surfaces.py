"""Surfaces that networks for tips learn from; those they are judged on are others.

Every family is a function of a generator and a number of pixels, and returns heights of any
offset and scale, shape (pixels, pixels). What is learned from one family is not asked of it:
the tracks have families of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.spatial import cKDTree

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
Family = Callable[[np.random.Generator, int], FloatArray]


def grid(rng: np.random.Generator, pixels: int) -> tuple[FloatArray, FloatArray]:
    """Return coordinates (x, y) of all pixels after a random turn and shift."""
    y, x = np.mgrid[:pixels, :pixels].astype(float)
    angle, shift = rng.uniform(0, 2 * np.pi), rng.uniform(0, pixels, 2)
    turned = np.cos(angle) * x - np.sin(angle) * y + shift[0]
    return turned, np.sin(angle) * x + np.cos(angle) * y + shift[1]


def fractal(rng: np.random.Generator, pixels: int, hurst: float | None = None) -> FloatArray:
    """Self-affine roughness of a random Hurst exponent."""
    exponent = rng.uniform(0.3, 1.2) if hurst is None else hurst
    k = np.hypot(np.fft.fftfreq(pixels)[:, None], np.fft.rfftfreq(pixels)[None])
    k[0, 0] = np.inf
    low = rng.uniform(1, 6) / pixels
    spectrum = np.fft.rfft2(rng.normal(size=(pixels, pixels))) * np.hypot(k, low) ** (-1 - exponent)
    height = np.fft.irfft2(spectrum, s=(pixels, pixels))
    return np.asarray(height / height.std())


def _lattice(rng: np.random.Generator, pixels: int) -> FloatArray:
    x, y = grid(rng, pixels)
    k = 2 * np.pi / rng.uniform(6, 30)
    return np.asarray(np.cos(k * x) * np.cos(k * y))


def _hexagonal(rng: np.random.Generator, pixels: int) -> FloatArray:
    x, y = grid(rng, pixels)
    k = 2 * np.pi / rng.uniform(6, 30)
    directions = np.deg2rad([0, 60, 120])
    waves = [np.cos(k * (np.cos(a) * x + np.sin(a) * y)) for a in directions]
    return np.asarray(rng.choice([-1.0, 1.0]) * np.sum(waves, axis=0))


def _terraces(rng: np.random.Generator, pixels: int) -> FloatArray:
    smooth = fractal(rng, pixels, hurst=1.5)
    levels = rng.uniform(1.5, 5)
    return np.asarray(np.floor(levels * (smooth - smooth.min()) / np.ptp(smooth)))


def _vicinal(rng: np.random.Generator, pixels: int) -> FloatArray:
    x, y = grid(rng, pixels)
    wave = rng.uniform(0, 4) * np.sin(2 * np.pi * y / rng.uniform(20, 80))
    width = rng.uniform(10, 40)
    return np.floor((x + wave) / width) - rng.uniform(0, 1) * x / width


def _bodies(rng: np.random.Generator, pixels: int, power: float) -> FloatArray:
    y, x = np.mgrid[:pixels, :pixels].astype(float)
    height = np.zeros((pixels, pixels))
    largest = rng.uniform(4, 16)
    for _ in range(int(rng.integers(5, 40))):
        radius = largest * rng.uniform(0.4, 1.0)
        middle = rng.uniform(0, pixels, 2)
        inside = np.clip(1 - np.hypot(y - middle[0], x - middle[1]) / radius, 0, None)
        # (1 - d) ** 1 is a cone; sqrt(1 - d^2) a cap.
        body = inside if power == 1 else np.sqrt(inside * (2 - inside))
        height = np.maximum(height, radius * body)
    return height


def _caps(rng: np.random.Generator, pixels: int) -> FloatArray:
    return _bodies(rng, pixels, 0.5)


def _cones(rng: np.random.Generator, pixels: int) -> FloatArray:
    return _bodies(rng, pixels, 1.0)


def _domes(rng: np.random.Generator, pixels: int) -> FloatArray:
    count = int(rng.integers(8, 120))
    seeds = rng.uniform(-5, pixels + 5, (count, 2))
    y, x = np.mgrid[:pixels, :pixels]
    places = np.stack([y.ravel(), x.ravel()], axis=1)
    distance, owner = (np.asarray(one) for one in cKDTree(seeds).query(places, k=2))
    dome = np.sqrt(np.clip(distance[:, 1] - distance[:, 0], 0, None))
    height = dome + rng.uniform(0, 3) * rng.normal(size=count)[owner[:, 0]]
    return np.asarray(height.reshape(pixels, pixels))


def _fibres(rng: np.random.Generator, pixels: int) -> FloatArray:
    empty = np.ones((pixels, pixels), dtype=bool)
    for _ in range(int(rng.integers(2, 12))):
        steps = np.cumsum(rng.normal(0, rng.uniform(0.02, 0.2), 3 * pixels))
        angle = rng.uniform(0, 2 * np.pi) + steps
        way = rng.uniform(0, pixels, 2)[:, None] + np.cumsum([np.sin(angle), np.cos(angle)], axis=1)
        row, column = way.astype(int)
        inside = (row >= 0) & (row < pixels) & (column >= 0) & (column < pixels)
        empty[row[inside], column[inside]] = False
    radius = rng.uniform(1.5, 6)
    return np.sqrt(np.clip(radius**2 - distance_transform_edt(empty) ** 2, 0, None))


def _bumps(rng: np.random.Generator, pixels: int) -> FloatArray:
    seeds = rng.uniform(size=(pixels, pixels)) < rng.uniform(0.001, 0.01)
    return gaussian_filter(rng.exponential(size=(pixels, pixels)) * seeds, rng.uniform(1, 6))


def _pits(rng: np.random.Generator, pixels: int) -> FloatArray:
    return -_bodies(rng, pixels, rng.choice([0.5, 1.0])) + 0.5 * fractal(rng, pixels)


def _ripples(rng: np.random.Generator, pixels: int) -> FloatArray:
    x, y = grid(rng, pixels)
    bend = rng.uniform(0, 3) * np.sin(2 * np.pi * y / rng.uniform(20, 100))
    wave = np.sin(2 * np.pi * (x + bend) / rng.uniform(8, 40))
    return np.asarray(np.sign(wave) * np.abs(wave) ** rng.uniform(0.3, 2))


def _blocks(rng: np.random.Generator, pixels: int) -> FloatArray:
    height = np.zeros((pixels, pixels))
    for _ in range(int(rng.integers(5, 40))):
        top, left = rng.integers(-5, pixels, 2)
        tall, wide = rng.integers(3, 30, 2)
        height[max(top, 0) : max(top + tall, 0), max(left, 0) : max(left + wide, 0)] += rng.uniform(
            -0.5, 1
        )
    return height


def _worms(rng: np.random.Generator, pixels: int) -> FloatArray:
    white = rng.normal(size=(pixels, pixels))
    narrow = rng.uniform(1.5, 6)
    band = gaussian_filter(white, narrow) - gaussian_filter(white, 2 * narrow)
    return np.asarray(np.tanh(rng.uniform(0.5, 5) * band / band.std()))


#: Families that training may use.
FAMILIES: Mapping[str, Family] = {
    "blocks": _blocks, "bumps": _bumps, "caps": _caps, "cones": _cones, "domes": _domes,
    "fibres": _fibres, "fractal": fractal, "hexagonal": _hexagonal, "lattice": _lattice,
    "pits": _pits, "ripples": _ripples, "terraces": _terraces, "vicinal": _vicinal,
    "worms": _worms,
}  # fmt: skip


def mixed(first: Family, second: Family) -> Family:
    """Return a family between two: their sum, upside down or bent now and then.

    A network that has seen only pure families learns the families.
    """

    def draw(rng: np.random.Generator, pixels: int) -> FloatArray:
        one, other = (_unit(family(rng, pixels)) for family in (first, second))
        share = rng.choice([0.0, rng.uniform()])
        height = _unit((1 - share) * one + share * other)
        if rng.uniform() < 0.4:
            height = 1 - height
        return np.asarray(height ** np.exp(rng.choice([0.0, rng.uniform(-0.7, 0.7)])))

    return draw


def _unit(height: FloatArray) -> FloatArray:
    return np.asarray((height - height.min()) / max(float(np.ptp(height)), 1e-30))
