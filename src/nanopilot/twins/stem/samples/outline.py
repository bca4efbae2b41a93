"""Where a sample ends and what lies on it: edges, wedges, bends, patches of contamination."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field

from nanopilot.core.units import Angle, Length
from nanopilot.twins.stem.samples.noise import Meander, Smooth, meander, smooth
from nanopilot.twins.stem.samples.recipe import BoolArray, FloatArray, Recipe

#: Correlation length of a ragged edge in metres.
_LENGTH = 0.8e-9


@dataclass(frozen=True, slots=True, eq=False)
class Edge:
    """A line beyond which there is vacuum.

    Parameters
    ----------
    normal : float
        Angle from x of the direction into the vacuum, in radians.
    distance : float
        Metres from (0, 0) along the normal; infinite: no edge.
    course : Meander
        How it deviates from straight.
    """

    normal: float
    distance: float
    course: Meander

    def inside(self, x: FloatArray, y: FloatArray) -> BoolArray:
        """Tell for places in metres whether the sample is there, shape as x."""
        if math.isinf(self.distance):
            return np.ones(np.shape(x), dtype=bool)
        out = x * math.cos(self.normal) + y * math.sin(self.normal)
        along = y * math.cos(self.normal) - x * math.sin(self.normal)
        there: BoolArray = np.asarray(out < self.distance + self.course(along))
        return there


@dataclass(frozen=True, slots=True, eq=False)
class Patches:
    """Contamination: flat domes with an uneven surface.

    Parameters
    ----------
    places : numpy.ndarray
        Middle (x, y) of each in metres, shape (n, 2).
    radii : numpy.ndarray
        Metres, shape (n,).
    height : float
        Metres in the middle.
    uneven : Smooth
        Noise that makes it thicker and thinner by a third.
    """

    places: FloatArray
    radii: FloatArray
    height: float
    uneven: Smooth

    def __call__(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return the thickness in metres at places in metres, shape as x."""
        dome = np.zeros(np.shape(x))
        for (px, py), radius in zip(self.places, self.radii, strict=True):
            away = ((x - px) ** 2 + (y - py) ** 2) / radius**2
            dome = np.maximum(dome, np.sqrt(np.clip(1 - away, 0, 1)))
        if not dome.any():
            return dome
        found: FloatArray = self.height * dome * np.clip(1 + self.uneven(x, y) / 3, 0.1, 2)
        return found

    def facts(self) -> list[dict[str, float]]:
        """Return place and radius of each, in metres."""
        return [
            {"x": float(x), "y": float(y), "radius": float(radius)}
            for (x, y), radius in zip(self.places, self.radii, strict=True)
        ]


@dataclass(frozen=True, slots=True, eq=False)
class Bow:
    """The height of a foil that is bent to a parabola across x.

    Parameters
    ----------
    sag : float
        Metres by which its ends lie downstream of its middle.
    size : float
        Edge of the area in metres.
    """

    sag: float
    size: float

    def __call__(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return metres along z at places in metres, shape as x."""
        del y
        found: FloatArray = self.sag * (2 * np.asarray(x, dtype=float) / self.size) ** 2
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Wedge:
    """A thickness that changes along x, never below nothing.

    Parameters
    ----------
    middle : float
        Metres at x = 0.
    slope : float
        Metres per metre.
    """

    middle: float
    slope: float

    def __call__(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return metres of thickness at places in metres, shape as x."""
        del y
        found: FloatArray = np.maximum(self.middle + self.slope * np.asarray(x, dtype=float), 0.0)
        return found

    def most(self, size: float) -> float:
        """Return the greatest thickness on an area of this edge, both in metres."""
        return self.middle + abs(self.slope) * size / 2


class Foil(Recipe):
    """What all crystalline families have: how they lie, end, bend and are contaminated.

    Parameters
    ----------
    rotation : float
        Of the crystal from x, counter-clockwise, in radians.
    vacuum : float
        Part of the width that is vacuum beyond an edge, at most 0.9; 0: no edge.
    ragged : float
        Standard deviation of the edge from straight, in metres.
    bend : float
        How far the ends along x lie downstream of the middle, in metres: a bent foil.
    contamination : int
        Patches of it.
    contamination_size, contamination_thickness : float
        Radius of a patch, and its thickness in the middle, in metres.
    """

    rotation: Angle = 0.1
    vacuum: float = Field(default=0.0, ge=0, le=0.9)
    ragged: Length = Field(default=0.4e-9, ge=0, le=1e-8)
    bend: Length = Field(default=0.0, ge=-1e-7, le=1e-7)
    contamination: int = Field(default=0, ge=0, le=200)
    contamination_size: Length = Field(default=3e-9, gt=0, le=1e-7)
    contamination_thickness: Length = Field(default=2e-9, gt=0, le=1e-7)

    def ending(
        self, rng: np.random.Generator, size: float, *, normal: float = 0.0, ragged: bool = True
    ) -> Edge:
        """Return the edge of a sample of this size (m), the vacuum in the direction `normal`."""
        amplitude = self.ragged if ragged else 0.0
        course = meander(rng, amplitude, _LENGTH)
        return Edge(normal, size * (0.5 - self.vacuum) if self.vacuum else math.inf, course)

    def patches(self, rng: np.random.Generator, size: float) -> Patches:
        """Return the contamination of a sample of this size (m)."""
        places = rng.uniform(-size / 2, size / 2, (self.contamination, 2))
        radii = self.contamination_size * rng.uniform(0.6, 1.4, self.contamination)
        uneven = smooth(rng, self.contamination_size / 3)
        return Patches(places, radii, self.contamination_thickness, uneven)

    def foil_facts(self, edge: Edge, patches: Patches) -> dict[str, Any]:
        """Return what is true of edge, bend and contamination, as JSON."""
        at = None if math.isinf(edge.distance) else edge.distance
        return {
            "rotation": self.rotation,
            "edge": {"normal": edge.normal, "distance": at, "ragged": edge.course.amplitude},
            "bend": self.bend,
            "contamination": patches.facts(),
        }
