"""Electron waves: wavelength, interaction, aberrations and the focused beam.

The conventions of everything in nanopilot that has a beam: angles in radians, lengths in metres, a
wave ``exp(2 pi i k r)`` with k in 1/m, a lens that adds the phase ``-chi``; underfocus is
``C1 < 0``, as in Uhlemann and Haider, Ultramicroscopy 72 (1998) 109.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from pydantic import Field

from nanopilot.core.errors import OutOfRange
from nanopilot.core.units import Angle, Length
from nanopilot.core.values import Value

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
ComplexArray = np.ndarray[Any, np.dtype[np.complex128]]

#: CODATA 2018, SI.
PLANCK, CHARGE, MASS, LIGHT = 6.62607015e-34, 1.602176634e-19, 9.1093837015e-31, 2.99792458e8
#: Bohr radius in metres.
BOHR = 5.29177210903e-11
#: Rest energy of the electron in eV.
REST = MASS * LIGHT**2 / CHARGE
#: Voltages these formulas and the cross sections that hang on them are used for.
VOLTAGES = (20e3, 400e3)
#: Largest angle in radians: beyond, one minus cosine and theta squared over two part company.
WIDEST = 0.25


def check_voltage(voltage: float) -> None:
    """Raise unless the voltage is one that the models hold for.

    Raises
    ------
    OutOfRange
        It is not; the message has the bounds.
    """
    low, high = VOLTAGES
    if not low <= voltage <= high:
        raise OutOfRange(
            f"`voltage` is {voltage:g} V; the models of the beam hold from {low:g} V to {high:g} V."
        )


def lorentz_factor(voltage: float) -> float:
    """Return the relativistic mass over the rest mass, without unit."""
    return 1.0 + voltage / REST


def wavelength(voltage: float) -> float:
    """Return the wavelength in metres of electrons accelerated by `voltage` (V).

    De Broglie, relativistic: ``h / sqrt(2 m e V (1 + eV / 2 m c^2))``; E. J. Kirkland, Advanced
    Computing in Electron Microscopy (2010), equation 2.5.

    Examples
    --------
    >>> round(wavelength(200e3) * 1e12, 3)
    2.508
    """
    check_voltage(voltage)
    return PLANCK / math.sqrt(2 * MASS * CHARGE * voltage * (1 + voltage / (2 * REST)))


def interaction(voltage: float) -> float:
    """Return sigma in rad/(V m): phase per projected potential (V m); Kirkland, equation 5.6."""
    return 2 * math.pi * lorentz_factor(voltage) * MASS * CHARGE * wavelength(voltage) / PLANCK**2


class Aberrations(Value):
    """Aberrations of the lens that forms the beam, in metres; two components have a direction.

    Parameters
    ----------
    C1 : float
        Defocus; negative is underfocus.
    A1_x, A1_y, A2_x, A2_y, A3_x, A3_y : float
        Two-, three- and fourfold astigmatism.
    B2_x, B2_y : float
        Axial coma.
    C3, C5 : float
        Spherical aberration of third and fifth order.
    S3_x, S3_y : float
        Star aberration.
    """

    C1: Length = 0.0
    A1_x: Length = 0.0
    A1_y: Length = 0.0
    B2_x: Length = 0.0
    B2_y: Length = 0.0
    A2_x: Length = 0.0
    A2_y: Length = 0.0
    C3: Length = 0.0
    S3_x: Length = 0.0
    S3_y: Length = 0.0
    A3_x: Length = 0.0
    A3_y: Length = 0.0
    C5: Length = 0.0

    def path(self, angle: ComplexArray) -> FloatArray:
        """Return the path difference in metres at complex angles ``theta_x + i theta_y`` (rad).

        Uhlemann and Haider (1998), equation 1, without the aberrations that are not listed above:
        ``Re(w w* C1/2 + w*^2 A1/2 + w^2 w* B2 + w*^3 A2/3 + (w w*)^2 C3/4 + w^3 w* S3 + w*^4 A3/4
        + (w w*)^3 C5/6)``.
        """
        back = np.conj(angle)
        square = np.abs(angle) ** 2
        terms = (
            back**2 * (complex(self.A1_x, self.A1_y) / 2)
            + angle * square * complex(self.B2_x, self.B2_y)
            + back**3 * (complex(self.A2_x, self.A2_y) / 3)
            + angle**2 * square * complex(self.S3_x, self.S3_y)
            + back**4 * (complex(self.A3_x, self.A3_y) / 4)
        )
        even = square * (self.C1 / 2 + square * (self.C3 / 4 + square * (self.C5 / 6)))
        found: FloatArray = even + terms.real
        return found

    def phase(self, angle: ComplexArray, voltage: float) -> FloatArray:
        """Return chi in radians at complex angles (rad): the path, 2 pi to a wavelength."""
        return 2 * math.pi / wavelength(voltage) * self.path(angle)

    def plus(self, **more: float) -> Aberrations:
        """Return aberrations with something (m) added to the coefficients named."""
        return self.model_copy(
            update={name: float(getattr(self, name)) + by for name, by in more.items()}
        )


class Lens(Value):
    """What forms the beam.

    Parameters
    ----------
    voltage : float
        Volts.
    convergence_angle : float
        Semi-angle in radians.
    aberrations : Aberrations
        Of the lens.
    chromatic : float
        Cc in metres.
    energy_spread : float
        Standard deviation of the energy in eV.
    source_size : float
        Standard deviation in metres of the image of the source on the sample, a Gaussian.
    """

    voltage: float = Field(default=200e3, ge=VOLTAGES[0], le=VOLTAGES[1])
    convergence_angle: Angle = Field(default=25e-3, gt=0, le=0.1)
    aberrations: Aberrations = Aberrations()
    chromatic: Length = Field(default=0.0, ge=0, le=0.02)
    energy_spread: float = Field(default=0.0, ge=0, le=5)
    source_size: Length = Field(default=0.0, ge=0, le=1e-8)

    @property
    def wavelength(self) -> float:
        """Metres."""
        return wavelength(self.voltage)

    @property
    def cutoff(self) -> float:
        """Highest spatial frequency of an incoherent image in 1/m: 2 alpha / lambda."""
        return 2 * self.convergence_angle / self.wavelength

    @property
    def focal_spread(self) -> float:
        """Standard deviation of the defocus in metres; Kirkland (2010), equation 3.41."""
        volts, both = self.voltage, 1 + self.voltage / REST
        bent = both / (1 + self.voltage / (2 * REST))
        return self.chromatic * self.energy_spread / volts * bent


def spatial_frequencies(shape: tuple[int, int], pixel: float) -> tuple[FloatArray, FloatArray]:
    """Return (ky, kx) in 1/m of a discrete Fourier transform, shapes (rows, 1) and (1, columns)."""
    ky, kx = (np.asarray(np.fft.fftfreq(count, pixel), dtype=np.float64) for count in shape)
    return ky[:, None], kx[None, :]


def beam_wave(
    lens: Lens, shape: tuple[int, int], pixel: float, defocus: float = 0.0
) -> ComplexArray:
    """Return the wave of the focused beam in reciprocal space, aperture and aberrations in it.

    Parameters
    ----------
    lens : Lens
        What forms it; its focal spread and source size do not enter, they are incoherent.
    shape : (int, int)
        Rows and columns of the grid.
    pixel : float
        Metres.
    defocus : float
        Further underfocus in metres.

    Returns
    -------
    numpy.ndarray
        Shape `shape`, frequencies in the order of the discrete transform; the sum of squares is
        one. The edge of the aperture is smoothed over one pixel of reciprocal space.

    Raises
    ------
    OutOfRange
        The grid is too coarse for the aperture, or too small for it.
    """
    ky, kx = spatial_frequencies(shape, pixel)
    angle: ComplexArray = (lens.wavelength * (kx + 1j * ky)).astype(np.complex128)
    step = lens.wavelength * max(1 / (count * pixel) for count in shape)
    if lens.convergence_angle > lens.wavelength / (2 * pixel):
        raise OutOfRange(
            f"`pixel` is {pixel:g} m; an aperture of {lens.convergence_angle:g} rad needs at most "
            f"{lens.wavelength / (2 * lens.convergence_angle):g} m."
        )
    if lens.convergence_angle < step:
        raise OutOfRange(
            f"`shape` is {shape} at {pixel:g} m; an aperture of {lens.convergence_angle:g} rad "
            f"needs a field of {lens.wavelength / lens.convergence_angle:g} m at least."
        )
    aperture = np.clip((lens.convergence_angle - np.abs(angle)) / step + 0.5, 0.0, 1.0)
    aberrations = lens.aberrations.plus(C1=-defocus)
    wave = np.sqrt(aperture) * np.exp(-1j * aberrations.phase(angle, lens.voltage))
    whole = math.sqrt(float(np.sum(np.abs(wave) ** 2)))
    return np.asarray(wave / whole, dtype=np.complex128)


def beam_intensity(
    lens: Lens, shape: tuple[int, int], pixel: float, defocus: float = 0.0
) -> FloatArray:
    """Return the intensity of the focused beam, its middle at pixel (0, 0), periodic; sum 1.

    Focal spread is averaged over seven foci by Gauss-Hermite quadrature, source size is a Gaussian
    blur. Shape, pixel and defocus as of `beam_wave`.

    Examples
    --------
    >>> sharp = Lens(voltage=200e3, convergence_angle=25e-3)
    >>> beam = beam_intensity(sharp, (64, 64), 1e-11)
    >>> round(float(beam.sum()), 6), bool(beam.argmax() == 0)
    (1.0, True)
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(7 if lens.focal_spread > 0 else 1)
    total = np.zeros(shape)
    for node, weight in zip(nodes, weights / weights.sum(), strict=True):
        wave = np.fft.ifft2(beam_wave(lens, shape, pixel, defocus + node * lens.focal_spread))
        total += weight * np.abs(wave) ** 2
    if lens.source_size > 0:
        ky, kx = spatial_frequencies(shape, pixel)
        blur = np.exp(-2 * (math.pi * lens.source_size) ** 2 * (kx**2 + ky**2))
        total = np.fft.ifft2(np.fft.fft2(total) * blur).real
    found: FloatArray = total / total.sum()
    return found
