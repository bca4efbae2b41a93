"""What the beam does to the sample: atoms are knocked out or leave, contamination grows.

Nuclei: W. A. McKinley and H. Feshbach, Phys. Rev. 74 (1948) 1759, integrated above the displacement
energy as in A. Zobelli et al., Phys. Rev. B 75 (2007) 245402, equation 2, for nuclei that vibrate
as in J. C. Meyer et al., Phys. Rev. Lett. 108 (2012) 196102.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

import numpy as np

from nanopilot.core.errors import OutOfRange
from nanopilot.models.electron_optics import BOHR, CHARGE, LIGHT, PLANCK, REST, check_voltage
from nanopilot.twins.stem.dose import CellMap
from nanopilot.twins.stem.scene import Atoms, FloatArray, IntArray

#: Boltzmann's constant in J/K, the atomic mass in kg, Rydberg's energy in eV, fine structure.
_BOLTZMANN, _UNIT, _RYDBERG, _FINE = 1.380649e-23, 1.66053906660e-27, 13.605693, 7.2973525693e-3
#: Voltage that cross sections of ionisation are given for, in volts.
_GIVEN = 100e3


class DamageSettings(Protocol):
    """How strongly a beam damages; `nanopilot.twins.stem.settings.Damage` is one."""

    @property
    def knock_on(self) -> float:
        """Factor of the cross section of nuclei."""

    @property
    def radiolysis(self) -> float:
        """Factor of the cross section of ionisation."""

    @property
    def temperature(self) -> float:
        """Kelvin."""

    @property
    def contamination(self) -> float:
        """Metres that grow per electron per square metre."""

    @property
    def reach(self) -> float:
        """How far from the beam it grows, in metres (standard deviation)."""


def transferred(voltage: float, mass: float, velocity: FloatArray | float) -> FloatArray:
    """Return the most energy in eV that an electron gives to a nucleus that moves.

    Head on, relativistic: ``(p + M v + p')^2 / 2 M``, with p the electron's momentum before and p'
    the one after, of an energy that is larger by what the nucleus had (Meyer et al. 2012).

    Parameters
    ----------
    voltage : float
        Volts.
    mass : float
        Of the nucleus in kg.
    velocity : float or numpy.ndarray
        Of the nucleus along the beam in m/s.
    """
    velocity = np.asarray(velocity, dtype=float)
    own = mass * velocity**2 / 2 / CHARGE
    before = math.sqrt(voltage * (voltage + 2 * REST)) * CHARGE / LIGHT
    after = np.sqrt((voltage + own) * (voltage + 2 * REST + own)) * CHARGE / LIGHT
    found: FloatArray = (before + mass * velocity + after) ** 2 / (2 * mass) / CHARGE
    return found


def displacement_cross_section(
    number: int, voltage: float, threshold: float, most: FloatArray | float
) -> FloatArray:
    """Return the cross section in m² for giving a nucleus more than a threshold.

    Parameters
    ----------
    number : int
        Atomic number.
    voltage : float
        Volts.
    threshold : float
        Displacement energy in eV.
    most : float or numpy.ndarray
        The most that can be given, in eV (`transferred`).
    """
    most = np.asarray(most, dtype=float)
    gamma = 1 + voltage / REST
    beta2 = 1 - gamma**-2
    beta, bound = math.sqrt(beta2), math.pi * number * _FINE
    ratio = np.clip(threshold / np.maximum(most, 1e-300), 0.0, 1.0)
    ratio = np.maximum(ratio, 1e-12)
    scale = 4 * math.pi * (BOHR * number * _RYDBERG / REST) ** 2 * (1 - beta2) / beta2**2
    inside = 1 + 2 * bound * beta * np.sqrt(ratio)
    inside = inside - ratio * (1 + 2 * bound * beta - (beta2 + bound * beta) * np.log(ratio))
    found: FloatArray = np.where(ratio < 1, scale * np.clip(inside, 0, None) / ratio, 0.0)
    return found


def nuclear_velocity(mass: float, rms: float, temperature: float) -> float:
    """Return the standard deviation in m/s of a nucleus's velocity along one axis.

    That of a harmonic oscillator whose thermal displacement is `rms` at this temperature:
    ``u² = h / (4 pi M w) coth(h w / 4 pi k T)`` is solved for w, and the velocity is w u.

    Parameters
    ----------
    mass : float
        Kilograms.
    rms : float
        Along one axis, in metres.
    temperature : float
        Kelvin.
    """
    if rms <= 0:
        return 0.0
    reduced = PLANCK / (2 * math.pi)
    lowest = reduced / (2 * mass * rms**2)
    if temperature <= 0:
        return lowest * rms
    # The frequency lies between that of zero-point motion alone and, below, the classical one.
    low, high = lowest, lowest + math.sqrt(_BOLTZMANN * temperature / mass) / rms
    for _ in range(100):
        middle = (low + high) / 2
        turned = reduced * middle / (2 * _BOLTZMANN * temperature)
        there = reduced / (2 * mass * middle) / math.tanh(turned)
        low, high = (middle, high) if there > rms**2 else (low, middle)
    return rms * (low + high) / 2


@lru_cache(maxsize=1024)
def knock_on(number: int, voltage: float, threshold: float, velocity: float) -> float:
    """Return the cross section in m² for knocking an atom out.

    Averaged over the velocity of the nucleus along the beam, a normal distribution.

    Parameters
    ----------
    number : int
        Atomic number.
    voltage : float
        Volts.
    threshold : float
        Displacement energy in eV; infinite: it stays.
    velocity : float
        Standard deviation along the beam in m/s (`nuclear_velocity`).

    Raises
    ------
    OutOfRange
        A voltage outside the models, or a threshold that is not positive.
    """
    check_voltage(voltage)
    if not threshold > 0:
        raise OutOfRange(f"`threshold` is {threshold:g} eV; it is positive.")
    if math.isinf(threshold):
        return 0.0
    mass = _mass(number)
    steps = np.linspace(-6, 6, 1201)
    weights = np.exp(-(steps**2) / 2)
    most = transferred(voltage, mass, steps * velocity)
    found = displacement_cross_section(number, voltage, threshold, most)
    return float(np.sum(weights * found) / weights.sum())


def radiolysis(given: FloatArray, voltage: float) -> FloatArray:
    """Return cross sections of ionisation at a voltage from those at 100 kV.

    They go with one over the square of the electron's velocity: H. Bethe, Ann. Phys. 397 (1930)
    325.
    """
    check_voltage(voltage)
    beta2 = [1 - (1 + one / REST) ** -2 for one in (_GIVEN, voltage)]
    return given * (beta2[0] / beta2[1])


def cross_sections(atoms: Atoms, voltage: float, settings: DamageSettings) -> FloatArray:
    """Return the cross section in m² of every atom for leaving, shape (atoms,).

    Raises
    ------
    OutOfRange
        A voltage outside the models, or a displacement energy that is not positive.
    """
    found = settings.radiolysis * radiolysis(atoms.radiolysis, voltage)
    if not len(atoms) or settings.knock_on == 0:
        return found
    kinds = np.stack([atoms.number.astype(float), atoms.displacement_energy, atoms.rms])
    kinds, which = np.unique(kinds, axis=1, return_inverse=True)
    each = np.zeros(kinds.shape[1])
    for n, (number, threshold, rms) in enumerate(kinds.T):
        if np.isfinite(threshold):
            velocity = nuclear_velocity(_mass(int(number)), float(rms), settings.temperature)
            each[n] = knock_on(int(number), voltage, float(threshold), velocity)
    return found + settings.knock_on * each[np.ravel(which)]


def leaving(cross_section: FloatArray, fluence: FloatArray, rng: np.random.Generator) -> IntArray:
    """Return which atoms leave: each with the probability ``1 - exp(-cross section * fluence)``.

    Parameters
    ----------
    cross_section : numpy.ndarray
        m² of every atom, shape (n,).
    fluence : numpy.ndarray
        Electrons per square metre at every atom, shape (n,): see `beam_fluence`.
    rng : numpy.random.Generator
        Random numbers.
    """
    chance = -np.expm1(-cross_section * np.clip(fluence, 0.0, None))
    return np.flatnonzero(rng.random(len(chance)) < chance)


def _mass(number: int) -> float:
    from ase.data import atomic_masses

    return float(atomic_masses[number]) * _UNIT


@dataclass(eq=False)
class Contamination:
    """Carbon that grows where the beam is: `Matter` that is there in addition.

    Hydrocarbons come along the surface and are fixed where electrons pass, or on the way there:
    what one electron fixes is spread about it as a Gaussian. Growth that runs out of supply under
    long exposure, and rings round a resting beam, are not modelled.

    Parameters
    ----------
    settings : DamageSettings
        How much and how far.
    """

    settings: DamageSettings
    _grown: CellMap = field(init=False)

    def __post_init__(self) -> None:
        self._grown = CellMap(self.settings.reach / 3)

    @property
    def cells(self) -> CellMap:
        """Metres that have grown, by cell."""
        return self._grown

    @property
    def materials(self) -> tuple[str, ...]:
        """What it is."""
        return ("contamination",)

    @property
    def by_atoms(self) -> tuple[bool, ...]:
        """No atom of it is known."""
        return (False,)

    @property
    def volume(self) -> float:
        """All there is, in cubic metres."""
        return self._grown.total * self._grown.cell**2

    def thickness(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return metres along the beam at places in metres, shape (1, *x.shape)."""
        found: FloatArray = self._grown.smooth(x, y)[None]
        return found

    def grow(self, x: FloatArray, y: FloatArray, electrons: FloatArray) -> None:
        """Let it grow by electrons at places (m), shape (n,)."""
        if self.settings.contamination > 0 and len(x):
            self._spread(x, y, np.asarray(electrons) * self.settings.contamination)

    def add(self, spot: FloatArray, thickness: float) -> None:
        """Put a hill of some height (m) at places (x, y) in metres, shape (n, 2)."""
        each = np.full(len(spot), thickness * 2 * math.pi * self.settings.reach**2)
        self._spread(spot[:, 0], spot[:, 1], each)

    def _spread(self, x: FloatArray, y: FloatArray, volumes: FloatArray) -> None:
        from scipy.ndimage import gaussian_filter

        cell, reach = (
            self._grown.cell,
            3 * math.ceil(4 * self.settings.reach / self._grown.cell / 3),
        )
        rows, columns = self._grown.rows(y), self._grown.rows(x)
        first = int(rows.min()) - reach, int(columns.min()) - reach
        shape = int(rows.max()) - first[0] + reach + 1, int(columns.max()) - first[1] + reach + 1
        dense = np.zeros(shape)
        np.add.at(dense, (rows - first[0], columns - first[1]), volumes / cell**2)
        spread = gaussian_filter(dense, self.settings.reach / cell, mode="constant", truncate=4.0)
        self._grown.add_dense(first, spread)
