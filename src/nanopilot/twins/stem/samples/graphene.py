"""Graphene: one layer or two, with vacancies, foreign atoms, edges and a grain boundary."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from nanopilot.core.units import Angle, Length
from nanopilot.twins.stem.samples.boundary import BOND, Bicrystal, bicrystal
from nanopilot.twins.stem.samples.columns import Crystalline, truth_of
from nanopilot.twins.stem.samples.defects import Defects
from nanopilot.twins.stem.samples.lattice import (
    Box,
    Sites,
    fill,
    joined,
    motif,
    sites_of,
    square_box,
)
from nanopilot.twins.stem.samples.layer import RIM, bent, by_kind, finished, loosened, within
from nanopilot.twins.stem.samples.matter import Layered, Part, constant
from nanopilot.twins.stem.samples.noise import Meander, meander
from nanopilot.twins.stem.samples.outline import Bow, Edge, Foil
from nanopilot.twins.stem.samples.recipe import FloatArray, Share, check_atoms, square
from nanopilot.twins.stem.scene import Field as Everywhere

#: Longest bond, lattice constant and distance of layers in metres; atoms of a layer per m².
_REACH, _CONSTANT, _SPACING, _DENSITY = 1.8e-10, 2.461e-10, 3.355e-10, 38.1e18
_MEANING = {
    "grain": ("number of the grain", "1"),
    "orientation": ("rotation of the first layer from x", "rad"),
    "layers": ("number of layers", "1"),
}


class Graphene(Foil):
    """Graphene, flat unless bent.

    Foreign atoms sit where a carbon atom was, and their neighbours stay where they were.

    Parameters
    ----------
    vacancies, silicon, nitrogen : float
        Sites of the first layer without atom, with Si, with N: a fraction below 1, or how many.
    boundary : float
        Angle in radians between two grains that meet at x = 0; 0: one grain.
    meander : float
        Standard deviation of the boundary from straight, in metres.
    twist : float, optional
        Of a second layer against the first, in radians: the two make a moiré; 0: they are
        stacked as in graphite (AB). None: one layer.
    edge : {"ragged", "zigzag", "armchair"}
        How it ends where `vacuum` begins: anyhow, or along rows of the (left) lattice.
    """

    SIZE: ClassVar[float] = 30e-9
    MOST: ClassVar[float] = 200e-9

    vacancies: Share = 0.002
    silicon: Share = 0.002
    nitrogen: Share = 0.003
    boundary: Angle = Field(default=0.0, ge=0, le=math.pi / 3)
    meander: Length = Field(default=0.2e-9, ge=0, le=5e-9)
    twist: Angle | None = Field(default=None, ge=-math.pi / 3, le=math.pi / 3)
    edge: Literal["ragged", "zigzag", "armchair"] = "ragged"

    def make(self, rng: np.random.Generator, size: float) -> Crystalline:
        """Return the layers; all defects are in the first."""
        check_atoms(2 * _DENSITY * size**2, "take a smaller `size_m`")
        origin, wander, outline, patching, hits = rng.spawn(5)
        shifts = origin.uniform(0, _CONSTANT, (2, 2))
        line = meander(wander, self.meander, 1e-9)
        edge, bow = self._outline(outline, size), Bow(self.bend, size)
        patches = self.patches(patching, size)
        box = square_box(size)
        two = self._two(box, shifts, line)
        layers = [
            bent(finished(layer, edge, box, _REACH), bow)
            for layer in self._layers(box.grown(RIM), shifts, two)
        ]
        defects = self._defects(hits, layers[0])
        parts = (
            Part("graphene", constant(len(layers) * _SPACING), edge.inside, by_atoms=True),
            Part("contamination", patches),
        )
        facts = self.foil_facts(edge, patches) | self._facts(defects, two, (box, edge))
        return Crystalline(
            name="graphene",
            area=square(size),
            atoms=joined([loosened(defects, _REACH), *layers[1:]]).atoms(),
            matter=Layered(parts),
            height=bow,
            fields=self._fields(line, edge, len(layers)),
            meaning=_MEANING,
            facts=facts | {"layers": len(layers)},
            **truth_of(joined(layers)),
        )

    @property
    def rotations(self) -> tuple[float, float]:
        """Of the left and the right grain, in radians."""
        return self.rotation - self.boundary / 2, self.rotation + self.boundary / 2

    def _outline(self, rng: np.random.Generator, size: float) -> Edge:
        """Return where it ends; rows of zigzag run along the cell's x."""
        along = {"ragged": 0.0, "armchair": self.rotations[0]}
        normal = along.get(self.edge, self.rotations[0] + math.pi / 2)
        return self.ending(rng, size, normal=normal, ragged=self.edge == "ragged")

    def _two(self, box: Box, shifts: FloatArray, line: Meander) -> Bicrystal | None:
        if not self.boundary:
            return None
        # The rim of the network is not complete: it is made wider than what is kept of it.
        return bicrystal(box.grown(2 * RIM), self.rotations, shifts, line)

    def _layers(self, box: Box, shifts: FloatArray, two: Bicrystal | None) -> list[Sites]:
        """Return one layer or two, the first at z = 0."""
        cell = motif("graphene")
        if two is None:
            found = [fill(cell, box, rotation=self.rotation, shift=shifts[0])]
        else:
            flat = np.column_stack([two.atoms, np.zeros(len(two.atoms))])
            flat = flat[within(flat, box)]
            column = np.arange(len(flat))
            found = [sites_of(cell, np.zeros(len(flat), dtype=np.int64), flat, column)]
        if self.twist is not None:
            rotation = self.rotation + self.twist
            bonded = BOND * np.array([-math.sin(rotation), math.cos(rotation)])
            second = fill(cell, box, rotation=rotation, shift=shifts[0] + bonded)
            found.append(second.moved(np.array([0.0, 0.0, _SPACING])))
        return found

    def _defects(self, rng: np.random.Generator, layer: Sites) -> Defects:
        defects = Defects(layer, "graphene", rng)
        anywhere = np.ones(len(layer), dtype=bool)
        defects.remove(defects.choose("vacancies", self.vacancies, anywhere))
        for name, symbol in (("silicon", "Si"), ("nitrogen", "N")):
            chosen = defects.choose(name, getattr(self, name), anywhere)
            defects.exchange(chosen, symbol, "dopant")
        return defects

    def _fields(self, line: Meander, edge: Edge, layers: int) -> dict[str, Everywhere]:
        left, right = self.rotations

        def beyond(x: FloatArray, y: FloatArray) -> Any:
            return (np.asarray(x) >= line(np.asarray(y))) & bool(self.boundary)

        return {
            "grain": lambda x, y: np.where(beyond(x, y), 2.0, 1.0),
            "orientation": lambda x, y: np.where(beyond(x, y), right, left),
            "layers": lambda x, y: layers * edge.inside(x, y).astype(float),
        }

    def _facts(
        self, defects: Defects, two: Bicrystal | None, extent: tuple[Box, Edge]
    ) -> dict[str, Any]:
        box, edge = extent
        rings: list[dict[str, float]] = []
        if two is not None:
            odd = within(two.rings, box) & (two.size != 6) & (two.size > 0)
            odd &= edge.inside(two.rings[:, 0], two.rings[:, 1])
            rings = [
                {"x": float(x), "y": float(y), "size": int(atoms)}
                for (x, y), atoms in zip(two.rings[odd], two.size[odd], strict=True)
            ]
        return {
            "defects": defects.found,
            "counts": by_kind(defects.found),
            "sites": len(defects.sites),
            "boundary": self.boundary,
            "rings": rings,
            "twist": self.twist,
            "moire_period": _moire(self.twist),
        }


def _moire(twist: float | None) -> float | None:
    """Return the period in metres: ``a / (2 sin(twist / 2))``.

    J. M. B. Lopes dos Santos, N. M. R. Peres and A. H. Castro Neto, Phys. Rev. Lett. 99, 256802
    (2007). None: there is none.
    """
    return _CONSTANT / (2 * math.sin(abs(twist) / 2)) if twist else None
