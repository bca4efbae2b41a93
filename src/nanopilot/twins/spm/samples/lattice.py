"""Atoms on a lattice, with what is missing, extra or foreign: for a tunnelling microscope."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from nanopilot.core.errors import OutOfRange
from nanopilot.core.units import Angle, Length
from nanopilot.twins.spm.sample import Sample
from nanopilot.twins.spm.samples.bumps import REACH, add_bumps, add_waves
from nanopilot.twins.spm.samples.layers import sample_of, smooth_field
from nanopilot.twins.spm.samples.recipe import FloatArray, Grid, Recipe

#: More atoms make facts that nobody wants to carry about.
_MOST = 50_000
#: Standard deviation of an atom's bump over the distance of neighbours.
_WIDTH = 0.28


class Lattice(Recipe):
    """Bumps at the atoms of a lattice, and the local density of states round its defects.

    The height is that of constant density: a sum of Gaussian bumps, scaled to the corrugation.
    The density of states carries the standing waves round every defect: cos²(kr - pi/4 + eta) -
    cos²(kr - pi/4) over kr (Crommie, Lutz and Eigler, Nature 363, 524 (1993)).

    Parameters
    ----------
    kind : {"hexagonal", "square", "honeycomb"}
        Arrangement of the atoms.
    constant : float
        Lattice constant in metres.
    corrugation : float
        Highest minus lowest place of the undisturbed lattice, in metres.
    rotation : float
        Of the first lattice vector from x, counter-clockwise, in radians.
    vacancies, adatoms, dopants : int
        Atoms that are missing; that lie on top; that are foreign (higher density of states).
    adatom_height : float
        Metres.
    wavelength : float
        Of the electrons in the surface, in metres; the waves round a defect have half of it.
    scattering : float
        Strength of those waves, relative; 0 for none.
    """

    SIZE: ClassVar[float] = 10e-9

    kind: Literal["hexagonal", "square", "honeycomb"] = "hexagonal"
    constant: Length = Field(default=0.288e-9, gt=0, le=1e-7)
    corrugation: Length = Field(default=30e-12, gt=0, le=1e-9)
    rotation: Angle = 0.2
    vacancies: int = Field(default=6, ge=0)
    adatoms: int = Field(default=4, ge=0)
    dopants: int = Field(default=8, ge=0)
    adatom_height: Length = Field(default=0.15e-9, ge=0, le=1e-9)
    wavelength: Length = Field(default=3.7e-9, gt=0)
    scattering: float = Field(default=0.3, ge=0, le=1)

    def make(self, rng: np.random.Generator, grid: Grid) -> Sample:
        """Return the surface and the place of every atom."""
        grid.check("constant", self.constant, fewest=5, share=0.5)
        shift, draw, plain = rng.spawn(3)
        sites = self._sites(grid, shift.uniform(0, 1, 2))
        gone, odd, extra = self._defects(draw, sites, grid)
        kept = np.ones(len(sites), dtype=bool)
        kept[gone] = False
        width = _WIDTH * self._neighbour / grid.pitch
        height = np.zeros(grid.shape)
        add_bumps(height, grid.pixels(sites[kept]), width, self.corrugation / self._swing())
        add_bumps(height, grid.pixels(extra), 1.6 * width, self.adatom_height)
        adatom = np.zeros(grid.shape)
        for number, (x, y) in enumerate(extra):
            adatom[np.hypot(grid.x - x, grid.y - y) < self.constant] = number + 1
        layers = {
            "adatom": adatom,
            "ldos": self._states(
                grid, np.concatenate([sites[gone], sites[odd], extra]), sites[odd]
            ),
            "potential": 0.005 * smooth_field(plain, grid, grid.size / 20),
        }
        inside = np.all(np.abs(sites) <= np.array(grid.extent) / 2, axis=1)
        facts = {
            "lattice_vectors": self._vectors().tolist(),
            "corrugation": self.corrugation,
            "atoms": sites[kept & inside].tolist(),
            "vacancies": sites[gone].tolist(),
            "dopants": sites[odd].tolist(),
            "adatoms": extra.tolist(),
        }
        return sample_of("lattice", grid, height, layers, facts)

    @property
    def _neighbour(self) -> float:
        """Distance of neighbouring atoms in metres."""
        return self.constant / math.sqrt(3) if self.kind == "honeycomb" else self.constant

    def _vectors(self) -> FloatArray:
        """Return the lattice vectors (x, y) in metres, one to a row."""
        between = math.pi / 2 if self.kind == "square" else math.pi / 3
        angles = np.array([self.rotation, self.rotation + between])
        return self.constant * np.stack([np.cos(angles), np.sin(angles)], axis=1)

    def _sites(self, grid: Grid, shift: FloatArray) -> FloatArray:
        """Return all sites (x, y) in metres in the field and a little beyond, shape (n, 2)."""
        vectors = self._vectors()
        margin = REACH * self.constant
        reach = math.hypot(*grid.extent) / 2 + margin
        if reach**2 * math.pi / self.constant**2 > 2 * _MOST:
            raise OutOfRange(
                f"`size_m` is {grid.size:.4g} m, which holds more than {_MOST} atoms of "
                f"`constant` {self.constant:.4g} m; take a smaller piece."
            )
        most = int(1.3 * reach / self.constant) + 2
        indices = np.stack(np.meshgrid(*2 * [np.arange(-most, most + 1)]), axis=-1).reshape(-1, 2)
        basis = [(0.0, 0.0), (1 / 3, 1 / 3)] if self.kind == "honeycomb" else [(0.0, 0.0)]
        places = np.concatenate([(indices + shift + one) @ vectors for one in basis])
        near = np.all(np.abs(places) <= np.array(grid.extent) / 2 + margin, axis=1)
        return places[near]

    def _defects(
        self, rng: np.random.Generator, sites: FloatArray, grid: Grid
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return indices of vacancies and dopants, and places of adatoms above further sites."""
        room = np.array(grid.extent) / 2 - self.constant
        inside = np.flatnonzero(np.all(np.abs(sites) <= room, axis=1))
        wanted = self.vacancies + self.dopants + self.adatoms
        if wanted > inside.size // 4:
            raise OutOfRange(
                f"`vacancies`, `dopants` and `adatoms` are {wanted} together; "
                f"{inside.size} sites bear {inside.size // 4} at most."
            )
        chosen = rng.choice(inside, wanted, replace=False)
        gone, odd, under = np.split(chosen, [self.vacancies, self.vacancies + self.dopants])
        return gone, odd, sites[under]

    def _swing(self) -> float:
        """Return highest minus lowest place of undisturbed bumps of height 1."""
        cell = Grid(size=4 * self.constant, rows=257, columns=257)
        heights = np.zeros(cell.shape)
        sites = self._sites(cell, np.zeros(2))
        add_bumps(heights, cell.pixels(sites), _WIDTH * self._neighbour / cell.pitch, 1.0)
        return float(np.ptp(heights))

    def _states(self, grid: Grid, defects: FloatArray, odd: FloatArray) -> FloatArray:
        """Return the local density of states, 1 far away from every defect."""
        states: Any = np.ones(grid.shape)
        wave = 2 * math.pi / self.wavelength * grid.pitch
        add_waves(states, grid.pixels(defects), wave, self.scattering)
        for x, y in odd:
            square = (grid.x - x) ** 2 + (grid.y - y) ** 2
            states += np.exp(-square / (2 * (0.4 * self.constant) ** 2))
        density: FloatArray = np.maximum(states, 0.05)
        return density
