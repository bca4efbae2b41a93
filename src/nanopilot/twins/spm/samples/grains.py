"""A polycrystal of domed grains whose sizes are known."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from pydantic import Field
from scipy.ndimage import distance_transform_edt, gaussian_filter, maximum

from nanopilot.core.errors import OutOfRange
from nanopilot.core.units import Bias, Length
from nanopilot.twins.spm.sample import Sample
from nanopilot.twins.spm.samples.laguerre import cells_of_sizes, power_cells
from nanopilot.twins.spm.samples.layers import (
    ADHESION,
    CONDUCTIVITY,
    STIFFNESS,
    borders,
    sample_of,
    smooth_field,
    texture,
)
from nanopilot.twins.spm.samples.recipe import FloatArray, Grid, IntArray, Recipe

#: Pixels across a grain of mean size while the sizes are being brought about, and pixels in all.
_COARSE, _PIXELS = 14.0, 600_000
#: More grains than these take longer than anybody waits.
_MOST = 30_000


class Grains(Recipe):
    """Laguerre cells, each domed, with rounded grooves along the boundaries.

    A place at distance d from the boundary of a grain whose innermost place is D away from it
    has the height h (1 - (1 - d / D)²); the grooves are then rounded over a thirtieth of the
    mean diameter.

    Parameters
    ----------
    diameter : float
        Mean equivalent diameter (of the circle of equal area) in metres.
    spread : float
        Standard deviation of the diameters over their mean; they are log-normal.
    dome : float
        Height h of a grain of mean diameter over its rim, in metres; others have more or less of
        it as their diameters.
    work_function : float
        Standard deviation of the potential from grain to grain, in volts.
    """

    SIZE: ClassVar[float] = 2e-6

    diameter: Length = Field(default=120e-9, gt=0)
    spread: float = Field(default=0.3, ge=0, le=0.8)
    dome: Length = Field(default=8e-9, ge=0, le=1e-6)
    work_function: Bias = Field(default=0.05, ge=0, le=1)

    def make(self, rng: np.random.Generator, grid: Grid) -> Sample:
        """Return the surface; sizes are counted again on its own pixels."""
        grid.check("diameter", self.diameter, fewest=4, share=0.5)
        shape, function = rng.spawn(2)
        seeds, weights = self._cells(shape, grid)
        pixels = grid.pixels(seeds)
        label = power_cells(pixels, weights / grid.pitch**2, grid.rows, grid.columns)
        seen, number = np.unique(label, return_inverse=True)
        grain = number.reshape(grid.shape)
        facts = self._facts(grid, grain, seeds[seen])
        height = self._domes(grid, grain, np.array(facts["diameters"]))
        layers = self._function(function, grid, grain)
        layers["grain"] = (grain + 1).astype(np.float64)
        return sample_of("grains", grid, height, layers, facts)

    def _cells(self, rng: np.random.Generator, grid: Grid) -> tuple[FloatArray, FloatArray]:
        """Return seeds (x, y) in metres and weights in m² of a field a little wider than asked.

        The edge then cuts through grains as that of any scan does.
        """
        width, length = (side + 3 * self.diameter for side in grid.extent)
        mean_square = self.diameter**2 * (1 + self.spread**2)
        count = round(width * length / (math.pi / 4 * mean_square))
        if count > _MOST:
            raise OutOfRange(
                f"`diameter` is {self.diameter:.4g} m: {count} grains on {grid.size:.4g} m, "
                f"at most {_MOST}; take larger grains or a smaller `size_m`."
            )
        sigma = math.sqrt(math.log1p(self.spread**2))
        areas = np.exp(2 * sigma * rng.standard_normal(count))
        step = max(self.diameter / _COARSE, math.sqrt(width * length / _PIXELS))
        rows, columns = math.ceil(length / step), math.ceil(width / step)
        seeds, weights = cells_of_sizes(rng, areas, rows, columns)
        places = step * (seeds[:, ::-1] - np.array([columns - 1, rows - 1]) / 2)
        return places, weights * step**2

    def _domes(self, grid: Grid, grain: IntArray, diameters: FloatArray) -> FloatArray:
        """Return heights in metres over the level of the rims."""
        depth = distance_transform_edt(~borders(grain))
        deepest = np.asarray(maximum(depth, grain, np.arange(diameters.size)))
        summits = self.dome * diameters / self.diameter
        domes = summits[grain] * (1 - (1 - depth / np.maximum(deepest, 1.0)[grain]) ** 2)
        rounded: FloatArray = gaussian_filter(domes, self.diameter / grid.pitch / 30)
        return rounded

    def _function(
        self, rng: np.random.Generator, grid: Grid, grain: IntArray
    ) -> dict[str, FloatArray]:
        """Return layers that change from grain to grain, each with a little texture inside."""
        count = int(grain.max()) + 1
        draws, inside = rng.spawn(2)
        potential, stiffness, adhesion, conductivity = draws.standard_normal((4, count))
        streams = inside.spawn(3)
        layers: dict[str, Any] = {
            "potential": self.work_function * potential[grain]
            + 0.005 * smooth_field(streams[0], grid, grid.size / 20),
            "stiffness": texture(streams[1], grid, STIFFNESS, 0.01)
            * np.exp(0.05 * stiffness)[grain],
            "adhesion": texture(streams[2], grid, ADHESION, 0.03) * np.exp(0.1 * adhesion)[grain],
            "conductivity": CONDUCTIVITY * np.exp(0.5 * conductivity)[grain],
        }
        return layers

    def _facts(self, grid: Grid, grain: IntArray, seeds: FloatArray) -> dict[str, Any]:
        count = len(seeds)
        pixels = np.bincount(grain.ravel(), minlength=count)
        edge = np.concatenate([grain[0], grain[-1], grain[:, 0], grain[:, -1]])
        cut = np.zeros(count, dtype=bool)
        cut[edge] = True
        return {
            "diameter": self.diameter,
            "spread": self.spread,
            "count": count,
            "diameters": np.sqrt(4 * pixels * grid.pitch**2 / np.pi).tolist(),
            "cut": cut.tolist(),
            "seeds": seeds.tolist(),
        }
