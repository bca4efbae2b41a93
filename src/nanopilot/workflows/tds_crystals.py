"""Simple crystals drawn at random: compositions, sizes and vibrations for diffuse scattering."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nanopilot.models.electron_optics import Aberrations, Lens
from nanopilot.models.multislice import Specimen
from nanopilot.models.multislice.grid import beam_width

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Which of the elements, and where in the cell.
Site = tuple[int, float, float, float]

#: Atomic numbers there are; those of which the first set is, no crystal of training has.
NUMBERS = tuple(range(5, 84))
HELD_OUT_NUMBERS = tuple(number for number in NUMBERS if number % 5 == 3)
TRAINING_NUMBERS = tuple(number for number in NUMBERS if number % 5 != 3)
#: Metres: no pair of training is as thick as this.
HELD_OUT_THICKNESS = ((6.5e-9, 8e-9), (13e-9, 15e-9))
THICKNESS = (0.6e-9, 20e-9)
VOLTAGE, CONVERGENCE, RMS = (80e3, 300e3), (15e-3, 30e-3), (4e-12, 12e-12)
#: Radians along each axis, and metres.
TILT, DEFOCUS = 10e-3, 3e-9
#: Metres that a box is wide at least.
_WIDE = 1.2e-9


@dataclass(frozen=True, slots=True)
class Family:
    """Crystals that are built alike.

    Parameters
    ----------
    sides : (float, float, float)
        Of an orthogonal cell, in lattice constants.
    sites : tuple of (int, float, float, float)
        Which of the elements, and where in the cell.
    lattice : (float, float)
        Lattice constants that are drawn, in metres.
    planes : int
        Evenly spaced planes of atoms along the beam, per cell.
    """

    sides: tuple[float, float, float]
    sites: tuple[Site, ...]
    lattice: tuple[float, float]
    planes: int

    @property
    def elements(self) -> int:
        """How many there are."""
        return 1 + max(site[0] for site in self.sites)


_FACES = ((0.0, 0.0, 0.0), (0.5, 0.5, 0.0), (0.5, 0.0, 0.5), (0.0, 0.5, 0.5))
_CUBE = (1.0, 1.0, 1.0)
_SIDE = (math.sqrt(0.5), 1.0, math.sqrt(0.5))


def _on_faces(*shifts: Site) -> tuple[Site, ...]:
    return tuple(
        (one, (x + dx) % 1, (y + dy) % 1, (z + dz) % 1)
        for one, dx, dy, dz in shifts
        for x, y, z in _FACES
    )


#: Seen along [001], and those with "-110" along [110].
FAMILIES: Mapping[str, Family] = {
    "perovskite": Family(
        _CUBE,
        ((0, 0, 0, 0), (1, 0.5, 0.5, 0.5), (2, 0.5, 0.5, 0), (2, 0.5, 0, 0.5), (2, 0, 0.5, 0.5)),
        (3.7e-10, 4.3e-10),
        2,
    ),
    "rock-salt": Family(_CUBE, _on_faces((0, 0, 0, 0), (1, 0.5, 0, 0)), (4.2e-10, 6.2e-10), 2),
    "zinc-blende": Family(
        _CUBE, _on_faces((0, 0, 0, 0), (1, 0.25, 0.25, 0.25)), (4.5e-10, 6.4e-10), 4
    ),
    "zinc-blende-110": Family(
        _SIDE,
        ((0, 0, 0, 0), (0, 0.5, 0.5, 0.5), (1, 0, 0.25, 0.5), (1, 0.5, 0.75, 0)),
        (4.5e-10, 6.4e-10),
        2,
    ),
    "fcc": Family(_CUBE, _on_faces((0, 0, 0, 0)), (3.5e-10, 4.9e-10), 2),
    "fcc-110": Family(_SIDE, ((0, 0, 0, 0), (0, 0.5, 0.5, 0.5)), (3.5e-10, 4.9e-10), 2),
    "bcc": Family(_CUBE, ((0, 0, 0, 0), (0, 0.5, 0.5, 0.5)), (2.8e-10, 3.6e-10), 2),
    "caesium-chloride": Family(_CUBE, ((0, 0, 0, 0), (1, 0.5, 0.5, 0.5)), (2.9e-10, 4.2e-10), 2),
    "fluorite": Family(
        _CUBE,
        _on_faces((0, 0, 0, 0), (1, 0.25, 0.25, 0.25), (1, 0.75, 0.75, 0.75)),
        (4.6e-10, 6.2e-10),
        4,
    ),
}
#: A family that no crystal of training is of.
HELD_OUT_FAMILIES = ("fluorite",)
TRAINING_FAMILIES = tuple(name for name in FAMILIES if name not in HELD_OUT_FAMILIES)


@dataclass(frozen=True, slots=True, eq=False)
class Crystal:
    """A crystal in a beam.

    Parameters
    ----------
    family : str
        In `FAMILIES`.
    numbers : tuple of int
        Atomic number of each element.
    rms : tuple of float
        Displacement of each element along each axis in metres.
    lattice : float
        Lattice constant in metres.
    lens : Lens
        What forms the beam; only defocus is not 0.
    tilt : (float, float)
        Of the beam along x and y, in radians.
    thickness : float
        Metres, at least.
    """

    family: str
    numbers: tuple[int, ...]
    rms: tuple[float, ...]
    lattice: float
    lens: Lens
    tilt: tuple[float, float]
    thickness: float

    @property
    def cell(self) -> FloatArray:
        """Sides of the cell in metres."""
        return self.lattice * np.asarray(FAMILIES[self.family].sides)

    @property
    def cells(self) -> tuple[int, int, int]:
        """How many of them the box has along x, y and z."""
        width = max(_WIDE, 1.02 * beam_width(self.lens, self.thickness))
        across = [math.ceil(width / side) for side in self.cell[:2]]
        return across[0], across[1], math.ceil(self.thickness / self.cell[2] - 1e-9)

    @property
    def slice_thickness(self) -> float:
        """Distance of planes of atoms in metres."""
        return float(self.cell[2]) / FAMILIES[self.family].planes

    def specimen(self) -> Specimen:
        """Return the atoms in their box; planes lie in the middle of slices."""
        sites = np.asarray(FAMILIES[self.family].sites)
        which, cell, cells = sites[:, 0].astype(int), self.cell, self.cells
        corners = np.stack(np.meshgrid(*map(np.arange, cells), indexing="ij"), -1).reshape(-1, 1, 3)
        position = ((corners + sites[:, 1:]) * cell).reshape(-1, 3)
        position[:, 2] += self.slice_thickness / 2
        index = np.tile(which, len(corners))
        box = [float(side) for side in cell * cells]
        return Specimen(
            position, np.asarray(self.numbers)[index], np.asarray(self.rms)[index],
            (box[0], box[1], box[2]),
        )  # fmt: skip


def draw_crystal(
    rng: np.random.Generator,
    families: tuple[str, ...] = TRAINING_FAMILIES,
    numbers: tuple[int, ...] = TRAINING_NUMBERS,
    thickness: tuple[float, float] = (4e-9, THICKNESS[1]),
) -> Crystal:
    """Draw a crystal and a beam.

    Parameters
    ----------
    rng : numpy.random.Generator
        Everything.
    families : tuple of str
        In `FAMILIES`.
    numbers : tuple of int
        Elements that there may be. Two of three anions of perovskites and fluorites are light.
    thickness : (float, float)
        Metres; even in the logarithm.
    """
    name = families[int(rng.integers(len(families)))]
    count = FAMILIES[name].elements
    drawn = [int(rng.choice(numbers)) for _ in range(count)]
    if count > 1 and rng.uniform() < 2 / 3:
        drawn[-1] = int(rng.choice([number for number in numbers if number <= 20]))
    tilt = (0.0, 0.0) if rng.uniform() < 0.5 else tuple(rng.uniform(-TILT, TILT, 2).tolist())
    lens = Lens(
        voltage=float(np.exp(rng.uniform(*np.log(VOLTAGE)))),
        convergence_angle=float(rng.uniform(*CONVERGENCE)),
        aberrations=Aberrations(C1=float(rng.uniform(-DEFOCUS, DEFOCUS))),
    )
    return Crystal(
        name,
        tuple(drawn),
        tuple(float(one) for one in rng.uniform(*RMS, count)),
        float(rng.uniform(*FAMILIES[name].lattice)),
        lens,
        (float(tilt[0]), float(tilt[1])),
        float(np.exp(rng.uniform(*np.log(thickness)))),
    )


def held_out_thickness(thickness: float) -> bool:
    """Return whether no pair of training may be this thick (m)."""
    return any(low <= thickness <= high for low, high in HELD_OUT_THICKNESS)
