"""Ferroelectric domain walls: a displacement that turns from one domain to the next."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nanopilot.twins.stem.samples.recipe import FloatArray

#: By the angle between the polarisations: polarisation on either side along the cubic axes, and
#: the normal of the wall's trace in the plane. Each wall is without charge: the polarisation along
#: the normal is the same on both sides (S. K. Streiffer et al., J. Appl. Phys. 83, 2742 (1998)).
WALLS: Mapping[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]] = {
    "180": ((1, 1, 1), (-1, -1, -1), (1, -1, 0)),
    "109": ((1, 1, 1), (1, -1, -1), (1, 0, 0)),
    "71": ((1, 1, 1), (-1, 1, 1), (0, 1, 0)),
}
#: Depths over which the truth of an inclined wall is averaged.
_DEPTHS = 33


@dataclass(frozen=True, slots=True, eq=False)
class Walls:
    """Parallel walls between two domains that alternate.

    The displacement is ``(d1 + d2) / 2 + (d2 - d1) / 2 s`` with ``s = tanh(r / width)`` across
    a wall, r the distance from it: the kink of Landau theory, V. A. Zhirnov, Sov. Phys. JETP 35,
    822 (1959).

    Parameters
    ----------
    first, second : numpy.ndarray
        Displacement in metres in the domains, shape (3,).
    normal : numpy.ndarray
        Unit vector across the walls, shape (3,).
    places : numpy.ndarray
        Distance of each wall from (0, 0, 0) along it in metres, ascending, shape (n,).
    width : float
        Metres.
    """

    first: FloatArray
    second: FloatArray
    normal: FloatArray
    places: FloatArray
    width: float

    def sign(self, position: FloatArray) -> FloatArray:
        """Return s, -1 in the first domain and 1 in the second, at places (n, 3) in metres."""
        along = position @ self.normal
        found = np.full(along.shape, -1.0)
        for place in self.places:
            found = -found * np.tanh((along - place) / self.width)
        return found

    def displacement(self, position: FloatArray) -> FloatArray:
        """Return metres, shape (n, 3), at places of that shape in metres."""
        half = (self.second - self.first) / 2
        found: FloatArray = (self.first + self.second) / 2 + self.sign(position)[..., None] * half
        return found

    def mean(self, x: FloatArray, y: FloatArray, thickness: FloatArray) -> FloatArray:
        """Return the displacement averaged along the beam, metres, one row of three to a place.

        Parameters
        ----------
        x, y, thickness : numpy.ndarray
            Metres, one shape.
        """
        x, y, thickness = np.broadcast_arrays(x, y, thickness)
        depths = np.array([0.0])
        if self.normal[2]:
            depths = (np.arange(_DEPTHS) + 0.5) / _DEPTHS - 0.5
        total = np.zeros((*x.shape, 3))
        for depth in depths:
            total += self.displacement(np.stack([x, y, depth * thickness], axis=-1))
        return total / len(depths)


@dataclass(frozen=True, slots=True)
class WallKind:
    """What walls there are.

    Parameters
    ----------
    angle : str
        Key of `WALLS`.
    count : int
        How many.
    width : float
        Metres.
    inclination : float
        Between wall and beam in radians.
    """

    angle: str
    count: int
    width: float
    inclination: float


def walls(kind: WallKind, displacement: float, rotation: float, size: float) -> Walls:
    """Return walls at equal distances across an area.

    Parameters
    ----------
    kind : WallKind
        Which.
    displacement : float
        Metres along the body diagonal.
    rotation : float
        Of the crystal from x, in radians.
    size : float
        Edge of the area in metres.
    """
    cos, sin = math.cos(rotation), math.sin(rotation)
    turn = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    one, other, trace = (np.array(vector, dtype=float) for vector in WALLS[kind.angle])
    normal = math.cos(kind.inclination) * trace / np.linalg.norm(trace)
    normal[2] += math.sin(kind.inclination)
    places = size * ((np.arange(kind.count) + 0.5) / max(kind.count, 1) - 0.5)
    diagonal = displacement / math.sqrt(3)
    return Walls(
        diagonal * (turn @ one), diagonal * (turn @ other), turn @ normal,
        places * math.cos(kind.inclination), kind.width,
    )  # fmt: skip
