"""A cross-section: vacuum, an amorphous layer, and two crystals, side by side along x."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from nanopilot.core.errors import OutOfRange
from nanopilot.core.units import Length
from nanopilot.twins.stem.samples.columns import Crystalline, truth_of
from nanopilot.twins.stem.samples.lattice import Box, Motif, Sites, fill, joined, motif
from nanopilot.twins.stem.samples.matter import Layered, Part
from nanopilot.twins.stem.samples.near import nearest
from nanopilot.twins.stem.samples.noise import Meander, meander
from nanopilot.twins.stem.samples.recipe import (
    BoolArray,
    FloatArray,
    IntArray,
    Recipe,
    check_atoms,
    square,
)
from nanopilot.twins.stem.scene import Field as Everywhere
from nanopilot.twins.stem.scene import flat

Crystal = Literal["srtio3", "bifeo3", "silicon", "ceria", "gold", "silver", "platinum", "palladium"]
Zone = Literal["001", "110"]
#: The regions, in the order of their numbers in the field "region".
REGIONS = ("vacuum", "amorphous", "first", "second")
#: Correlation length of rough interfaces, and the least distance of atoms of two crystals (m).
_LENGTH, _CLOSEST = 1e-9, 1.7e-10
#: Full valence of the elements that change it at interfaces.
_VALENCE = {"srtio3": ("Ti", 4.0), "bifeo3": ("Fe", 3.0), "ceria": ("Ce", 4.0)}


class Interface(Recipe):
    """Vacuum, an amorphous layer, a crystal and another one, from left to right.

    The foil has a step in its thickness at the interface of the crystals: the background of
    every signal has one there, beside that of the materials. Crystals stand with [001] along x
    and the zone axis along the beam; neither is strained.

    Parameters
    ----------
    vacuum, amorphous, first : float
        Part of the width that each takes; the second crystal has the rest.
    layer : str
        Material of the amorphous layer, known by its thickness and not by atoms.
    first_crystal, second_crystal : str
        Of what the crystals are.
    first_zone, second_zone : {"001", "110"}
        What the beam runs along in them.
    thickness : float
        Of the layer and the first crystal, in metres; rounded to whole cells in a crystal.
    step : float
        By how much the second crystal is thicker, in metres.
    roughness : float
        Standard deviation of every interface from straight, in metres.
    reduction : float
        By how much the valence of Ti, Fe or Ce is lower at the interface of the crystals.
    reduction_depth : float
        Over which distance in metres that decays.
    """

    SIZE: ClassVar[float] = 20e-9
    LEAST: ClassVar[float] = 4e-9
    MOST: ClassVar[float] = 80e-9

    vacuum: float = Field(default=0.15, ge=0, le=0.8)
    amorphous: float = Field(default=0.15, ge=0, le=0.8)
    first: float = Field(default=0.35, ge=0, le=0.9)
    layer: Literal["carbon", "silica"] = "carbon"
    first_crystal: Crystal = "srtio3"
    second_crystal: Crystal = "silicon"
    first_zone: Zone = "001"
    second_zone: Zone = "110"
    thickness: Length = Field(default=8e-9, gt=0, le=1e-7)
    step: Length = Field(default=4e-9, ge=-5e-8, le=5e-8)
    roughness: Length = Field(default=0.3e-9, ge=0, le=5e-9)
    reduction: float = Field(default=0.6, ge=0, le=1)
    reduction_depth: Length = Field(default=1e-9, gt=0, le=1e-7)

    def make(self, rng: np.random.Generator, size: float) -> Crystalline:
        """Return the cross-section."""
        self._check(size)
        rough, lie = rng.spawn(2)
        lines = self._lines(rough, size)
        crystals = self._crystals(lie, size)
        kept = [
            _in_region(crystal, number, lines, size)
            for number, crystal in enumerate(crystals, start=2)
        ]
        sites = joined([kept[0], _clear_of(kept[1], kept[0])])
        valence = self._valence(lines)
        return Crystalline(
            name="interface",
            area=square(size),
            atoms=sites.atoms(),
            matter=self._matter(lines, crystals),
            height=flat,
            fields={"region": lambda x, y: lines.region(x, y).astype(float)}
            | {f"valence_{symbol}": field for symbol, field in valence.items()},
            meaning={"region": ("vacuum, amorphous, first, second crystal: 0 to 3", "1")}
            | {f"valence_{symbol}": (f"valence of {symbol}", "1") for symbol in valence},
            valence={symbol: f"valence_{symbol}" for symbol in valence},
            facts=self._facts(lines, crystals),
            **truth_of(sites),
        )

    def _check(self, size: float) -> None:
        taken = self.vacuum + self.amorphous + self.first
        if taken > 1 + 1e-9:
            raise OutOfRange(
                f"`vacuum`, `amorphous` and `first` add up to {taken:g}; together they take at "
                "most 1 of the width."
            )
        if self.thickness + self.step <= 0:
            raise OutOfRange(
                f"`step` is {self.step:g} m; with a `thickness` of {self.thickness:g} m it has to "
                f"be above {-self.thickness:g} m."
            )
        cells = (motif(self.first_crystal), motif(self.second_crystal))
        most = max(cell.density for cell in cells) * size**2
        check_atoms(
            most * max(self.thickness, self.thickness + self.step),
            "take a smaller `size_m`, `thickness` or `step`",
        )

    def _lines(self, rng: np.random.Generator, size: float) -> Lines:
        parts = np.cumsum([self.vacuum, self.amorphous, self.first])
        courses = [meander(one, self.roughness, _LENGTH) for one in rng.spawn(3)]
        return Lines(size * (parts - 0.5), tuple(courses))

    def _crystals(self, rng: np.random.Generator, size: float) -> tuple[Placed, Placed]:
        found = []
        for name, zone, thickness in (
            (self.first_crystal, self.first_zone, self.thickness),
            (self.second_crystal, self.second_zone, self.thickness + self.step),
        ):
            cell = motif(name, zone)
            layers = max(1, round(thickness / float(cell.size[2])))
            # Along [110] the cell has [001] along y: a quarter turn brings it to -x.
            rotation = math.pi / 2 if zone == "110" else 0.0
            found.append(Placed(cell, layers, rotation, rng.uniform(0, cell.size[0], 2)))
        return found[0], found[1]

    def _matter(self, lines: Lines, crystals: tuple[Placed, Placed]) -> Layered:
        def part(material: str, number: int, thickness: float) -> Part:
            return Part(
                material,
                lambda x, y: np.full(np.shape(x), thickness),
                lambda x, y: lines.region(x, y) == number,
                by_atoms=number > 1,
            )

        first, second = crystals
        return Layered(
            (
                part(self.layer, 1, self.thickness),
                part(self.first_crystal, 2, first.thickness),
                part(self.second_crystal, 3, second.thickness),
            )
        )

    def _valence(self, lines: Lines) -> dict[str, Everywhere]:
        """Return by element the valence: lower near the interface of the crystals."""

        def field(full: float) -> Everywhere:
            def valence(x: FloatArray, y: FloatArray) -> FloatArray:
                x, y = np.broadcast_arrays(np.asarray(x, dtype=float), np.asarray(y, dtype=float))
                away = np.abs(x - lines.places[2] - lines.courses[2](y))
                found: FloatArray = full - self.reduction * np.exp(-away / self.reduction_depth)
                return found

            return valence

        crystals = (self.first_crystal, self.second_crystal)
        return {
            symbol: field(full) for name, (symbol, full) in _VALENCE.items() if name in crystals
        }

    def _facts(self, lines: Lines, crystals: tuple[Placed, Placed]) -> dict[str, Any]:
        first, second = crystals
        return {
            "regions": list(REGIONS),
            "borders": lines.places.tolist(),
            "roughness": self.roughness,
            "materials": [None, self.layer, self.first_crystal, self.second_crystal],
            "zones": [self.first_zone, self.second_zone],
            "thickness": [0.0, self.thickness, first.thickness, second.thickness],
            "step": second.thickness - first.thickness,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """The borders of the regions.

    Parameters
    ----------
    places : numpy.ndarray
        Mean x of each in metres, ascending, shape (3,).
    courses : tuple of Meander
        How each deviates, along y.
    """

    places: FloatArray
    courses: tuple[Meander, ...]

    def region(self, x: FloatArray, y: FloatArray) -> IntArray:
        """Return the number of the region at places in metres, shape as x."""
        x, y = np.broadcast_arrays(np.asarray(x, dtype=float), np.asarray(y, dtype=float))
        found = np.zeros(x.shape, dtype=np.int64)
        for number, (place, course) in enumerate(zip(self.places, self.courses, strict=True)):
            beyond: BoolArray = x >= place + course(y)
            found = np.where(beyond, number + 1, found)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """A crystal and how it lies.

    Parameters
    ----------
    cell : Motif
        What is repeated.
    layers : int
        Cells along the beam.
    rotation : float
        Radians.
    shift : numpy.ndarray
        Of its origin in metres, shape (2,).
    """

    cell: Motif
    layers: int
    rotation: float
    shift: FloatArray

    @property
    def thickness(self) -> float:
        """Metres along the beam."""
        return self.layers * float(self.cell.size[2])

    def sites(self, box: Box) -> Sites:
        """Return its sites over a rectangle."""
        return fill(self.cell, box, rotation=self.rotation, shift=self.shift, layers=self.layers)


def _in_region(crystal: Placed, number: int, lines: Lines, size: float) -> Sites:
    """Return the sites of a crystal that lie in its region, of an area of this edge (m)."""
    half = size / 2
    # Nothing of a line that wanders is six standard deviations away from it.
    rough = 6 * lines.courses[0].amplitude
    left = max(float(lines.places[number - 1]) - rough, -half)
    right = half if number > 2 else min(float(lines.places[number]) + rough, half)
    sites = crystal.sites(Box(left, max(left, right), -half, half))
    return sites.keep(lines.region(sites.position[:, 0], sites.position[:, 1]) == number)


def _clear_of(sites: Sites, others: Sites) -> Sites:
    """Return those sites of which no other comes too close."""
    if not len(sites) or not len(others):
        return sites
    away, _ = nearest(sites.position, others.position, _CLOSEST)
    return sites.keep(~np.isfinite(away))
