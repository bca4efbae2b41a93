"""Atoms below one another do not scatter as one by one: the beam is changed on its way.

Every pair that lies within 1 Å across the beam and 1 nm along it has an excess (`pairing`), which
both of its atoms are given, for each detector outside the bright disc. The excess is that of an
integral over the image, so that it does not hang on focus or aberrations.

Atoms of one column that are further apart have lost their phases, and the beam is still focused on
the lower ones: an atom then counts ``1 + gain (1 - exp(-s))`` times as much, with s the sum of
squared atomic numbers of those more than 1 nm above it over a constant. That was chosen so that 2
to 8 nm of SrTiO3 along [001] (200 kV) are as bright in dark field as frozen-phonon multislice has
them, within a tenth. It knows nothing of how the beam oscillates along a column, of other
orientations, or of what goes over to the next column: where that matters, use multislice. So do
detectors that reach into the bright disc, for which nothing of this is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

from nanopilot.models.electron_optics import Lens
from nanopilot.twins.stem.contrast import Ring
from nanopilot.twins.stem.pairing import ACROSS, STEPS, pair_excess
from nanopilot.twins.stem.scene import Atoms

Array = np.ndarray[Any, np.dtype[Any]]

#: Metres along the beam: no atoms are nearer, and none further apart know of each other.
_NEAR, _FAR = 8e-11, 1e-9
#: Metres that depths, and thermal displacements, are rounded to.
_DEPTHS, _SAME = 1e-11, 5e-13
#: Least that pairs leave of an atom.
_LEAST = 0.1
#: How far apart across the beam atoms of one column are at most, in metres.
_COLUMN = 3e-11
#: Most that is gained, and the sum of squared atomic numbers at which most of it is.
_GAIN, _SQUARES = 0.3, 1000.0


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Pairs of atoms that scatter together.

    Parameters
    ----------
    gain : numpy.ndarray
        By what factor each counts because of its column, shape (detectors, atoms).
    pairs : numpy.ndarray
        Index of both, shape (pairs, 2).
    excess : numpy.ndarray
        Relative, for each detector, shape (detectors, pairs).
    """

    gain: Array
    pairs: Array
    excess: Array

    def weights(self, there: Array) -> Array:
        """Return how much each atom counts, shape (detectors, atoms); `there`: those left."""
        kept = there[self.pairs].all(axis=1)
        ends = self.pairs[kept].T.ravel()
        more = [
            np.bincount(ends, np.tile(one[kept], 2), minlength=len(there)) for one in self.excess
        ]
        found: Array = self.gain * np.maximum(1 + np.reshape(more, self.gain.shape), _LEAST)
        return found


def columns_of(atoms: Atoms, lens: Lens, rings: Mapping[str, Ring]) -> Columns:
    """Return the pairs of a sample, under a beam of a voltage and a convergence angle.

    Parameters
    ----------
    atoms : Atoms
        The beam comes from z = -infinity.
    lens : Lens
        Its aberrations do not matter.
    rings : mapping of str to Ring
        Detectors; those that reach into the bright disc have no excess.
    """
    upper, lower = _pairs(atoms)
    apart = atoms.position[lower] - atoms.position[upper]
    deep = np.rint(apart[:, 2] / _DEPTHS)
    kinds = np.stack([atoms.number.astype(float), np.rint(atoms.rms / _SAME)])
    types = np.concatenate([kinds[:, upper], kinds[:, lower], deep[None]])
    known, which = np.unique(types, axis=1, return_inverse=True)
    which = np.ravel(which)
    across = np.hypot(apart[:, 0], apart[:, 1]) / ACROSS * STEPS
    step = np.minimum(across.astype(np.int64), STEPS - 1)
    found, gain = np.zeros((len(rings), len(upper))), np.ones((len(rings), len(atoms)))
    dark = [ring.inner >= lens.convergence_angle for ring in rings.values()]
    gain[dark] += _GAIN * -np.expm1(-_squares_above(atoms) / _SQUARES)
    for number, ring in enumerate(rings.values()):
        if not dark[number] or not len(upper):
            continue
        optics = lens.voltage, lens.convergence_angle, ring.inner, ring.outer
        table = np.array([
            pair_excess((int(a), b * _SAME), (int(c), d * _SAME), e * _DEPTHS, optics)
            for a, b, c, d, e in known.T
        ])  # fmt: skip
        low, high = table[which, step], table[which, step + 1]
        found[number] = low + (high - low) * (across - step)
    return Columns(gain, np.stack([upper, lower], axis=1), found)


def _pairs(atoms: Atoms) -> tuple[Array, Array]:
    """Return the indices of atoms and of those below them."""
    from scipy.spatial import cKDTree

    if not len(atoms):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    # Along the beam a pair reaches further than across it: what is near is a flat box's business.
    scaled = atoms.position / np.array([ACROSS, ACROSS, _FAR])
    found = cKDTree(scaled).query_pairs(2**0.5, output_type="ndarray")
    away = atoms.position[found[:, 1]] - atoms.position[found[:, 0]]
    deep = np.abs(away[:, 2])
    kept = (np.hypot(away[:, 0], away[:, 1]) < ACROSS) & (deep > _NEAR) & (deep <= _FAR)
    found, down = found[kept], away[kept, 2] > 0
    return np.where(down, found[:, 0], found[:, 1]), np.where(down, found[:, 1], found[:, 0])


def _squares_above(atoms: Atoms) -> Array:
    """Return the sum of squared atomic numbers far above each atom in its column."""
    out = np.zeros(len(atoms))
    if not len(atoms):
        return out
    position = atoms.position
    cell = np.floor((position[:, :2] - position[:, :2].min(axis=0)) / _COLUMN).astype(np.int64)
    wide = int(cell[:, 0].max()) + 3
    number = (cell[:, 1] + 1) * wide + cell[:, 0] + 1
    order = np.lexsort((position[:, 2], number))
    squares = atoms.number[order].astype(float) ** 2
    out[order] = _above(number[order], position[order], squares, wide)
    return out


@numba.njit(cache=True, nogil=True)
def _above(number: Array, position: Array, squares: Array, wide: int) -> Array:
    """Return the sum of squares of the atoms far above each; sorted by cell, then by height."""
    out = np.zeros(len(number))
    for n in range(len(number)):
        for row in range(-1, 2):
            low = number[n] + row * wide - 1
            first = np.searchsorted(number, low)
            for m in range(first, len(number)):
                if number[m] > low + 2:
                    break
                dx = position[m, 0] - position[n, 0]
                dy = position[m, 1] - position[n, 1]
                if position[n, 2] - position[m, 2] > _FAR and dx * dx + dy * dy < _COLUMN**2:
                    out[n] += squares[m]
    return out
