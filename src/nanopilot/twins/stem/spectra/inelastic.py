"""Mean free paths, angles, and how much of the beam a spectrometer collects.

The mean free path is that of K. Iakoubovskii, K. Mitsuishi, Y. Nakayama and K. Furuya, Microsc.
Res. Tech. 71 (2008) 626, its formula for 1/lambda: it hangs on the density alone, holds
within 5 to 10 % for most solids, and has convergence and collection in it.
"""

from __future__ import annotations

import math

import numpy as np

from nanopilot.core.errors import OutOfRange
from nanopilot.models.electron_optics import (
    BOHR,
    REST,
    WIDEST,
    Lens,
    check_voltage,
    lorentz_factor,
    wavelength,
)
from nanopilot.models.quadrature import gauss_legendre
from nanopilot.twins.stem.materials import Material
from nanopilot.twins.stem.spectra.columns import FloatArray, Places
from nanopilot.twins.stem.spectra.tables import atomic_number

#: Rydberg energy in eV.
RYDBERG = 13.605693
#: Fine structure constant.
FINE = 7.2973525693e-3
#: Beyond this many mean free paths in a material, plural scattering is no description any more.
THICKEST = 5.0
_CRITICAL = 20e-3  # radians: beyond, valence electrons are hit one by one


def check_angle(collection_angle: float) -> None:
    """Raise unless a collection angle in radians is one that the models hold for.

    Raises
    ------
    OutOfRange
        It is not; the message has the bounds.
    """
    if not 0 < collection_angle <= WIDEST:
        raise OutOfRange(
            f"`collection_angle` is {collection_angle:g} rad; the models hold above 0 rad and up "
            f"to {WIDEST:g} rad."
        )


def speed_squared(voltage: float) -> float:
    """Return (v/c)^2 of electrons accelerated by a voltage (V)."""
    return float(1 - 1 / lorentz_factor(voltage) ** 2)


def kinetic(voltage: float) -> float:
    """Return m v^2 / 2 in eV with the rest mass: what takes the energy's place in cross sections.

    Egerton (2011), section 3.2.2, T.
    """
    return speed_squared(voltage) * REST / 2


def characteristic_angle(energy: FloatArray, voltage: float) -> FloatArray:
    """Return theta_E = E / (gamma m v^2) in radians for losses in eV; Egerton, section 3.2.2."""
    return np.asarray(energy / (2 * lorentz_factor(voltage) * kinetic(voltage)))


def _narrow(voltage: float, density: float) -> tuple[float, float]:
    """Return F times E0 (keV), and the angle of a mean loss in mrad, as they define them."""
    kilovolts = voltage / 1e3
    slow = kilovolts * (1 + kilovolts / 1022) / (1 + kilovolts / 511) ** 2
    return slow, 5.5 * density**0.3 / slow


def mean_free_path(material: Material, lens: Lens, collection_angle: float | None = None) -> float:
    """Return the inelastic mean free path in metres, for losses that are collected.

    Iakoubovskii et al. (2008); convergence is in it.

    Parameters
    ----------
    material : Material
        Its density is what counts.
    lens : Lens
        Voltage and convergence.
    collection_angle : float, optional
        Radians; without it, all losses.

    Examples
    --------
    >>> from nanopilot.twins.stem.materials import material
    >>> lens = Lens(voltage=200e3, convergence_angle=1e-3)
    >>> round(mean_free_path(material("silicon"), lens, 20e-3) * 1e9)
    158
    """
    check_voltage(lens.voltage)
    density = material.density / 1e3
    slow, narrow = _narrow(lens.voltage, density)
    wide = _CRITICAL * 1e3
    inside = 1.0
    if collection_angle is not None:
        check_angle(collection_angle)
        both = 2e6 * max(collection_angle, lens.convergence_angle) ** 2
        inside = (both + 2 * narrow**2) / (both + 2 * wide**2)
    path = 200 * slow / (11 * density**0.3) / math.log(inside * wide**2 / narrow**2)
    return float(1e-9 * path)


def angular_factor(
    energy: FloatArray, lens: Lens, collection_angle: float, ridge: FloatArray | None = None
) -> FloatArray:
    """Return the collected part of the integral of 2 theta / (theta^2 + theta_E^2), without unit.

    For a narrow beam this is ``ln(1 + (beta / theta_E)^2)`` (Egerton, section 3.3.1); a cone of
    directions is averaged over as by M. Scheinfein and M. Isaacson (Scanning Electron Microscopy
    1984, 1681; Egerton, section 4.5.3): a disc of radius beta whose middle is theta away holds
    ``ln((psi^2 + sqrt(psi^4 + 4 theta^2 theta_E^2)) / (2 theta_E^2))``,
    ``psi^2 = beta^2 + theta_E^2 - theta^2``.

    Parameters
    ----------
    energy : numpy.ndarray
        Losses in eV, above 0, any shape.
    lens : Lens
        Voltage and convergence.
    collection_angle : float
        Radians.
    ridge : numpy.ndarray, optional
        Angle in radians beyond which there is nothing to collect; without it the Bethe ridge,
        ``sqrt(E / (E0 (1 + E0 / 2 m c^2)))`` (Egerton, section 3.6.1).
    """
    narrow = characteristic_angle(energy, lens.voltage)
    straight = lens.voltage * (1 + lens.voltage / (2 * REST))
    limit = np.sqrt(energy / straight) if ridge is None else ridge
    nodes, weights = gauss_legendre(12)
    total = np.zeros(np.shape(energy))
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        away = lens.convergence_angle**2 * node  # uniform in the square of the angle
        psi = collection_angle**2 + narrow**2 - away
        root = np.sqrt(psi**2 + 4 * away * narrow**2)
        # The same thing twice: for negative psi the difference would cancel.
        held = np.where(psi > 0, (psi + root) / (2 * narrow**2), 2 * away / (root - psi + 1e-300))
        total += weight * np.log(held)
    return np.asarray(np.minimum(total, np.log1p((limit / narrow) ** 2)))


def beam_share(lens: Lens, collection_angle: float) -> float:
    """Return the share of the cone of the beam that enters the spectrometer."""
    return min(1.0, (collection_angle / lens.convergence_angle) ** 2)


def elastic_outside(element: str, lens: Lens, collection_angle: float) -> float:
    """Return the cross section in m² for an atom to scatter elastically past the aperture.

    F. Lenz, Z. Naturforsch. 9a (1954) 185, for a screened nucleus; Egerton, section 3.1.1:
    ``4 gamma^2 Z^2 / (a0^2 k0^4) pi / (beta^2 + theta_0^2)`` with
    ``theta_0 = Z^(1/3) / (k0 a0)``. Whoever is out stays out: samples of several elastic mean free
    paths of heavy atoms keep more of the beam than this says.
    """
    number = atomic_number(element)
    wave = 2 * math.pi / wavelength(lens.voltage)
    screened = float(number ** (1 / 3)) / (wave * BOHR)
    height = 4 * (lorentz_factor(lens.voltage) * number / (BOHR * wave**2)) ** 2
    return math.pi * height / (collection_angle**2 + screened**2)


def valence_losses(
    places: Places, lens: Lens, collection_angle: float
) -> tuple[FloatArray, FloatArray]:
    """Return valence losses per electron that are collected, and that are not, (materials, n).

    Raises
    ------
    OutOfRange
        A place is thicker than `THICKEST` mean free paths.
    """
    inside = np.array([1 / mean_free_path(one, lens, collection_angle) for one in places.made_of])
    whole = np.array([1 / mean_free_path(one, lens) for one in places.made_of])
    collected = inside[:, None] * places.thickness
    worst = float((whole @ places.thickness).max(initial=0.0)) if len(whole) else 0.0
    if worst > THICKEST:
        raise OutOfRange(
            f"`thickness` is {worst:.2f} mean free paths somewhere; the model holds up to "
            f"{THICKEST:g}. Go where it is thinner, or raise the voltage."
        )
    return collected, (whole - inside)[:, None] * places.thickness


def surface_loss(voltage: float) -> float:
    """Return the probability of exciting the plasmon of one surface of a free-electron metal.

    R. A. Ferrell and E. A. Stern, Am. J. Phys. 30 (1962) 810; Egerton, section 3.3.5:
    ``pi e^2 / (4 eps0 h v)`` for a surface in vacuum, 2.1 % at 100 kV.
    """
    return math.pi / 2 * FINE / math.sqrt(speed_squared(voltage))
