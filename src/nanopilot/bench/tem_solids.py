"""Solids that lie on a support: their outlines, areas and thicknesses along the beam."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial import ConvexHull

from nanopilot.core.history import FloatArray

#: Distance of points (x, y) to an outline, negative inside; metres.
Distance = Callable[[FloatArray, FloatArray], FloatArray]


@dataclass(frozen=True, slots=True, eq=False)
class Solid:
    """One particle about its own middle; metres.

    Parameters
    ----------
    kind : str
        Its class.
    distance : callable
        To its outline, negative inside, of points x and y.
    thickness : callable
        Along the beam, at points x and y inside.
    area : float
        Of its projection, exact.
    reach : float
        Largest distance of the outline from the middle.
    """

    kind: str
    distance: Distance
    thickness: Distance
    area: float
    reach: float


def draw_solid(kind: str, rng: np.random.Generator, *, flat: bool = False) -> Solid:
    """Draw a solid of a class: 8 to 40 nm long, any direction, tilted, corners rounded.

    Parameters
    ----------
    kind : {"disc", "rod", "triangle", "cube", "hexagon"}
        Its class.
    rng : numpy.random.Generator
        Draws size, direction, tilt and rounding.
    flat : bool
        Discs are plates, and otherwise spheres.
    """
    if kind == "disc":
        radius = 0.5 * rng.uniform(8e-9, 30e-9)
        return plate_disc(radius, rng) if flat else sphere(radius)
    if kind == "rod":
        width = rng.uniform(7e-9, 12e-9)
        aspect = min(rng.uniform(2.0, 4.0), 40e-9 / width)
        return rod(width, width * aspect, rng.uniform(0, np.pi))
    if kind == "cube":
        return cube(rng.uniform(9e-9, 24e-9), rng)
    corners = 3 if kind == "triangle" else 6
    # Circumradius: the side of a triangle is 1.73 of it, the width of a hexagon 2.
    radius = rng.uniform(8e-9, 21e-9) if corners == 3 else rng.uniform(6e-9, 17e-9)
    turn = rng.uniform(0, 2 * np.pi) + 2 * np.pi * np.arange(corners) / corners
    points = radius * np.stack([np.cos(turn), np.sin(turn)], axis=-1)
    points = _tilted(points, rng.uniform(0, np.radians(18)), rng.uniform(0, np.pi))
    height = rng.uniform(6e-9, 15e-9)
    rounding = rng.uniform(0.06, 0.16) * radius
    shape = Rounded(points, rounding)
    return Solid(kind, shape.distance, lambda x, y: height + 0 * x + 0 * y, shape.area, radius)


def sphere(radius: float) -> Solid:
    """Return a sphere, a disc in projection."""
    return Solid(
        "disc",
        lambda x, y: np.hypot(x, y) - radius,
        lambda x, y: 2 * np.sqrt(np.maximum(radius**2 - x**2 - y**2, 0)),
        math.pi * radius**2,
        radius,
    )


def plate_disc(radius: float, rng: np.random.Generator) -> Solid:
    """Return a round plate, tilted by up to 12 degrees."""
    short = math.cos(rng.uniform(0, math.radians(12)))
    turn, height = rng.uniform(0, np.pi), rng.uniform(6e-9, 15e-9)
    along, across = math.cos(turn), math.sin(turn)

    def distance(x: FloatArray, y: FloatArray) -> FloatArray:
        # Zero on the ellipse, which is all that is asked of it.
        u, v = x * along + y * across, (-x * across + y * along) / short
        return np.asarray(np.hypot(u, v) - radius)

    return Solid(
        "disc", distance, lambda x, y: height + 0 * x + 0 * y, math.pi * radius**2 * short, radius
    )


def rod(width: float, length: float, turn: float) -> Solid:
    """Return a round rod with round ends, lying on the support."""
    half = 0.5 * (length - width)
    along, across = math.cos(turn), math.sin(turn)

    def distance(x: FloatArray, y: FloatArray) -> FloatArray:
        u, v = x * along + y * across, -x * across + y * along
        return np.asarray(np.hypot(u - np.clip(u, -half, half), v) - width / 2)

    def thickness(x: FloatArray, y: FloatArray) -> FloatArray:
        inner = np.maximum(-distance(x, y), 0)
        return np.asarray(2 * np.sqrt(np.maximum(inner * (width - inner), 0)))

    area = 2 * half * width + math.pi * width**2 / 4
    return Solid("rod", distance, thickness, area, length / 2)


def cube(side: float, rng: np.random.Generator) -> Solid:
    """Return a cube on one face, tilted by up to 8 degrees; its projection has rounded corners."""
    tilt, about, turn = rng.uniform(0, np.radians(8)), *rng.uniform(0, 2 * np.pi, 2)
    axis = np.array([math.cos(about), math.sin(about), 0.0])
    cross = np.array([[0, 0, axis[1]], [0, 0, -axis[0]], [-axis[1], axis[0], 0]])
    # Rodrigues' formula: first about the beam, then over.
    over = np.eye(3) + math.sin(tilt) * cross + (1 - math.cos(tilt)) * cross @ cross
    flat = np.array(
        [[math.cos(turn), -math.sin(turn), 0], [math.sin(turn), math.cos(turn), 0], [0, 0, 1]]
    )
    frame = over @ flat
    signs = np.array(np.meshgrid(*3 * [[-1, 1]])).reshape(3, -1)
    corners = (frame @ (signs * side / 2)).T[:, :2]
    shape = Rounded(corners[ConvexHull(corners).vertices], rng.uniform(0.06, 0.14) * side)

    def thickness(x: FloatArray, y: FloatArray) -> FloatArray:
        # What a ray along z spends between three pairs of planes.
        near, far = np.full(np.shape(x), -np.inf), np.full(np.shape(x), np.inf)
        for normal in frame.T:
            at, slope = normal[0] * x + normal[1] * y, normal[2] or 1e-12
            ends = np.stack([(-side / 2 - at) / slope, (side / 2 - at) / slope])
            near, far = np.maximum(near, ends.min(axis=0)), np.minimum(far, ends.max(axis=0))
        return np.asarray(np.maximum(far - near, 0.0))

    reach = float(np.hypot(*corners.T).max())
    return Solid("cube", shape.distance, thickness, shape.area, reach)


def _tilted(points: FloatArray, tilt: float, turn: float) -> FloatArray:
    """Return points of a plate that is tilted about an axis in its plane."""
    along = np.array([math.cos(turn), math.sin(turn)])
    across = np.array([-along[1], along[0]])
    found: FloatArray = np.outer(points @ along, along) + math.cos(tilt) * np.outer(
        points @ across, across
    )
    return found


class Rounded:
    """A convex polygon with rounded corners.

    Parameters
    ----------
    points : numpy.ndarray
        Corners in order, shape (n, 2), before they are rounded.
    rounding : float
        Radius of the corners.
    """

    def __init__(self, points: FloatArray, rounding: float) -> None:
        area = 0.5 * np.sum(_cross(points, np.roll(points, -1, axis=0)))
        points = points if area > 0 else points[::-1]
        self.rounding = rounding
        self.points = _inset(points, rounding)
        following = np.roll(self.points, -1, axis=0)
        inner = 0.5 * float(np.sum(_cross(self.points, following)))
        length = float(np.hypot(*(following - self.points).T).sum())
        #: By Steiner's formula: a convex body grown by r has its area plus length r plus pi r².
        self.area = inner + length * rounding + math.pi * rounding**2

    def distance(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return the signed distance of points to the outline, negative inside."""
        nearest = np.full(np.broadcast(x, y).shape, np.inf)
        inside = np.ones(nearest.shape, dtype=bool)
        for start, end in zip(self.points, np.roll(self.points, -1, axis=0), strict=True):
            edge = end - start
            u, v = x - start[0], y - start[1]
            share = np.clip((u * edge[0] + v * edge[1]) / (edge @ edge), 0, 1)
            nearest = np.minimum(nearest, np.hypot(u - share * edge[0], v - share * edge[1]))
            inside &= edge[0] * v - edge[1] * u >= 0
        return np.asarray(np.where(inside, -nearest, nearest) - self.rounding)


def _cross(a: FloatArray, b: FloatArray) -> FloatArray:
    found: FloatArray = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    return found


def _inset(points: FloatArray, by: float) -> FloatArray:
    """Move all edges of a counter-clockwise convex polygon inwards; short ones may vanish."""
    edges = np.roll(points, -1, axis=0) - points
    normals = np.stack([-edges[:, 1], edges[:, 0]], axis=-1) / np.hypot(*edges.T)[:, None]
    left = points
    for normal, start in zip(normals, points, strict=True):
        left = _clipped(left, normal, float(normal @ start) + by)
    return left


def _clipped(points: FloatArray, normal: FloatArray, least: float) -> FloatArray:
    """Keep of a convex polygon where ``normal . point >= least``."""
    above = points @ normal - least
    kept = []
    for number, (point, high) in enumerate(zip(points, above, strict=True)):
        before, low = points[number - 1], above[number - 1]
        if (high >= 0) != (low >= 0):
            kept.append(before + (point - before) * low / (low - high))
        if high >= 0:
            kept.append(point)
    return np.array(kept)
