"""Particles of known shape, size and way to lie, on carbon, over hundreds of fields of view."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator

from nanopilot.core.errors import OutOfRange
from nanopilot.core.units import Length
from nanopilot.twins.stem.materials import MATERIALS
from nanopilot.twins.stem.samples.film import Film, FilmSettings, film
from nanopilot.twins.stem.samples.recipe import FloatArray, Recipe, square
from nanopilot.twins.stem.samples.solids import Solid, solid
from nanopilot.twins.stem.samples.zoo import Particle, Zoo
from nanopilot.twins.stem.scene import Field as Everywhere
from nanopilot.twins.stem.scene import Scene, flat, no_atoms

Shape = Literal[
    "sphere", "rod", "dumbbell", "cube", "octahedron", "truncated", "decahedron", "icosahedron"
]
_ALL: tuple[Shape, ...] = (
    "sphere", "rod", "dumbbell", "cube", "octahedron", "truncated", "decahedron", "icosahedron",
)  # fmt: skip
#: Places tried for a particle before the area counts as full.
_TRIES = 200
#: Distance of particles that touch over the sum of their radii.
_TOUCH = 0.95
#: Depth to which cerium of ceria is Ce3+ (m), the order of what Turner and others find by EELS
#: (S. Turner et al., Nanoscale 3, 3385 (2011)).
_REDUCED = 0.7e-9


class Particles(Recipe):
    """A zoo of particles on a film of amorphous carbon.

    Sizes are the diameters of the balls of equal volume. Rods and dumbbells lie on the film, the
    others any way.

    Parameters
    ----------
    count : int
        How many.
    size : float
        Median size in metres.
    spread : float
        Standard deviation of the logarithm of the size.
    shapes : tuple of str
        Which shapes there are, all equally often.
    substances : tuple of str
        Which materials they are of, equally often.
    core_shell : float
        Part of them that has a core of one of these materials in a shell.
    shell : str
        Material of the shell.
    core_size : float
        Size of a core over that of its particle.
    aggregated : float
        Part of them that touches another one.
    film : FilmSettings
        What they lie on.
    """

    SIZE: ClassVar[float] = 15e-6
    LEAST: ClassVar[float] = 100e-9
    MOST: ClassVar[float] = 100e-6

    count: int = Field(default=1500, ge=0, le=20_000)
    size: Length = Field(default=45e-9, ge=1e-9, le=2e-6)
    spread: float = Field(default=0.3, ge=0, le=1)
    shapes: tuple[Shape, ...] = Field(default=_ALL, min_length=1)
    substances: tuple[str, ...] = Field(
        default=("gold", "silver", "platinum", "palladium", "ceria"), min_length=1
    )
    core_shell: float = Field(default=0.25, ge=0, le=1)
    shell: str = "silica"
    core_size: float = Field(default=0.6, gt=0, lt=1)
    aggregated: float = Field(default=0.15, ge=0, le=1)
    film: FilmSettings = FilmSettings(holes=0.02, hole_size=250e-9)

    @field_validator("substances", "shell")
    @classmethod
    def _known(cls, value: tuple[str, ...] | str) -> tuple[str, ...] | str:
        for name in (value,) if isinstance(value, str) else value:
            if name not in MATERIALS:
                raise ValueError(f"{name!r} is no material; there are {', '.join(MATERIALS)}")
        return value

    def make(self, rng: np.random.Generator, size: float) -> Scene:
        """Return film and particles."""
        under, kinds, where = rng.spawn(3)
        support = film(under, self.film, size)
        drawn = self._drawn(kinds)
        places = self._places(where, drawn, support, size)
        particles = [one.at(place) for one, place in zip(drawn, places.where, strict=True)]
        substances = {
            name for one in particles for name in (one.material, one.core_material) if name
        }
        zoo = Zoo(support, particles, ("carbon", *sorted(substances - {"carbon"})))
        fields, meaning = _fields(zoo, support)
        return Scene(
            name="particles",
            area=square(size),
            atoms=no_atoms(),
            matter=zoo,
            height=flat,
            fields=fields,
            meaning=meaning,
            facts={
                "particles": [
                    one.facts(particle, group)
                    for one, particle, group in zip(drawn, particles, places.group, strict=True)
                ],
                "holes": support.facts(),
                "film": self.film.model_dump(),
            },
            valence={"Ce": "valence_Ce"} if "valence_Ce" in fields else {},
        )

    def _drawn(self, rng: np.random.Generator) -> list[Drawn]:
        """Return the particles without places."""
        sizes = self.size * np.exp(self.spread * rng.standard_normal(self.count))
        shapes = rng.integers(0, len(self.shapes), self.count)
        stuffs = rng.integers(0, len(self.substances), self.count)
        cored = np.zeros(self.count, dtype=bool)
        cored[rng.permutation(self.count)[: round(self.core_shell * self.count)]] = True
        turns = rng.standard_normal((self.count, 4))
        turns /= np.linalg.norm(turns, axis=1, keepdims=True)
        found = []
        for number in range(self.count):
            name: str = self.shapes[shapes[number]]
            turn = turns[number]
            if name in ("rod", "dumbbell", "sphere"):
                # About the beam only: they lie, or it makes no difference.
                turn = np.array([turn[0], 0.0, 0.0, turn[3]]) / np.hypot(turn[0], turn[3])
            body = solid(name, float(sizes[number]), matrix(turn))
            stuff = self.substances[stuffs[number]]
            core = body.scaled(self.core_size) if cored[number] else None
            material = (self.shell, stuff) if core is not None else (stuff, "")
            found.append(Drawn(name, float(sizes[number]), turn, body, core, material))
        return found

    def _places(
        self, rng: np.random.Generator, drawn: list[Drawn], support: Film, size: float
    ) -> Places:
        """Return where the particles are: none on another, none over a hole."""
        joining = np.zeros(len(drawn), dtype=bool)
        joining[1:] = rng.random(max(len(drawn) - 1, 0)) < self.aggregated
        places = Places(np.zeros((len(drawn), 2)), np.arange(len(drawn)))
        reach = np.array([one.body.reach for one in drawn])
        for number in range(len(drawn)):
            for _ in range(_TRIES):
                partner = int(rng.integers(0, number)) if joining[number] else -1
                place = rng.uniform(-0.5, 0.5, 2) * (size - 2 * min(reach[number], size / 4))
                if partner >= 0:
                    angle = rng.uniform(0, 2 * math.pi)
                    apart = _TOUCH * (drawn[number].size + drawn[partner].size) / 2
                    there = apart * np.array([math.cos(angle), math.sin(angle)])
                    place = places.where[partner] + there
                if places.free(place, number, reach, partner, size) and not support.hole(
                    place[:1], place[1:]
                ):
                    places.where[number] = place
                    places.group[number] = places.group[partner] if partner >= 0 else number
                    break
            else:
                raise OutOfRange(
                    f"`count` is {self.count}; there was no room left after {number} particles. "
                    "Take fewer, smaller ones, or a larger `size_m`."
                )
        return places


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where particles are.

    Parameters
    ----------
    where : numpy.ndarray
        Metres, shape (n, 2).
    group : numpy.ndarray
        Number of the first particle of each one's aggregate, shape (n,).
    """

    where: FloatArray
    group: np.ndarray[Any, np.dtype[np.int64]]

    def free(
        self, place: FloatArray, number: int, reach: FloatArray, partner: int, size: float
    ) -> bool:
        """Tell whether a particle fits; its own aggregate may be near, others may not."""
        if np.abs(place).max() > size / 2:
            return False
        away = np.hypot(*(self.where[:number] - place).T)
        needed = reach[:number] + reach[number]
        if partner >= 0:
            mine = self.group[:number] == self.group[partner]
            needed = np.where(mine, 0.75 * needed, needed)
            needed[partner] = 0.0
        return bool((away >= needed).all())


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A particle that has no place yet.

    Parameters
    ----------
    shape : str
        Name of the shape.
    size : float
        Metres.
    turn : numpy.ndarray
        Unit quaternion (w, x, y, z).
    body, core : Solid
        Of it, and of its core if it has one.
    material : (str, str)
        Of body and core.
    """

    shape: str
    size: float
    turn: FloatArray
    body: Solid
    core: Solid | None
    material: tuple[str, str]

    def at(self, place: FloatArray) -> Particle:
        """Return the particle at a place in metres, shape (2,)."""
        x, y = (float(one) for one in place)
        return Particle(x, y, self.body, self.material[0], self.core, self.material[1])

    def facts(self, placed: Particle, group: int) -> dict[str, Any]:
        """Return what is known of it, as JSON."""
        radius = None if self.core is None else (6 * self.core.volume / math.pi) ** (1 / 3)
        return {
            "x": placed.x,
            "y": placed.y,
            "shape": self.shape,
            "size": self.size,
            "reach": self.body.reach,
            "orientation": [float(one) for one in self.turn],
            "material": self.material[0],
            "core_material": self.material[1] or None,
            "core_size": radius,
            "aggregate": int(group),
        }


def matrix(turn: FloatArray) -> FloatArray:
    """Return the rotation matrix, shape (3, 3), of a unit quaternion (w, x, y, z)."""
    w, x, y, z = (float(one) for one in turn)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def _fields(zoo: Zoo, support: Film) -> tuple[dict[str, Everywhere], dict[str, tuple[str, str]]]:
    fields: dict[str, Everywhere] = {"particle": zoo.number, "support": support}
    meaning = {
        "particle": ("number of the particle, 0: none", "1"),
        "support": ("thickness of the film", "m"),
    }
    if "ceria" in zoo.materials:
        # Ce3+ near the surface, Ce4+ inside.
        fields["valence_Ce"] = lambda x, y: 3.0 + zoo.inner_share("ceria", _REDUCED, x, y)
        meaning["valence_Ce"] = ("mean valence of Ce along the beam", "1")
    return fields, meaning
