"""A polycrystal of palladium selenides: PdSe2, Pd2Se3 and PdSe, each grain turned its own way."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from nanopilot.core.errors import InvalidRequest
from nanopilot.core.units import Length
from nanopilot.twins.stem.samples.columns import Crystalline, truth_of
from nanopilot.twins.stem.samples.defects import Defects
from nanopilot.twins.stem.samples.lattice import Box, Sites, fill, joined, motif, square_box
from nanopilot.twins.stem.samples.layer import bent, by_kind
from nanopilot.twins.stem.samples.matter import Layered, Part
from nanopilot.twins.stem.samples.near import nearest, pairs_within
from nanopilot.twins.stem.samples.outline import Bow, Edge, Patches, Wedge
from nanopilot.twins.stem.samples.polygons import area, cells
from nanopilot.twins.stem.samples.recipe import (
    BoolArray,
    FloatArray,
    IntArray,
    Share,
    check_atoms,
    square,
)
from nanopilot.twins.stem.samples.standing import Standing, cut
from nanopilot.twins.stem.scene import Field as Everywhere

#: The phases, in the order of their numbers in the field "phase".
PHASES = ("pdse2", "pd2se3", "pdse")
#: Atoms of two grains that come closer than this: one of them is not there (m).
_CLOSEST = 2.0e-10
_MEANING = {
    "grain": ("number of the grain, from 1", "1"),
    "phase": ("number of the phase, from 0: PdSe2, Pd2Se3, PdSe", "1"),
    "orientation": ("rotation of the grain from x", "rad"),
    "thickness": ("thickness of the foil", "m"),
}


class Polycrystal(Standing):
    """Voronoi grains of three phases through the whole foil.

    Parameters
    ----------
    grains : int
        How many.
    weights : (float, float, float)
        How often a grain is PdSe2, Pd2Se3 and PdSe; as long as there are grains enough, every
        phase with a weight is there.
    turned : bool
        Grains are turned in the plane at random; otherwise all by `rotation`.
    zones : tuple of str
        Zone axes a grain may stand on, "001", "010", "100".
    selenium_vacancies : float
        Fraction of the selenium sites, or how many.
    """

    SIZE: ClassVar[float] = 30e-9

    thickness: Length = Field(default=4e-9, gt=0, le=2e-7)
    grains: int = Field(default=12, ge=1, le=300)
    weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    turned: bool = True
    zones: tuple[Literal["001", "010", "100"], ...] = Field(default=("001",), min_length=1)
    selenium_vacancies: Share = 0.002

    def make(self, rng: np.random.Generator, size: float) -> Crystalline:
        """Return the foil."""
        plan, outline, patching, hits = rng.spawn(4)
        box, bow = square_box(size), Bow(self.bend, size)
        check_atoms(size**2 * self._most(size) * 51e27, "take a smaller `size_m` or `thickness`")
        found = self._grains(plan, box)
        edge, patches = self.ending(outline, size), self.patches(patching, size)
        crystal = cut(_apart([one.sites for one in found.grains]), edge)
        crystal = bent(crystal, bow)
        defects = Defects(crystal, "pdse2", hits)
        chosen = defects.choose("selenium_vacancies", self.selenium_vacancies, crystal.number == 34)
        defects.remove(chosen, "Se vacancy")
        return Crystalline(
            name="pd-se",
            area=square(size),
            atoms=defects.left().atoms(),
            matter=_matter(found, edge, patches),
            height=bow,
            fields={name: found.field(name) for name in _MEANING},
            meaning=_MEANING,
            facts=self.foil_facts(edge, patches) | self._facts(found, defects),
            **truth_of(crystal),
        )

    def _most(self, size: float) -> float:
        return Wedge(self.thickness, self.wedge).most(size)

    def _grains(self, rng: np.random.Generator, box: Box) -> Grains:
        """Return the grains, with the atoms of each."""
        where, kind, lie = rng.spawn(3)
        seeds = _spread(where, self.grains, box)
        phases = self._phases(kind)
        zones = lie.integers(0, len(self.zones), self.grains)
        angles = lie.uniform(-math.pi, math.pi, self.grains)
        shifts = lie.uniform(0, 7e-10, (self.grains, 2))
        tree = Seeds(seeds)
        grains = []
        for number, polygon in enumerate(cells(seeds, box)):
            rotation = float(angles[number]) if self.turned else self.rotation
            phase, zone = int(phases[number]), self.zones[zones[number]]
            sites, thickness = self._grain((PHASES[phase], zone), polygon, rotation, shifts[number])
            mine = tree(sites.position[:, 0], sites.position[:, 1]) == number
            shape = Grain(phase, zone, rotation, thickness, polygon, sites.keep(mine))
            grains.append(shape)
        return Grains(tree, tuple(grains))

    def _phases(self, rng: np.random.Generator) -> IntArray:
        """Return the phase of every grain."""
        weights = np.array(self.weights)
        if (weights < 0).any() or not weights.sum() > 0 or not np.isfinite(weights).all():
            raise InvalidRequest(
                f"`weights` is {self.weights}; give three numbers >= 0, not all 0."
            )
        phases = rng.choice(3, self.grains, p=weights / weights.sum())
        there = np.flatnonzero(weights)
        few = rng.permutation(self.grains)[: len(there)]
        phases[few] = there[: len(few)]
        found: IntArray = phases.astype(np.int64)
        return found

    def _grain(
        self, crystal: tuple[str, str], polygon: FloatArray, rotation: float, shift: FloatArray
    ) -> tuple[Sites, Wedge]:
        """Return the sites over the rectangle round a grain, and how thick the grain is."""
        cell = motif(*crystal)
        high = float(cell.size[2])
        low, top = polygon.min(axis=0), polygon.max(axis=0)
        box = Box(float(low[0]), float(top[0]), float(low[1]), float(top[1]))
        if not self.wedge:
            layers = max(1, round(self.thickness / high))
            return fill(cell, box, rotation=rotation, shift=shift, layers=layers), Wedge(
                layers * high, 0.0
            )
        thickness = Wedge(self.thickness, self.wedge)
        most = max(float(thickness(x, x)) for x in (low[0], top[0]))
        layers = math.ceil(most / high) + 1
        sites = fill(cell, box, rotation=rotation, shift=shift, layers=layers)
        x, y, z = sites.position.T
        return sites.keep(np.abs(z) <= thickness(x, y) / 2), thickness

    def _facts(self, found: Grains, defects: Defects) -> dict[str, Any]:
        return {
            "phases": list(PHASES),
            "grains": [
                {
                    "seed": seed.tolist(),
                    "phase": PHASES[one.phase],
                    "zone": one.zone,
                    "rotation": one.rotation,
                    "area": area(one.polygon),
                    "corners": one.polygon.tolist(),
                    "thickness": one.thickness.middle,
                }
                for seed, one in zip(found.of.seeds, found.grains, strict=True)
            ],
            "defects": defects.found,
            "counts": by_kind(defects.found),
            "sites": len(defects.sites),
        }


class Seeds:
    """Which Voronoi cell a place is in.

    Parameters
    ----------
    seeds : numpy.ndarray
        Metres, shape (n, 2).
    """

    def __init__(self, seeds: FloatArray) -> None:
        self.seeds = seeds

    def __call__(self, x: FloatArray, y: FloatArray) -> IntArray:
        """Return the number of the cell from 0 at places in metres, shape as x."""
        x, y = np.broadcast_arrays(x, y)
        return nearest(np.stack([x, y], axis=-1), self.seeds)[1]


@dataclass(frozen=True, slots=True, eq=False)
class Grain:
    """One grain.

    Parameters
    ----------
    phase : int
        Index into `PHASES`.
    zone : str
        What the beam runs along in it.
    rotation : float
        Radians.
    thickness : Wedge
        Of it.
    polygon : numpy.ndarray
        Its corners in metres, shape (n, 2).
    sites : Sites
        Its atoms.
    """

    phase: int
    zone: str
    rotation: float
    thickness: Wedge
    polygon: FloatArray
    sites: Sites


@dataclass(frozen=True, slots=True, eq=False)
class Grains:
    """All grains.

    Parameters
    ----------
    of : Seeds
        Which grain a place belongs to.
    grains : tuple of Grain
        By number.
    """

    of: Seeds
    grains: tuple[Grain, ...]

    def field(self, name: str) -> Everywhere:
        """Return grain (from 1), phase, orientation or thickness as a function of place."""
        if name == "thickness":
            return self._thickness
        values = {
            "grain": [number + 1.0 for number in range(len(self.grains))],
            "phase": [float(one.phase) for one in self.grains],
            "orientation": [one.rotation for one in self.grains],
        }[name]
        table = np.array(values)
        return lambda x, y: table[self.of(x, y)]

    def _thickness(self, x: FloatArray, y: FloatArray) -> FloatArray:
        middle = np.array([one.thickness.middle for one in self.grains])
        slope = np.array([one.thickness.slope for one in self.grains])
        grain = self.of(x, y)
        found: FloatArray = np.maximum(middle[grain] + slope[grain] * x, 0.0)
        return found

    def inside(self, phase: int, edge: Edge, x: FloatArray, y: FloatArray) -> BoolArray:
        """Tell where a phase is, on the sample's side of its edge."""
        of_phase = np.array([one.phase == phase for one in self.grains])
        found: BoolArray = of_phase[self.of(x, y)] & edge.inside(x, y)
        return found


def _matter(found: Grains, edge: Edge, patches: Patches) -> Layered:
    def part(phase: int) -> Part:
        return Part(
            PHASES[phase],
            found.field("thickness"),
            lambda x, y: found.inside(phase, edge, x, y),
            by_atoms=True,
        )

    return Layered((*(part(phase) for phase in range(3)), Part("contamination", patches)))


def _spread(rng: np.random.Generator, count: int, box: Box) -> FloatArray:
    """Return seeds, none closer to another than half of what an even spread would have."""
    edge = box.right - box.left
    least = 0.5 * edge / math.sqrt(count)
    seeds: list[FloatArray] = []
    while len(seeds) < count:
        tried = rng.uniform(-edge / 2, edge / 2, 2)
        if all(np.hypot(*(tried - one)) >= least for one in seeds):
            seeds.append(tried)
    return np.array(seeds)


def _apart(parts: list[Sites]) -> Sites:
    """Return all grains' sites, without those that come too close to a grain before."""
    grain = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    sites = joined(parts)
    pairs = pairs_within(sites.position, _CLOSEST)
    across = pairs[grain[pairs[:, 0]] != grain[pairs[:, 1]]]
    gone = np.zeros(len(sites), dtype=bool)
    # Sites of later grains come later.
    gone[across.max(axis=1)] = True
    return sites.keep(~gone)
