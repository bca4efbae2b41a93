"""Projected potential of slices of atoms, and what it does to a wave."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from nanopilot.models.electron_optics import ComplexArray
from nanopilot.models.multislice.grid import Grid
from nanopilot.models.multislice.specimen import Specimen
from nanopilot.models.scattering import MOST_K, projected_potential_factor

FloatArray = np.ndarray[Any, np.dtype[np.float64]]


class AtomShapes:
    """Potentials of single atoms on a grid, in reciprocal space, made once per element.

    Parameters
    ----------
    grid : Grid
        Of the box.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        half = grid.shape[1] // 2 + 1
        self.kx = np.abs(grid.kx[:half])
        square = grid.ky[:, None] ** 2 + self.kx**2
        # A circle: corners of a square would make atoms square. Beyond MOST_K is next to nothing.
        self._inside = square < min(0.5 / grid.pixel, MOST_K) ** 2
        self._k = np.sqrt(square[self._inside])
        self._known: dict[int, FloatArray] = {}

    def __call__(self, number: int) -> FloatArray:
        """Return the transform in V m³, shape (rows, columns // 2 + 1)."""
        if number not in self._known:
            shape = np.zeros(self._inside.shape)
            shape[self._inside] = projected_potential_factor(number, self._k)
            self._known[number] = shape
        return self._known[number]


def projected(position: FloatArray, number: np.ndarray[Any, Any], atoms: AtomShapes,
              grid: Grid) -> FloatArray:  # fmt: skip
    """Return the potential in V m of atoms projected along z, shape of the grid, periodic.

    ``V(r) = 1 / A sum_k sum_j v_j(k) exp(2 pi i k (r - r_j))``: E. J. Kirkland, Advanced Computing
    in Electron Microscopy (2010), section 5.4. Places between the points of the grid are exact: the
    sum over atoms is a product of two matrices of phases, one along each axis.
    """
    total = np.zeros((grid.shape[0], len(atoms.kx)), dtype=np.complex128)
    for one in np.unique(number):
        x, y = position[number == one, :2].T
        along_y = np.exp(-2j * np.pi * grid.ky[:, None] * y)
        along_x = np.exp(-2j * np.pi * x[:, None] * atoms.kx)
        total += atoms(int(one)) * (along_y @ along_x)
    area = grid.box[0] * grid.box[1]
    return np.fft.irfft2(total, grid.shape) * (total.shape[0] * grid.shape[1] / area)


def slices(specimen: Specimen, thickness: float) -> Iterator[tuple[float, np.ndarray[Any, Any]]]:
    """Yield the depth (m) of the upper face of every slice that has atoms, and which they are.

    `thickness` is what a slice has at most, in metres; slices divide the box evenly.
    """
    count = max(1, int(np.ceil(specimen.box[2] / thickness - 1e-9)))
    step = specimen.box[2] / count
    which = np.clip(np.floor(specimen.position[:, 2] / step + 1e-9).astype(int), 0, count - 1)
    order = np.argsort(which, kind="stable")
    starts = np.searchsorted(which[order], np.arange(count + 1))
    for index in range(count):
        inside = order[starts[index] : starts[index + 1]]
        if len(inside):
            yield index * step, inside


def fresnel(
    grid: Grid, wavelength: float, distance: float, tilt: tuple[float, float]
) -> ComplexArray:
    """Return the propagator over a distance (m) along z in reciprocal space, shape of the grid.

    ``exp(-i pi lambda k² dz - 2 pi i dz (kx tan tx + ky tan ty))`` within the band, 0 outside: E.
    J. Kirkland (2010), section 6.5; the wave walks along `tilt` (x, y, rad), the direction of the
    beam. It holds for tilts of a few degrees.
    """
    phase = np.pi * wavelength * distance * grid.square
    walk = grid.kx * np.tan(tilt[0]) + grid.ky[:, None] * np.tan(tilt[1])
    found: ComplexArray = np.exp(-1j * (phase + 2 * np.pi * distance * walk)) * grid.inside
    return found
