"""What one vibrating atom does to a wave on average, and where it scatters the rest."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from nanopilot.models.electron_optics import ComplexArray, interaction
from nanopilot.models.scattering import MOST_K, projected_potential_factor

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Metres along one side of the box that one atom is calculated in, and points along it.
_BOX, _POINTS = 1.6e-9, 400


@dataclass(frozen=True, slots=True, eq=False)
class VibratingAtom:
    """One kind of atom in a beam: tables over the spatial frequency.

    Parameters
    ----------
    k : numpy.ndarray
        Ascending from 0, in 1/m.
    scattered : numpy.ndarray
        Transform in m² of ``exp(i sigma V) - 1``, the wave that an atom at rest scatters.
    opacity : numpy.ndarray
        Transform in m² of ``-i log <exp(i sigma V)>``, complex: what stands for sigma V in the mean
        over vibrations. Its imaginary part takes from the mean wave what is scattered diffusely.
    rms : float
        Displacement along each axis in metres.
    """

    k: FloatArray
    scattered: ComplexArray
    opacity: ComplexArray
    rms: float

    def mean_factor(self, k: FloatArray) -> ComplexArray:
        """Return `opacity` at any k (1/m), 0 beyond the table."""
        found: ComplexArray = _between(k, self.k, self.opacity)
        return found

    def cross_section(self, k: FloatArray) -> FloatArray:
        """Return m⁴: what is scattered per area of k and per electron/m² on the atom."""
        return np.asarray(np.abs(_between(k, self.k, self.scattered)) ** 2)

    def diffuse(self, k: FloatArray) -> FloatArray:
        """Return the part of `cross_section` that interferes with nothing, in m⁴.

        ``1 - exp(-4 pi² k² u²)`` of it, an atom by itself (Einstein): C. R. Hall and P. B. Hirsch,
        Proc. R. Soc. A 286 (1965) 158.
        """
        return np.asarray(-np.expm1(-((2 * np.pi * self.rms * k) ** 2)) * self.cross_section(k))

    def total(self) -> float:
        """Return the whole of `diffuse` in m²."""
        return 2 * np.pi * float(np.trapezoid(self.diffuse(self.k) * self.k, self.k))


@lru_cache(maxsize=256)
def vibrating_atom(number: int, rms: float, voltage: float) -> VibratingAtom:
    """Return the tables of an atom.

    Vibrations of atoms are independent of each other, so that the mean of a product over atoms is
    the product of means: the mean wave behind a slice is the wave before it, times the mean of each
    atom's ``exp(i sigma V(r - u))`` over its Gaussian displacement u.

    Parameters
    ----------
    number : int
        Atomic number.
    rms : float
        Displacement along each axis in metres.
    voltage : float
        Volts.

    Raises
    ------
    OutOfRange
        Unknown element, or a voltage outside the models.
    """
    k: FloatArray = np.asarray(np.fft.fftfreq(_POINTS, _BOX / _POINTS), dtype=np.float64)
    square = k[:, None] ** 2 + k**2
    inside = square < min(_POINTS / (2 * _BOX), MOST_K) ** 2
    volts = np.zeros(inside.shape)
    volts[inside] = projected_potential_factor(number, np.sqrt(square[inside]))
    scale = (_POINTS / _BOX) ** 2
    phase = interaction(voltage) * np.fft.ifft2(volts).real * scale
    wave = np.fft.fft2(np.exp(1j * phase) - 1)
    mean = np.fft.ifft2(wave * np.exp(-2 * (np.pi * rms) ** 2 * square))
    opacity = np.fft.fft2(-1j * np.log(1 + mean))
    half = _POINTS // 2
    return VibratingAtom(k[:half], wave[0, :half] / scale, opacity[0, :half] / scale, rms)


def _between(at: FloatArray, k: FloatArray, values: ComplexArray) -> ComplexArray:
    """Interpolate a table by a cubic through four points."""
    step = k[1]
    place = np.clip(np.abs(at) / step, 0, len(k) - 3)
    low = place.astype(int)
    part = place - low
    before, here, after, beyond = (values[np.abs(low + shift)] for shift in (-1, 0, 1, 2))
    bent = 3 * (here - after) + beyond - before
    curved = 2 * before - 5 * here + 4 * after - beyond
    cubic = here + part / 2 * (after - before + part * (curved + part * bent))
    found: ComplexArray = np.where(np.abs(at) < k[-3], cubic, 0.0)
    return found
