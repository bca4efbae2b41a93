"""X-rays of a thin sample: characteristic lines on bremsstrahlung, seen by a silicon detector.

Photons per electron are atoms per area times the ionisation cross section of the shell times
photons per hole times the part of the sphere times the efficiency (Williams and Carter,
Transmission Electron Microscopy (2009), section 35.3). The sample is thin: it takes no photon back,
and no hole wanders between the subshells.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from nanopilot.core.errors import OutOfRange, UnknownName
from nanopilot.models.electron_optics import BOHR, REST, check_voltage
from nanopilot.twins.stem.settings import Spectrometer
from nanopilot.twins.stem.spectra.columns import FloatArray, Places
from nanopilot.twins.stem.spectra.core_losses import oscillator_strength
from nanopilot.twins.stem.spectra.inelastic import FINE, RYDBERG, speed_squared
from nanopilot.twins.stem.spectra.tables import OCCUPATION, atomic_number, lines

#: Mean energy per pair in silicon in eV, and its Fano factor (Goldstein et al., Scanning Electron
#: Microscopy and X-Ray Microanalysis (2018), chapter 16).
PAIR, FANO = 3.76, 0.12
#: Where the resolution of a detector is stated: the K alpha line of manganese in eV.
STATED_AT = 5895.0
_PHOTOABSORPTION = 1.0976e-20  # m² eV per oscillator strength per eV
_CLASSICAL = 2.8179403262e-15  # m, radius of the electron
# The detector: polymer window and dead silicon before, silicon behind; atoms per m².
_WINDOW = {"C": 300e-9 * 7.0e28, "Si": 20e-9 * 5.0e28}
_CRYSTAL = 0.45e-3 * 5.0e28
_SOFTEST = 100.0  # eV: lower, the electronics cuts off


def ionisation(edge: float, electrons: int, voltage: float) -> float:
    """Return the cross section in m² for making a hole in a shell.

    E. Casnati, A. Tartari and C. Baraldi, J. Phys. B 15 (1982) 155, equations 5 to 9: Gryzinski's
    relativistic factor times a fit to K shells, here used for L and M shells too.

    Parameters
    ----------
    edge : float
        Energy of the shell in eV.
    electrons : int
        How many are in it.
    voltage : float
        Of the beam in volts.

    Raises
    ------
    OutOfRange
        The voltage is none of those that the models hold for.

    Examples
    --------
    >>> round(ionisation(8979.0, 2, 200e3) * 1e28)
    249
    """
    check_voltage(voltage)
    over = voltage / edge
    if over <= 1:
        return 0.0
    fast, bound = voltage / REST, edge / REST
    relative = (2 + bound) / (2 + fast) * ((1 + fast) / (1 + bound)) ** 2
    top = (bound + fast) * (2 + fast) * (1 + bound) ** 2
    relative *= (top / (fast * (2 + fast) * (1 + bound) ** 2 + bound * (2 + bound))) ** 1.5
    power = -0.0318 + 0.3160 / over - 0.1135 / over**2
    shape = 10.57 * math.exp(-1.736 / over + 0.317 / over**2) * (edge / RYDBERG) ** power
    size = electrons * (BOHR * RYDBERG / edge) ** 2
    return float(size * relative * shape * math.log(over) / over)


def resolution(energy: FloatArray, spectrometer: Spectrometer) -> FloatArray:
    """Return the full width at half maximum in eV of lines at energies in eV.

    Noise of the electronics, fixed by what the setting says at 5.9 keV, and the spread of the
    number of pairs: ``5.545 F E epsilon`` (Goldstein et al. (2018), section 16.2).
    """
    pairs = 8 * math.log(2) * FANO * PAIR
    square = spectrometer.xray_resolution**2 + pairs * (np.asarray(energy) - STATED_AT)
    return np.asarray(np.sqrt(np.maximum(square, 20.0**2)))


def efficiency(energy: FloatArray) -> FloatArray:
    """Return the share of photons at energies in eV that pass the window and stay in the silicon.

    300 nm of polymer, 20 nm of dead silicon, 0.45 mm of silicon, by the photoabsorption of the
    table of edges.
    """
    energy = np.asarray(energy, float)
    lost = sum(
        _PHOTOABSORPTION * oscillator_strength(name, energy) * atoms
        for name, atoms in _WINDOW.items()
    )
    caught = _PHOTOABSORPTION * oscillator_strength("Si", energy) * _CRYSTAL
    # Below its L edge silicon absorbs with electrons that the table does not have.
    kept = np.where(energy < 150, 1.0, 1 - np.exp(-caught))
    return np.asarray(np.where(energy < _SOFTEST, 0.0, np.exp(-lost) * kept))


def bremsstrahlung(number: int, energy: FloatArray, voltage: float) -> FloatArray:
    """Return the cross section in m² per eV for emitting a photon, into the whole sphere.

    H. A. Kramers, Phil. Mag. 46 (1923) 836, for a thin target:
    ``16 pi / (3 sqrt 3) alpha r_e^2 Z^2 / (beta^2 E)``; taken to be alike in all directions.
    """
    height = 16 * math.pi / (3 * math.sqrt(3)) * FINE * (_CLASSICAL * number) ** 2
    inside = (energy > 0) & (energy < voltage)
    safe = np.where(inside, energy, 1.0)
    return np.asarray(np.where(inside, height / (speed_squared(voltage) * safe), 0.0))


def xray_axis(spectrometer: Spectrometer) -> FloatArray:
    """Return the middles of the channels in eV, shape (xray_channels,); the first is at 0."""
    channel = np.arange(spectrometer.xray_channels)
    return np.asarray(spectrometer.xray_dispersion * channel, dtype=float)


@lru_cache(maxsize=256)
def _per_atom(element: str, voltage: float, spectrometer: Spectrometer) -> FloatArray:
    """Return counts per electron and per atom per m², shape (channels,)."""
    from scipy.special import ndtr

    energy = xray_axis(spectrometer)
    width = spectrometer.xray_dispersion
    sphere = spectrometer.xray_solid_angle / (4 * math.pi)
    found = bremsstrahlung(atomic_number(element), energy, voltage) * width * efficiency(energy)
    borders = np.append(energy, energy[-1] + width) - width / 2
    for line in lines(element):
        sigma = float(resolution(np.array(line.energy), spectrometer)) / 2.3548
        shape = np.diff(ndtr((borders - line.energy) / sigma))
        found = found + shape * line_cross_section(element, voltage, line.name)
    found = np.asarray(found * sphere)
    found.setflags(write=False)
    return found


@lru_cache(maxsize=1024)
def line_cross_section(element: str, voltage: float, name: str = "") -> float:
    """Return the cross section in m² for a photon that is detected if it goes the right way.

    Parameters
    ----------
    element : str
        Symbol.
    voltage : float
        Volts.
    name : str
        All lines whose name starts so: ``"Ka1"``, ``"K"``, ``"L"``.

    Raises
    ------
    UnknownName
        The element has no such line.
    """
    some = [line for line in lines(element) if line.name.startswith(name)]
    if not some:
        raise UnknownName("line", name, tuple(line.name for line in lines(element)))
    return sum(
        ionisation(line.edge, OCCUPATION[line.shell], voltage)
        * line.photons
        * float(efficiency(np.array(line.energy)))
        for line in some
    )


def xray_probability(
    places: Places,
    voltage: float,
    spectrometer: Spectrometer,
    stray: Mapping[str, float] | None = None,
) -> FloatArray:
    """Return counts expected in each channel per electron.

    Parameters
    ----------
    places : Places
        What the beam goes through.
    voltage : float
        Volts.
    spectrometer : Spectrometer
        Solid angle, resolution, channels.
    stray : mapping of str to float, optional
        Atoms per m² that are seen from everywhere, such as the copper of the grid.

    Returns
    -------
    numpy.ndarray
        Shape (n, xray_channels).

    Raises
    ------
    OutOfRange
        The voltage is none of those that the models hold for, or stray matter is negative.
    UnknownName
        There is no such stray element.
    """
    check_voltage(voltage)
    names, atoms = places.atoms()
    total = np.zeros((len(places), spectrometer.xray_channels))
    for name, there in zip(names, atoms, strict=True):
        total += there[:, None] * _per_atom(name, voltage, spectrometer)
    for name, everywhere in (stray or {}).items():
        if not everywhere >= 0:
            raise OutOfRange(f"`stray` of {name} is {everywhere:g} atoms/m²; it is 0 or more.")
        total += everywhere * _per_atom(name, voltage, spectrometer)
    return total


def count_xrays(
    probability: FloatArray, electrons: FloatArray | float, rng: np.random.Generator
) -> FloatArray:
    """Return counts, shape (n, channels), of so many electrons at each place, shape () or (n,).

    Raises
    ------
    OutOfRange
        There is a negative number of electrons.
    """
    dose = np.broadcast_to(np.asarray(electrons, float), probability.shape[:1])
    if not (dose >= 0).all():
        raise OutOfRange(f"`electrons` is {dose.min():g} somewhere; it is 0 or more.")
    found: FloatArray = rng.poisson(probability * dose[:, None]).astype(float)
    return found
