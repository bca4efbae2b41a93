"""Filaments on a flat substrate: their height and way are known."""

from __future__ import annotations

from typing import Any, ClassVar

import numba
import numpy as np
from pydantic import Field

from nanopilot.core.errors import OutOfRange
from nanopilot.core.units import Length
from nanopilot.twins.spm.sample import Sample
from nanopilot.twins.spm.samples.layers import CONDUCTIVITY, ordinary, sample_of, smooth_field
from nanopilot.twins.spm.samples.recipe import FloatArray, Grid, IntArray, Recipe

#: More points than these make facts that nobody wants to carry about.
_MOST = 200_000


class Filaments(Recipe):
    """Round, worm-like filaments; where two cross, the higher surface is seen.

    The direction of a filament diffuses along its way: the cosine of the angle between two
    places s apart is exp(-s / 2P) on average (a worm-like chain in two dimensions; Rivetti,
    Guthold and Bustamante, J. Mol. Biol. 264, 919 (1996), eq. 3).

    Parameters
    ----------
    count : int
        How many begin in the field.
    diameter : float
        Metres, and so the height.
    length : float
        Along the way, in metres.
    persistence_length : float
        P in metres.
    roughness : float
        Standard deviation of the substrate's height in metres.
    """

    SIZE: ClassVar[float] = 1e-6

    count: int = Field(default=16, ge=0, le=5000)
    diameter: Length = Field(default=10e-9, gt=0)
    length: Length = Field(default=600e-9, gt=0)
    persistence_length: Length = Field(default=250e-9, gt=0)
    roughness: Length = Field(default=0.15e-9, ge=0, le=1e-7)

    def make(self, rng: np.random.Generator, grid: Grid) -> Sample:
        """Return the surface; filaments may leave the field."""
        grid.check("diameter", self.diameter, fewest=2, share=0.1)
        grid.check("length", self.length, share=20)
        bend, ground, plain = rng.spawn(3)
        ways = self._ways(bend, grid)
        height = np.zeros(grid.shape)
        label = np.zeros(grid.shape, dtype=np.int64)
        radius = self.diameter / 2 / grid.pitch
        for number, way in enumerate(ways):
            _draw(height, label, grid.pixels(way), radius, number + 1)
        height *= grid.pitch
        height += self.roughness * smooth_field(ground, grid, grid.size / 50)
        on = label > 0
        layers: dict[str, Any] = ordinary(plain, grid)
        layers["stiffness"] *= np.where(on, 0.3, 1.0)
        layers["adhesion"] *= np.where(on, 0.7, 1.0)
        layers["conductivity"] = CONDUCTIVITY * np.where(on, 10.0, 0.01)
        layers["filament"] = label
        facts = {
            "count": self.count,
            "diameter": self.diameter,
            "length": self.length,
            "persistence_length": self.persistence_length,
            "ways": [way.tolist() for way in ways],
        }
        return sample_of("filaments", grid, height, layers, facts)

    def _ways(self, rng: np.random.Generator, grid: Grid) -> list[FloatArray]:
        """Return polylines (x, y) in metres, each of shape (points, 2)."""
        step = max(grid.pitch, self.diameter / 4)
        points = max(2, round(self.length / step) + 1)
        if points * self.count > _MOST:
            raise OutOfRange(
                f"`length` is {self.length:.4g} m: {points * self.count} points on "
                f"{self.count} filaments, at most {_MOST}; take fewer or shorter ones."
            )
        step = self.length / (points - 1)
        ways = []
        for _ in range(self.count):
            turns = np.sqrt(step / self.persistence_length) * rng.standard_normal(points - 1)
            angle = rng.uniform(0, 2 * np.pi) + np.cumsum(turns)
            steps = step * np.stack([np.cos(angle), np.sin(angle)], axis=1)
            start = rng.uniform(-0.5, 0.5, 2) * grid.extent
            ways.append(start + np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)]))
        return ways


@numba.njit(cache=True)
def _draw(height: FloatArray, label: IntArray, way: FloatArray, radius: float, number: int) -> None:
    """Lay one filament on a surface; everything in pixels, height above the substrate.

    Parameters
    ----------
    height, label : numpy.ndarray
        Changed in place.
    way : numpy.ndarray
        Fractional (row, column), shape (points, 2).
    radius : float
        Of the filament.
    number : int
        Its label.
    """
    rows, columns = height.shape
    for n in range(way.shape[0] - 1):
        dy, dx = way[n + 1, 0] - way[n, 0], way[n + 1, 1] - way[n, 1]
        square = dy * dy + dx * dx
        top = max(int(np.floor(min(way[n, 0], way[n + 1, 0]) - radius)), 0)
        bottom = min(int(np.ceil(max(way[n, 0], way[n + 1, 0]) + radius)) + 1, rows)
        left = max(int(np.floor(min(way[n, 1], way[n + 1, 1]) - radius)), 0)
        right = min(int(np.ceil(max(way[n, 1], way[n + 1, 1]) + radius)) + 1, columns)
        for i in range(top, bottom):
            for j in range(left, right):
                along = ((i - way[n, 0]) * dy + (j - way[n, 1]) * dx) / square
                along = min(max(along, 0.0), 1.0)
                off = (i - way[n, 0] - along * dy) ** 2 + (j - way[n, 1] - along * dx) ** 2
                if off < radius * radius:
                    z = radius + np.sqrt(radius * radius - off)
                    if z > height[i, j]:
                        height[i, j] = z
                        label[i, j] = number
