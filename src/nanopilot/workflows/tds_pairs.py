"""Pairs of patterns: of atoms at rest, and averaged over vibrating ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import ValidationError

from nanopilot.core.errors import InvalidRequest
from nanopilot.core.values import Value
from nanopilot.models.electron_optics import interaction
from nanopilot.models.multislice import Calculation, Specimen
from nanopilot.models.multislice.engines import NumpyEngine
from nanopilot.models.multislice.grid import BAND, Grid
from nanopilot.models.multislice.patterns import beam, overlaps
from nanopilot.models.multislice.potential import AtomShapes, fresnel, projected, slices
from nanopilot.models.tds.coherent import COARSE, MeanWave, mean_wave
from nanopilot.workflows.tds_crystals import Crystal

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

PIXELS = COARSE.pixels


class Parameters(Value):
    """All that a pair was calculated with; none may be missing.

    Parameters
    ----------
    family : str
        In `nanopilot.workflows.tds_crystals.FAMILIES`.
    numbers, rms : tuple
        Atomic number and displacement along each axis (m) of each element.
    lattice, thickness : float
        Metres.
    voltage, convergence_angle, defocus : float
        Volts, radians, metres.
    tilt, place : (float, float)
        Of the beam, radians; where it is, metres from the corner of a cell.
    cells : (int, int)
        Across, of the box.
    pixels, angle_per_pixel : int, float
        Of the detector.
    pixel, slice_thickness : float
        Of the calculation, metres.
    phonons : int
        Configurations, both halves together.
    """

    family: str
    numbers: tuple[int, ...]
    rms: tuple[float, ...]
    lattice: float
    thickness: float
    voltage: float
    convergence_angle: float
    defocus: float
    tilt: tuple[float, float]
    place: tuple[float, float]
    cells: tuple[int, int]
    pixels: int
    angle_per_pixel: float
    pixel: float
    slice_thickness: float
    phonons: int


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Patterns of one place and one thickness, fractions of the incident electrons.

    Parameters
    ----------
    parameters : Parameters
        What it was calculated with.
    elastic : numpy.ndarray
        Atoms at rest, shape (PIXELS, PIXELS).
    halves : numpy.ndarray
        Vibrating atoms, the mean over each half of the configurations, shape (2, PIXELS, PIXELS).
    wave : MeanWave
        Of this place alone.
    """

    parameters: Parameters
    elastic: FloatArray
    halves: FloatArray
    wave: MeanWave

    @property
    def thermal(self) -> FloatArray:
        """The mean over all configurations, shape (PIXELS, PIXELS)."""
        return np.asarray(self.halves.mean(axis=0))


def read_parameters(text: str | bytes) -> Parameters:
    """Return the parameters of a pair.

    Raises
    ------
    InvalidRequest
        One is missing, or is no such thing.
    """
    try:
        return Parameters.model_validate_json(text)
    except ValidationError as cause:
        raise InvalidRequest(
            f"a pair without all that it was calculated with is of no use: {cause}"
        ) from cause


@dataclass(frozen=True, slots=True)
class Plan:
    """What is calculated of one crystal.

    Parameters
    ----------
    places : int
        Places of the beam.
    phonons : int
        Configurations in each half.
    variants : int
        Of every slice; configurations are drawn from them, each moved by whole cells.
    """

    places: int = 3
    phonons: int = 4
    variants: int = 4


def make_pairs(
    crystal: Crystal, depths: Sequence[float], plan: Plan, rng: np.random.Generator
) -> list[Pair]:
    """Calculate pairs of one crystal: every place at every depth.

    Parameters
    ----------
    crystal : Crystal
        And its beam.
    depths : sequence of float
        Metres, ascending, at most the crystal's thickness; rounded to whole slices.
    plan : Plan
        How many.
    rng : numpy.random.Generator
        Places and vibrations.

    Raises
    ------
    OutOfRange
        The beam or the box is outside of what multislice holds for.
    """
    specimen, step = crystal.specimen(), crystal.slice_thickness
    counts = sorted({max(1, round(depth / step)) for depth in depths})
    ends = [count * step for count in counts]
    places = rng.uniform(size=(plan.places, 2)) * crystal.cell[:2]
    run = Vibrating(crystal, specimen)
    elastic = run.patterns(places, counts, 0, (rng, 1))
    halves = [run.patterns(places, counts, plan.phonons, (rng, plan.variants)) for _ in range(2)]
    waves = mean_wave(specimen, crystal.lens, places, calculation(crystal), ends)
    found = []
    for at, end in enumerate(ends):
        for number, place in enumerate(places):
            told = _parameters(crystal, (end, place), run.grid.pixel, 2 * plan.phonons)
            both = np.stack([half[at, number] for half in halves])
            found.append(Pair(told, elastic[at, number], both, waves[at].place(number)))
    return found


def calculation(crystal: Crystal) -> Calculation:
    """Return how patterns of a crystal are calculated."""
    return Calculation(
        pixels=PIXELS,
        angle_per_pixel=COARSE.per_pixel,
        tilt=crystal.tilt,
        slice_thickness=crystal.slice_thickness * (1 + 1e-6),
        workers=1,
    )


def _parameters(
    crystal: Crystal, where: tuple[float, FloatArray], pixel: float, phonons: int
) -> Parameters:
    thickness, (x, y) = where
    return Parameters(
        family=crystal.family,
        numbers=crystal.numbers,
        rms=crystal.rms,
        lattice=crystal.lattice,
        thickness=thickness,
        voltage=crystal.lens.voltage,
        convergence_angle=crystal.lens.convergence_angle,
        defocus=crystal.lens.aberrations.C1,
        tilt=crystal.tilt,
        place=(float(x), float(y)),
        cells=crystal.cells[:2],
        pixels=PIXELS,
        angle_per_pixel=COARSE.per_pixel,
        pixel=pixel,
        slice_thickness=crystal.slice_thickness,
        phonons=phonons,
    )


class Vibrating:
    """Frozen phonons of a perfect crystal at several depths at once, slices drawn from a pool.

    A configuration takes, slice by slice, one of a few shaken variants and moves it by whole cells,
    so that transmission functions are made once. Within a configuration no variant comes twice to
    the same place as long as there are others: atoms of a column that moved alike would interfere.

    Parameters
    ----------
    crystal : Crystal
        And its beam.
    specimen : Specimen
        Its atoms.
    """

    def __init__(self, crystal: Crystal, specimen: Specimen) -> None:
        self._crystal, self._specimen, self._how = crystal, specimen, calculation(crystal)
        self._lens, self.grid = crystal.lens, _grid(crystal, self._how)
        self._engine = NumpyEngine("single", 1)
        self._atoms = AtomShapes(self.grid)
        self._onto = tuple(
            self._engine.put(overlaps(self._lens.wavelength * k, self._lens.wavelength / side,
                                      self._how))
            for k, side in zip((self.grid.ky, self.grid.kx), self.grid.box, strict=True)
        )  # fmt: skip
        self._inside = self._engine.put(self.grid.inside.astype(float))

    def patterns(
        self,
        places: FloatArray,
        counts: Sequence[int],
        phonons: int,
        chance: tuple[np.random.Generator, int],
    ) -> FloatArray:
        """Return patterns behind so many slices each, shape (counts, places, PIXELS, PIXELS).

        Parameters
        ----------
        places : numpy.ndarray
            x and y in metres, shape (n, 2).
        counts : sequence of int
            Ascending.
        phonons : int
            Configurations that are averaged; 0: atoms at rest.
        chance : (numpy.random.Generator, int)
            What vibrations are drawn with, and how many variants there are of every slice.
        """
        rng, variants = chance
        pool = [list(self._variants(which, rng, variants, still=phonons == 0))
                for which in self._planes()]  # fmt: skip
        onward = self._engine.put(
            fresnel(self.grid, self._lens.wavelength, self._crystal.slice_thickness,
                    self._crystal.tilt)
        )  # fmt: skip
        total = np.zeros((len(counts), len(places), PIXELS, PIXELS))
        for _ in range(max(1, phonons)):
            waves = self._entrance(places)
            drawn = [self._drawn(variants, rng, still=phonons == 0) for variants in pool]
            for number in range(counts[-1]):
                if number:
                    waves *= onward
                waves = self._engine.back(waves)
                waves *= next(drawn[number % len(pool)])
                waves = self._engine.forward(waves)
                if number + 1 in counts:
                    total[counts.index(number + 1)] += self._seen(waves)
        return total / max(1, phonons)

    def _planes(self) -> Iterator[Any]:
        planes = round(self._crystal.cell[2] / self._crystal.slice_thickness)
        for number, (_, which) in enumerate(slices(self._specimen, self._how.slice_thickness)):
            if number == planes:
                return
            yield which

    def _variants(
        self, which: Any, rng: np.random.Generator, count: int, *, still: bool
    ) -> Iterator[Any]:
        position, rms = self._specimen.position[which], self._specimen.rms[which]
        for _ in range(count):
            moved = position + (0.0 if still else rng.normal(size=position.shape) * rms[:, None])
            volts = projected(moved, self._specimen.number[which], self._atoms, self.grid)
            passed = self._engine.put(np.exp(1j * interaction(self._lens.voltage) * volts))
            yield self._engine.back(self._engine.forward(passed) * self._inside)

    def _drawn(
        self, variants: list[Any], rng: np.random.Generator, *, still: bool
    ) -> Iterator[Any]:
        """Yield variants, moved, without end; none twice before all have been."""
        across, down, _ = self._crystal.cells
        height, width = self.grid.shape[0] // down, self.grid.shape[1] // across
        while still:
            yield variants[0]
        while True:
            for drawn in rng.permutation(len(variants) * across * down).tolist():
                one, cell = divmod(drawn, across * down)
                row, column = divmod(cell, across)
                yield np.roll(variants[one], (row * height, column * width), axis=(0, 1))

    def _entrance(self, places: FloatArray) -> Any:
        put, grid = self._engine.put, self.grid
        along_y = put(np.exp(-2j * np.pi * grid.ky * places[:, 1:]))
        along_x = put(np.exp(-2j * np.pi * grid.kx * places[:, :1]))
        waves = put(beam(self._lens, grid)) * along_y[:, :, None]
        waves *= along_x[:, None, :]
        return waves

    def _seen(self, waves: Any) -> FloatArray:
        rows, columns = self._onto
        return np.asarray((rows @ self._engine.intensity(waves * self._inside)) @ columns.T)


def _grid(crystal: Crystal, how: Calculation) -> Grid:
    """Return a grid fine enough for the detector, the same in every cell."""
    from scipy.fft import next_fast_len

    needed = 0.999 * BAND * crystal.lens.wavelength / (2 * how.reach)
    across, down, _ = crystal.cells
    shape = [
        count * int(next_fast_len(int(np.ceil(side / needed))))
        for count, side in ((down, crystal.cell[1]), (across, crystal.cell[0]))
    ]
    box = (float(crystal.cell[1]) * down, float(crystal.cell[0]) * across)
    return Grid((shape[0], shape[1]), box)
