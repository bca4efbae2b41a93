"""Solids of which the thickness along the beam is known at every place, without a grid."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np

from nanopilot.core.errors import UnknownName
from nanopilot.twins.stem.samples.recipe import FloatArray

#: Half the length of a rod's straight part over its radius, and of a dumbbell the distance of
#: its balls' middles from its own.
_ROD, _DUMBBELL = 2.0, 0.8
#: Truncation of the octahedron: distance of {100} over that of {111}, as Wulff has it for gold.
_TRUNCATED = 1.15


class Solid(Protocol):
    """A body round (0, 0, 0)."""

    @property
    def reach(self) -> float:
        """Metres from the middle to its farthest point, or a little more."""

    @property
    def volume(self) -> float:
        """Cubic metres."""

    def chord(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return metres along z inside it at places in metres, shape (n,)."""

    def scaled(self, factor: float) -> Solid:
        """Return it so much larger."""


def _half(x: FloatArray, y: FloatArray, radius: float) -> FloatArray:
    """Return half the chord of a ball, 0 outside."""
    found: FloatArray = np.sqrt(np.maximum(radius**2 - x**2 - y**2, 0.0))
    return found


@dataclass(frozen=True, slots=True)
class Ball:
    """A sphere.

    Parameters
    ----------
    radius : float
        Metres.
    """

    radius: float

    @property
    def reach(self) -> float:
        """Metres from the middle to its farthest point."""
        return self.radius

    @property
    def volume(self) -> float:
        """Cubic metres."""
        return 4 / 3 * math.pi * self.radius**3

    def chord(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return metres along z inside it, shape (n,)."""
        return 2 * _half(x, y, self.radius)

    def scaled(self, factor: float) -> Ball:
        """Return it so much larger."""
        return Ball(factor * self.radius)


@dataclass(frozen=True, slots=True)
class Rod:
    """A cylinder in the plane with half balls at its ends.

    Parameters
    ----------
    radius, half : float
        Metres; `half` from the middle to where an end begins.
    angle : float
        Of its axis from x, in radians.
    """

    radius: float
    half: float
    angle: float

    @property
    def reach(self) -> float:
        """Metres from the middle to its farthest point."""
        return self.radius + self.half

    @property
    def volume(self) -> float:
        """Cubic metres."""
        return math.pi * self.radius**2 * (2 * self.half + 4 / 3 * self.radius)

    def chord(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return metres along z inside it, shape (n,)."""
        along = x * math.cos(self.angle) + y * math.sin(self.angle)
        across = y * math.cos(self.angle) - x * math.sin(self.angle)
        beyond = np.maximum(np.abs(along) - self.half, 0.0)
        return 2 * _half(beyond, across, self.radius)

    def scaled(self, factor: float) -> Rod:
        """Return it so much larger."""
        return Rod(factor * self.radius, factor * self.half, self.angle)


@dataclass(frozen=True, slots=True)
class Dumbbell:
    """Two equal balls in the plane that touch or overlap.

    Parameters
    ----------
    radius, half : float
        Metres; `half` from the middle to the middle of a ball.
    angle : float
        Of its axis from x, in radians.
    """

    radius: float
    half: float
    angle: float

    @property
    def reach(self) -> float:
        """Metres from the middle to its farthest point."""
        return self.radius + self.half

    @property
    def volume(self) -> float:
        """Cubic metres: two balls without the lens that they share."""
        cap = max(self.radius - self.half, 0.0)
        lens = 2 * math.pi * cap**2 * (3 * self.radius - cap) / 3
        return 8 / 3 * math.pi * self.radius**3 - lens

    def chord(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return metres along z inside it, shape (n,): both balls have their middles at z = 0."""
        along = x * math.cos(self.angle) + y * math.sin(self.angle)
        across = y * math.cos(self.angle) - x * math.sin(self.angle)
        return 2 * _half(np.abs(along) - self.half, across, self.radius)

    def scaled(self, factor: float) -> Dumbbell:
        """Return it so much larger."""
        return Dumbbell(factor * self.radius, factor * self.half, self.angle)


@dataclass(frozen=True, slots=True, eq=False)
class Polyhedron:
    """A convex polyhedron: where ``normals . p <= distances``.

    Parameters
    ----------
    normals : numpy.ndarray
        Unit vectors out of its faces, shape (faces, 3).
    distances : numpy.ndarray
        Of the faces from (0, 0, 0) in metres, shape (faces,).
    reach, volume : float
        Metres from the middle to its farthest corner; cubic metres.
    """

    normals: FloatArray
    distances: FloatArray
    reach: float
    volume: float

    def chord(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return metres along z inside it, shape (n,).

        Every face bounds z from above, from below, or, upright, says whether there is any.
        """
        low, high = np.full(x.shape, -np.inf), np.full(x.shape, np.inf)
        for (nx, ny, nz), distance in zip(self.normals, self.distances, strict=True):
            rest = distance - nx * x - ny * y
            if nz > 1e-9:
                np.minimum(high, rest / nz, out=high)
            elif nz < -1e-9:
                np.maximum(low, rest / nz, out=low)
            else:
                high = np.where(rest < 0, -np.inf, high)
        found: FloatArray = np.maximum(high - low, 0.0)
        return found

    def scaled(self, factor: float) -> Polyhedron:
        """Return it so much larger."""
        return Polyhedron(
            self.normals, factor * self.distances, factor * self.reach, factor**3 * self.volume
        )

    def turned(self, matrix: FloatArray) -> Polyhedron:
        """Return it turned by a rotation matrix, shape (3, 3)."""
        return Polyhedron(self.normals @ matrix.T, self.distances, self.reach, self.volume)


def polyhedron(normals: FloatArray, distances: FloatArray) -> Polyhedron:
    """Return a convex polyhedron round (0, 0, 0) from its faces.

    Parameters
    ----------
    normals : numpy.ndarray
        Any length, shape (faces, 3).
    distances : numpy.ndarray
        Of the faces from the middle in metres, shape (faces,).
    """
    from scipy.spatial import ConvexHull, HalfspaceIntersection

    unit = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    faces = np.column_stack([unit, -distances])
    corners = HalfspaceIntersection(faces, np.zeros(3)).intersections
    reach = float(np.linalg.norm(corners, axis=1).max())
    return Polyhedron(unit, distances.astype(float), reach, float(ConvexHull(corners).volume))


def _cube() -> tuple[FloatArray, FloatArray]:
    normals = np.concatenate([np.eye(3), -np.eye(3)])
    return normals, np.ones(6)


def _octahedron() -> tuple[FloatArray, FloatArray]:
    normals = np.array([[i, j, k] for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)], dtype=float)
    return normals, np.ones(8)


def _truncated() -> tuple[FloatArray, FloatArray]:
    (cube, _), (octahedron, _) = _cube(), _octahedron()
    return np.concatenate([octahedron, cube]), np.array([1.0] * 8 + [_TRUNCATED] * 6)


def _decahedron() -> tuple[FloatArray, FloatArray]:
    """Return two pentagonal pyramids, base to base, all faces equilateral (Johnson solid 13)."""
    apothem = 0.5 / math.tan(math.pi / 5)
    height = math.sqrt(1 - (0.5 / math.sin(math.pi / 5)) ** 2)
    around = 2 * math.pi * np.arange(5) / 5
    ring = [height * np.cos(around), height * np.sin(around)]
    sides = [np.column_stack([*ring, np.full(5, sign * apothem)]) for sign in (1, -1)]
    return np.concatenate(sides), np.ones(10)


def _icosahedron() -> tuple[FloatArray, FloatArray]:
    """Return the faces: they point to the corners of a dodecahedron."""
    golden = (1 + math.sqrt(5)) / 2
    corners: list[list[float]] = [[i, j, k] for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)]
    for i in (-1, 1):
        for j in (-1, 1):
            a, b = i / golden, j * golden
            corners += [[0, a, b], [a, b, 0], [b, 0, a]]
    return np.array(corners, dtype=float), np.ones(20)


_FACES: Mapping[str, tuple[FloatArray, FloatArray]] = {
    "cube": _cube(),
    "octahedron": _octahedron(),
    "truncated": _truncated(),
    "decahedron": _decahedron(),
    "icosahedron": _icosahedron(),
}
#: Shapes by name.
SHAPES = ("sphere", "rod", "dumbbell", *_FACES)


@cache
def _unit(shape: str) -> Polyhedron:
    return polyhedron(*_FACES[shape])


def solid(shape: str, size: float, turn: FloatArray) -> Solid:
    """Return a solid of a shape.

    Parameters
    ----------
    shape : str
        One of `SHAPES`.
    size : float
        Diameter in metres of the ball that has its volume.
    turn : numpy.ndarray
        Rotation matrix, shape (3, 3); of rods and dumbbells, which lie on the support, only
        the angle in the plane counts.

    Raises
    ------
    UnknownName
        There is no such shape.
    """
    if shape not in SHAPES:
        raise UnknownName("shape", shape, SHAPES)
    angle = math.atan2(turn[1, 0], turn[0, 0])
    plain: Solid
    if shape in _FACES:
        plain = _unit(shape).turned(turn)
    elif shape == "sphere":
        plain = Ball(1.0)
    else:
        plain = Rod(1.0, _ROD, angle) if shape == "rod" else Dumbbell(1.0, _DUMBBELL, angle)
    return plain.scaled(size / (6 * plain.volume / math.pi) ** (1 / 3))
