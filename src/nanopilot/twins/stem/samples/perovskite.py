"""Perovskites along [001]: strontium titanate, and bismuth ferrite with domain walls."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from nanopilot.core.units import Angle, Length
from nanopilot.twins.stem.samples.columns import Crystalline
from nanopilot.twins.stem.samples.defects import Defects, atomic_number
from nanopilot.twins.stem.samples.lattice import Sites, motif
from nanopilot.twins.stem.samples.layer import bent
from nanopilot.twins.stem.samples.outline import Bow, Wedge
from nanopilot.twins.stem.samples.recipe import FloatArray, Share
from nanopilot.twins.stem.samples.standing import Standing, cut
from nanopilot.twins.stem.samples.walls import WallKind, Walls, walls
from nanopilot.twins.stem.scene import Field as Everywhere

_MEANING = {
    "domain": ("ferroelectric domain, -1 or 1, between them in a wall", "1"),
    "displacement_x": ("displacement along x of B against A, mean along the beam", "m"),
    "displacement_y": ("displacement along y of B against A, mean along the beam", "m"),
    "displacement_z": ("displacement along z of B against A, mean along the beam", "m"),
    "thickness": ("thickness of the crystal", "m"),
}


class Perovskite(Standing):
    """A cubic perovskite whose B and O atoms are displaced against A.

    Octahedra are not tilted. Domains lie on either side of walls; without walls there is one.

    Parameters
    ----------
    displacement : float
        Of B against A along a body diagonal, in metres.
    oxygen : float
        Displacement of oxygen over that of B; below 0: against it.
    wall : {"180", "109", "71"}
        Angle in degrees between the polarisations of the two domains.
    walls : int
        How many, at equal distances.
    wall_width : float
        In metres: the displacement goes as tanh(distance / width).
    inclination : float
        Of the walls against the beam, in radians. A 71° wall along {011} has pi/4.
    oxygen_vacancies, a_vacancies : float
        Fraction of the sites, or how many.
    dopant, dopants : str, float
        Element on B sites, and how much of it.
    """

    CRYSTAL: ClassVar[str]
    A: ClassVar[str]
    B: ClassVar[str]
    #: Of B in the crystal without vacancies.
    VALENCE: ClassVar[float]

    displacement: Length = Field(default=0.0, ge=0, le=60e-12)
    oxygen: float = Field(default=0.0, ge=-2, le=2)
    wall: Literal["180", "109", "71"] = "180"
    walls: int = Field(default=0, ge=0, le=20)
    wall_width: Length = Field(default=0.5e-9, gt=0, le=5e-9)
    inclination: Angle = Field(default=0.0, ge=0, le=math.pi / 3)
    oxygen_vacancies: Share = 0.0
    a_vacancies: Share = 0.0
    dopant: str = Field(default="Nb", min_length=1, max_length=2)
    dopants: Share = 0.0

    def make(self, rng: np.random.Generator, size: float) -> Crystalline:
        """Return the crystal."""
        atomic_number("dopant", self.dopant)
        origin, outline, patching, hits = rng.spawn(4)
        cell = motif(self.CRYSTAL)
        shift = origin.uniform(0, cell.size[0], 2)
        sites, thickness = self.stood(cell, size, shift)
        edge, patches = self.ending(outline, size), self.patches(patching, size)
        crystal = cut(sites, edge)
        between = walls(self._kind, self.displacement, self.rotation, size)
        moved = crystal.moved(self._displaced(crystal, between))
        bow = Bow(self.bend, size)
        # Domains are known in the flat crystal; it is bent afterwards.
        defects = self._defects(hits, bent(moved, bow))
        said = self.whole(defects, bent(crystal, bow), thickness, (size, edge, patches))
        valence = f"valence_{self.B}"
        said["facts"] |= self._facts(between, defects)
        value = said["facts"][valence]
        return Crystalline(
            name=self.CRYSTAL,
            fields=_fields(between, thickness)
            | {valence: lambda x, y: np.full(np.shape(x), value)},
            meaning=_MEANING | {valence: (f"mean valence of {self.B}", "1")},
            valence={self.B: valence},
            **said,
        )

    @property
    def _kind(self) -> WallKind:
        return WallKind(self.wall, self.walls, self.wall_width, self.inclination)

    def _displaced(self, crystal: Sites, between: Walls) -> FloatArray:
        """Return by how much every site is displaced, metres, shape (n, 3)."""
        if not self.displacement:
            return np.zeros(3)
        weights = {self.A: 0.0, self.B: 1.0, "O": self.oxygen}
        factor = np.array([weights[kind] for kind in crystal.kinds])[crystal.kind]
        return factor[:, None] * between.displacement(crystal.position)

    def _defects(self, rng: np.random.Generator, sites: Sites) -> Defects:
        defects = Defects(sites, self.CRYSTAL, rng)
        for name, symbol in (("oxygen_vacancies", "O"), ("a_vacancies", self.A)):
            among = sites.number == atomic_number("element", symbol)
            defects.remove(defects.choose(name, getattr(self, name), among), f"{symbol} vacancy")
        among = sites.number == atomic_number("element", self.B)
        defects.exchange(defects.choose("dopants", self.dopants, among), self.dopant, "dopant")
        return defects

    def _facts(self, between: Walls, defects: Defects) -> dict[str, Any]:
        oxygen = defects.sites.number == 8
        empty = float(defects.gone[oxygen].mean()) if oxygen.any() else 0.0
        return {
            "walls": {
                "angle": self.wall,
                "places": between.places.tolist(),
                "normal": between.normal.tolist(),
                "width": self.wall_width,
                "displacements": [between.first.tolist(), between.second.tolist()],
            },
            "oxygen_displacement": self.oxygen,
            # Two electrons for each oxygen that is missing go to B.
            f"valence_{self.B}": self.VALENCE - 6 * empty,
        }


class StrontiumTitanate(Perovskite):
    """Strontium titanate, cubic unless a `displacement` makes it polar.

    That oxygen moves half as far against titanium is an assumption, of the kind of the Slater
    mode. Settings are those of a `Perovskite`.
    """

    CRYSTAL, A, B, VALENCE = "srtio3", "Sr", "Ti", 4.0

    oxygen: float = Field(default=-0.5, ge=-2, le=2)
    oxygen_vacancies: Share = 0.005


class BismuthFerrite(Perovskite):
    """Bismuth ferrite, pseudocubic; displacements as F. Kubel and H. Schmid (1990) found them.

    Iron is 40 pm and oxygen 63 pm away from the middle of the bismuth atoms, along [111].
    Settings are those of a `Perovskite`.
    """

    CRYSTAL, A, B, VALENCE = "bifeo3", "Bi", "Fe", 3.0

    displacement: Length = Field(default=40e-12, ge=0, le=60e-12)
    oxygen: float = Field(default=1.58, ge=-2, le=2)
    wall: Literal["180", "109", "71"] = "109"
    walls: int = Field(default=1, ge=0, le=20)


def _fields(between: Walls, thickness: Wedge) -> dict[str, Everywhere]:
    def component(axis: int) -> Everywhere:
        return lambda x, y: between.mean(x, y, thickness(x, y))[..., axis]

    def domain(x: FloatArray, y: FloatArray) -> FloatArray:
        x, y = np.broadcast_arrays(x, y)
        return between.sign(np.stack([x, y, np.zeros(x.shape)], axis=-1))

    found: dict[str, Everywhere] = {
        f"displacement_{name}": component(axis) for axis, name in enumerate("xyz")
    }
    return found | {"domain": domain, "thickness": thickness}
