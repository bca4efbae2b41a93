"""The shape of valence losses: bulk and surface plasmons.

Bulk: Drude, ``Im(-1/eps) = Ep^2 E w / ((E^2 - Ep^2)^2 + (E w)^2)``, times the logarithm of the
angles that are collected (Egerton 2011, sections 3.3.1 and 3.3.2). Surface: the same peak at
``Ep / sqrt(2)``. Both are scaled to a probability of one; `inelastic` says how often they happen.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from nanopilot.models.electron_optics import Lens
from nanopilot.twins.stem.spectra.columns import FloatArray
from nanopilot.twins.stem.spectra.inelastic import angular_factor
from nanopilot.twins.stem.spectra.optical_data import Optics

_CUTOFF = 20e-3  # radians, as in the mean free path
_TOP = 2e4  # eV: beyond, a plasmon's tail holds nothing
#: Metres of matter it takes for a surface to have its full plasmon.
SURFACE_DEPTH = 1e-9


def loss_function(optics: Optics, energy: FloatArray, surface: bool = False) -> FloatArray:
    """Return Im(-1/eps) of the peaks, each with its share; without unit, any shape."""
    total = np.zeros(np.shape(energy))
    for place, width, share in optics.peaks:
        middle = place / math.sqrt(2) if surface else place
        broad = width / math.sqrt(2) if surface else width
        shape = energy * broad / ((energy**2 - middle**2) ** 2 + (energy * broad) ** 2)
        total += share * 2 / math.pi * shape  # the integral of each is one
    if optics.gap:
        total = np.where(energy < optics.gap, 0.0, total)
    return total


def _density(
    optics: Optics, energy: FloatArray, lens: Lens, angle: float, surface: bool
) -> FloatArray:
    cutoff = np.full(np.shape(energy), _CUTOFF)
    found = loss_function(optics, energy, surface)
    if not surface:
        found = found * angular_factor(energy, lens, angle, cutoff)
    return found


@lru_cache(maxsize=128)
def per_channel(
    key: tuple[Optics, bool], grid: tuple[float, int], lens: Lens, collection_angle: float
) -> FloatArray:
    """Return the share of single valence losses in each channel of a grid.

    Parameters
    ----------
    key : (Optics, bool)
        The material's losses, and whether those of its surface are meant.
    grid : (float, int)
        Width of a channel in eV and how many there are; the first is centred at 0.
    lens : Lens
        Voltage and convergence.
    collection_angle : float
        Radians.

    Returns
    -------
    numpy.ndarray
        Shape (channels,), read-only; the sum is one but for losses beyond the grid.
    """
    optics, surface = key
    width, count = grid
    narrow = min(peak[1] for peak in optics.peaks)
    parts = max(4, math.ceil(width / narrow * 8))
    inner = np.arange(parts) + 0.5
    energy = (np.arange(count)[:, None] + inner / parts - 0.5) * width
    energy = np.maximum(energy, 1e-3)
    shares = width * _density(optics, energy, lens, collection_angle, surface).mean(axis=1)
    shares[0] /= 2  # half of the first channel is no loss
    fine = np.concatenate([np.arange(1, 8000) * 0.0125, np.geomspace(100, _TOP, 2000)])
    whole = float(np.trapezoid(_density(optics, fine, lens, collection_angle, surface), fine))
    shares /= whole
    shares.setflags(write=False)
    found: FloatArray = shares
    return found
