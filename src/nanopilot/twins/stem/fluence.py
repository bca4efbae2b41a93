"""How many electrons per square metre an atom has seen: the beam is not a point."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nanopilot.models.electron_optics import Lens
from nanopilot.twins.stem.dose import CellMap
from nanopilot.twins.stem.render_kernels import FINER, gather
from nanopilot.twins.stem.render_lattice import GATHERED
from nanopilot.twins.stem.render_lens import lens_terms, reach_of
from nanopilot.twins.stem.render_patch import lattice_of

Array = np.ndarray[Any, np.dtype[Any]]

#: Most grid points along one side of the field.
_LARGEST = 3072


def beam_fluence(
    spots: Array, electrons: Array, where: Array, lens: Lens, height: float = 0.0
) -> Array:
    """Return the fluence at places from electrons that arrived at others.

    Every spot counts with the intensity of the beam at its distance. Fields too wide for that are
    counted by cells as wide as a sharp beam, or as the disc that its rays fill out of focus.

    Parameters
    ----------
    spots : numpy.ndarray
        Where the beam was, (x, y) in metres, shape (n, 2).
    electrons : numpy.ndarray
        How many arrived, shape (n,).
    where : numpy.ndarray
        Of the atoms, (x, y) in metres, shape (m, 2).
    lens : Lens
        What formed the beam.
    height : float
        Of the sample, in metres downstream of where `lens` says its focus is.

    Returns
    -------
    numpy.ndarray
        Electrons per square metre, shape (m,), not below 0.
    """
    if not len(spots) or not len(where):
        return np.zeros(len(where))
    reach = reach_of(lens, (height, height))
    low, high = spots.min(axis=0) - reach, spots.max(axis=0) + reach
    near = ((where >= low) & (where <= high)).all(axis=1)
    out = np.zeros(len(where))
    if float((high - low).max()) * 2 * FINER * lens.cutoff > _LARGEST:
        cells = CellMap(_width(lens, height))
        cells.add(spots[:, 0], spots[:, 1], electrons)
        out[near] = cells.at(where[near, 0], where[near, 1]) / cells.cell**2
        return out
    wide, tall = (float(one) for one in high - low)
    lattice = lattice_of(lens, (float(low[0]), float(low[1])), (wide, tall))
    arrived = lattice.coefficients(spots[:, 0], spots[:, 1], np.asarray(electrons, dtype=float))
    grid = lattice.grid(arrived * lens_terms(lens, lattice, {}, height).beam)[None]
    found = np.zeros((1, int(near.sum())))
    rows, columns = lattice.in_steps(where[near, 0], where[near, 1])
    gather(grid, rows, columns, GATHERED, found)
    out[near] = np.clip(found[0], 0.0, None)
    return out


def _width(lens: Lens, height: float) -> float:
    """Return how wide a cell is that takes the place of the beam, in metres."""
    sharp = lens.wavelength / lens.convergence_angle
    still = lens.model_copy(update={"chromatic": 0.0, "source_size": 0.0})
    # What is left of the reach without diffraction is the radius of the rays.
    rays = reach_of(still, (height, height)) - 6 * sharp
    return max(0.61 * sharp, math.sqrt(math.pi) * rays)
