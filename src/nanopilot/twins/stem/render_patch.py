"""A piece of the sample in Fourier space, and its images at any focus."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nanopilot.models.electron_optics import Lens
from nanopilot.twins.stem.contrast import Ring
from nanopilot.twins.stem.render_kernels import stamp
from nanopilot.twins.stem.render_lattice import GATHERED, Lattice
from nanopilot.twins.stem.render_lens import (
    KindTerms,
    LensTerms,
    kind_terms,
    lens_terms,
    transfer,
)

Array = np.ndarray[Any, np.dtype[Any]]
#: Atomic number and thermal displacement in metres: atoms with the same image.
Kind = tuple[int, float]

#: Bytes of grids that are kept for foci, and terms of lenses that are kept.
_KEPT, _LENSES = 2**28, 8


def lattice_of(lens: Lens, corner: tuple[float, float], period: tuple[float, float]) -> Lattice:
    """Return a lattice (m) with all frequencies of images of this lens."""
    return Lattice(corner, period, lens.cutoff + 1 / min(period))


@dataclass(eq=False)
class Patch:
    """A rectangle of atoms as Fourier coefficients, for one voltage and convergence angle.

    Parameters
    ----------
    lattice : Lattice
        Where it is, and its frequencies.
    rings : mapping of str to Ring
        Detectors.
    density : mapping of (int, float) to numpy.ndarray
        Coefficients of every kind of atom, for all detectors or for each; changed when atoms leave.
    """

    lattice: Lattice
    rings: Mapping[str, Ring]
    density: dict[Kind, Array] = field(default_factory=dict)
    _kinds: dict[Kind, KindTerms] = field(default_factory=dict, init=False)
    _lenses: OrderedDict[tuple[Lens, float], LensTerms] = field(
        default_factory=OrderedDict, init=False
    )
    _grids: OrderedDict[tuple[Lens, float], Array] = field(default_factory=OrderedDict, init=False)

    _stains: OrderedDict[tuple[Kind, tuple[Lens, float]], Array] = field(
        default_factory=OrderedDict, init=False
    )

    def transfers(self, kind: Kind, lens: Lens, height: float) -> list[Array]:
        """Return the transform of one atom's image in m² for every detector, in their order."""
        terms = self._terms(lens, height)
        if kind not in self._kinds:
            self._kinds[kind] = kind_terms(kind, lens, self.lattice, self.rings)
        return [transfer(name, self._kinds[kind], terms) for name in self.rings]

    def _terms(self, lens: Lens, height: float) -> LensTerms:
        key = lens, height
        if key not in self._lenses:
            self._lenses[key] = lens_terms(lens, self.lattice, self.rings, height)
            while len(self._lenses) > _LENSES:
                self._lenses.popitem(last=False)
        self._lenses.move_to_end(key)
        return self._lenses[key]

    def spectra(self, lens: Lens, height: float) -> list[Array]:
        """Return the coefficients of the image of every detector, shape of the lattice's."""
        shape = len(self.lattice.rows), len(self.lattice.columns)
        found = [np.zeros(shape, dtype=np.complex64) for _ in self.rings]
        for kind, density in self.density.items():
            for number, one in enumerate(self.transfers(kind, lens, height)):
                found[number] += one * density[number % len(density)]
        return found

    def sampled(self, lens: Lens, height: float, shape: tuple[int, int]) -> list[Array]:
        """Return the image of every detector at `shape` even points of the whole rectangle."""
        return [self.lattice.sampled(one, shape) for one in self.spectra(lens, height)]

    def grids(self, lens: Lens, height: float) -> Array:
        """Return what `gather` reads, shape (detectors, rows, columns); kept for next time."""
        key = lens, height
        if key not in self._grids:
            found = [self.lattice.grid(one) for one in self.spectra(lens, height)]
            self._grids[key] = np.stack(found)
            most = max(5, _KEPT // self._grids[key].nbytes)
            while len(self._grids) > most:
                self._grids.popitem(last=False)
        self._grids.move_to_end(key)
        return self._grids[key]

    def covers(self, low: tuple[float, float], high: tuple[float, float], beyond: float) -> bool:
        """Tell whether two corners (m), and as much beyond them, are within the rectangle."""
        corner, period = self.lattice.corner, self.lattice.period
        near = min(a - b for a, b in zip(low, corner, strict=True))
        far = min(b + c - a for a, b, c in zip(high, corner, period, strict=True))
        return min(near, far) >= beyond

    def take(self, kind: Kind, atoms: Array, reach: float) -> None:
        """Take atoms of one kind away from coefficients and from all images that are kept.

        Few are taken from the images where they are; many, and the images are made anew when they
        are asked for.

        Parameters
        ----------
        kind : (int, float)
            Atomic number and thermal displacement.
        atoms : numpy.ndarray
            x, y in metres and weights, for all detectors or for each, shape (2 + weights, n).
        reach : float
            How far the image of one goes, in metres.
        """
        x, y, weights = atoms[0], atoms[1], atoms[2:]
        if not len(x):
            return
        if len(x) * len(self._grids) > _MANY or 2 * reach >= min(self.lattice.period):
            self.density[kind] -= [self.lattice.coefficients(x, y, one) for one in weights]
            self._grids.clear()
            return
        rows, columns = self.lattice.in_steps(x, y)
        side = math.ceil(2 * reach / min(self.lattice.step))
        for key, grids in self._grids.items():
            image = self._stain(kind, key)
            each = np.broadcast_to(-weights.T, (len(x), len(self.rings)))
            for place, weight in zip(zip(rows, columns, strict=True), each, strict=True):
                stamp(image * weight[:, None, None], place, side, GATHERED, grids)
        for left, low, some in zip(x, y, weights.T.astype(np.float32), strict=True):
            self.density[kind] -= some[:, None, None] * self.lattice.one(left, low)

    def _stain(self, kind: Kind, key: tuple[Lens, float]) -> Array:
        """Return one atom's image as `stamp` takes it."""
        if (kind, key) not in self._stains:
            while len(self._stains) >= _STAINS:
                self._stains.popitem(last=False)
            found = [self.lattice.grid(one, times=2) for one in self.transfers(kind, *key)]
            self._stains[kind, key] = np.stack(found)
        return self._stains[kind, key]


#: Atoms times images from which on it is quicker to make the images anew, and atoms' images kept.
_MANY, _STAINS = 64, 8
