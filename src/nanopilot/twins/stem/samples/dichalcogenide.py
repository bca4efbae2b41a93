"""One layer of a dichalcogenide MX2 with vacancies, antisites, foreign atoms and edges."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from nanopilot.core.units import Angle
from nanopilot.twins.stem.samples.columns import Crystalline, truth_of
from nanopilot.twins.stem.samples.defects import Defects, atomic_number
from nanopilot.twins.stem.samples.lattice import Motif, Sites, fill, motif, square_box
from nanopilot.twins.stem.samples.layer import RIM, bent, by_kind, finished, loosened
from nanopilot.twins.stem.samples.matter import Layered, Part, constant
from nanopilot.twins.stem.samples.outline import Bow, Edge, Foil
from nanopilot.twins.stem.samples.recipe import IntArray, Share, check_atoms, square
from nanopilot.twins.stem.samples.stability import TOWARDS_GUN

#: Longest bond over that of the crystal.
_REACH = 1.15


class Layer(Foil):
    """A trigonal prismatic layer of molybdenum or tungsten with sulphur, selenium or tellurium.

    Fractions are of the sites of the element that was there, but of `double_vacancies`, which
    are of the columns of chalcogen.

    Parameters
    ----------
    metal, chalcogen : str
        What it is made of.
    vacancies : float
        Columns that lack one of their two chalcogens: fraction of all chalcogens, or how many.
    double_vacancies : float
        Columns that lack both.
    metal_vacancies : float
        Metal sites without atom.
    antisites : float
        Chalcogen sites with a metal atom.
    metal_antisites : float
        Metal sites with a chalcogen atom.
    metal_dopant, metal_dopants : str, float
        Element, such as V or Re, and how much of it on metal sites.
    chalcogen_dopant, chalcogen_dopants : str, float
        Element, such as O or Se, and how much of it on chalcogen sites.
    edge : {"ragged", "zigzag", "armchair"}
        How it ends where `vacuum` begins: anyhow, or along rows of the lattice.
    """

    SIZE: ClassVar[float] = 25e-9
    MOST: ClassVar[float] = 200e-9

    metal: Literal["Mo", "W"] = "Mo"
    chalcogen: Literal["S", "Se", "Te"] = "S"
    rotation: Angle = 0.15
    vacancies: Share = 0.01
    double_vacancies: Share = 0.001
    metal_vacancies: Share = 0.001
    antisites: Share = 0.001
    metal_antisites: Share = 0.0
    metal_dopant: str = Field(default="Re", min_length=1, max_length=2)
    metal_dopants: Share = 0.005
    chalcogen_dopant: str = Field(default="O", min_length=1, max_length=2)
    chalcogen_dopants: Share = 0.0
    edge: Literal["ragged", "zigzag", "armchair"] = "ragged"

    @property
    def crystal(self) -> str:
        """Name of the crystal."""
        return f"{self.metal}{self.chalcogen}2".lower()

    def make(self, rng: np.random.Generator, size: float) -> Crystalline:
        """Return the layer."""
        for name in ("metal_dopant", "chalcogen_dopant"):
            atomic_number(name, getattr(self, name))
        cell = _named(motif(self.crystal), self.metal, self.chalcogen)
        area = float(cell.size[0] * cell.size[1])
        check_atoms(size**2 / area * len(cell.number), "take a smaller `size_m`")
        origin, outline, patching, hits = rng.spawn(4)
        edge, bow = self._outline(outline, size), Bow(self.bend, size)
        patches = self.patches(patching, size)
        box, reach = square_box(size), _REACH * _bond(cell)
        shift = origin.uniform(0, cell.size[0], 2)
        layer = fill(cell, box.grown(RIM), rotation=self.rotation, shift=shift)
        layer = bent(_shielded(finished(layer, edge, box, reach)), bow)
        defects = self._defects(hits, layer)
        parts = (
            Part(self.crystal, constant(float(cell.size[2])), edge.inside, by_atoms=True),
            Part("contamination", patches),
        )
        return Crystalline(
            name="dichalcogenide",
            area=square(size),
            atoms=loosened(defects, reach).atoms(),
            matter=Layered(parts),
            height=bow,
            fields={"layers": lambda x, y: edge.inside(x, y).astype(float)},
            meaning={"layers": ("number of layers", "1")},
            facts=self.foil_facts(edge, patches) | self._facts(defects),
            **truth_of(layer),
        )

    def _outline(self, rng: np.random.Generator, size: float) -> Edge:
        along = {"ragged": 0.0, "armchair": self.rotation}
        normal = along.get(self.edge, self.rotation + math.pi / 2)
        return self.ending(rng, size, normal=normal, ragged=self.edge == "ragged")

    def _defects(self, rng: np.random.Generator, layer: Sites) -> Defects:
        defects = Defects(layer, self.crystal, rng)
        metals = layer.number == atomic_number("metal", self.metal)
        tops, partner = _pairs(layer, metals)
        pairs = int(tops.sum())
        double = defects.choose("double_vacancies", self.double_vacancies, tops)
        defects.remove(double, "double vacancy", with_them=partner[double])
        single = defects.choose("vacancies", self.vacancies, tops, of=2 * pairs)
        defects.free[partner[single]] = False
        below = rng.random(len(single)) < 0.5
        defects.remove(np.where(below, partner[single], single))
        defects.remove(
            defects.choose("metal_vacancies", self.metal_vacancies, metals), "metal vacancy"
        )
        for name, symbol, among, kind in (
            ("antisites", self.metal, ~metals, "antisite"),
            ("metal_antisites", self.chalcogen, metals, "antisite"),
            ("metal_dopants", self.metal_dopant, metals, "dopant"),
            ("chalcogen_dopants", self.chalcogen_dopant, ~metals, "dopant"),
        ):
            chosen = defects.choose(name, getattr(self, name), among)
            defects.exchange(chosen, symbol, kind)
        return defects

    def _facts(self, defects: Defects) -> dict[str, Any]:
        return {
            "crystal": self.crystal,
            "defects": defects.found,
            "counts": by_kind(defects.found),
            "sites": len(defects.sites),
        }


def _named(cell: Motif, metal: str, chalcogen: str) -> Motif:
    """Return the cell with the chalcogens named by their side; top is towards the gun."""
    kinds = (metal, f"{chalcogen} top", f"{chalcogen} bottom")
    of_metal = cell.number == atomic_number("metal", metal)
    z = cell.position[:, 2] - cell.position[of_metal, 2].mean()
    return replace(cell, kinds=kinds, kind=np.where(of_metal, 0, np.where(z < 0, 1, 2)))


def _bond(cell: Motif) -> float:
    """Return the shortest distance of two sites in a cell, in metres."""
    apart = cell.position[:, None] - cell.position[None]
    apart -= cell.size * np.rint(apart / cell.size)
    length = np.sqrt((apart**2).sum(axis=-1))
    return float(length[length > 1e-12].min())


def _shielded(layer: Sites) -> Sites:
    """Return the layer with the chalcogens towards the gun harder to remove."""
    top = np.array([name.endswith("top") for name in layer.kinds])[layer.kind]
    return replace(layer, energy=np.where(top, TOWARDS_GUN * layer.energy, layer.energy))


def _pairs(layer: Sites, metals: Any) -> tuple[Any, IntArray]:
    """Return which chalcogens are the upper ones of a pair, and the partner of every site."""
    partner = np.arange(len(layer))
    others = np.flatnonzero(~metals)
    order = others[np.lexsort((layer.position[others, 2], layer.column[others]))]
    column = layer.column[order]
    paired = np.flatnonzero(column[1:] == column[:-1])
    partner[order[paired]], partner[order[paired + 1]] = order[paired + 1], order[paired]
    tops = np.zeros(len(layer), dtype=bool)
    tops[order[paired]] = True
    return tops, partner
