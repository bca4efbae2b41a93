"""Terraces and steps: a vicinal crystal surface."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from pydantic import Field

from nanopilot.core.units import Angle, Length
from nanopilot.twins.spm.sample import Sample
from nanopilot.twins.spm.samples.layers import borders, ordinary, sample_of, smooth_field, texture
from nanopilot.twins.spm.samples.recipe import FloatArray, Grid, Recipe


class Steps(Recipe):
    """Flat terraces that climb in one direction, every step of the same height.

    Parameters
    ----------
    step_height : float
        Metres; 0.3905 nm is one unit cell of SrTiO3.
    terrace_width : float
        Mean distance of steps in metres.
    direction : float
        In which the surface climbs, counter-clockwise from x, in radians.
    meander : float
        Standard deviation of the place of a step along its way, in metres.
    screws : int
        Screw dislocations that reach the surface, of either hand. A step begins at each, and the
        terraces around wind up by one step height.
    """

    SIZE: ClassVar[float] = 1e-6

    step_height: Length = Field(default=0.3905e-9, gt=0, le=1e-6)
    terrace_width: Length = Field(default=80e-9, gt=0)
    direction: Angle = 0.35
    meander: Length = Field(default=8e-9, ge=0)
    screws: int = Field(default=0, ge=0, le=50)

    def make(self, rng: np.random.Generator, grid: Grid) -> Sample:
        """Return the surface; without screws its heights are whole numbers of steps."""
        grid.check("terrace_width", self.terrace_width, fewest=3)
        place, wander, wind, plain, states = rng.spawn(5)
        along = math.cos(self.direction) * grid.x + math.sin(self.direction) * grid.y
        phase = along / self.terrace_width + place.uniform()
        if self.meander:
            # Two terraces wide: neighbouring steps run side by side instead of crossing.
            field = smooth_field(wander, grid, 2 * self.terrace_width)
            phase = phase + self.meander / self.terrace_width * field
        winding, screws = self._winding(wind, grid)
        terrace = np.floor(phase + winding)
        terrace -= terrace.min()
        height = self.step_height * (terrace - winding)
        layers = ordinary(plain, grid) | {"terrace": terrace}
        layers["ldos"] = texture(states, grid, 1.0, 0.02) * np.where(borders(terrace), 0.7, 1.0)
        facts = {
            "step_height": self.step_height,
            "terrace_width": self.terrace_width,
            "miscut": math.atan(self.step_height / self.terrace_width),
            "direction": self.direction,
            "terraces": int(terrace.max()) + 1,
            "screws": screws,
        }
        return sample_of("steps", grid, height, layers, facts)

    def _winding(
        self, rng: np.random.Generator, grid: Grid
    ) -> tuple[FloatArray, list[dict[str, float]]]:
        """Return by how many steps the lattice planes wind up, and around which places."""
        winding: FloatArray = np.zeros(grid.shape)
        screws = []
        for _ in range(self.screws):
            x, y = (rng.uniform(-0.4, 0.4) * side for side in grid.extent)
            hand = float(rng.choice((-1.0, 1.0)))
            winding += hand * np.arctan2(grid.y - y, grid.x - x) / (2 * np.pi)
            screws.append({"x": x, "y": y, "hand": hand})
        return winding, screws
