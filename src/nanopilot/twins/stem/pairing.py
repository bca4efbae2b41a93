"""How two atoms, one below the other, scatter together: what a pair adds to the sum of both.

The wave that enters is ``exp(2 pi i c r)``. Each atom of a pair sends ``F(k)`` into a direction q,
k = q - c (`AtomContrast`). What is scattered by both goes from c by way of c + k' to q. Where k' is
small the upper atom has changed the beam that the lower one scatters; where k - k' is, the lower
one changes what the upper one has scattered. Either is a factor ``1 + w``, with w the wave that the
other atom adds at the place of the one: of the beam for the lower, of the beam sent back from the
detector for the upper (reciprocity). So that no way counts twice, each is dealt out to the two by
``|k - k'|² / (k'² + |k - k'|²)`` and the other way round; as ``F`` falls with the square, that
leaves ``w = int F(k') / sqrt(1 + 4 (k' / k)^4) ... dk'``. Both atoms interfere, with a phase from
the way between them, ``pi dz (q² - c²) / lambda``, as far as vibration lets them (Einstein).
Averaged over the cone of illumination and summed over a ring,

    ``int |A_1 F_1|² + |A_2 F_2|² + 2 Re(A_1 F_1 conj(A_2 F_2)) D dq``

is a cross section; what it is more than ``int |F_1|² + |F_2|² dq``, over that, is the excess of the
pair. It is within 0.06 of multislice of both atoms (J. M. Cowley and A. F. Moodie, Acta Cryst. 10
(1957) 609) from carbon to tungsten.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from nanopilot.models.electron_optics import wavelength
from nanopilot.models.quadrature import gauss_legendre
from nanopilot.twins.stem.contrast import AtomContrast, atom_contrast

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
ComplexArray = np.ndarray[Any, np.dtype[np.complex128]]
#: Atomic number and thermal displacement in metres.
Kind = tuple[int, float]
#: Volts, semi-angle of the cone, inner and outer angle of the ring in radians.
Optics = tuple[float, float, float, float]

#: Metres across the beam from which on atoms scatter by themselves, and steps up to there.
ACROSS, STEPS = 1e-10, 10
#: Sizes in the cone, turns against the line between the atoms, sizes and turns in the ring.
_CONE, _LINE, _RING, _TURNS = 3, 6, 10, 12
#: Of the table of a scattered wave: metres and places, its k, and points of the transform.
_TABLE, _PLACES, _SIZES, _WAVES = 3e-10, 121, 8, 1024


@lru_cache(maxsize=4096)
def pair_excess(upper: Kind, lower: Kind, deep: float, optics: Optics) -> FloatArray:
    """Return the excess of a pair over the sum of both atoms, at even distances across the beam.

    Parameters
    ----------
    upper, lower : (int, float)
        Atomic number and thermal displacement along each axis in metres.
    deep : float
        How far the lower one is below the upper one, in metres.
    optics : (float, float, float, float)
        Volts, convergence angle, inner and outer angle of the ring in radians.

    Returns
    -------
    numpy.ndarray
        Dimensionless, shape (STEPS + 1,), at 0 to `ACROSS`.

    Raises
    ------
    OutOfRange
        Unknown element, or a voltage outside the models.
    """
    voltage, length = optics[0], wavelength(optics[0])
    cone, ring, weights = _directions(optics)
    one, other = atom_contrast(upper[0], voltage), atom_contrast(lower[0], voltage)
    turned = (ring - cone) / length
    size = np.abs(turned)
    blur = math.hypot(upper[1], lower[1])
    first, second = (_scattered(atom, size) for atom in (one, other))
    alone = np.abs(first) ** 2 + np.abs(second) ** 2
    way = np.pi * deep / length * (np.abs(ring) ** 2 - np.abs(cone) ** 2)
    both = first * np.conj(second) * np.exp(-2 * (np.pi * blur * size) ** 2 - 1j * way)
    sizes = np.linspace(size.min(), size.max(), _SIZES)
    waves = [_waves(atom, blur, deep * length, sizes) for atom in (one, other)]
    found = []
    for apart in np.linspace(0.0, ACROSS, STEPS + 1):
        below, above = (
            1 + _looked_up(wave, (sizes, size), np.abs(apart - deep * angle))
            for angle, wave in zip((cone, ring), waves, strict=True)
        )
        pair = np.abs(above * first) ** 2 + np.abs(below * second) ** 2 - alone
        across = np.exp(2j * np.pi * turned.real * apart)
        pair += 2 * np.real(above * np.conj(below) * across * both)
        found.append(float(np.sum(weights * pair) / np.sum(weights * alone)))
    shares = np.array(found)
    shares.setflags(write=False)
    return shares


def _directions(optics: Optics) -> tuple[ComplexArray, ComplexArray, FloatArray]:
    """Return directions in the cone and in the ring, complex angles, and weights of the pairs."""
    _, widest, inner, outer = optics
    line = np.exp(2j * np.pi * (np.arange(_LINE) + 0.5) / _LINE)[:, None, None]
    turns = np.exp(2j * np.pi * (np.arange(_TURNS) + 0.5) / _TURNS)
    cone = widest * np.sqrt((np.arange(_CONE) + 0.5) / _CONE)
    nodes, even = gauss_legendre(_RING)
    size = inner + (outer - inner) * (nodes + 1) / 2
    ring = np.multiply.outer(size, turns).reshape(1, 1, -1)
    weights = np.repeat(even * size, _TURNS)
    return line * cone[:, None], line * ring, weights


def _scattered(atom: AtomContrast, frequency: FloatArray) -> ComplexArray:
    """Return the transform of ``exp(i sigma V) - 1`` in m²."""
    found = 1j * atom.at(atom.phase, frequency) - atom.at(atom.loss, frequency) / 2
    return np.asarray(found, dtype=np.complex128)


def _waves(atom: AtomContrast, blur: float, way: float, sizes: FloatArray) -> ComplexArray:
    """Return what an atom adds to a wave of 1 a way (times the wavelength, m²) behind it.

    Shape (sizes, places): for pairs that scatter by `sizes` (1/m), at even places from its middle.
    """
    from scipy.special import j0

    step = 3 * float(sizes[-1]) / _WAVES
    k: FloatArray = (np.arange(_WAVES, dtype=float) + 0.5) * step
    turned = np.exp(-1j * np.pi * way * k**2 - 2 * (np.pi * blur * k) ** 2)
    shares = 1 / np.sqrt(1 + 4 * (k / sizes[:, None]) ** 4)
    places = np.linspace(0.0, _TABLE, _PLACES)
    bessel = j0(2 * np.pi * np.multiply.outer(k, places))
    found: ComplexArray = (shares * _scattered(atom, k) * turned * 2 * np.pi * k * step) @ bessel
    return found


def _looked_up(
    waves: ComplexArray, by: tuple[FloatArray, FloatArray], place: FloatArray
) -> ComplexArray:
    """Return values of a table of `_waves`: `by` its sizes and those that are asked for."""
    sizes, size = by
    across = np.minimum(place / _TABLE * (_PLACES - 1), _PLACES - 1.001)
    up = (size - sizes[0]) / max(sizes[1] - sizes[0], 1e-30)
    column, row = across.astype(np.int64), np.minimum(up.astype(np.int64), _SIZES - 2)
    x, y = across - column, up - row
    low = (1 - x) * waves[row, column] + x * waves[row, column + 1]
    high = (1 - x) * waves[row + 1, column] + x * waves[row + 1, column + 1]
    found: ComplexArray = (1 - y) * low + y * high
    return found
