"""Atoms, rings and brute-force images that the tests of the electron twin's images share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nanopilot.models.electron_optics import Lens, beam_wave, interaction, spatial_frequencies
from nanopilot.models.scattering import projected_potential_factor
from nanopilot.twins.stem.scene import Atoms

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Annulus:
    """Two angles in radians."""

    inner: float
    outer: float


RINGS = {
    "haadf": Annulus(60e-3, 180e-3),
    "maadf": Annulus(35e-3, 60e-3),
    "abf": Annulus(12e-3, 25e-3),
    "bf": Annulus(0.0, 8e-3),
}


def atoms_of(position: Array, number: Sequence[int] | Array, rms: Sequence[float] | Array) -> Atoms:
    """Return atoms that nothing removes."""
    count = len(number)
    return Atoms(
        np.asarray(position, dtype=float).reshape(count, 3),
        np.asarray(number, dtype=np.int64),
        np.asarray(rms, dtype=float),
        np.zeros(count, dtype=np.int64),
        ("site",),
        np.full(count, np.inf),
        np.zeros(count),
    )


def scattered_atoms(count: int, side: float, seed: int) -> Atoms:
    """Return molybdenum and sulphur at random in a square from 0 to `side` (m)."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 2, count)
    place = np.column_stack([rng.uniform(0, side, (count, 2)), np.zeros(count)])
    return atoms_of(place, np.array([42, 16])[kind], np.array([6e-12, 8e-12])[kind])


def phase_object(number: int, voltage: float, shape: tuple[int, int], pixel: float) -> Array:
    """Return ``exp(i sigma V)`` of one atom at point (0, 0) of a periodic grid."""
    ky, kx = spatial_frequencies(shape, pixel)
    factor = projected_potential_factor(number, np.hypot(kx, ky))
    potential = np.fft.ifft2(factor).real / pixel**2
    return np.asarray(np.exp(1j * interaction(voltage) * potential))


def signals_of(
    through: Array, lens: Lens, pixel: float, places: Array, rings: dict[str, Annulus]
) -> Array:
    """Return the fraction of the beam in each ring with the beam at places, one by one.

    `through` is what a thin sample multiplies the wave with; places are (x, y) in metres.
    """
    shape = through.shape
    ky, kx = spatial_frequencies(shape, pixel)
    angle = lens.wavelength * np.hypot(kx, ky)
    wave = beam_wave(lens, shape, pixel)
    out = []
    for x, y in places:
        moved = np.fft.ifft2(wave * np.exp(-2j * np.pi * (kx * x + ky * y)))
        far = np.abs(np.fft.fft2(moved * through)) ** 2
        out.append([far[(angle >= r.inner) & (angle < r.outer)].sum() for r in rings.values()])
    return np.array(out).T
