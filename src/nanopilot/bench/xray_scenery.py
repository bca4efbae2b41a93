"""What else is in an X-ray image of a cell, and images that hold no cell at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import gaussian_filter

from nanopilot.core.history import FloatArray
from nanopilot.core.signals import Axis, Signal, make_signal

if TYPE_CHECKING:
    from nanopilot.bench.xray_stacks import Plates

BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: Kinds of images without a stack.
STRANGERS = ("noise", "empty", "leaves", "texture", "lattice", "scenery", "grating")


def add_scenery(
    plates: Plates, shape: tuple[int, int], interference: str, rng: np.random.Generator
) -> FloatArray:
    """Return the attenuation of casing, holder and background, shape of the upright image.

    Walls run along the plates at both sides, a lid lies beyond the free ends, bars and discs of a
    holder lie elsewhere; a "tray" comes close to the outermost plates.
    """
    rows, columns = np.indices(shape, dtype=float)
    box_left, box_right = plates.middle(plates.tip)[[0, -1]][:, 0]
    total = _ground(shape, rng)
    for way, edge in ((-1, box_left), (1, box_right)):
        away = plates.spacing * rng.uniform(2.0, 6.0)
        if interference == "tray":
            away = plates.spacing * rng.uniform(1.1, 1.6)
        lean = max(abs(plates.bend[0]), 4.0) * rng.uniform(0, 1)
        # A wall keeps clear of plates that bend towards it.
        reach = max(0.0, float((way * (plates.middle(rows[:, 0])[0 if way < 0 else -1]
                    - edge))[_between(plates, shape)].max()))  # fmt: skip
        thick = rng.uniform(5, 22)
        start = edge + way * (away + reach + plates.spacing * 0.3)
        middle = start + way * (thick / 2 + lean * (rows - plates.tip.min()) / shape[0] * way)
        wall = np.clip(thick / 2 + 0.5 - np.abs(columns - middle), 0, 1)
        total += rng.uniform(0.15, 0.7) * wall
    lid = plates.tip.min() - rng.uniform(40, 110)
    thick = rng.uniform(4, 15)
    total += rng.uniform(0.1, 0.5) * np.clip(thick / 2 + 0.5 - np.abs(rows - lid), 0, 1)
    return np.asarray(total + _holder(plates, shape, rng))


def _between(plates: Plates, shape: tuple[int, int]) -> BoolArray:
    rows = np.arange(shape[0])
    return np.asarray((rows >= plates.tip.min()) & (rows <= plates.bottom))


def _ground(shape: tuple[int, int], rng: np.random.Generator) -> FloatArray:
    """Return a smooth background: tilted, with a hump."""
    rows, columns = (a / n for a, n in zip(np.indices(shape, dtype=float), shape, strict=True))
    tilt = rng.uniform(-0.3, 0.3, 2)
    at, wide = rng.uniform(0, 1, 2), rng.uniform(0.3, 0.8)
    hump = np.exp(-((rows - at[0]) ** 2 + (columns - at[1]) ** 2) / (2 * wide**2))
    ground = tilt[0] * rows + tilt[1] * columns + rng.uniform(0, 0.4) * hump
    return np.asarray(ground - ground.min() + rng.uniform(0.1, 0.5))


def _holder(plates: Plates, shape: tuple[int, int], rng: np.random.Generator) -> FloatArray:
    """Return bars and discs that keep out of the stack."""
    rows, columns = np.indices(shape, dtype=float)
    total = np.zeros(shape)
    top = plates.tip.min() - 140
    if top > 30:
        edge = rng.uniform(0, top)
        total += rng.uniform(0.3, 1.0) * np.clip(edge - rows, 0, 1)
        for _ in range(int(rng.integers(0, 4))):
            at = rng.uniform(0, shape[1])
            radius = rng.uniform(6, 40)
            away = np.hypot(rows - (top - 40), columns - at)
            total += rng.uniform(0.1, 0.6) * np.clip(radius - away, 0, 1)
    below = shape[0] - plates.bottom
    if below > 60:
        start = plates.bottom + rng.uniform(40, below)
        total += rng.uniform(0.2, 1.0) * np.clip(rows - start, 0, 1)
    return total


def draw_stranger(kind: str, rng: np.random.Generator, *, pixels: int = 640) -> Signal:
    """Draw an image without a stack.

    Parameters
    ----------
    kind : str
        One of `STRANGERS`: white noise; a bright field with a gradient; discs of all sizes that
        hide one another, as things in photographs do; noise whose power falls as frequency
        squared; a two-dimensional lattice of dots; walls and bars without plates; stripes that
        cross the whole image and end nowhere.
    rng : numpy.random.Generator
        Draws the rest.
    pixels : int
        Rows and columns.

    Notes
    -----
    Dead leaves share their statistics with photographs: A. B. Lee, D. Mumford & J. Huang,
    Int. J. Comput. Vis. 41 (2001) 35.
    """
    y, x = np.indices((pixels, pixels), dtype=float)
    mean = np.full((pixels, pixels), 1.0)
    if kind == "empty":
        mean += rng.uniform(-0.3, 0.3) * y / pixels + rng.uniform(-0.3, 0.3) * x / pixels
    elif kind == "leaves":
        mean = _leaves(pixels, rng)
    elif kind == "texture":
        mean = _texture(pixels, rng)
    elif kind == "lattice":
        pitch, turn = rng.uniform(7, 16), rng.uniform(0, np.pi / 2)
        u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
        mean += 0.4 * np.cos(2 * np.pi * u / pitch) * np.cos(2 * np.pi * v / pitch)
    elif kind == "scenery":
        mean = _walls(pixels, rng)
    elif kind == "grating":
        pitch, turn = rng.uniform(7, 20), rng.uniform(-0.05, 0.05)
        mean += 0.3 * np.sin(2 * np.pi * (x + turn * y) / pitch)
    photons = 10 ** rng.uniform(2.5, 4.0)
    axis = Axis(np.arange(float(pixels)), "1", "pixel")
    counts = rng.poisson(photons * mean).astype(float)
    return make_signal(counts, {"y": axis, "x": axis}, quantity="counts", units="1")


def _leaves(pixels: int, rng: np.random.Generator) -> FloatArray:
    y, x = np.indices((pixels, pixels), dtype=float)
    mean = np.ones((pixels, pixels))
    for _ in range(300):
        radius = 4.0 / np.sqrt(rng.uniform(1e-3, 1))
        at = rng.uniform(0, pixels, 2)
        mean[np.hypot(y - at[0], x - at[1]) < radius] = rng.uniform(0.2, 1.8)
    return mean


def _texture(pixels: int, rng: np.random.Generator) -> FloatArray:
    frequency = np.hypot(np.fft.fftfreq(pixels)[:, None], np.fft.rfftfreq(pixels))
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.normal(size=(pixels, pixels))) / frequency
    field = np.fft.irfft2(spectrum, s=(pixels, pixels))
    return np.asarray(np.exp(0.35 * field / field.std()))


def _walls(pixels: int, rng: np.random.Generator) -> FloatArray:
    y, x = np.indices((pixels, pixels), dtype=float)
    total = _ground((pixels, pixels), rng)
    for _ in range(int(rng.integers(2, 6))):
        at, thick = rng.uniform(0, pixels), rng.uniform(4, 40)
        across = x if rng.random() < 0.5 else y
        total += rng.uniform(0.1, 0.8) * (np.abs(across - at) < thick / 2)
    return np.asarray(gaussian_filter(np.exp(-total), 0.8))
