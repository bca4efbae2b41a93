"""A ferroelectric film: domains that can be switched, and what holds them."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from nanopilot.core.units import Angle, Bias, Length
from nanopilot.twins.spm.sample import Sample
from nanopilot.twins.spm.samples.layers import (
    ADHESION,
    STIFFNESS,
    sample_of,
    smooth_field,
    texture,
)
from nanopilot.twins.spm.samples.recipe import FloatArray, Grid, Recipe
from nanopilot.twins.spm.samples.walls import (
    Stripe,
    c_domains,
    distance_to_walls,
    lie_of,
    stripes,
    wedge,
)

#: No place switches below this bias, however easy it is (V).
_LEAST = 0.2
#: How much harder a place inside an a-domain is switched out of the plane.
_HARDER_IN_PLANE = 1.5


class Film(Recipe):
    """A tetragonal film, (001): c-domains up and down, and a-domains across them.

    A 180° wall leaves no mark on the surface. An a-domain tilts the surface over it by
    atan(c/a) - atan(a/c), for PbTiO3 3.5°: the wedge that an AFM sees. Reversed domains begin
    more easily at walls and at defects, within `reach` of them.

    Parameters
    ----------
    domain_size : float
        Correlation length of the 180° domains in metres.
    up : float
        Share of the c-domains that points up, 0 to 1.
    wall_width : float
        In metres; seen with a tip it is wider.
    a_share : float
        Share of the area under a-domains; 0: none.
    a_width : float
        Mean width of an a-domain in metres.
    tetragonality : float
        c / a.
    axis : float
        Of the crystal, counter-clockwise from x, in radians.
    coercive_bias, imprint : float
        Volts: half the distance, and the middle, of the two switching biases.
    spread : float
        Standard deviation of the logarithm of the coercive bias from place to place.
    ease : float
        By how much a wall or a defect lowers the coercive bias, relative.
    reach : float
        Over which distance of it, in metres.
    defects : int
        How many.
    roughness : float
        Standard deviation of the height of the film in metres.
    """

    SIZE: ClassVar[float] = 3e-6

    domain_size: Length = Field(default=300e-9, gt=0)
    up: float = Field(default=0.5, ge=0, le=1)
    wall_width: Length = Field(default=8e-9, gt=0)
    a_share: float = Field(default=0.08, ge=0, le=0.5)
    a_width: Length = Field(default=40e-9, gt=0)
    tetragonality: float = Field(default=1.064, ge=1, lt=1.3)
    axis: Angle = 0.3
    coercive_bias: Bias = Field(default=2.5, gt=0, le=50)
    imprint: Bias = Field(default=0.2, ge=-10, le=10)
    spread: float = Field(default=0.1, ge=0, le=1)
    ease: float = Field(default=0.4, ge=0, lt=1)
    reach: Length = Field(default=30e-9, gt=0)
    defects: int = Field(default=30, ge=0, le=5000)
    roughness: Length = Field(default=0.15e-9, ge=0, le=1e-7)

    def make(self, rng: np.random.Generator, grid: Grid) -> Sample:
        """Return the film as grown."""
        grid.check("domain_size", self.domain_size, fewest=4)
        grid.check("a_width", self.a_width, fewest=3, share=0.5)
        out, lying, field, plain = rng.spawn(4)
        twins = stripes(lying, grid, share=self.a_share, width=self.a_width, axis=self.axis)
        in_plane, height = self._twinned(twins, grid)
        polarisation = c_domains(
            out, grid, size=self.domain_size, up=self.up, width=self.wall_width
        )
        polarisation = polarisation * (1 - in_plane)
        ground, own = plain.spawn(2)
        height += self.roughness * smooth_field(ground, grid, grid.size / 100)
        far = distance_to_walls(polarisation, in_plane, grid.pitch)
        layers, facts = self._switching(field, grid, in_plane, far)
        layers |= self._ordinary(own, grid, polarisation, in_plane)
        layers |= {"polarisation": polarisation, "in_plane": in_plane}
        # Walls conduct (Seidel and others, Nature Mater. 8, 229 (2009)).
        layers["conductivity"] = 1e-12 + 1e-10 * np.exp(-far / self.wall_width)
        c_only = in_plane < 0.5
        facts |= {
            "tilt": self.tilt,
            "a_share": float(1 - c_only.mean()),
            "up": float((polarisation > 0)[c_only].mean()) if c_only.any() else math.nan,
            "a_domains": [{name: getattr(one, name) for name in Stripe.__slots__} for one in twins],
        }
        return sample_of("ferroelectric", grid, height, layers, facts)

    @property
    def tilt(self) -> float:
        """Angle by which an a-domain tilts the surface, in radians."""
        return math.atan(self.tetragonality) - math.atan(1 / self.tetragonality)

    def _twinned(self, twins: list[Stripe], grid: Grid) -> tuple[FloatArray, FloatArray]:
        """Return the part that lies in the plane, and the surface, in metres."""
        in_plane: FloatArray = np.zeros(grid.shape)
        height: FloatArray = np.zeros(grid.shape)
        # Clamped by the substrate, the film is level again three widths away.
        decay = 3 * self.a_width
        for one in twins:
            lie = lie_of(one, grid, wall=self.wall_width)
            in_plane = np.maximum(in_plane, lie)
            height += wedge(one, grid, tilt=math.tan(self.tilt), decay=decay)
        return in_plane, height

    def _switching(
        self, rng: np.random.Generator, grid: Grid, in_plane: FloatArray, far: FloatArray
    ) -> tuple[dict[str, FloatArray], dict[str, Any]]:
        """Return the bias that switches every place upwards and downwards, and the defects."""
        draw, vary, shift = rng.spawn(3)
        easier = np.exp(-far / self.reach)
        places = draw.uniform(-0.5, 0.5, (self.defects, 2)) * grid.extent
        _ease_at(places, grid, self.reach, easier)
        half = self.coercive_bias * np.exp(self.spread * smooth_field(vary, grid, self.reach))
        half *= (1 - self.ease * easier) * (1 + (_HARDER_IN_PLANE - 1) * in_plane)
        middle = self.imprint + 0.1 * self.coercive_bias * self.spread * smooth_field(
            shift, grid, self.domain_size
        )
        layers = {
            "switching_positive": np.maximum(middle + half, _LEAST),
            "switching_negative": np.minimum(middle - half, -_LEAST),
        }
        facts = {
            "coercive_bias": self.coercive_bias,
            "imprint": self.imprint,
            "ease": self.ease,
            "reach": self.reach,
            "defects": places.tolist(),
        }
        return layers, facts

    def _ordinary(
        self, rng: np.random.Generator, grid: Grid, polarisation: FloatArray, in_plane: FloatArray
    ) -> dict[str, FloatArray]:
        streams = rng.spawn(3)
        return {
            # Across the polar axis the crystal is stiffer than along it.
            "stiffness": texture(streams[0], grid, STIFFNESS, 0.01) * (1 + 0.15 * in_plane),
            "adhesion": texture(streams[1], grid, ADHESION, 0.05),
            # Charge from the air screens the polarisation beyond what it is: the sign turns round.
            "potential": -0.1 * polarisation
            + 0.01 * smooth_field(streams[2], grid, grid.size / 20),
        }


def _ease_at(places: FloatArray, grid: Grid, reach: float, easier: FloatArray) -> None:
    """Raise `easier` to exp(-r² / 2 reach²) round every place, in place."""
    around = 4 * reach / grid.pitch
    for (row, column), (x, y) in zip(grid.pixels(places), places, strict=True):
        rows = slice(max(int(row - around), 0), int(row + around) + 2)
        columns = slice(max(int(column - around), 0), int(column + around) + 2)
        square = (grid.x[:, columns] - x) ** 2 + (grid.y[rows] - y) ** 2
        window = easier[rows, columns]
        np.maximum(window, np.exp(-square / (2 * reach**2)), out=window)
