"""Particles and droplets: parts of spheres on a nearly flat substrate."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numba
import numpy as np
from pydantic import Field

from nanopilot.core.errors import OutOfRange
from nanopilot.core.units import Angle, Length
from nanopilot.twins.spm.sample import Sample
from nanopilot.twins.spm.samples.layers import (
    CONDUCTIVITY,
    ordinary,
    sample_of,
    smooth_field,
)
from nanopilot.twins.spm.samples.recipe import FloatArray, Grid, IntArray, Recipe

#: How often a place is tried for one particle before the field counts as full.
_TRIES = 2000


class Particles(Recipe):
    """Spheres that lie on a substrate without touching one another.

    Parameters
    ----------
    count : int
        How many.
    radius : float
        Mean radius of curvature in metres.
    spread : float
        Standard deviation of the radii over their mean; they are log-normal.
    contact_angle : float
        Between substrate and surface, measured inside, in radians: pi for a whole sphere, less
        for a cap. What overhangs is not seen from above.
    roughness : float
        Standard deviation of the substrate's height in metres.
    """

    SIZE: ClassVar[float] = 1e-6
    NAME: ClassVar[str] = "particles"

    count: int = Field(default=60, ge=0, le=20_000)
    radius: Length = Field(default=15e-9, gt=0)
    spread: float = Field(default=0.15, ge=0, le=0.8)
    contact_angle: Angle = Field(default=math.pi, gt=0.02, le=math.pi)
    roughness: Length = Field(default=0.15e-9, ge=0, le=1e-7)

    def make(self, rng: np.random.Generator, grid: Grid) -> Sample:
        """Return the surface, its particles wholly inside."""
        grid.check("radius", self.radius, fewest=1.5, share=0.2)
        sizes, where, ground, plain = rng.spawn(4)
        sigma = math.sqrt(math.log1p(self.spread**2))
        draws = np.exp(sigma * sizes.standard_normal(self.count) - sigma**2 / 2)
        radii = np.sort(self.radius * draws)[::-1]
        # Seen from above: the whole sphere, or the foot of a cap.
        seen = radii * (math.sin(self.contact_angle) if self.contact_angle < math.pi / 2 else 1.0)
        places = _places(where, seen, grid)
        height = self.roughness * smooth_field(ground, grid, grid.size / 50)
        label = np.zeros(grid.shape, dtype=np.int64)
        raised = -radii * math.cos(self.contact_angle)
        sizes_in_pixels = np.stack([radii, raised, seen]) / grid.pitch
        _stamp(height, label, grid.pixels(places), sizes_in_pixels, grid.pitch)
        layers = self._function(plain, grid, label)
        facts = {
            "count": self.count,
            "contact_angle": self.contact_angle,
            "x": places[:, 0].tolist(),
            "y": places[:, 1].tolist(),
            "radii": radii.tolist(),
            "seen_radii": seen.tolist(),
            "heights": (radii + raised).tolist(),
        }
        return sample_of(self.NAME, grid, height, layers, facts)

    def _function(
        self, rng: np.random.Generator, grid: Grid, label: IntArray
    ) -> dict[str, FloatArray]:
        on = label > 0
        layers: dict[str, Any] = ordinary(rng, grid)
        layers["stiffness"] *= np.where(on, 0.6, 1.0)
        layers["adhesion"] *= np.where(on, 1.5, 1.0)
        layers["potential"] = layers["potential"] + np.where(on, 0.1, 0.0)
        layers["conductivity"] = CONDUCTIVITY * np.where(on, 0.01, 1.0)
        layers["particle"] = label
        return layers


class Droplets(Particles):
    """Caps of a liquid: wide, low, and soft; see `Particles` for the settings."""

    SIZE: ClassVar[float] = 4e-6
    NAME: ClassVar[str] = "droplets"

    count: int = Field(default=40, ge=0, le=20_000)
    radius: Length = Field(default=250e-9, gt=0)
    spread: float = Field(default=0.4, ge=0, le=0.8)
    contact_angle: Angle = Field(default=math.radians(35), gt=0.02, le=math.pi)


def _places(rng: np.random.Generator, seen: FloatArray, grid: Grid) -> FloatArray:
    """Return places (x, y) in metres, shape (n, 2), where discs of these radii do not touch.

    Random sequential addition, largest first (Feder, J. Theor. Biol. 87, 237 (1980)).
    """
    places = np.empty((seen.size, 2))
    halves = np.array(grid.extent) / 2
    for n, radius in enumerate(seen):
        room = halves - radius - grid.pitch
        tries = rng.uniform(-1, 1, (_TRIES, 2)) * room
        for at in tries:
            apart = np.hypot(*(places[:n] - at).T)
            if (room > 0).all() and (apart > seen[:n] + radius + grid.pitch).all():
                places[n] = at
                break
        else:
            raise OutOfRange(
                f"`count` is {seen.size}; only {n} particles find a place on {grid.size:.4g} m. "
                "Take fewer, smaller ones, or a larger `size_m`."
            )
    return places


@numba.njit(cache=True)
def _stamp(
    height: FloatArray, label: IntArray, places: FloatArray, sizes: FloatArray, pitch: float
) -> None:
    """Put spheres on a surface: what is below goes on in them.

    Parameters
    ----------
    height : numpy.ndarray
        Metres; changed in place.
    label : numpy.ndarray
        Number of the particle from 1; changed in place.
    places : numpy.ndarray
        Fractional (row, column) of each, shape (n, 2).
    sizes : numpy.ndarray
        Radius, height of the centre, and radius as seen from above, in pixels, shape (3, n).
    pitch : float
        Metres per pixel.
    """
    rows, columns = height.shape
    for n in range(places.shape[0]):
        row, column = places[n]
        radius, raised, seen = sizes[0, n], sizes[1, n], sizes[2, n]
        reach = int(seen) + 1
        for i in range(max(int(row) - reach, 0), min(int(row) + reach + 2, rows)):
            for j in range(max(int(column) - reach, 0), min(int(column) + reach + 2, columns)):
                square = (i - row) ** 2 + (j - column) ** 2
                if square <= seen**2:
                    height[i, j] += pitch * (raised + np.sqrt(radius**2 - square))
                    label[i, j] = n + 1
