"""Core losses: the cross section per eV of an atom for exciting its inner shells.

Bethe's theory for small angles (H. Bethe, Ann. Phys. 5 (1930) 325; M. Inokuti, Rev. Mod. Phys. 43
(1971) 297; Egerton 2011, section 3.6.1)::

    d sigma / dE = 4 pi a0^2 R^2 / (E T) df/dE ln(1 + (beta / theta_E)^2)

with the optical oscillator strength df/dE of the table (`nanopilot.twins.stem.spectra.tables`): a
step at the edge, a power law above it, and the third power of the energy far above. The angle is
limited by the Bethe ridge, and the cone of the beam enters as in `inelastic.angular_factor`.
Against hydrogenic K shells and distorted waves this is right within 10 to 30 %.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from nanopilot.models.electron_optics import BOHR, Lens
from nanopilot.twins.stem.spectra.columns import FloatArray
from nanopilot.twins.stem.spectra.fine_structure import (
    NEAR_K,
    PER_F_HOLE,
    PER_HOLE,
    WHITE_LINES,
    WhiteLines,
)
from nanopilot.twins.stem.spectra.inelastic import RYDBERG, angular_factor, beam_share, kinetic
from nanopilot.twins.stem.spectra.tables import Edge, edges

_RISE = 0.3  # eV: standard deviation of a step, from the life of the hole and the solid
_STEEP = 15.0  # times the edge: from there all shells fall with the third power
_PARTS = 8  # of a channel, over which it is averaged


def valences(element: str) -> tuple[int, ...]:
    """Return the whole valences of which an element has a spectrum; (0,): they all look alike."""
    return tuple(sorted(WHITE_LINES.get(element, {0: None})))


def _white(element: str, valence: int) -> tuple[WhiteLines | None, tuple[str, str]]:
    lines = WHITE_LINES.get(element, {}).get(valence)
    return lines, ("M5", "M4") if element == "Ce" else ("L3", "L2")


def onsets(element: str, valence: int = 0) -> dict[str, float]:
    """Return the energy in eV where each edge of an element starts; white lines move theirs."""
    found = {edge.shell: edge.energy for edge in edges(element)}
    lines, pair = _white(element, valence)
    if lines is not None:
        found |= dict(zip(pair, (lines.first, lines.second), strict=True))
    return found


def _step(edge: Edge, onset: float, energy: FloatArray) -> FloatArray:
    from scipy.special import ndtr

    above = np.maximum(energy - onset, 0.0)
    rise = ndtr((energy - onset) / _RISE)
    if edge.delay:
        rise = rise * (1 - np.exp(-above / edge.delay))
    times = np.maximum(energy / onset, 0.9)
    falls = np.minimum(times, _STEEP) ** -edge.decay * np.maximum(times / _STEEP, 1.0) ** -3.0
    found: FloatArray = edge.strength * falls * rise
    return found


def oscillator_strength(element: str, energy: FloatArray, valence: int = 0) -> FloatArray:
    """Return df/dE of an atom in 1/eV, all its edges together.

    Parameters
    ----------
    element : str
        Symbol.
    energy : numpy.ndarray
        Losses in eV, any shape.
    valence : int
        One of `valences`.
    """
    total = np.zeros(np.shape(energy))
    starts = onsets(element, valence)
    for edge in edges(element):
        total += _step(edge, starts[edge.shell], energy)
    for place, area, width in peaks(element, valence):
        shape = np.exp(-0.5 * ((energy - place) / width) ** 2) / (width * math.sqrt(2 * math.pi))
        total += area * shape
    return total


def peaks(element: str, valence: int = 0) -> tuple[tuple[float, float, float], ...]:
    """Return energy (eV), oscillator strength and standard deviation (eV) of near-edge peaks."""
    lines, pair = _white(element, valence)
    if lines is None:
        return NEAR_K.get(element, ())
    if element == "Ce":
        return lines.peaks(PER_F_HOLE * lines.holes)
    step = sum(edge.strength for edge in edges(element) if edge.shell in pair)
    return lines.peaks(PER_HOLE * lines.holes * step)


def cross_section(
    element: str, energy: FloatArray, lens: Lens, collection_angle: float, valence: int = 0
) -> FloatArray:
    """Return the cross section for a core loss that is collected, m² per eV and atom.

    Relative to the electrons that would be collected without the sample: an aperture narrower than
    the beam does not lower it.

    Parameters
    ----------
    element : str
        Symbol.
    energy : numpy.ndarray
        Losses in eV, above 0, any shape.
    lens : Lens
        Voltage and convergence.
    collection_angle : float
        Radians.
    valence : int
        One of `valences`.

    Examples
    --------
    >>> lens = Lens(voltage=100e3, convergence_angle=1e-4)
    >>> window = np.linspace(284, 334, 501)
    >>> inside = np.trapezoid(cross_section("C", window, lens, 10e-3), window)
    >>> bool(3e-25 < inside < 6e-25)
    True
    """
    volts = kinetic(lens.voltage)
    height = 4 * math.pi * (BOHR * RYDBERG) ** 2 / (energy * volts)
    angles = angular_factor(energy, lens, collection_angle) / beam_share(lens, collection_angle)
    found: FloatArray = height * oscillator_strength(element, energy, valence) * angles
    return found


@lru_cache(maxsize=256)
def per_channel(
    key: tuple[str, int], grid: tuple[float, int], lens: Lens, collection_angle: float
) -> tuple[FloatArray, float]:
    """Return cross sections in m² of the channels of a grid, and of all losses together.

    Parameters
    ----------
    key : (str, int)
        Element and valence.
    grid : (float, int)
        Width of a channel in eV and how many there are; the first is centred at 0.
    lens : Lens
        Voltage and convergence.
    collection_angle : float
        Radians.

    Returns
    -------
    (numpy.ndarray, float)
        Shape (channels,), read-only, and their sum with what lies beyond the grid.
    """
    element, valence = key
    width, count = grid
    found = np.zeros(count)
    if not edges(element):
        return found, 0.0
    lowest = min(onsets(element, valence).values())
    first = max(0, int((lowest - 5) / width))
    parts = (np.arange(_PARTS) + 0.5) / _PARTS - 0.5
    energy = np.maximum((np.arange(first, count)[:, None] + parts) * width, 1.0)
    found[first:] = width * cross_section(element, energy, lens, collection_angle, valence).mean(1)
    end = max((count - 0.5) * width, lowest - 5)
    beyond = np.geomspace(end, lens.voltage / 2, 4000)
    tail = cross_section(element, beyond, lens, collection_angle, valence)
    found.setflags(write=False)
    return found, float(found.sum() + np.trapezoid(tail, beyond))
