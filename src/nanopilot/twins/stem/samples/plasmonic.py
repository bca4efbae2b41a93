"""Metal particles on thin silica that carry plasmons: discs, rods, triangles and pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from nanopilot.core.errors import OutOfRange
from nanopilot.core.units import Length
from nanopilot.models.electron_optics import VOLTAGES
from nanopilot.twins.stem.samples.matter import Layered, Part
from nanopilot.twins.stem.samples.noise import Smooth, smooth
from nanopilot.twins.stem.samples.recipe import BoolArray, FloatArray, IntArray, Recipe, square
from nanopilot.twins.stem.scene import Scene, flat, no_atoms

if TYPE_CHECKING:
    from nanopilot.twins.stem.spectra.plasmonic_particle import PlasmonicParticle

Kind = Literal["disc", "rod", "triangle", "dimer"]
#: Width of a rod over its length, and height of a triangle over its side.
_ROD, _TRIANGLE = 0.3, math.sqrt(3) / 2
#: Relative roughness of the membrane's thickness, and its correlation length (m).
_UNEVEN, _LENGTH = 0.03, 50e-9


class Array(Recipe):
    """A square array of flat particles, one to a place, on a membrane of silica.

    Particles are prisms with upright sides; a rod has round ends. A pair (dimer) is two equal
    discs with a gap.

    Parameters
    ----------
    kinds : tuple of str
        Shapes there are, drawn for each place.
    metals : tuple of str
        Materials there are, drawn for each place.
    pitch : float
        From place to place in metres.
    length : float
        Of a rod, side of a triangle, or diameter, in metres.
    spread : float
        Standard deviation of the logarithm of the length.
    gap : float
        Of a pair, in metres.
    height : float
        Thickness of the particles in metres.
    membrane : float
        Thickness of the silica in metres.
    turned : bool
        Every one is turned at random; otherwise all lie along x.
    voltage : float
        Of the beam that the losses are calculated for, in volts.
    surrounding : float
        Relative permittivity around them: a mean of vacuum and silica.
    """

    SIZE: ClassVar[float] = 4e-6
    LEAST: ClassVar[float] = 50e-9
    MOST: ClassVar[float] = 50e-6

    kinds: tuple[Kind, ...] = Field(default=("disc", "rod", "triangle", "dimer"), min_length=1)
    metals: tuple[Literal["silver", "gold"], ...] = Field(default=("silver", "gold"), min_length=1)
    pitch: Length = Field(default=500e-9, gt=0, le=1e-5)
    length: Length = Field(default=110e-9, ge=5e-9, le=400e-9)
    spread: float = Field(default=0.15, ge=0, le=0.5)
    gap: Length = Field(default=8e-9, ge=1e-9, le=200e-9)
    height: Length = Field(default=30e-9, ge=2e-9, le=200e-9)
    membrane: Length = Field(default=15e-9, gt=0, le=200e-9)
    turned: bool = True
    voltage: float = Field(default=200e3, ge=VOLTAGES[0], le=VOLTAGES[1])
    surrounding: float = Field(default=1.5, ge=1, le=5)

    def make(self, rng: np.random.Generator, size: float) -> Scene:
        """Return the array."""
        from nanopilot.twins.stem.spectra.plasmons import ParticleModes

        under, draw = rng.spawn(2)
        particles = self._particles(draw, size)
        flakes = Flakes(tuple(particles))
        uneven = smooth(under, _LENGTH)

        def flakes_of(metal: str) -> Part:
            return Part(metal, lambda x, y: self.height * flakes.covered(metal, x, y))

        metals = [flakes_of(metal) for metal in sorted(set(self.metals))]
        return Scene(
            name="plasmonic",
            area=square(size),
            atoms=no_atoms(),
            matter=Layered((Part("silica", Membrane(self.membrane, uneven)), *metals)),
            height=flat,
            fields={"particle": flakes.number},
            meaning={"particle": ("number of the particle, 0: none", "1")},
            facts={"particles": [_facts(one) for one in particles], "pitch": self.pitch},
            excitations=ParticleModes(
                tuple(particles), voltage=self.voltage, surrounding=self.surrounding
            ),
        )

    def _particles(self, rng: np.random.Generator, size: float) -> list[PlasmonicParticle]:
        from nanopilot.twins.stem.spectra.plasmonic_particle import PlasmonicParticle

        side = max(1, int(size / self.pitch * (1 + 1e-9)))
        if side**2 > 10_000:
            raise OutOfRange(
                f"`pitch` is {self.pitch:g} m, which makes {side**2} particles; at most 10000 are "
                "made; take a larger one or a smaller `size_m`."
            )
        steps = self.pitch * (np.arange(side) - (side - 1) / 2)
        found = []
        for y in steps:
            for x in steps:
                kind = self.kinds[int(rng.integers(len(self.kinds)))]
                metal = self.metals[int(rng.integers(len(self.metals)))]
                length = float(self.length * np.exp(self.spread * rng.standard_normal()))
                angle = float(rng.uniform(-math.pi, math.pi)) if self.turned else 0.0
                shape = self._shape(kind, length)
                place, partner = self._pair((float(x), float(y)), kind, length, angle)
                found.append(
                    PlasmonicParticle(*place, kind, shape, angle, self.height, metal, partner)
                )
        self._check(found)
        return found

    def _shape(self, kind: str, length: float) -> tuple[float, float]:
        factor = {"rod": _ROD, "triangle": _TRIANGLE}.get(kind, 1.0)
        return length, factor * length

    def _pair(
        self, place: tuple[float, float], kind: str, length: float, angle: float
    ) -> tuple[tuple[float, float], tuple[float, float] | None]:
        """Return the middle of a particle, and of its partner if it is one of a pair."""
        if kind != "dimer":
            return place, None
        half = (length + self.gap) / 2
        dx, dy = half * math.cos(angle), half * math.sin(angle)
        return (place[0] - dx, place[1] - dy), (place[0] + dx, place[1] + dy)

    def _check(self, particles: Sequence[PlasmonicParticle]) -> None:
        """Refuse an array in which neighbours could touch."""
        widest = max(
            one.size[0] * (2 if one.partner else 1) + (self.gap if one.partner else 0)
            for one in particles
        )
        # A corner of a triangle is farther from its middle than half its side.
        if len(particles) > 1 and 1.16 * widest >= self.pitch:
            raise OutOfRange(
                f"`pitch` is {self.pitch:g} m; the largest particle takes {1.16 * widest:.4g} m. "
                "Take a larger pitch or a smaller `length`."
            )


@dataclass(frozen=True, slots=True, eq=False)
class Membrane:
    """A film of nearly one thickness.

    Parameters
    ----------
    mean : float
        Metres.
    uneven : Smooth
        How it varies.
    """

    mean: float
    uneven: Smooth

    def __call__(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return metres at places in metres, shape as x."""
        found: FloatArray = self.mean * np.maximum(1 + _UNEVEN * self.uneven(x, y), 0.5)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Flakes:
    """Flat particles and where they are.

    Parameters
    ----------
    particles : tuple of PlasmonicParticle
        In the order of their numbers.
    """

    particles: tuple[PlasmonicParticle, ...]

    def number(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return the number from 1 of the particle at places in metres, 0: none; shape as x."""
        return self._number(x, y).astype(float)

    def covered(self, metal: str, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return 1 where a particle of this metal is, else 0, at places in metres."""
        of_metal = np.array([0.0, *(float(one.material == metal) for one in self.particles)])
        found: FloatArray = of_metal[self._number(x, y)]
        return found

    def _number(self, x: FloatArray, y: FloatArray) -> IntArray:
        x, y = np.broadcast_arrays(np.asarray(x, dtype=float), np.asarray(y, dtype=float))
        found = np.zeros(x.size, dtype=np.int64)
        px, py = x.ravel(), y.ravel()
        if not px.size:
            return found.reshape(x.shape)
        low, high = (px.min(), py.min()), (px.max(), py.max())
        for number, one in enumerate(self.particles, start=1):
            for middle in (one.x, one.y), one.partner:
                if middle is None:
                    continue
                reach = one.size[0]
                if any(
                    at + reach < first or at - reach > last
                    for at, first, last in zip(middle, low, high, strict=True)
                ):
                    continue
                near = np.flatnonzero(
                    (np.abs(px - middle[0]) <= reach) & (np.abs(py - middle[1]) <= reach)
                )
                inside = footprint(one, px[near] - middle[0], py[near] - middle[1])
                found[near[inside]] = number
        return found.reshape(x.shape)


def footprint(one: PlasmonicParticle, x: FloatArray, y: FloatArray) -> BoolArray:
    """Tell which places lie on a particle (of a pair: on a half).

    Parameters
    ----------
    one : PlasmonicParticle
        What is there; its place is not looked at.
    x, y : numpy.ndarray
        Metres from its middle, one shape.
    """
    cos, sin = math.cos(one.orientation), math.sin(one.orientation)
    along, across = x * cos + y * sin, y * cos - x * sin
    length, width = one.size
    inside: BoolArray
    if one.kind == "rod":
        beyond = np.maximum(np.abs(along) - (length - width) / 2, 0.0)
        inside = np.hypot(beyond, across) <= width / 2
    elif one.kind == "triangle":
        # Its middle is a third of its height above the base; a corner points along.
        back = along + width / 3
        inside = (back >= 0) & (np.abs(across) <= (1 - back / width) * length / 2)
    else:
        inside = (2 * along / length) ** 2 + (2 * across / width) ** 2 <= 1
    return inside


def _facts(one: PlasmonicParticle) -> dict[str, Any]:
    return {
        "x": one.x,
        "y": one.y,
        "kind": one.kind,
        "size": list(one.size),
        "orientation": one.orientation,
        "thickness": one.thickness,
        "material": one.material,
        "partner": None if one.partner is None else list(one.partner),
        "gap": one.gap,
    }
