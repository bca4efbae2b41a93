"""Plasmons of metal particles: which there are, at what energy, and where the beam excites them.

A mode is an oscillating charge on the particle. Its energy is that of an ellipsoid of a Drude metal
with the same three lengths (C. F. Bohren and D. R. Huffman, Absorption and Scattering of Light by
Small Particles (1983), chapter 5), or for higher modes of the piece between two nodes:
standing waves (rods: J. Dorfmueller et al., Nano Lett. 9 (2009) 2372; discs: F. P. Schmidt et al.,
Nano Lett. 12 (2012) 5780, where zeros of the derivative of a Bessel function tell the pieces).
Retardation lowers it (dynamic depolarisation: M. Meier and A. Wokaun, Opt. Lett. 8 (1983) 581), and
so does a neighbour: the modes of a pair bind or do not (P. Nordlander et al., Nano Lett. 4 (2004)
899; here dipole and dipole). The beam loses energy to the potential of the charge along its way
(F. J. Garcia de Abajo and M. Kociak, Phys. Rev. Lett. 100 (2008) 106804)::

    Gamma(R, E) = 4 e^2 / (4 pi eps0) / (pi (hbar v)^2) Im alpha(E) |sum_i q_i K0(R_i)|^2,
    R_i = w |R - r_i| / v

which far away is the dipole of F. J. Garcia de Abajo, Rev. Mod. Phys. 82 (2010) 209, section IV.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np

from nanopilot.core.errors import OutOfRange, UnknownName
from nanopilot.models.electron_optics import check_voltage
from nanopilot.twins.stem.spectra.columns import FloatArray
from nanopilot.twins.stem.spectra.inelastic import speed_squared

Kind = Literal["disc", "rod", "triangle", "sphere", "dimer"]
#: hbar c and e^2 / (4 pi eps0), in eV m.
_LIGHT, _COULOMB = 1.973269804e-7, 1.439964548e-9
_FERMI = 1.39e6 * 6.582119569e-16  # hbar times the Fermi velocity of silver and gold, eV m
#: Lengths of a particle in metres for which this holds.
SIZES = (2e-9, 500e-9)
_FAR = 6.0  # times v / omega: the square of K0 beyond is below 2e-6


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
    return float(_LIGHT * np.sqrt(speed_squared(voltage)) / energy)


@dataclass(frozen=True, eq=False)
class ParticleModes:
    """The plasmons of particles: a `nanopilot.twins.stem.scene.Excitations`.

    Particles do not feel one another, but for the halves of a dimer.

    Parameters
    ----------
    particles : tuple of PlasmonicParticle
        All of them.
    voltage : float
        Of the beam in volts: how far it reaches, and how often it loses energy.
    surrounding : float
        Relative permittivity around the particles, 1 in vacuum; on a membrane some mean of both.

    Raises
    ------
    OutOfRange
        The voltage is none of those that the models hold for, or the permittivity below 1.

    Examples
    --------
    >>> rod = PlasmonicParticle(0.0, 0.0, "rod", (100e-9, 30e-9))
    >>> modes = ParticleModes((rod,))
    >>> [mode.name for mode in modes.modes()][:2]
    ['dipole along', 'quadrupole along']
    >>> modes.loss(np.zeros(3), np.zeros(3), np.linspace(0.5, 4.0, 8)).shape
    (3, 8)
    """

    particles: tuple[PlasmonicParticle, ...]
    voltage: float = 200e3
    surrounding: float = 1.0

    def __post_init__(self) -> None:
        check_voltage(self.voltage)
        if not self.surrounding >= 1:
            raise OutOfRange(f"`surrounding` is {self.surrounding:g}; vacuum is 1, no less.")

    @cached_property
    def _modes(self) -> tuple[Mode, ...]:
        from nanopilot.twins.stem.spectra.particle_modes import modes_of

        return tuple(
            mode
            for index, particle in enumerate(self.particles)
            for mode in modes_of(index, particle, self.surrounding)
        )

    def modes(self) -> tuple[Mode, ...]:
        """Return the truth: every mode of every particle."""
        return self._modes

    @cached_property
    def _circles(self) -> FloatArray:
        """Return middle and radius in metres of where modes are excited, shape (modes, 3)."""
        found = np.empty((len(self._modes), 3))
        for row, mode in zip(found, self._modes, strict=True):
            row[:2] = mode.places.mean(axis=0)
            wide = np.hypot(*(mode.places - row[:2]).T).max()
            row[2] = wide + _FAR * decay_length(mode.energy, self.voltage)
        return found

    def _close(self, x: FloatArray, y: FloatArray) -> list[Mode]:
        """Return the modes that places, shape (n,), may excite."""
        if not x.size or not self._modes:
            return []
        at_x, at_y, reach = self._circles.T
        beyond_x = np.maximum(x.min() - at_x, at_x - x.max())
        beyond_y = np.maximum(y.min() - at_y, at_y - y.max())
        away = np.hypot(np.maximum(beyond_x, 0), np.maximum(beyond_y, 0))
        return [self._modes[index] for index in np.flatnonzero(away < reach)]

    def loss(self, x: FloatArray, y: FloatArray, energy: FloatArray) -> FloatArray:
        """Return the probability of a loss per eV at places (m) and energies (eV).

        The shape is that of `x` and then that of `energy`; gains have none.
        """
        x, y, energy = (np.asarray(value, float) for value in (x, y, energy))
        flat_x, flat_y, axis = x.ravel(), y.ravel(), energy.ravel()
        found = np.zeros((flat_x.size, axis.size))
        above = np.maximum(axis, 0.0)
        moving = _LIGHT**2 * speed_squared(self.voltage)
        for mode in self._close(flat_x, flat_y):
            reach = _FAR * decay_length(mode.energy, self.voltage)
            away = np.hypot(
                flat_x[:, None] - mode.places[:, 0], flat_y[:, None] - mode.places[:, 1]
            ).min(axis=1)
            near = np.flatnonzero(away < reach)
            if near.size:
                strength = mode.map(flat_x[near], flat_y[near], self.voltage)
                spectrum = 4 * _COULOMB / (np.pi * moving) * mode.spectrum(above)
                found[near] += np.outer(strength, spectrum)
        return found.reshape(*x.shape, *energy.shape)
