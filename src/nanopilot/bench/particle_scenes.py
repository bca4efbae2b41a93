"""Frames with particles of many kinds whose truth is known, each with a twin that has none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.ndimage import gaussian_filter

from nanopilot.bench.particle_backgrounds import BACKGROUNDS, matched, ranked
from nanopilot.core.signals import Axis, Signal, make_signal

Array = np.ndarray[Any, np.dtype[np.float64]]
Labels = np.ndarray[Any, np.dtype[np.int64]]
Kind = Literal["dark rim", "bright disc", "dark disc", "ring", "facets", "core and shell"]
KINDS: tuple[Kind, ...] = (
    "dark rim",
    "bright disc",
    "dark disc",
    "ring",
    "facets",
    "core and shell",
)
#: Rows and columns of a frame, radii of particles in pixels, and how many there are at most.
PIXELS, RADII, MOST = 320, (8.0, 80.0), 6
#: Variance of additive Gaussian noise on a scale of 0 to 1.
VARIANCES = (0.003, 0.01, 0.02, 0.03)
#: Height of a particle in standard deviations of the background around it.
CONTRAST = (4.0, 8.0)
_TRIES = 200


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A frame and its truth.

    Parameters
    ----------
    frame : Signal
        Dims (y, x) in metres.
    place, radius : numpy.ndarray
        Of the particles: row and column, shape (n, 2), and radius of the disc of the same area,
        shape (n,); pixels.
    labels : numpy.ndarray
        Which particle a pixel belongs to, from 1; 0: none. Shape (rows, columns).
    kinds : tuple of str
        What each particle is.
    variance : float
        Of the noise, on a scale of 0 to 1.
    gain, offset : float
        What the scale was multiplied with, and what was added.
    """

    frame: Signal
    place: Array
    radius: Array
    labels: Labels
    kinds: tuple[str, ...]
    variance: float
    gain: float
    offset: float


@dataclass(frozen=True, slots=True, eq=False)
class _Shape:
    """How far each pixel is from the middle, 1 on the outline; and how large it is."""

    reach: Array
    place: tuple[float, float]
    radius: float


def draw_pair(
    rng: np.random.Generator, variance: float, pixels: int = PIXELS
) -> tuple[Scene, Scene]:
    """Draw a frame with particles and its twin without any.

    Both have the same histogram, therefore the same mean and standard deviation, and the same
    radial power spectrum before noise is added; nothing but shape tells them apart.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws everything.
    variance : float
        Of the noise on a scale of 0 to 1.
    pixels : int
        Along a side.
    """
    ground = BACKGROUNDS[list(BACKGROUNDS)[int(rng.integers(len(BACKGROUNDS)))]]
    shape = (pixels, pixels)
    image, labels = ground(rng, shape), np.zeros(shape, dtype=np.int64)
    shapes = _shapes(rng, shape, _wanted(rng))
    kinds = tuple(KINDS[int(rng.integers(len(KINDS)))] for _ in shapes)
    for number, (one, kind) in enumerate(zip(shapes, kinds, strict=True), start=1):
        image = image + _particle(rng, one, kind)
        labels[one.reach <= 1] = number
    middle, spread = rng.uniform(0.4, 0.6), rng.uniform(0.09, 0.13)
    image = ranked(image, middle, spread)
    empty = matched(ground(rng, shape), image)
    gain, offset = float(np.exp(rng.uniform(np.log(1), np.log(5e4)))), rng.uniform(0, 500)
    pixel = float(np.exp(rng.uniform(np.log(2e-11), np.log(2e-8))))
    scenes = []
    for values, number in ((image, len(shapes)), (empty, 0)):
        noisy = values + np.sqrt(variance) * rng.normal(size=shape)
        scenes.append(
            Scene(
                _frame(offset + gain * noisy, pixel),
                np.array([one.place for one in shapes[:number]]).reshape(-1, 2),
                np.array([one.radius for one in shapes[:number]]),
                labels if number else np.zeros_like(labels),
                kinds[:number],
                variance,
                gain,
                offset,
            )
        )
    return scenes[0], scenes[1]


def _wanted(rng: np.random.Generator) -> Array:
    """Return the radii of the particles to be placed, the largest first."""
    count = int(rng.integers(1, MOST + 1))
    return np.sort(np.exp(rng.uniform(np.log(RADII[0]), np.log(RADII[1]), count)))[::-1]


def _shapes(rng: np.random.Generator, shape: tuple[int, int], radii: Array) -> list[_Shape]:
    """Place outlines inside the frame, none nearer to another than a quarter of both radii."""
    found: list[_Shape] = []
    discs: list[tuple[float, float, float]] = []
    for radius in radii:
        reach = 1.2 * radius + 3
        for _ in range(_TRIES):
            row, column = (rng.uniform(reach, size - 1 - reach) for size in shape)
            if all(
                np.hypot(row - r, column - c) > 1.1 * (radius + other) + max(4, 0.25 * radius)
                for r, c, other in discs
            ):
                discs.append((row, column, radius))
                found.append(_outlined(rng, shape, (row, column), radius))
                break
    return found


def _outlined(
    rng: np.random.Generator, shape: tuple[int, int], place: tuple[float, float], radius: float
) -> _Shape:
    """Return an ellipse or a convex polygon; its centre is that of its area."""
    rows, columns = np.indices(shape, dtype=np.float64)
    down, across = rows - place[0], columns - place[1]
    turn, aspect = rng.uniform(0, np.pi), rng.uniform(1.0, 1.25)
    u = (np.cos(turn) * down + np.sin(turn) * across) / np.sqrt(aspect)
    v = (np.cos(turn) * across - np.sin(turn) * down) * np.sqrt(aspect)
    if rng.random() < 0.3:
        sides = int(rng.integers(4, 9))
        angle = np.arctan2(v, u) % (2 * np.pi / sides) - np.pi / sides
        # Distance to the nearest side, in units that give the polygon the area of the disc.
        inner = np.sqrt(np.pi / (sides * np.tan(np.pi / sides)))
        reach = np.hypot(u, v) * np.cos(angle) / (inner * radius)
    else:
        reach = np.hypot(u, v) / radius
    return _Shape(reach, place, radius)


def _step(reach: Array, at: float, width: float) -> Array:
    """Return 1 inside `at` and 0 outside; `width` of the edge in the same unit."""
    found: Array = 1 / (1 + np.exp(np.clip((reach - at) / width, -50, 50)))
    return found


def _particle(rng: np.random.Generator, shape: _Shape, kind: Kind) -> Array:
    """Return what a particle adds, in standard deviations of the background."""
    height = rng.uniform(*CONTRAST) * (1 if rng.random() < 0.5 else -1)
    soft = rng.uniform(0.4, 1.1) / shape.radius
    whole = _step(shape.reach, 1.0, soft)
    if kind == "bright disc":
        return abs(height) * whole
    if kind == "dark disc":
        return -abs(height) * whole
    if kind == "dark rim":
        rim = whole - _step(shape.reach, 1 - _rim(rng, shape.radius, 0.1, 0.22), soft)
        return -abs(height) * rim + rng.uniform(0.0, 0.3) * abs(height) * (whole - rim)
    if kind == "ring":
        return height * (whole - _step(shape.reach, 1 - _rim(rng, shape.radius, 0.15, 0.35), soft))
    if kind == "core and shell":
        core = _step(shape.reach, rng.uniform(0.45, 0.75), soft)
        ratio = float(rng.choice([-0.6, 0.4, 1.6]))
        return height * (whole - core) + ratio * height * core
    shaded: Array = height * whole * (1 + 0.2 * _facets(rng, shape))
    return shaded


def _rim(rng: np.random.Generator, radius: float, least: float, most: float) -> float:
    """Return the width of a rim over the radius: three pixels at least."""
    return min(max(rng.uniform(least, most), 3.0 / radius), 0.5)


def _facets(rng: np.random.Generator, shape: _Shape) -> Array:
    """Return the shading of facets: sectors that differ, between -1 and 1."""
    rows, columns = np.indices(shape.reach.shape)
    angle = np.arctan2(rows - shape.place[0], columns - shape.place[1]) + rng.uniform(0, 6)
    count = int(rng.integers(3, 7))
    levels = rng.uniform(-1, 1, count)
    sector = np.floor((angle % (2 * np.pi)) / (2 * np.pi) * count).astype(int) % count
    found: Array = gaussian_filter(levels[sector], 1.0)
    return found


def _frame(values: Array, pixel: float) -> Signal:
    axes = {
        dim: Axis(np.arange(size, dtype=np.float64) * pixel, "m", "position")
        for dim, size in zip(("y", "x"), values.shape, strict=True)
    }
    return make_signal(values, axes, quantity="counts", units="1")
