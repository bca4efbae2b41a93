"""A conductor of ions whose surface swells where bias draws them."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from nanopilot.core.units import Duration, Length
from nanopilot.twins.spm.sample import Sample
from nanopilot.twins.spm.samples.layers import ordinary, sample_of, smooth_field, texture
from nanopilot.twins.spm.samples.recipe import Grid, Recipe


class Ionic(Recipe):
    """A film whose ions move in some places more than in others, and come back more slowly there.

    Parameters
    ----------
    swelling : float
        Median displacement of the surface in m/V.
    relaxation : float
        Median time in seconds in which it decays (1/e).
    spread : float
        Standard deviation of the logarithm of both from place to place.
    domain : float
        Metres over which they vary.
    roughness : float
        Standard deviation of the height in metres.
    """

    SIZE: ClassVar[float] = 2e-6

    swelling: float = Field(default=20e-12, gt=0, le=1e-9)
    relaxation: Duration = Field(default=0.4, gt=0)
    spread: float = Field(default=0.4, ge=0, le=2)
    domain: Length = Field(default=100e-9, gt=0)
    roughness: Length = Field(default=2e-9, gt=0, le=1e-7)

    def make(self, rng: np.random.Generator, grid: Grid) -> Sample:
        """Return the film."""
        grid.check("domain", self.domain, fewest=4)
        ground, ions, own, plain = rng.spawn(4)
        height = self.roughness * smooth_field(ground, grid, self.domain / 2)
        active = np.exp(self.spread * smooth_field(ions, grid, self.domain / 2))
        layers = ordinary(plain, grid) | {
            "swelling": self.swelling * active,
            "relaxation_time": self.relaxation * active * texture(own, grid, 1.0, 0.05),
        }
        facts = {"swelling": self.swelling, "relaxation": self.relaxation}
        return sample_of("ionic", grid, height, layers, facts)
