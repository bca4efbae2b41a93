"""Molecules that diffuse on a flat surface: for movies."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from nanopilot.core.units import Duration, Length
from nanopilot.twins.spm.function.molecules import FACT, GROUND, Tracks, covered
from nanopilot.twins.spm.sample import Sample
from nanopilot.twins.spm.samples.layers import ordinary, sample_of, smooth_field
from nanopilot.twins.spm.samples.recipe import FloatArray, Grid, Recipe


class Molecules(Recipe):
    """Round molecules on a flat surface, each on a random walk of its own.

    The mean square of what a molecule goes in a time t is 4 D t (Einstein, Ann. Phys. 17, 549
    (1905), in two dimensions); at the edge of the field it turns back. They do not see one
    another. The walk is made with the sample: fact ``molecules`` has ``times`` (s) and, for each
    of them, ``x`` and ``y`` (m) of every molecule.

    Parameters
    ----------
    count : int
        How many.
    radius, molecule_height : float
        Of one, in metres.
    diffusion : float
        D in m²/s.
    duration : float
        Seconds that they walk.
    step : float
        Seconds between two places that the facts give.
    roughness : float
        Standard deviation of the height of the surface in metres.
    """

    SIZE: ClassVar[float] = 400e-9

    count: int = Field(default=20, ge=1, le=2000)
    radius: Length = Field(default=8e-9, gt=0)
    molecule_height: Length = Field(default=4e-9, gt=0, le=100e-9)
    diffusion: float = Field(default=1e-16, ge=0, le=1e-6)
    duration: Duration = Field(default=60.0, gt=0)
    step: Duration = Field(default=0.1, gt=0)
    roughness: Length = Field(default=0.1e-9, ge=0, le=1e-7)

    def make(self, rng: np.random.Generator, grid: Grid) -> Sample:
        """Return the surface as it is at the time 0."""
        grid.check("radius", self.radius, fewest=2, share=0.2)
        walk, ground, plain = rng.spawn(3)
        tracks = self._tracks(walk, grid)
        empty = self.roughness * smooth_field(ground, grid, grid.size / 50)
        layers = ordinary(plain, grid) | {GROUND: empty}
        facts = {"count": self.count, "diffusion": self.diffusion, FACT: tracks.fact}
        return sample_of("molecules", grid, covered(empty, grid.pitch, tracks, 0.0), layers, facts)

    def _tracks(self, rng: np.random.Generator, grid: Grid) -> Tracks:
        steps = max(2, int(np.ceil(self.duration / self.step)) + 1)
        half = np.array(grid.extent) / 2 - self.radius
        began = rng.uniform(-1, 1, (1, self.count, 2)) * half
        length = np.sqrt(2 * self.diffusion * self.step)
        went = rng.normal(0.0, length, (steps - 1, self.count, 2))
        free: FloatArray = np.concatenate([began, began + np.cumsum(went, axis=0)])
        times: FloatArray = self.step * np.arange(steps, dtype=np.float64)
        return Tracks(times, _folded(free, half), self.radius, self.molecule_height)


def _folded(free: FloatArray, half: FloatArray) -> FloatArray:
    """Return walks that turn back at the edges, of those that go on for ever."""
    phase = (free + half) % (4 * half)
    folded: FloatArray = np.minimum(phase, 4 * half - phase) - half
    return folded
