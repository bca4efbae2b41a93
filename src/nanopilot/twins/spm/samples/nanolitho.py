"""A lithographic pattern whose pitch and depth are known."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from nanopilot.core.units import Angle, Length
from nanopilot.twins.spm.sample import Sample
from nanopilot.twins.spm.samples.layers import CONDUCTIVITY, ordinary, sample_of, smooth_field
from nanopilot.twins.spm.samples.recipe import FloatArray, Grid, Recipe


class Pattern(Recipe):
    """Structures of one height with straight side walls on a flat floor.

    Parameters
    ----------
    pattern : {"lines", "pillars", "holes", "checker", "rings"}
        Raised lines, raised squares, round holes, a chequerboard, or raised rings round the
        middle.
    pitch : float
        Period in metres; of the chequerboard along the edges of its fields.
    depth : float
        From the top to the floor, in metres.
    duty : float
        Width of the raised part (of holes: their diameter) over the pitch; a chequerboard has 0.5.
    wall_angle : float
        Of the side walls against the floor, in radians.
    rotation : float
        Counter-clockwise, in radians.
    edge_roughness : float
        Standard deviation of the place of an edge in metres.
    """

    SIZE: ClassVar[float] = 4e-6

    pattern: Literal["lines", "pillars", "holes", "checker", "rings"] = "lines"
    pitch: Length = Field(default=400e-9, gt=0)
    depth: Length = Field(default=40e-9, gt=0, le=1e-5)
    duty: float = Field(default=0.5, gt=0.05, lt=0.95)
    wall_angle: Angle = Field(default=math.radians(80), gt=0.1, le=math.pi / 2)
    rotation: Angle = 0.0
    edge_roughness: Length = Field(default=3e-9, ge=0)

    def make(self, rng: np.random.Generator, grid: Grid) -> Sample:
        """Return the pattern, the floor at height 0; an edge stands half way up its wall."""
        grid.check("pitch", self.pitch, fewest=6, share=0.5)
        edges, plain = rng.spawn(2)
        inside = self._inside(grid)
        if self.edge_roughness:
            inside = inside + self.edge_roughness * smooth_field(edges, grid, self.pitch / 8)
        # Half a pixel of run at least, so that no wall depends on the pixels it falls between.
        run = max(self.depth / math.tan(self.wall_angle), grid.pitch / 2)
        feature = np.clip(0.5 + inside / run, 0.0, 1.0)
        layers: dict[str, Any] = ordinary(plain, grid)
        layers["stiffness"] *= 1 - 0.8 * feature
        layers["adhesion"] *= 1 + 0.5 * feature
        layers["potential"] = layers["potential"] + 0.2 * feature
        layers["conductivity"] = CONDUCTIVITY * 10 ** (-3 * feature)
        layers["feature"] = feature
        facts = self.model_dump() | {"raised_share": float((feature > 0.5).mean())}
        return sample_of("nanolitho", grid, self.depth * feature, layers, facts)

    def _inside(self, grid: Grid) -> FloatArray:
        """Return how far every place is inside the raised part, negative outside, in metres."""
        cos, sin = math.cos(self.rotation), math.sin(self.rotation)
        u = cos * grid.x + sin * grid.y
        v = cos * grid.y - sin * grid.x
        half = self.duty * self.pitch / 2
        across, along = _from_middle(u, self.pitch), _from_middle(v, self.pitch)
        if self.pattern == "lines":
            return half - across
        if self.pattern == "rings":
            return half - _from_middle(np.hypot(u, v), self.pitch)
        if self.pattern == "pillars":
            return half - np.maximum(across, along)
        if self.pattern == "holes":
            return np.hypot(across, along) - half
        one, other = self.pitch / 4 - across, self.pitch / 4 - along
        board: FloatArray = np.sign(one * other) * np.minimum(np.abs(one), np.abs(other))
        return board


def _from_middle(place: FloatArray, pitch: float) -> FloatArray:
    """Return the distance to the nearest multiple of the pitch."""
    distance: FloatArray = np.abs(place - pitch * np.round(place / pitch))
    return distance
