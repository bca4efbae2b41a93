"""What an electron twin is held against: formulas and slow ways of their own.

Nothing of the twin's physics is used here but tables of constants, so that a mistake there cannot
hide itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import j0

from nanopilot.models.scattering import projected_potential_factor

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
ComplexArray = np.ndarray[Any, np.dtype[np.complex128]]

#: CODATA 2018: J s, C, kg, m/s, J/K, kg, F/m; and the rest energy of the electron in eV.
_H, _E, _M, _C = 6.62607015e-34, 1.602176634e-19, 9.1093837015e-31, 2.99792458e8
_K, _U, _EPS0 = 1.380649e-23, 1.66053906660e-27, 8.8541878128e-12
_REST = _M * _C**2 / _E


def electron_wavelength(voltage: float) -> float:
    """Return the wavelength in metres at `voltage` (V): h over the relativistic momentum."""
    return _H / _momentum(voltage)


def _momentum(kinetic: float) -> float:
    """Return p in kg m/s of an electron of a kinetic energy in eV: ``(pc)² = T² + 2 T m c²``."""
    return math.sqrt(kinetic * (kinetic + 2 * _REST)) * _E / _C


@dataclass(frozen=True, slots=True)
class RoundBeam:
    """A beam without astigmatism or coma.

    Parameters
    ----------
    voltage, angle : float
        Volts and radians.
    defocus, spherical : float
        C1 (negative: underfocus) and C3 in metres.
    focal_spread, blur : float
        Standard deviations in metres: of the focus, and of a Gaussian that everything is blurred
        with (source, and vibration of an atom that is imaged).
    """

    voltage: float
    angle: float
    defocus: float = 0.0
    spherical: float = 0.0
    focal_spread: float = 0.0
    blur: float = 0.0

    def chi(self, theta: FloatArray, defocus: float) -> FloatArray:
        """Return the aberration in radians; M. Haider et al., Ultramicroscopy 81 (2000) 163."""
        path = defocus * theta**2 / 2 + self.spherical * theta**4 / 4
        found: FloatArray = 2 * math.pi / electron_wavelength(self.voltage) * path
        return found

    def waves(self, r: FloatArray) -> list[tuple[float, ComplexArray]]:
        """Return waves at distances (m, any shape) from the middle, and the odds of their focus.

        The Fourier-Bessel integral over the aperture (M. Born and E. Wolf, Principles of Optics,
        section 8.8), for foci in even steps out to 3 standard deviations; the squares are 1/m².
        """
        length = electron_wavelength(self.voltage)
        turns = float(r.max()) * self.angle / length
        nodes, weights = np.polynomial.legendre.leggauss(120 + int(4 * turns))
        theta, weights = self.angle * (nodes + 1) / 2, weights * self.angle / 2
        known = np.linspace(0.0, float(r.max()), 200 + int(60 * turns))
        kernel = j0(2 * math.pi / length * np.multiply.outer(known, theta)) * (theta * weights)
        # A plane wave of unit power fills the aperture: pi angle² / wavelength² in frequencies.
        scale = 2 * math.pi / length / (math.sqrt(math.pi) * self.angle)
        steps = np.linspace(-3.0, 3.0, 9) if self.focal_spread > 0 else np.zeros(1)
        odds = np.exp(-(steps**2) / 2) / np.exp(-(steps**2) / 2).sum()
        found = []
        for step, chance in zip(steps, odds, strict=True):
            chi = self.chi(theta, self.defocus + step * self.focal_spread)
            wave = scale * (kernel @ np.exp(-1j * chi))
            found.append((float(chance), np.interp(r, known, wave)))
        return found

    def intensity(self, count: int, step: float) -> FloatArray:
        """Return the blurred intensity per step² on a square grid, its middle at count // 2."""
        distance = _distance(count, step)
        total = sum(chance * np.abs(wave) ** 2 for chance, wave in self.waves(distance))
        return self.blurred(np.asarray(total) * step**2, step)

    def atom(self, number: int, ring: tuple[float, float], count: int, step: float) -> FloatArray:
        """Return the fraction of the beam that one atom scatters into a dark-field ring.

        The atom is the phase object ``exp(i sigma V)``, ``sigma = 2 pi gamma m e lambda / h²``
        (E. J. Kirkland, Advanced Computing in Electron Microscopy (2010), section 5.1); what leaves
        it is transformed and added up over the ring, place by place along a radius.

        Parameters
        ----------
        number : int
            Atomic number.
        ring : (float, float)
            Inner and outer angle in radians.
        count, step : int, float
            Of the square grid of places of the beam: points, and metres between them.
        """
        length, side = electron_wavelength(self.voltage), 320
        fine = 1e-9 / side
        k = np.hypot(*np.meshgrid(np.fft.fftfreq(side, fine), np.fft.fftfreq(side, fine)))
        factor = projected_potential_factor(number, np.minimum(k, 1.59e11))
        gamma = 1 + self.voltage / _REST
        sigma = 2 * math.pi * gamma * _M * _E * length / _H**2
        potential = np.fft.fftshift(np.fft.ifft2(factor).real) / fine**2
        scattered = np.exp(1j * sigma * potential) - 1
        caught = (k * length >= ring[0]) & (k * length < ring[1])
        axis = (np.arange(side) - side // 2) * fine
        far = np.concatenate([np.linspace(0, 2e-10, 21), np.linspace(2.2e-10, 2e-9, 37)])
        profile = np.zeros(len(far))
        for n, r in enumerate(far):
            for chance, wave in self.waves(np.hypot(axis[:, None], axis[None, :] - r)):
                out = np.abs(np.fft.fft2(scattered * wave)[caught]) ** 2
                profile[n] += chance * float(out.sum()) * fine**2 / side**2
        from scipy.interpolate import CubicSpline

        image = CubicSpline(far, profile)(_distance(count, step).clip(0, far[-1]))
        return self.blurred(np.asarray(image), step)

    def blurred(self, image: FloatArray, step: float) -> FloatArray:
        """Return a square image on a grid of some step (m), blurred by source and vibration."""
        if self.blur == 0:
            return image
        k = np.fft.fftfreq(len(image), step)
        damp = np.exp(-2 * (math.pi * self.blur) ** 2 * (k[:, None] ** 2 + k[None, :] ** 2))
        return np.asarray(np.fft.ifft2(np.fft.fft2(image) * damp).real)


def _distance(count: int, step: float) -> FloatArray:
    axis = (np.arange(count) - count // 2) * step
    return np.asarray(np.hypot(axis[:, None], axis[None, :]))


def radius_of_half(image: FloatArray, x: FloatArray, y: FloatArray, whole: float) -> float:
    """Return the radius in metres that holds half of what lies within the radius `whole`.

    Parameters
    ----------
    image : numpy.ndarray
        Intensity above background, shape (rows, columns).
    x, y : numpy.ndarray
        Of columns and rows from the middle of the spot, in metres.
    whole : float
        Metres.
    """
    distance = np.hypot(y[:, None], x[None, :]).ravel()
    step = float(x[1] - x[0])
    ring = np.rint(distance / step * 2).astype(int)
    counted = np.bincount(ring)
    there = counted > 0
    mean = np.bincount(ring, image.ravel())[there] / counted[there]
    middle = np.bincount(ring, distance)[there] / counted[there]
    r = np.linspace(0.0, whole, 4001)
    inside = np.cumsum(np.interp(r, middle, mean) * r)
    return float(np.interp(inside[-1] / 2, inside, r))


def zeros_of_transfer(
    voltage: float, defocus: float, spherical: float, highest: float
) -> FloatArray:
    """Return the spatial frequencies in 1/m below `highest` where phase contrast vanishes.

    ``sin chi = 0``, ``chi = pi lambda C1 k² + pi C3 lambda³ k⁴ / 2``; O. Scherzer, J. Appl. Phys.
    20 (1949) 20.
    """
    length = electron_wavelength(voltage)
    k = np.linspace(0.0, highest, 400_001)[1:]
    chi = math.pi * length * defocus * k**2 + math.pi * spherical * length**3 * k**4 / 2
    crossed = np.flatnonzero(np.diff(np.floor(chi / math.pi)) != 0)
    found: FloatArray = (k[crossed] + k[crossed + 1]) / 2
    return found


def knock_on_section(
    nucleus: tuple[int, float], voltage: float, threshold: float, velocity: float
) -> float:
    """Return the cross section in m² for giving a nucleus more than a threshold.

    W. A. McKinley and H. Feshbach, Phys. Rev. 74 (1948) 1759, equation 7, integrated by numbers
    over the energies given, and averaged over the thermal velocity along the beam as in J. C.
    Meyer et al., Phys. Rev. Lett. 108 (2012) 196102.

    Parameters
    ----------
    nucleus : (int, float)
        Atomic number and mass in atomic units.
    voltage : float
        Volts.
    threshold : float
        eV.
    velocity : float
        Standard deviation along the beam in m/s.
    """
    number, mass = nucleus[0], nucleus[1] * _U
    gamma = 1 + voltage / _REST
    beta = math.sqrt(1 - gamma**-2)
    rutherford = number * _E**2 / (4 * math.pi * _EPS0 * 2 * _M * _C**2)
    height = rutherford**2 * (1 - beta**2) / beta**4
    spin = math.pi * number / 137.035999 * beta
    total, odds = 0.0, 0.0
    for step in np.linspace(-5, 5, 201) if velocity > 0 else (0.0,):
        chance = math.exp(-(step**2) / 2)
        odds += chance
        most = _most_given(voltage, mass, step * velocity)
        if most <= threshold:
            continue
        given = np.geomspace(threshold, most, 2001)
        sine = np.sqrt(given / most)
        per_sphere = height / sine**4 * (1 - (beta * sine) ** 2 + spin * sine * (1 - sine))
        # The solid angle that belongs to dT: 4 pi dT / most.
        total += chance * float(np.trapezoid(per_sphere * 4 * math.pi / most, given))
    return total / odds


def _most_given(voltage: float, mass: float, velocity: float) -> float:
    """Return the most energy in eV after a head-on collision with a moving nucleus.

    Momentum and energy are conserved; the root is found by numbers.
    """
    before, own = _momentum(voltage), mass * velocity**2 / 2 / _E

    def missing(given: float) -> float:
        left = voltage + own - given
        back = _momentum(left)
        return before + mass * velocity + back - math.sqrt(2 * mass * given * _E)

    low = 1e-9
    return float(brentq(missing, low, voltage + own - 1e-9, xtol=1e-12))


def thermal_velocity(mass: float, rms: float, temperature: float) -> float:
    """Return the standard deviation in m/s of an oscillating atom, mass in atomic units.

    ``<u²> = h/(4 pi M w) coth(h w / 4 pi k T)``, ``<v²> = w² <u²>``; C. Kittel, Introduction to
    Solid State Physics, appendix A.
    """
    if rms == 0:
        return 0.0
    reduced, kilograms = _H / (2 * math.pi), mass * _U

    def missing(log: float) -> float:
        w = math.exp(log)
        turned = reduced * w / (2 * _K * temperature)
        return reduced / (2 * kilograms * w) / math.tanh(turned) - rms**2

    return math.exp(float(brentq(missing, math.log(1e10), math.log(1e16)))) * rms


def mean_free_path(density: float, voltage: float, angles: tuple[float, float]) -> float:
    """Return the inelastic mean free path in metres.

    K. Iakoubovskii, K. Mitsuishi, Y. Nakayama and K. Furuya, Microsc. Res. Tech. 71 (2008) 626,
    its formula for 1/lambda.

    Parameters
    ----------
    density : float
        g/cm³.
    voltage : float
        Volts.
    angles : (float, float)
        Convergence and collection, radians.
    """
    kev = voltage / 1e3
    slow = (1 + kev / 1022) / (1 + kev / 511) ** 2
    mean = 5.5 * density**0.3 / (slow * kev)
    alpha, beta = (1e3 * one for one in angles)
    square = alpha**2 + beta**2 + abs(alpha**2 - beta**2)
    share = (square + 2 * mean**2) / (square + 2 * 20.0**2) * 20.0**2 / mean**2
    return float(1e-9 / (11 * density**0.3 / (200 * slow * kev) * math.log(share)))
