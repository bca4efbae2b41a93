"""Frames with particles that networks and probabilities are taught on: solids and loose outlines.

Not those of the track `particles`: solids are the electron twin's, outlines wave at random, and so
do the profiles from the middle to the rim; backgrounds are sums of octaves, cells and strokes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter, zoom
from scipy.spatial import cKDTree

from nanopilot.twins.stem.samples.film import FilmSettings, film
from nanopilot.twins.stem.samples.particles import matrix
from nanopilot.twins.stem.samples.solids import SHAPES, solid
from nanopilot.twins.stem.samples.zoo import Particle, Zoo

Array = np.ndarray[Any, np.dtype[np.float64]]
Labels = np.ndarray[Any, np.dtype[np.int64]]
#: Radii drawn, in pixels, and how many particles there are at most.
RADII, MOST = (6.0, 90.0), 8
#: Rows and columns of a frame; nanometres of a pixel where solids are drawn.
PIXELS, _PIXEL = 288, 1e-9
#: Solids that are not too long for a radius to mean something.
_SOLIDS = tuple(name for name in SHAPES if name not in ("rod", "dumbbell"))


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A frame and its truth.

    Parameters
    ----------
    image : numpy.ndarray
        Shape (rows, columns).
    labels : numpy.ndarray
        Which particle a pixel belongs to, from 1; 0: none.
    place, radius : numpy.ndarray
        Centre of area (row, column), shape (n, 2), and radius of the disc of the same area, pixels.
    group : str
        Kind of background and of particles.
    """

    image: Array
    labels: Labels
    place: Array
    radius: Array
    group: str


def octaves(rng: np.random.Generator, size: int) -> Array:
    """Return random grids of ever finer mesh, each fainter than the one before, summed."""
    total, weight, fall = np.zeros((size, size)), 1.0, rng.uniform(0.35, 0.95)
    mesh = int(rng.integers(2, 7))
    while mesh < size // 2:
        coarse = rng.normal(size=(mesh + 3, mesh + 3))
        fine = zoom(coarse, size / mesh, order=3)
        first = int(rng.integers(0, max(1, fine.shape[0] - size)))
        total += weight * fine[first : first + size, first : first + size]
        weight, mesh = weight * fall, mesh * 2
    return _even(total)


def cells(rng: np.random.Generator, size: int) -> Array:
    """Return straight-edged cells of different level, soft, on octaves."""
    count = int(rng.integers(5, 60))
    tree = cKDTree(rng.uniform(0, size, (count, 2)))
    _, which = tree.query(np.indices((size, size)).reshape(2, -1).T)
    level = rng.normal(size=count)[which].reshape(size, size)
    soft = gaussian_filter(level, rng.uniform(0.7, 4))
    return _even(_even(soft) + rng.uniform(0.3, 1.5) * octaves(rng, size))


def strokes(rng: np.random.Generator, size: int) -> Array:
    """Return straight and bent strokes on octaves."""
    rows, columns = np.indices((size, size))
    total = np.zeros((size, size))
    for _ in range(int(rng.integers(2, 9))):
        turn, bend = rng.uniform(0, 2 * np.pi), rng.normal(0, 1 / size)
        middle = rng.uniform(0, size, 2)
        along = np.cos(turn) * (rows - middle[0]) + np.sin(turn) * (columns - middle[1])
        across = np.cos(turn) * (columns - middle[1]) - np.sin(turn) * (rows - middle[0])
        line = across - bend * along**2
        total += rng.choice([-1.0, 1.0]) * np.exp(-0.5 * (line / rng.uniform(1, 6)) ** 2)
    return _even(_even(total) + rng.uniform(0.3, 1.5) * octaves(rng, size))


def grain(rng: np.random.Generator, size: int) -> Array:
    """Return the difference of two blurs of noise, on octaves."""
    fine, noise = rng.uniform(1, 4), rng.normal(size=(size, size))
    band = gaussian_filter(noise, fine) - gaussian_filter(noise, rng.uniform(1.3, 2) * fine)
    return _even(_even(band) + rng.uniform(0.0, 1.0) * octaves(rng, size))


def islands(rng: np.random.Generator, size: int) -> Array:
    """Return blots with edges but no shape: a slow field bent at a level, on octaves."""
    slow = _even(gaussian_filter(rng.normal(size=(size, size)), rng.uniform(4, 28), mode="wrap"))
    blots = np.tanh(rng.uniform(0.8, 4) * (slow - rng.uniform(-1.2, 1.2)))
    return _even(_even(blots) + rng.uniform(0.2, 1.5) * octaves(rng, size))


def carbon(rng: np.random.Generator, size: int) -> Array:
    """Return the thickness of the electron twin's film, no hole in it."""
    length = float(np.exp(rng.uniform(np.log(3), np.log(60)))) * _PIXEL
    settings = FilmSettings(length=length, fluctuation=0.2)
    support = film(rng, settings, 2 * size * _PIXEL)
    y, x = (np.indices((size, size)) - size / 2) * _PIXEL
    return _even(support(x, y))


GROUNDS: dict[str, Callable[[np.random.Generator, int], Array]] = {
    "octaves": octaves,
    "cells": cells,
    "strokes": strokes,
    "grain": grain,
    "islands": islands,
    "carbon": carbon,
}


def draw_frame(rng: np.random.Generator, size: int = PIXELS) -> Frame:
    """Draw a background, particles of one family or none, blur, noise.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws everything.
    size : int
        Rows and columns.
    """
    ground = list(GROUNDS)[int(rng.integers(len(GROUNDS)))]
    family = ("solids", "outlines", "none")[int(rng.choice(3, p=[0.3, 0.5, 0.2]))]
    image = GROUNDS[ground](rng, size)
    labels = np.zeros((size, size), dtype=np.int64)
    if family != "none":
        draw = _solids if family == "solids" else _outlines
        added, labels = draw(rng, _spots(rng, size), size)
        image = image + added
    image = gaussian_filter(image, rng.uniform(0, 1.2))
    image = _even(image) + np.exp(rng.uniform(np.log(0.1), np.log(1.8))) * rng.normal(
        size=image.shape
    )
    place, radius = _truth(labels)
    return Frame(image, labels, place, radius, f"{ground}, {family}")


def _truth(labels: Labels) -> tuple[Array, Array]:
    count = int(labels.max())
    area = np.bincount(labels.ravel(), minlength=count + 1)[1:].astype(float)
    rows, columns = np.indices(labels.shape)
    middle = [
        np.bincount(labels.ravel(), weights=one.ravel(), minlength=count + 1)[1:]
        for one in (rows, columns)
    ]
    return np.stack(middle, axis=1) / np.maximum(area, 1)[:, None], np.sqrt(area / np.pi)


def _spots(rng: np.random.Generator, size: int) -> list[tuple[float, float, float]]:
    """Return row, column and radius of places that are well apart."""
    spots: list[tuple[float, float, float]] = []
    # Often all of about one size, as on a real grid.
    middle = rng.uniform(*np.log(RADII))
    spread = rng.choice([0.15, 1.5])
    for _ in range(60):
        radius = float(np.exp(np.clip(middle + spread * rng.normal(), *np.log(RADII))))
        reach = 1.25 * radius + 2
        if 2 * reach >= size - 2:
            continue
        row, column = rng.uniform(reach, size - 1 - reach, 2)
        if all(np.hypot(row - r, column - c) > 1.25 * (radius + o) + 3 for r, c, o in spots):
            spots.append((row, column, radius))
        if len(spots) >= MOST or rng.random() < 0.15:
            break
    return spots


def _height(rng: np.random.Generator) -> float:
    return float(rng.choice([-1, 1]) * np.exp(rng.uniform(np.log(1.5), np.log(8))))


def _solids(
    rng: np.random.Generator, spots: list[tuple[float, float, float]], size: int
) -> tuple[Array, Labels]:
    """Return the thickness of solids, some with a core, in units of the background's spread."""
    film_there = film(rng, FilmSettings(fluctuation=0.0), 2 * size * _PIXEL)
    particles = []
    for row, column, radius in spots:
        turn = rng.normal(size=4)
        name = _SOLIDS[int(rng.integers(len(_SOLIDS)))]
        body = solid(name, 2 * radius * _PIXEL, matrix(turn / np.linalg.norm(turn)))
        core = body.scaled(rng.uniform(0.4, 0.8)) if rng.random() < 0.3 else None
        x, y = ((at - size / 2) * _PIXEL for at in (column, row))
        particles.append(Particle(x, y, body, "silica", core, "gold" if core else ""))
    zoo = Zoo(film_there, particles, ("carbon", "silica", "gold"))
    y, x = (np.indices((size, size)) - size / 2) * _PIXEL
    labels = zoo.number(x, y).astype(np.int64)
    _, shell, inner = zoo.thickness(x, y) / _PIXEL
    added = np.zeros((size, size))
    power = rng.uniform(0.3, 1.0)
    for number, (_, _, radius) in enumerate(spots, start=1):
        there = labels == number
        height, second = _height(rng), rng.uniform(-1.0, 3.0)
        part = (shell[there] / (2 * radius)) ** power + second * (inner[there] / (2 * radius))
        added[there] = height * part
    return added, labels


def _outlines(
    rng: np.random.Generator, spots: list[tuple[float, float, float]], size: int
) -> tuple[Array, Labels]:
    """Return waving outlines with profiles that wave too; at the outline all of them step."""
    added, labels = np.zeros((size, size)), np.zeros((size, size), dtype=np.int64)
    for number, (row, column, radius) in enumerate(spots, start=1):
        rows, columns = np.indices((size, size))
        angle = np.arctan2(rows - row, columns - column)
        wave = np.ones((size, size))
        for lobe in range(2, 7):
            wave += rng.normal(0, 0.22 / lobe**1.3) * np.cos(
                lobe * angle + rng.uniform(0, 2 * np.pi)
            )
        reach = np.hypot(rows - row, columns - column) / (radius * np.clip(wave, 0.7, 1.25))
        inside = reach <= 1
        labels[inside] = number
        shown = _height(rng) * _profile(rng, reach[inside])
        added[inside] = shown
    return added, labels


def _profile(rng: np.random.Generator, reach: Array) -> Array:
    """Return levels from the middle (0) to the rim (1): even, stepped or smooth; 1 at the rim."""
    kind = rng.choice(3)
    if kind == 0:
        return 1 + rng.uniform(-0.5, 0.3) * (1 - reach)
    knots = np.sort(rng.uniform(0.3, 0.92, int(rng.integers(1, 3))))
    levels = np.append(rng.uniform(-0.9, 1.5, len(knots)), 1.0)
    if kind == 1:
        found: Array = levels[np.searchsorted(knots, reach)]
        return found
    smooth = PchipInterpolator([0.0, *knots, 1.0], [levels[0], *levels])
    return np.asarray(smooth(reach))


def _even(field: Array) -> Array:
    found: Array = (field - field.mean()) / field.std()
    return found
