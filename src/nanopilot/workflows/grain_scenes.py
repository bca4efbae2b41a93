"""Polycrystals that the network for grains learns from; those it is judged on are others."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter, maximum
from scipy.spatial import cKDTree

from nanopilot.models.recipes.grains import meeting
from nanopilot.models.tip_imaging import dilate
from nanopilot.twins.spm.samples import family
from nanopilot.twins.spm.tip import Apex, Tip
from nanopilot.workflows.tip_scans import log_uniform
from nanopilot.workflows.tip_surfaces import fractal

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]
#: Heights of grains in any unit from their labels and the diameter meant, in pixels.
Relief = Callable[[np.random.Generator, IntArray, float], FloatArray]

#: Rows and columns of a scene, and pixels that the tip feels beyond its edge.
PIXELS, MARGIN = 128, 20


@dataclass(frozen=True, slots=True, eq=False)
class KnownGrains:
    """A scan and its grains.

    Parameters
    ----------
    image : numpy.ndarray
        Heights as scanned, shape (PIXELS, PIXELS), in units of the pixel.
    labels : numpy.ndarray
        Grain of every pixel, 0 for substrate; `MARGIN` wider on every side.
    """

    image: FloatArray
    labels: IntArray


def cells(rng: np.random.Generator, side: int, diameter: float) -> IntArray:
    """Return Laguerre cells, in a third of cases stretched, shape (side, side), from 1.

    Nearest in one dimension more: the power |p - c|² - w is a squared distance to a seed that is
    lifted by sqrt(max w - w) out of the plane (Aurenhammer, SIAM J. Comput. 16 (1987) 78).
    """
    stretch = rng.uniform(1.3, 3.0) if rng.uniform() < 0.35 else 1.0
    angle = rng.uniform(0, math.pi)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    metric = np.diag([stretch**-0.5, stretch**0.5]) @ turn
    seen = (np.indices((side, side)).reshape(2, -1).T - (side - 1) / 2) @ metric.T
    low, high = seen.min(axis=0) - 2 * diameter, seen.max(axis=0) + 2 * diameter
    count = round(float(np.prod(high - low)) / (math.pi / 4 * diameter**2))
    # Anything between seeds dropped at random and seeds that keep away from one another.
    seeds = _apart(rng.uniform(low, high, (5 * count, 2)), rng.uniform(0.1, 0.75) * diameter)
    seeds = seeds[:count]
    weights = (diameter * rng.uniform(0.0, 0.45) * np.clip(rng.normal(size=len(seeds)), -2, 2)) ** 2
    lifted = np.column_stack([seeds, np.sqrt(weights.max() - weights)])
    _, owner = cKDTree(lifted).query(np.column_stack([seen, np.zeros(len(seen))]))
    return _dense(np.asarray(owner).reshape(side, side)) + 1


def _apart(tries: FloatArray, least: float) -> FloatArray:
    kept = np.ones(len(tries), dtype=bool)
    for first, second in cKDTree(tries).query_pairs(least, output_type="ndarray"):
        if kept[first] and kept[second]:
            kept[max(first, second)] = False
    return tries[kept]


def _dense(owner: IntArray) -> IntArray:
    return np.unique(owner, return_inverse=True)[1].reshape(owner.shape).astype(np.int64)


def _depth(labels: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return the distance to the boundary, and the largest such distance in the grain."""
    depth = np.asarray(distance_transform_edt(~meeting(labels)))
    deepest = np.asarray(maximum(depth, labels, np.arange(int(labels.max()) + 1)))
    return depth, np.maximum(deepest, 1.0)[labels]


def domes(rng: np.random.Generator, labels: IntArray, diameter: float) -> FloatArray:
    """Rise from the boundary to the middle, round or pointed, larger grains higher or not."""
    depth, deepest = _depth(labels)
    height = deepest ** rng.uniform(0.0, 1.5)
    rise = 1 - (1 - depth / deepest) ** rng.uniform(1.0, 3.5)
    return np.asarray(height * rise) / diameter


def plates(rng: np.random.Generator, labels: IntArray, diameter: float) -> FloatArray:
    """Flat grains with grooves of one width round them, each at a height and a tilt of its own."""
    depth, _ = _depth(labels)
    width = rng.uniform(0.06, 0.25) * diameter
    return -np.exp(-((depth / width) ** rng.uniform(1.0, 2.0)))


def caps(rng: np.random.Generator, labels: IntArray, diameter: float) -> FloatArray:
    """Paraboloids about the middle of each grain."""
    count = int(labels.max()) + 1
    row, column = np.indices(labels.shape).astype(float)
    away = np.zeros(labels.shape)
    size = np.maximum(np.bincount(labels.ravel(), minlength=count), 1)
    for one in (row, column):
        middle = np.bincount(labels.ravel(), one.ravel(), count) / size
        away += (one - middle[labels]) ** 2
    bend = rng.uniform(0.5, 1.5)
    return np.asarray(-((away / (diameter / 2) ** 2) ** bend))


def facets(rng: np.random.Generator, labels: IntArray, diameter: float) -> FloatArray:
    """Pyramids: the steepest of a few planes, turned at random from grain to grain."""
    count, sides = int(labels.max()) + 1, int(rng.integers(3, 7))
    row, column = np.indices(labels.shape).astype(float)
    size = np.maximum(np.bincount(labels.ravel(), minlength=count), 1)
    y, x = (
        one - (np.bincount(labels.ravel(), one.ravel(), count) / size)[labels]
        for one in (row, column)
    )
    start = rng.uniform(0, 2 * math.pi, count)[labels]
    planes = [
        x * np.cos(start + 2 * math.pi * k / sides) + y * np.sin(start + 2 * math.pi * k / sides)
        for k in range(sides)
    ]
    return np.asarray(-np.max(planes, axis=0) / diameter)


#: Families; "twin" is the twin's own.
FAMILIES: Mapping[str, Relief | None] = {
    "caps": caps, "domes": domes, "facets": facets, "plates": plates, "twin": None,
}  # fmt: skip


def scan_grains(rng: np.random.Generator, name: str) -> KnownGrains:
    """Draw a polycrystal of a family and scan it with a tip, noise, offsets of lines and tilt.

    Parameters
    ----------
    rng : numpy.random.Generator
        Every draw.
    name : str
        Of `FAMILIES`.
    """
    side = PIXELS + 2 * MARGIN
    diameter = log_uniform(rng, 9.0, 28.0)
    relief = FAMILIES[name]
    if relief is None:
        height, labels = _twin(rng, side, diameter)
    else:
        labels = cells(rng, side, diameter)
        height = relief(rng, labels, diameter)
        height = _varied(rng, height / max(float(height.std()), 1e-12), labels, diameter)
    height, labels = _islands(rng, height, labels)
    height = gaussian_filter(height, rng.uniform(0.0, 1.0))
    height += log_uniform(rng, 0.01, 0.15) * float(height.std()) * fractal(rng, side)
    height *= diameter * log_uniform(rng, 0.005, 0.1) / height.std()
    inner = slice(MARGIN, -MARGIN)
    image = np.asarray(dilate(height, _tip(rng, height, diameter)), float)[inner, inner]
    return KnownGrains(_noisy(rng, image), labels)


def _twin(rng: np.random.Generator, side: int, diameter: float) -> tuple[FloatArray, IntArray]:
    sample = family("grains")(
        rng, size_m=(side - 1) * 1e-9, pixels=side, diameter=diameter * 1e-9,
        spread=rng.uniform(0.1, 0.5), dome=diameter * 1e-10,
    )  # fmt: skip
    height = sample.height / sample.height.std()
    return height, _dense(sample.layers["grain"].astype(np.int64)) + 1


def _varied(
    rng: np.random.Generator, height: FloatArray, labels: IntArray, diameter: float
) -> FloatArray:
    """Give grains different heights, and tilts of their own."""
    count = int(labels.max()) + 1
    if rng.uniform() < 0.5:
        height = height * np.exp(rng.uniform(0, 0.5) * rng.normal(size=count))[labels]
    if rng.uniform() < 0.5:
        height = height + rng.uniform(0, 1.3) * rng.normal(size=count)[labels]
    if rng.uniform() < 0.3:
        row, column = np.indices(labels.shape) / diameter
        slopes = rng.uniform(0, 0.7) * rng.normal(size=(2, count))
        size = np.maximum(np.bincount(labels.ravel(), minlength=count), 1)
        for one, slope in zip((row, column), slopes, strict=True):
            middle = np.bincount(labels.ravel(), one.ravel(), count) / size
            height = height + slope[labels] * (one - middle[labels])
    return np.asarray(height)


def _islands(
    rng: np.random.Generator, height: FloatArray, labels: IntArray
) -> tuple[FloatArray, IntArray]:
    """Leave out some grains in a quarter of the scenes; flat substrate is seen there."""
    if rng.uniform() > 0.25:
        return height, labels
    names = np.unique(labels)
    gone = rng.permutation(names)[: round(rng.uniform(0.1, 0.6) * len(names))]
    left = np.where(np.isin(labels, gone), 0, labels)
    floor = np.quantile(height, 0.02) - rng.uniform(0.2, 2.0) * height.std()
    return np.where(left > 0, height, floor), left


def _tip(rng: np.random.Generator, height: FloatArray, diameter: float) -> FloatArray:
    depth = 2 * float(height.std())
    width = log_uniform(rng, 0.01, 0.25) * diameter
    apex = Apex(
        radius=min(max(width**2 / (2 * depth) * 1e-9, 1e-12), 1e-5),
        half_angle=math.radians(rng.uniform(8, 25)),
        aspect=log_uniform(rng, 0.6, 1.7),
        rotation=rng.uniform(0, math.pi),
    )
    shape = Tip(apexes=(apex,)).raster(1e-9, float(np.ptp(height)) * 1e-9, 2 * MARGIN - 3)
    return np.asarray(shape * 1e9)


def _noisy(rng: np.random.Generator, image: FloatArray) -> FloatArray:
    size, (rows, _) = float(image.std()), image.shape
    strength = 10 ** (-rng.uniform(8.0, 34.0) / 20)
    noise: Any = strength * rng.standard_normal(image.shape)
    if rng.uniform() < 0.2:
        noise = gaussian_filter(noise, rng.uniform(0.3, 0.7))
    lines = rng.uniform(0.0, 0.4) * rng.standard_normal((rows, 1))
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in image.shape), indexing="ij")
    tilt, bow = rng.uniform(-6, 6, 2), rng.uniform(-2, 2, 3)
    ground: FloatArray = tilt[0] * x + tilt[1] * y + bow[0] * x**2 + bow[1] * x * y + bow[2] * y**2
    return np.asarray(image + size * (noise + lines + ground))
