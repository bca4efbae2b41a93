"""What one atom and a thickness of matter add to the signal of an annular detector.

An atom is a phase object ``exp(i sigma V) = 1 + u`` in the beam ``a`` (a wave). With ``d`` the part
of that wave which a detector inside the bright disc catches, it changes the signal by

    ``f(x) = 2 Re int conj(d) u a  +  int_D |F[u a]|^2``

with the beam at x. The first term is the interference with the beam: phase contrast from
``sin(sigma V)`` and what is taken away by ``1 - cos(sigma V)``, whose integral is half the whole
cross section (optical theorem). It is exact, and the only one with a transfer that depends on
defocus in another way than the size of the beam: H. Rose, Optik 39 (1974) 416. The second is
what the atom scatters into the detector. Its integral over x is the differential cross section
averaged over the cone of illumination, exactly; its shape is taken to be that of the beam, blurred
by the vibration of the atom and by how far from its middle it scatters this far (`object_share`),
which is incoherent imaging: S. J. Pennycook and D. E. Jesson, Ultramicroscopy 37 (1991) 14. Atoms
are taken to scatter by themselves, so that vibration blurs them and takes nothing away.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from nanopilot.core.errors import OutOfRange
from nanopilot.models.electron_optics import WIDEST, interaction, wavelength
from nanopilot.models.quadrature import gauss_legendre
from nanopilot.models.scattering import MOST_K, projected_potential_factor

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Points of the logarithmic scales of distance and frequency, and decades that they span.
_POINTS, _DECADES = 4096, 9.0
#: Middle of the scale of spatial frequencies, 1/m.
_MIDDLE = 1e10


class Ring(Protocol):
    """What of a detector decides its contrast: two angles in radians."""

    @property
    def inner(self) -> float:
        """Inner angle in radians."""

    @property
    def outer(self) -> float:
        """Outer angle in radians."""


@dataclass(frozen=True, slots=True, eq=False)
class AtomContrast:
    """How one kind of atom scatters, by spatial frequency.

    Parameters
    ----------
    frequency : numpy.ndarray
        1/m, ascending, evenly in the logarithm.
    phase, loss : numpy.ndarray
        Transforms of ``sin(sigma V)`` and of ``2 (1 - cos(sigma V))`` in m², same shape.
    """

    frequency: FloatArray
    phase: FloatArray
    loss: FloatArray

    @property
    def total(self) -> float:
        """Whole elastic cross section in m²."""
        return float(self.loss[0])

    def at(self, values: FloatArray, frequency: FloatArray) -> FloatArray:
        """Return `phase` or `loss` at other frequencies (1/m), any shape."""
        known = np.clip(frequency, self.frequency[0], self.frequency[-1])
        found: FloatArray = np.interp(np.log(known), np.log(self.frequency), values)
        return found

    def differential(self, frequency: FloatArray) -> FloatArray:
        """Return ``|F[u]|^2`` in m⁴ at frequencies in 1/m: the cross section per area of them."""
        phase, loss = (self.at(one, frequency) for one in (self.phase, self.loss))
        return phase**2 + loss**2 / 4


@lru_cache(maxsize=256)
def atom_contrast(number: int, voltage: float) -> AtomContrast:
    """Return how an atom that does not vibrate scatters electrons.

    Parameters
    ----------
    number : int
        Atomic number.
    voltage : float
        Volts.

    Raises
    ------
    OutOfRange
        Unknown element, or a voltage outside the models.
    """
    strength = interaction(voltage)
    step = _DECADES * math.log(10) / _POINTS
    k = _MIDDLE * np.exp((np.arange(_POINTS) - (_POINTS - 1) / 2) * step)
    # Beyond what is known a bare nucleus scatters: the factor falls as the square.
    known = np.minimum(k, MOST_K)
    factor = projected_potential_factor(number, known) * (known / k) ** 2
    distance, potential = _hankel(k, factor)
    turned = strength * potential
    effects = np.sin(turned), 4 * np.sin(turned / 2) ** 2
    frequency = _hankel(distance, effects[0])[0]
    kept = (frequency > 1e7) & (frequency < 1.2 * MOST_K)
    phase, loss = (
        _mended(frequency[kept], _hankel(distance, one)[1][kept], distance, one) for one in effects
    )
    return AtomContrast(frequency[kept], phase, loss)


def _hankel(scale: FloatArray, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return ``2 pi int f(r) J0(2 pi k r) r dr`` and k, both on logarithmic scales.

    A. J. S. Hamilton, Mon. Not. R. Astron. Soc. 312 (2000) 257.
    """
    from scipy.fft import fht

    step = math.log(scale[1] / scale[0])
    # `fht` returns ``int a(r) J0(q r) q dr`` at q = exp(...) / middle of r; q is 2 pi k.
    middle = math.sqrt(float(scale[0] * scale[-1]))
    turned = np.exp((np.arange(len(scale)) - (len(scale) - 1) / 2) * step) / middle
    found = fht(scale * values, step, mu=0.0)
    return turned / (2 * math.pi), 2 * math.pi * found / turned


def _mended(
    frequency: FloatArray, found: FloatArray, distance: FloatArray, values: FloatArray
) -> FloatArray:
    """Return a transform with its low end summed directly: there the fast one wraps around."""
    from scipy.special import j0

    inside = (distance > 1e-14) & (distance < 3e-9)
    near = distance[inside]
    weights = 2 * math.pi * near**2 * math.log(distance[1] / distance[0]) * values[inside]
    # Even in frequency: a straight line between its squares leaves an error of 1e-5.
    low = _MIDDLE * np.linspace(0.0, 1.0, 257) ** 0.5
    summed = j0(2 * math.pi * np.multiply.outer(low, near)) @ weights
    mended = np.interp(frequency**2, low**2, summed)
    return np.where(frequency < _MIDDLE, mended, found)


def cone_share(angle: FloatArray, ring: Ring, convergence_angle: float) -> FloatArray:
    """Return the fraction of a cone of illumination that scattering by `angle` puts into a ring.

    Parameters
    ----------
    angle : numpy.ndarray
        Radians, any shape.
    ring : Ring
        The detector.
    convergence_angle : float
        Semi-angle of the cone, radians.
    """
    found = _overlap(angle, ring.outer, convergence_angle)
    if ring.inner > 0:
        found = found - _overlap(angle, ring.inner, convergence_angle)
    return found / (math.pi * convergence_angle**2)


def _overlap(distance: FloatArray, one: float, other: float) -> FloatArray:
    """Return the area that two discs have in common."""
    if min(one, other) < 1e-9:
        return np.zeros(np.shape(distance))
    d = np.clip(distance, max(abs(one - other), 1e-12), one + other)
    first = np.clip((d**2 + one**2 - other**2) / (2 * d * one), -1, 1)
    second = np.clip((d**2 + other**2 - one**2) / (2 * d * other), -1, 1)
    kite = (-d + one + other) * (d + one - other) * (d - one + other) * (d + one + other)
    lens = one**2 * np.arccos(first) + other**2 * np.arccos(second)
    lens = lens - np.sqrt(np.clip(kite, 0, None)) / 2
    inside = distance <= max(abs(one - other), 1e-12)
    found: FloatArray = np.where(inside, math.pi * min(one, other) ** 2, lens)
    return np.where(distance >= one + other, 0.0, found)


def vacuum_fraction(ring: Ring, convergence_angle: float) -> float:
    """Return the fraction of the beam that a ring catches with no sample there."""
    return float(cone_share(np.zeros(1), ring, convergence_angle)[0])


@lru_cache(maxsize=1024)
def _caught(
    number: int, voltage: float, inner: float, outer: float, convergence_angle: float
) -> float:
    contrast, length = atom_contrast(number, voltage), wavelength(voltage)
    highest = 2 * math.sin(min(outer + convergence_angle, math.pi) / 2) / length
    nodes, weights = gauss_legendre(400)
    # Even steps in the logarithm of k + a tenth of an atom's width in it.
    shift = 1e9
    half = math.log((highest + shift) / shift) / 2
    k = shift * np.expm1(half * (nodes + 1))
    share = cone_share(2 * np.arcsin(k * length / 2), _Ring(inner, outer), convergence_angle)
    inside = contrast.differential(k) * share * 2 * math.pi * k * (k + shift)
    return half * float(np.sum(weights * inside))


@dataclass(frozen=True, slots=True)
class _Ring:
    inner: float
    outer: float


def check_ring(ring: Ring, voltage: float, convergence_angle: float) -> None:
    """Raise unless angles, voltage and scattering factors go together.

    Raises
    ------
    OutOfRange
        They do not; the message has the bounds.
    """
    if not 0 <= ring.inner < ring.outer <= WIDEST:
        raise OutOfRange(
            f"`inner` and `outer` are {ring.inner:g} and {ring.outer:g} rad; they ascend from 0 "
            f"rad to {WIDEST:g} rad."
        )
    most = MOST_K * wavelength(voltage) - convergence_angle
    if ring.outer > most:
        raise OutOfRange(
            f"`outer` is {ring.outer:g} rad; at {voltage:g} V and a convergence of "
            f"{convergence_angle:g} rad scattering factors are known up to {most:g} rad."
        )


def annular_cross_section(
    number: int, rms: float, voltage: float, annulus: Ring, convergence_angle: float
) -> float:
    """Return the cross section in m² of one atom for scattering into a ring.

    The square of the transform of ``exp(i sigma V) - 1``, integrated over the ring and averaged
    over the directions of illumination. Vibration (`rms`, metres) blurs the image of an atom that
    scatters by itself and leaves its integral alone, so that it is only checked here.

    Parameters
    ----------
    number : int
        Atomic number.
    rms : float
        Thermal displacement along each axis in metres.
    voltage : float
        Volts.
    annulus : Ring
        Inner and outer angle in radians.
    convergence_angle : float
        Radians.

    Raises
    ------
    OutOfRange
        Angles, voltage, element or displacement outside the models.
    """
    check_ring(annulus, voltage, convergence_angle)
    if not 0 <= rms < 1e-10:
        raise OutOfRange(f"`rms` is {rms:g} m; thermal displacements are from 0 m to 1e-10 m.")
    return _caught(number, voltage, annulus.inner, annulus.outer, convergence_angle)


def object_share(
    number: int, voltage: float, annulus: Ring, convergence_angle: float, frequency: FloatArray
) -> FloatArray:
    """Return the transform of where an atom scatters into a ring from, 1 at frequency 0.

    Two directions of illumination that lie k apart scatter together into a ring D as
    ``int_D F[u](q - c + k/2) F[u]*(q - c - k/2) dq``, c being their middle; this is the mean over
    all such pairs in the cone, over its value at k = 0. Times the transform of a beam without
    aberrations it is the exact image.

    Parameters
    ----------
    number : int
        Atomic number.
    voltage : float
        Volts.
    annulus : Ring
        Inner and outer angle in radians.
    convergence_angle : float
        Radians.
    frequency : numpy.ndarray
        1/m, any shape.
    """
    angles = annulus.inner, annulus.outer, convergence_angle
    known, share = _object_share(number, voltage, angles)
    return np.interp(frequency, known, share)


@lru_cache(maxsize=1024)
def _object_share(
    number: int, voltage: float, angles: tuple[float, float, float]
) -> tuple[FloatArray, FloatArray]:
    contrast, length = atom_contrast(number, voltage), wavelength(voltage)
    low, high, cone = (angle / length for angle in angles)
    nodes, weights = gauss_legendre(20)
    radius = low + (high - low) * (nodes + 1) / 2
    turn = (np.arange(32) + 0.5) * math.pi / 16
    qx, qy = (np.multiply.outer(radius, one(turn)) for one in (np.cos, np.sin))
    known = np.linspace(0.0, 2 * cone, 20)
    found = [_overlap_of_pairs(contrast, (qx, qy, weights * radius), cone, k) for k in known[:-1]]
    # The last pair of directions is alone on the rim; its share is that of the one before.
    share = np.array([*found, found[-1]])
    return known, share / share[0]


def _overlap_of_pairs(
    contrast: AtomContrast, ring: tuple[FloatArray, FloatArray, FloatArray], cone: float, k: float
) -> float:
    """Return the mean overlap in a ring (points and weights) of all pairs k apart in a cone."""
    qx, qy, weights = ring
    nodes, even = gauss_legendre(5)
    total, area = 0.0, 0.0
    for across, one in zip(nodes, even, strict=True):
        cy = across * math.sqrt(cone**2 - k**2 / 4)
        room = math.sqrt(cone**2 - cy**2) - k / 2
        for along, other in zip(nodes, even, strict=True):
            dx, dy = qx - along * room, qy - cy
            near, far = (np.sqrt((dx + sign * k / 2) ** 2 + dy**2) for sign in (1, -1))
            phase = contrast.at(contrast.phase, near) * contrast.at(contrast.phase, far)
            loss = contrast.at(contrast.loss, near) * contrast.at(contrast.loss, far)
            total += one * other * room * float(weights @ (phase + loss / 4).sum(axis=1))
            area += one * other * room
    return total / area


def matter_exponent(
    concentration: Mapping[int, float], voltage: float, ring: Ring, convergence_angle: float
) -> float:
    """Return what a metre of matter adds to the exponent of `fractions`, in 1/m.

    Positive for what a ring outside the bright disc gains; for one inside, what it gains less
    what its share of the beam loses, times nothing else.

    Parameters
    ----------
    concentration : mapping of int to float
        Atoms per cubic metre, by atomic number.
    voltage, convergence_angle : float
        Volts and radians.
    ring : Ring
        The detector.

    Raises
    ------
    OutOfRange
        Angles, voltage or element outside the models.
    """
    share = vacuum_fraction(ring, convergence_angle)
    total = 0.0
    for number, atoms in concentration.items():
        gained = annular_cross_section(number, 0.0, voltage, ring, convergence_angle)
        total += atoms * (gained - share * atom_contrast(number, voltage).total)
    return total


def fractions(exponent: FloatArray, ring: Ring, convergence_angle: float) -> FloatArray:
    """Return the fraction of the beam that a ring catches.

    Outside the bright disc ``1 - exp(-e)``, inside ``f0 exp(e / f0)`` with f0 the fraction without
    a sample: both are linear in what atoms and matter add as long as it is small, never below 0
    and never above 1. An electron that is scattered again is thereby counted once.

    Parameters
    ----------
    exponent : numpy.ndarray
        Sum over atoms and matter of what they add, any shape.
    ring : Ring
        The detector.
    convergence_angle : float
        Radians.
    """
    share = vacuum_fraction(ring, convergence_angle)
    if share == 0.0:
        return -np.expm1(-np.clip(exponent, 0.0, None))
    return np.minimum(share * np.exp(np.clip(exponent / share, -50.0, 50.0)), 1.0)
