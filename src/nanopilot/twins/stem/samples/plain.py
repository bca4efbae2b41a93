"""Scenes in which there is nothing to find: vacuum, a film with holes, amorphous carbon."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from nanopilot.twins.stem.materials import MATERIALS
from nanopilot.twins.stem.samples.amorphous import packed
from nanopilot.twins.stem.samples.film import Film, FilmSettings, film
from nanopilot.twins.stem.samples.matter import Layered, Part
from nanopilot.twins.stem.samples.recipe import Recipe, check_atoms, square
from nanopilot.twins.stem.samples.stability import displacement_energy, ionisation, thermal
from nanopilot.twins.stem.scene import Atoms, Scene, flat, no_atoms

_MEANING = {"support": ("thickness of the film", "m")}
#: Atoms of amorphous carbon are at least so far apart (m): the shortest bonds of it.
_CLOSEST = 1.3e-10


class Nothing(Recipe):
    """Vacuum everywhere, or the holes of a film with the film between them.

    Parameters
    ----------
    holey : bool
        There is a film, and most of it is holes.
    film : FilmSettings
        What it is like.
    """

    SIZE: ClassVar[float] = 1e-6
    MOST: ClassVar[float] = 100e-6

    holey: bool = False
    film: FilmSettings = FilmSettings(holes=0.6, hole_size=120e-9)

    def make(self, rng: np.random.Generator, size: float) -> Scene:
        """Return the scene; nothing of it is known by atoms."""
        if not self.holey:
            return Scene("nothing", square(size), no_atoms(), Layered(), flat, facts={"holes": []})
        return _of_film(film(rng, self.film, size), "nothing", size, no_atoms())


class Carbon(Recipe):
    """Amorphous carbon without anything on it.

    Parameters
    ----------
    film : FilmSettings
        What it is like.
    explicit : bool
        Atom by atom: for small areas.
    """

    SIZE: ClassVar[float] = 10e-9
    MOST: ClassVar[float] = 100e-6

    film: FilmSettings = FilmSettings(thickness=5e-9, length=3e-9)
    explicit: bool = Field(default=True)

    def make(self, rng: np.random.Generator, size: float) -> Scene:
        """Return the film."""
        plan, where = rng.spawn(2)
        support = film(plan, self.film, size)
        if not self.explicit:
            return _of_film(support, "carbon", size, no_atoms())
        dense = MATERIALS["carbon"].concentration()[6]
        check_atoms(
            dense * size**2 * self.film.thickness,
            "take a smaller `size_m`, a thinner film or `explicit` false",
        )
        return _of_film(support, "carbon", size, _atoms(where, support, size))


def _of_film(support: Film, name: str, size: float, atoms: Atoms) -> Scene:
    return Scene(
        name=name,
        area=square(size),
        atoms=atoms,
        matter=Layered((Part("carbon", support, by_atoms=bool(len(atoms))),)),
        height=flat,
        fields={"support": support},
        meaning=_MEANING,
        facts={"holes": support.facts(), "film": support.settings.model_dump()},
    )


def _atoms(rng: np.random.Generator, support: Film, size: float) -> Atoms:
    """Return a film atom by atom, as dense as carbon and as thick as the film is in each place."""
    most = support.settings.thickness * (1 + 5 * support.settings.fluctuation)
    dense = MATERIALS["carbon"].concentration()[6]
    position = packed(rng, (size, size, most), dense, _CLOSEST)
    thickness = support(position[:, 0], position[:, 1])
    position = position[np.abs(position[:, 2]) <= thickness / 2]
    count = len(position)
    return Atoms(
        position,
        np.full(count, 6, dtype=np.int64),
        np.full(count, thermal("carbon", "C")),
        np.zeros(count, dtype=np.int64),
        ("C",),
        np.full(count, displacement_energy("carbon", "C")),
        np.full(count, ionisation("carbon", "C")),
    )
