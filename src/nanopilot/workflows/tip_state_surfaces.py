"""More surfaces that networks for the state of a tip learn from; none of them is judged on.

As in `nanopilot.workflows.tip_surfaces`, whose families belong to these too.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial import cKDTree

from nanopilot.workflows import tip_surfaces
from nanopilot.workflows.tip_surfaces import Family, FloatArray, fractal, grid


def _rods(rng: np.random.Generator, pixels: int) -> FloatArray:
    """Round-ended rods lying on a floor."""
    y, x = np.mgrid[:pixels, :pixels].astype(float)
    height = np.zeros((pixels, pixels))
    radius = rng.uniform(2, 7)
    for _ in range(int(rng.integers(4, 30))):
        angle, half = rng.uniform(0, np.pi), rng.uniform(0.5, 4) * radius
        dx, dy = x - rng.uniform(0, pixels), y - rng.uniform(0, pixels)
        along = np.cos(angle) * dx + np.sin(angle) * dy
        across = np.cos(angle) * dy - np.sin(angle) * dx
        far = np.hypot(np.maximum(np.abs(along) - half, 0), across)
        height = np.maximum(height, np.sqrt(np.clip(radius**2 - far**2, 0, None)))
    return height


def _scratches(rng: np.random.Generator, pixels: int) -> FloatArray:
    """Straight grooves with burrs, in a rough plane."""
    y, x = np.mgrid[:pixels, :pixels].astype(float)
    height = rng.uniform(0.05, 0.5) * fractal(rng, pixels)
    for _ in range(int(rng.integers(3, 14))):
        angle, wide = rng.uniform(0, np.pi), rng.uniform(1, 5)
        across = np.cos(angle) * (y - rng.uniform(0, pixels)) - np.sin(angle) * (
            x - rng.uniform(0, pixels)
        )
        groove = np.exp(-((across / wide) ** 2))
        height += rng.uniform(0.3, 1) * (
            0.5 * np.exp(-(((np.abs(across) - 2 * wide) / wide) ** 2)) - groove
        )
    return height


def _craters(rng: np.random.Generator, pixels: int) -> FloatArray:
    """Rims round hollows."""
    y, x = np.mgrid[:pixels, :pixels].astype(float)
    height = rng.uniform(0, 0.2) * fractal(rng, pixels)
    for _ in range(int(rng.integers(4, 30))):
        radius, rim = rng.uniform(4, 16), rng.uniform(1, 3)
        far = np.hypot(y - rng.uniform(0, pixels), x - rng.uniform(0, pixels))
        height += np.exp(-(((far - radius) / rim) ** 2)) - 0.5 * (far < radius)
    return height


def _plates(rng: np.random.Generator, pixels: int) -> FloatArray:
    """Tilted plates, each with a height of its own."""
    count = int(rng.integers(10, 90))
    seeds = rng.uniform(0, pixels, (count, 2))
    y, x = np.mgrid[:pixels, :pixels]
    places = np.stack([y.ravel(), x.ravel()], axis=1).astype(float)
    owner = np.asarray(cKDTree(seeds).query(places)[1])
    tilt = rng.normal(size=(count, 2)) * rng.uniform(0, 0.15)
    lean = np.sum((places - seeds[owner]) * tilt[owner], axis=1)
    return np.asarray((rng.normal(size=count)[owner] + lean).reshape(pixels, pixels))


def _crystals(rng: np.random.Generator, pixels: int) -> FloatArray:
    """Polygons with flat or pointed tops, any number of sides."""
    y, x = np.mgrid[:pixels, :pixels].astype(float)
    height = np.zeros((pixels, pixels))
    sides, top = int(rng.choice([3, 5, 6])), rng.uniform(0.2, 1.0)
    for _ in range(int(rng.integers(4, 30))):
        size, turn = rng.uniform(3, 14), rng.uniform(0, np.pi)
        dx, dy = x - rng.uniform(0, pixels), y - rng.uniform(0, pixels)
        angles = turn + 2 * np.pi * np.arange(sides) / sides
        far = np.max([np.cos(a) * dx + np.sin(a) * dy for a in angles], axis=0)
        height = np.maximum(height, np.clip(size - far, 0, top * size))
    return height


def _quasi(rng: np.random.Generator, pixels: int) -> FloatArray:
    """Waves of five or seven directions: order without a period."""
    x, y = grid(rng, pixels)
    k, count = 2 * np.pi / rng.uniform(6, 24), int(rng.choice([5, 7]))
    angles = 2 * np.pi * np.arange(count) / count
    waves = [np.cos(k * (np.cos(a) * x + np.sin(a) * y)) for a in angles]
    return np.asarray(np.sum(waves, axis=0))


def _vacancies(rng: np.random.Generator, pixels: int) -> FloatArray:
    """Place bumps on a lattice, with gaps, jitter and unequal heights."""
    pitch, jitter = rng.uniform(8, 30), rng.uniform(0, 0.25)
    slant = rng.uniform(-0.5, 0.5)
    count = int(2 * pixels / pitch) + 2
    i, j = np.mgrid[-count:count, -count:count]
    places = pitch * np.stack([i + slant * j, j], axis=-1).reshape(-1, 2).astype(float)
    places += jitter * pitch * rng.normal(size=places.shape)
    turn = rng.uniform(0, 2 * np.pi)
    spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    places = places @ spin + pixels / 2 + rng.uniform(0, pitch, 2)
    inside = ((places > -0.5) & (places < pixels - 0.5)).all(axis=1)
    kept = inside & (rng.uniform(size=len(places)) > rng.uniform(0, 0.6))
    height = np.zeros((pixels, pixels))
    row, column = np.rint(places[kept]).astype(int).T
    height[row, column] = rng.uniform(rng.uniform(0.2, 1), 1, row.size)
    return gaussian_filter(height, rng.uniform(0.8, 0.3 * pitch))


def _dunes(rng: np.random.Generator, pixels: int) -> FloatArray:
    """Crests steep on one side, bent and broken."""
    x, y = grid(rng, pixels)
    bend = 8 * rng.uniform(0, 1) * fractal(rng, pixels, hurst=1.2)
    phase = ((x + bend) / rng.uniform(10, 50)) % 1
    steep = rng.uniform(0.1, 0.5)
    crest = np.minimum(phase / (1 - steep), (1 - phase) / steep)
    return np.asarray(crest * (1 + rng.uniform(0, 0.5) * np.sin(2 * np.pi * y / 50)))


def _mounds(rng: np.random.Generator, pixels: int) -> FloatArray:
    """Cut hills into steps: a random sum of smooth ones cut into levels."""
    height = gaussian_filter(rng.normal(size=(pixels, pixels)), rng.uniform(4, 12))
    return np.asarray(np.rint(rng.uniform(3, 9) * height / np.ptp(height)))


def _dendrites(rng: np.random.Generator, pixels: int) -> FloatArray:
    """Branches that grow thinner from a few stems."""
    height = np.zeros((pixels, pixels))
    stems = [(*rng.uniform(0, pixels, 2), rng.uniform(0, 2 * np.pi), 1.0) for _ in range(4)]
    while stems and len(stems) < 400:
        row, column, angle, thick = stems.pop(0)
        for _ in range(int(rng.integers(6, 20))):
            row, column = row + np.sin(angle), column + np.cos(angle)
            angle += rng.normal(0, 0.12)
            if 0 <= row < pixels and 0 <= column < pixels:
                height[int(row), int(column)] = max(height[int(row), int(column)], thick)
        if thick > 0.3:
            stems += [(row, column, angle + turn, 0.8 * thick) for turn in (-0.5, 0.5)]
    return gaussian_filter(height, rng.uniform(0.8, 2.5))


def _pores(rng: np.random.Generator, pixels: int) -> FloatArray:
    """Sharp-edged holes of unequal size in a flat or rough film."""
    y, x = np.mgrid[:pixels, :pixels].astype(float)
    height = 1 + rng.uniform(0, 0.1) * fractal(rng, pixels)
    for _ in range(int(rng.integers(10, 80))):
        far = np.hypot(y - rng.uniform(0, pixels), x - rng.uniform(0, pixels))
        height[far < rng.uniform(2, 10)] -= rng.uniform(0.3, 1)
    return height


def _network(rng: np.random.Generator, pixels: int) -> FloatArray:
    """Lines where a smooth random field crosses zero."""
    field = gaussian_filter(rng.normal(size=(pixels, pixels)), rng.uniform(3, 10))
    return np.asarray(np.exp(-((field / field.std() / rng.uniform(0.05, 0.3)) ** 2)))


def _sprinkled(rng: np.random.Generator, pixels: int) -> FloatArray:
    """Dots on steps."""
    steps = tip_surfaces.FAMILIES[str(rng.choice(["terraces", "vicinal"]))](rng, pixels)
    dots = (rng.uniform(size=(pixels, pixels)) < rng.uniform(5e-4, 5e-3)).astype(float)
    dots = gaussian_filter(dots, rng.uniform(0.8, 2.5))
    return steps / np.ptp(steps) + rng.uniform(0.2, 2) * dots / max(float(dots.max()), 1e-30)


#: Families that training may use, those of `tip_surfaces` among them.
FAMILIES: Mapping[str, Family] = {
    **tip_surfaces.FAMILIES,
    "craters": _craters, "crystals": _crystals, "dendrites": _dendrites, "dunes": _dunes,
    "mounds": _mounds, "network": _network, "plates": _plates, "pores": _pores,
    "quasi": _quasi, "rods": _rods, "scratches": _scratches, "sprinkled": _sprinkled,
    "vacancies": _vacancies,
}  # fmt: skip


def warped(family: Family) -> Family:
    """Return a family bent sideways by a smooth random field: straight lines and periods go."""

    def draw(rng: np.random.Generator, pixels: int) -> FloatArray:
        height = family(rng, pixels)
        smooth = gaussian_filter(rng.normal(size=(2, pixels, pixels)), (0, *[pixels / 10] * 2))
        shift = rng.uniform(0, 8) * smooth / smooth.std()
        y, x = np.mgrid[:pixels, :pixels]
        places = [y + shift[0], x + shift[1]]
        return np.asarray(map_coordinates(height, places, order=1, mode="reflect"))

    return draw
