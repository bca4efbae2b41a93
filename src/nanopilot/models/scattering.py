"""How strongly a neutral atom scatters electrons: scattering factors and cross sections.

A scattering vector is ``k = 2 sin(theta / 2) / lambda = |q| / (2 pi)`` in 1/m; a scattering factor
is that of an electron at rest mass, in metres: times the Lorentz factor, its square is the
differential cross section. Coefficients are made by `nanopilot.models.recipes.scattering_factors`.
"""

from __future__ import annotations

import json
import math
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from nanopilot.core.errors import OutOfRange
from nanopilot.models.electron_optics import (
    BOHR,
    CHARGE,
    MASS,
    PLANCK,
    lorentz_factor,
    wavelength,
)
from nanopilot.models.quadrature import gauss_legendre

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Largest scattering vector in 1/m. Fitted to 1.2e11; there all but a tenth is bare nucleus.
MOST_K = 1.6e11
#: V m³ per metre of scattering factor, that is V m²: h² / (2 pi m e).
VOLTS = PLANCK**2 / (2 * math.pi * MASS * CHARGE)


def electron_scattering_factor(number: int, k: FloatArray) -> FloatArray:
    """Return the scattering factor of a neutral atom in metres, rest mass, same shape as `k`.

    ``f = 1 / (2 pi² a0) sum_i c_i b_i (2 + b_i k²) / (1 + b_i k²)²`` with ``sum c_i = Z``: the form
    of I. Lobato and D. Van Dyck, Acta Cryst. A 70 (2014) 636, which meets the law of Mott and
    Bethe, so that ``f -> Z / (2 pi² a0 k²)`` as k grows. Coefficients are our own fit to
    the electron factors of L.-M. Peng et al., Acta Cryst. A 52 (1996) 257, below k = 1e10 1/m, and
    the X-ray factors of D. Waasmaier and A. Kirfel, Acta Cryst. A 51 (1995) 416, from 3e10 1/m,
    blended between.

    Parameters
    ----------
    number : int
        Atomic number, 1 to 98.
    k : numpy.ndarray
        1/m, at most `MOST_K`, not negative.

    Raises
    ------
    OutOfRange
        No such element here, or `k` is beyond its bounds.

    Examples
    --------
    >>> gold = electron_scattering_factor(79, np.array([0.0, 5e10]))
    >>> [round(float(one) * 1e10, 2) for one in gold]
    [10.59, 0.26]
    """
    weight, area = _coefficients(number)
    k = np.asarray(k, dtype=np.float64)
    if k.size and not (float(k.min()) >= 0 and float(k.max()) <= MOST_K):
        raise OutOfRange(
            f"`k` goes from {k.min():g} to {k.max():g} 1/m; scattering factors are known from 0 to "
            f"{MOST_K:g} 1/m: take smaller angles, or a coarser sampling."
        )
    square, total = k**2, np.zeros(k.shape)
    for one, b in zip(weight, area, strict=True):
        reach = b * square
        total += one * b * (2 + reach) / (1 + reach) ** 2
    return total / (2 * math.pi**2 * BOHR)


def projected_potential_factor(number: int, k: FloatArray) -> FloatArray:
    """Return the Fourier transform in the plane of an atom's projected potential, in V m³.

    ``h² / (2 pi m e) f(k)``: E. J. Kirkland, Advanced Computing in Electron Microscopy (2010),
    appendix C. Parameters and errors as of `electron_scattering_factor`.
    """
    return VOLTS * electron_scattering_factor(number, k)


def cross_section(
    number: int, voltage: float, inner: float, outer: float, rms: float | None = None
) -> float:
    """Return the cross section in m² for elastic scattering of one atom into an annulus.

    ``2 pi lambda² int gamma² f(k)² (1 - exp(-4 pi² k² u²)) k dk``, as ``k dk = sin(theta) dtheta /
    lambda²``: what atoms that vibrate independently (Einstein) scatter incoherently, S. J.
    Pennycook and D. E. Jesson, Ultramicroscopy 37 (1991) 14.

    Parameters
    ----------
    number : int
        Atomic number, 1 to 98.
    voltage : float
        Volts.
    inner, outer : float
        Angles in radians.
    rms : float, optional
        Thermal displacement u along each axis in metres. None: all that an atom by itself
        scatters, without the factor that takes away what a crystal scatters coherently.

    Raises
    ------
    OutOfRange
        Unknown element, voltage outside the models, angles not ascending or too large, or a
        displacement that is negative.

    Examples
    --------
    >>> heavy, light = (cross_section(z, 200e3, 60e-3, 180e-3) for z in (42, 16))
    >>> round(heavy / light, 1)
    6.0
    """
    length = wavelength(voltage)
    if not 0 <= inner < outer <= math.pi:
        raise OutOfRange(
            f"`inner` and `outer` are {inner:g} and {outer:g} rad; they ascend from 0 to pi."
        )
    if rms is not None and not 0 <= rms < 1e-10:
        raise OutOfRange(f"`rms` is {rms:g} m; thermal displacements are from 0 m to 1e-10 m.")
    low, high = (2 * math.sin(angle / 2) / length for angle in (inner, outer))
    if high > MOST_K:
        most = 2 * math.asin(min(MOST_K * length / 2, 1.0))
        raise OutOfRange(
            f"`outer` is {outer:g} rad; scattering factors are known up to {most:g} rad at "
            f"{voltage:g} V."
        )
    # Factors fall over decades of k: even steps in the logarithm of k + a tenth of an atom's.
    shift = 1e9
    nodes, weights = gauss_legendre(64)
    ends = math.log(low + shift), math.log(high + shift)
    half = (ends[1] - ends[0]) / 2
    k = np.clip(np.exp(ends[0] + half * (nodes + 1)) - shift, 0.0, None)
    factor = lorentz_factor(voltage) * electron_scattering_factor(number, k)
    incoherent = 1.0 if rms is None else -np.expm1(-((2 * math.pi * rms * k) ** 2))
    inside = factor**2 * incoherent * k * (k + shift)
    return 2 * math.pi * length**2 * half * float(np.sum(weights * inside))


def _coefficients(number: int) -> tuple[FloatArray, FloatArray]:
    table = _table()
    if number not in table:
        raise OutOfRange(
            f"`number` is {number}; scattering factors are known of neutral atoms from "
            f"{min(table)} to {max(table)}."
        )
    return table[number]


@cache
def _table() -> dict[int, tuple[FloatArray, FloatArray]]:
    """Return weights c (electrons) and areas b (m²) by atomic number."""
    text = files("nanopilot.models").joinpath("scattering_factors.json").read_text("utf-8")
    atoms = json.loads(text)["atoms"]
    return {
        int(number): (np.asarray(one["weight"]), np.asarray(one["area"]))
        for number, one in atoms.items()
    }
