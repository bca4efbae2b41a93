"""A metal particle that plasmons run on, and one of its modes as the beam sees it.

The formulas and their sources are those of `nanopilot.twins.stem.spectra.plasmons`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from nanopilot.core.errors import OutOfRange, UnknownName
from nanopilot.twins.stem.spectra.columns import FloatArray
from nanopilot.twins.stem.spectra.inelastic import speed_squared

Kind = Literal["disc", "rod", "triangle", "sphere", "dimer"]
LIGHT = 1.973269804e-7  # hbar c in eV m
FERMI = 1.39e6 * 6.582119569e-16  # hbar times the Fermi velocity of silver and gold, eV m
#: Lengths of a particle in metres for which this holds.
SIZES = (2e-9, 500e-9)


@dataclass(frozen=True, slots=True)
class Drude:
    """A metal: ``eps = background - plasma^2 / (E (E + i damping))``, energies in eV.

    A. Derkachova, K. Kolwas and I. Demchenko, Plasmonics 11 (2016) 941. `interband` is the energy
    from which d electrons damp the plasmon too; by how much (0.3 eV) is ours.
    """

    background: float
    plasma: float
    damping: float
    interband: float


METALS: Mapping[str, Drude] = {
    "gold": Drude(9.84, 9.01, 0.072, 2.4),
    "silver": Drude(3.7, 8.9, 0.021, 3.9),
}


@dataclass(frozen=True, slots=True)
class PlasmonicParticle:
    """A metal particle lying on the sample.

    Parameters
    ----------
    x, y : float
        Its middle, in metres.
    kind : {"disc", "rod", "triangle", "sphere", "dimer"}
        Its shape; a dimer is two equal ellipses.
    size : (float, float)
        Length along `orientation` and width, in metres; of a triangle the side and the height; of a
        sphere the diameter twice.
    orientation : float
        Of the length against x, in radians; a corner of a triangle points there.
    thickness : float
        Along the beam in metres; a sphere has its diameter.
    material : {"gold", "silver"}
        What it is made of.
    partner : (float, float), optional
        The middle of the other half of a dimer, in metres.

    Raises
    ------
    UnknownName
        Kind or material is none of the known.
    OutOfRange
        A length is too small or too large, a dimer overlaps, or has no partner.
    """

    x: float
    y: float
    kind: Kind
    size: tuple[float, float]
    orientation: float = 0.0
    thickness: float = 30e-9
    material: str = "gold"
    partner: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise UnknownName("kind", self.kind, get_args(Kind))
        if self.material not in METALS:
            raise UnknownName("material", self.material, METALS)
        for name, length in zip(("size", "size", "thickness"), self.lengths, strict=True):
            if not SIZES[0] <= length <= SIZES[1]:
                raise OutOfRange(
                    f"`{name}` is {length:g} m; plasmons are known from {SIZES[0]:g} m to "
                    f"{SIZES[1]:g} m."
                )
        if (self.kind == "dimer") != (self.partner is not None):
            raise OutOfRange(f"`partner` is {self.partner}; a dimer has one, a {self.kind} none.")
        if self.partner is not None and self.gap <= 0:
            raise OutOfRange(f"`partner` is {self.partner}; its half overlaps with this one.")

    @property
    def lengths(self) -> tuple[float, float, float]:
        """Length, width and thickness in metres."""
        if self.kind == "sphere":
            return self.size[0], self.size[0], self.size[0]
        return self.size[0], self.size[1], self.thickness

    @property
    def gap(self) -> float:
        """Metres between the halves of a dimer, along the line of their middles; 0: no dimer."""
        if self.partner is None:
            return 0.0
        away = np.hypot(*self.separation)
        toward = np.arctan2(self.separation[1], self.separation[0]) - self.orientation
        radius = 0.5 / np.hypot(np.cos(toward) / self.size[0], np.sin(toward) / self.size[1])
        return float(away - 2 * radius)

    @property
    def separation(self) -> tuple[float, float]:
        """From the middle to that of the partner, in metres; zero without one."""
        other = self.partner or (self.x, self.y)
        return other[0] - self.x, other[1] - self.y


@dataclass(frozen=True, slots=True, eq=False)
class Mode:
    """One plasmon of one particle.

    Parameters
    ----------
    particle : int
        Index of the particle.
    name : str
        Such as ``"dipole along"``.
    energy, width : float
        Of its Lorentzian, the width full at half maximum, in eV.
    polarisability : float
        Static share of the polarisability in m³ (Gaussian units).
    places : numpy.ndarray
        Where its charges are, metres, shape (charges, 2).
    charges : numpy.ndarray
        Shape (charges,), in 1/m: two opposite ones at the ends of a dipole are over its length.
    blur : float
        Metres over which a charge is spread.
    """

    particle: int
    name: str
    energy: float
    width: float
    polarisability: float
    places: FloatArray
    charges: FloatArray
    blur: float

    def spectrum(self, energy: FloatArray) -> FloatArray:
        """Return the imaginary part of the polarisability in m³ at energies in eV."""
        squares = self.energy**2 - energy**2
        found: FloatArray = (
            self.polarisability * self.energy**2 * energy * self.width
            / (squares**2 + (energy * self.width) ** 2)
        )  # fmt: skip
        return found

    def map(self, x: FloatArray, y: FloatArray, voltage: float) -> FloatArray:
        """Return how strongly the beam couples at places in metres, in 1/m², shape of x."""
        from scipy.special import k0

        reach = decay_length(self.energy, voltage)
        potential = np.zeros(np.shape(x))
        for (px, py), charge in zip(self.places, self.charges, strict=True):
            away = np.sqrt((x - px) ** 2 + (y - py) ** 2 + self.blur**2)
            potential += charge * k0(away / reach)
        return potential**2


def decay_length(energy: float, voltage: float) -> float:
    """Return v / omega in metres: how far a beam reaches sideways at a loss in eV."""
    return float(LIGHT * np.sqrt(speed_squared(voltage)) / energy)
