"""Sums over the atoms near a place, for places that are few or far apart."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nanopilot.models.electron_optics import Lens
from nanopilot.twins.stem.contrast import Ring
from nanopilot.twins.stem.render_kernels import add_neighbours
from nanopilot.twins.stem.render_lattice import GATHERED
from nanopilot.twins.stem.render_patch import Kind, Patch, lattice_of

Array = np.ndarray[Any, np.dtype[Any]]

#: Tables of one atom's image that are kept, one for each focus.
_TABLES = 32


@dataclass(frozen=True, slots=True, eq=False)
class _Sorted:
    """Atoms of one kind, sorted by square cells."""

    corner: tuple[float, float]
    atoms: Array
    cells: Array


@dataclass(eq=False)
class Neighbours:
    """Atoms by place.

    Parameters
    ----------
    rings : mapping of str to Ring
        Detectors.
    reach : float
        How far away an atom may be, along x and along y, in metres.
    """

    rings: Mapping[str, Ring]
    reach: float
    _sorted: dict[Kind, _Sorted] = field(default_factory=dict, init=False)
    _tables: OrderedDict[tuple[Lens, float], Patch] = field(default_factory=OrderedDict, init=False)
    _images: dict[tuple[Lens, float], dict[Kind, Array]] = field(default_factory=dict, init=False)

    def place(self, kind: Kind, position: Array, weights: Array) -> None:
        """Take in atoms of one kind: x, y in metres, shape (n, 2), and weights.

        Those are for all detectors or for each, shape (1 or detectors, n).
        """
        if not len(position):
            return
        low = position.min(axis=0)
        cell = np.floor((position - low) / self.reach).astype(np.int64)
        wide, tall = (int(count) + 1 for count in cell.max(axis=0))
        number = cell[:, 1] * wide + cell[:, 0]
        order = np.argsort(number, kind="stable")
        ends = np.searchsorted(number[order], np.arange(tall * wide + 1))
        rows = np.arange(tall)[:, None] * wide + np.arange(wide + 1)[None, :]
        each = np.broadcast_to(weights, (len(self.rings), len(position)))[:, order]
        atoms = np.column_stack([position[order, 1], position[order, 0], each.T])
        atoms[:, :2] -= low[::-1]
        self._sorted[kind] = _Sorted((float(low[0]), float(low[1])), atoms, ends[rows])

    def add(self, x: Array, y: Array, lens: Lens, height: float, out: Array) -> None:
        """Add the images of the atoms near each place.

        Parameters
        ----------
        x, y : numpy.ndarray
            Metres, shape (n,).
        lens : Lens
            What forms the beam.
        height : float
            Of the sample in metres.
        out : numpy.ndarray
            Added to, shape (detectors, n).
        """
        for kind, those in self._sorted.items():
            image = self._image(kind, lens, height)
            step = 2 * self.reach / image.shape[1]
            places = np.column_stack([y - those.corner[1], x - those.corner[0]]) / step
            atoms = those.atoms / np.array([step, step, *np.ones(len(self.rings))])
            out += add_neighbours(places, atoms, those.cells, image, GATHERED)

    def _image(self, kind: Kind, lens: Lens, height: float) -> Array:
        key = lens, height
        if key not in self._tables:
            side = 2 * self.reach
            self._tables[key] = Patch(lattice_of(lens, (0.0, 0.0), (side, side)), self.rings)
            self._images[key] = {}
            while len(self._tables) > _TABLES:
                self._images.pop(self._tables.popitem(last=False)[0])
        self._tables.move_to_end(key)
        if kind not in self._images[key]:
            patch = self._tables[key]
            found = [patch.lattice.grid(one) for one in patch.transfers(kind, lens, height)]
            self._images[key][kind] = np.stack(found)
        return self._images[key][kind]
