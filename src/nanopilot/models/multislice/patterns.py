"""Convergent-beam patterns: the beam at many places, through the same slices."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nanopilot.core.errors import InvalidRequest, SignalError
from nanopilot.models.electron_optics import ComplexArray, Lens, interaction
from nanopilot.models.multislice.engines import Engine, NumpyEngine, TorchEngine
from nanopilot.models.multislice.grid import Calculation, Grid, choose
from nanopilot.models.multislice.potential import AtomShapes, fresnel, projected, slices
from nanopilot.models.multislice.specimen import Specimen

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Bytes of transmission functions that are kept rather than made again for the next block.
_KEPT = 1 << 29
#: Beams of different focus that are kept.
_BEAMS = 32


@dataclass(frozen=True, slots=True)
class Step:
    """A slice: what it does to the wave, and how the wave goes on to the next.

    Parameters
    ----------
    transmission, propagator : array
        Of the engine, shape of the grid; the propagator in reciprocal space.
    """

    transmission: Any
    propagator: Any


def patterns(
    specimen: Specimen,
    lens: Lens,
    places: FloatArray,
    how: Calculation,
    rng: np.random.Generator | None = None,
) -> Iterator[FloatArray]:
    """Yield convergent-beam patterns, one block of places at a time.

    Multislice: J. M. Cowley and A. F. Moodie, Acta Cryst. 10 (1957) 609; E. J. Kirkland, Advanced
    Computing in Electron Microscopy (2010), section 6.4. Every slice is projected along z onto its
    upper face. Vibrations are frozen phonons, the same for all places. What is scattered beyond
    two thirds of the highest frequency of the grid is lost; so are inelastic losses unknown here.

    Parameters
    ----------
    specimen : Specimen
        Atoms in their box.
    lens : Lens
        What forms the beam; the plane of focus is the top of the box.
    places : numpy.ndarray
        x and y in metres in the coordinates of `specimen.corner`, shape (n, 2).
    how : Calculation
        Detector, phonons and numerics.
    rng : numpy.random.Generator, optional
        What phonons, defocus and source are drawn with; needed if there are phonons.

    Yields
    ------
    numpy.ndarray
        Fraction of the incident electrons on each pixel, shape (places, pixels, pixels): ky, kx,
        at the angles `how.angles()`; row 0 is at the lowest ky.

    Raises
    ------
    OutOfRange
        The box, the aperture, the sampling or the tilt is outside of what holds.
    InvalidRequest
        There are phonons and no `rng`.
    SignalError
        `places` is no finite array of shape (n, 2).

    Examples
    --------
    >>> gold = Specimen(np.full((1, 3), 5e-10), np.array([79]), np.zeros(1), (1e-9, 1e-9, 1e-9))
    >>> how = Calculation(pixels=32, angle_per_pixel=3e-3)
    >>> (block,) = patterns(gold, Lens(), np.array([[5e-10, 5e-10]]), how)
    >>> block.shape, bool(0.9 < block.sum() < 1)
    ((1, 32, 32), True)
    """
    if places.ndim != 2 or places.shape[1] != 2 or not np.isfinite(places).all():
        raise SignalError(f"`places` has shape {places.shape}; it is finite, (n, 2).")
    if how.phonons and rng is None:
        raise InvalidRequest("`rng` is missing; vibrations of atoms are drawn with one.")
    return _Run(specimen, lens, how, rng).blocks(places)


def beam(lens: Lens, grid: Grid, defocus: float = 0.0) -> ComplexArray:
    """Return the wave at the top of the box, beam at its corner, in reciprocal space.

    As `nanopilot.models.electron_optics.beam_wave`, for pixels that need not be square: the sum of
    squares is one, the aperture's edge is smoothed over a pixel. `defocus` in metres is further
    underfocus.
    """
    angle: ComplexArray = np.asarray(
        lens.wavelength * (grid.kx + 1j * grid.ky[:, None]), dtype=np.complex128
    )
    size = np.maximum(np.abs(angle), 1e-12)
    steps = [lens.wavelength / side for side in grid.box]
    step = np.hypot(angle.imag / size * steps[0], angle.real / size * steps[1])
    edge = np.clip((lens.convergence_angle - size) / np.maximum(step, min(steps)) + 0.5, 0.0, 1.0)
    phase = lens.aberrations.plus(C1=-defocus).phase(angle, lens.voltage)
    wave = np.sqrt(edge) * np.exp(-1j * phase)
    found: ComplexArray = wave / math.sqrt(float(np.sum(edge)))
    return found


def overlaps(angles: FloatArray, step: float, how: Calculation) -> FloatArray:
    """Return which share of every sample at `angles`, `step` wide (rad), falls on which pixel.

    Shape (pixels, samples); a share is a share of the sample's width, so that nothing is lost.
    """
    middle, half = how.angles()[:, None], how.angle_per_pixel / 2
    low = np.maximum(middle - half, angles - step / 2)
    high = np.minimum(middle + half, angles + step / 2)
    return np.asarray(np.clip(high - low, 0.0, None) / step)


class _Run:
    """One specimen, one lens: what all places share."""

    def __init__(
        self, specimen: Specimen, lens: Lens, how: Calculation, rng: np.random.Generator | None
    ) -> None:
        self._specimen, self._lens, self._how, self._rng = specimen, lens, how, rng
        self._grid = grid = choose(specimen, lens, how)
        self._atoms = AtomShapes(grid)
        self._engine = engine = _engine(how)
        self._inside = engine.put(grid.inside.astype(float))
        self._onto = tuple(
            engine.put(overlaps(lens.wavelength * k, lens.wavelength / side, how))
            for k, side in zip((grid.ky, grid.kx), grid.box, strict=True)
        )
        self._propagators: dict[int, Any] = {}
        if how.phonons == 0 or rng is None:
            self._configurations, self._foci = [specimen], [0.0]
        else:
            self._configurations = [specimen.shaken(rng) for _ in range(how.phonons)]
            self._foci = [float(rng.normal()) * lens.focal_spread for _ in range(how.phonons)]
        self._beams: dict[float, Any] = {}
        self._kept: dict[int, list[Step]] = {}

    def blocks(self, places: FloatArray) -> Iterator[FloatArray]:
        """Yield patterns of a block of places, averaged over configurations."""
        for start in range(0, len(places), self._how.block):
            some = places[start : start + self._how.block] - np.asarray(self._specimen.corner)
            total = np.zeros((len(some), self._how.pixels, self._how.pixels))
            for index in range(len(self._configurations)):
                total += self._engine.get(self._one(index, self._scattered(some)))
            yield total / len(self._configurations)

    def _scattered(self, places: FloatArray) -> FloatArray:
        """Move each place to where an electron of an extended source lands."""
        if self._how.phonons == 0 or self._rng is None or self._lens.source_size == 0:
            return places
        return places + self._rng.normal(0.0, self._lens.source_size, places.shape)

    def _one(self, index: int, places: FloatArray) -> Any:
        """Return patterns of one configuration, of the engine's kind."""
        engine, grid = self._engine, self._grid
        along_y = engine.put(np.exp(-2j * np.pi * grid.ky * places[:, 1:]))
        along_x = engine.put(np.exp(-2j * np.pi * grid.kx * places[:, :1]))
        entrance = self._beam(self._foci[index])
        waves = entrance * along_y[:, :, None]
        waves *= along_x[:, None, :]
        for step in self._steps(index):
            waves *= step.propagator
            waves = engine.back(waves)
            waves *= step.transmission
            waves = engine.forward(waves)
        waves *= self._inside
        rows, columns = self._onto
        return (rows @ engine.intensity(waves)) @ columns.T

    def _beam(self, defocus: float) -> Any:
        if defocus in self._beams:
            return self._beams[defocus]
        made = self._engine.put(beam(self._lens, self._grid, defocus))
        if len(self._beams) < _BEAMS:
            self._beams[defocus] = made
        return made

    def _steps(self, index: int) -> Iterable[Step]:
        """Return the slices of a configuration; they are kept if there is room for all."""
        if index in self._kept:
            return self._kept[index]
        count = math.ceil(self._specimen.box[2] / self._how.slice_thickness)
        needed = 16 * self._grid.inside.size * count * len(self._configurations)
        if needed > _KEPT:
            return self._made(index)
        return self._kept.setdefault(index, list(self._made(index)))

    def _made(self, index: int) -> Iterator[Step]:
        """Yield the slices of a configuration; the propagator leads to the slice."""
        specimen, last = self._configurations[index], 0.0
        for depth, inside in slices(specimen, self._how.slice_thickness):
            volts = projected(
                specimen.position[inside], specimen.number[inside], self._atoms, self._grid
            )
            yield Step(self._transmission(volts), self._propagator(depth - last))
            last = depth

    def _transmission(self, volts: FloatArray) -> Any:
        """Return exp(i sigma V), without what the band does not hold."""
        passed = self._engine.put(np.exp(1j * interaction(self._lens.voltage) * volts))
        waves = self._engine.forward(passed)
        waves *= self._inside
        return self._engine.back(waves)

    def _propagator(self, distance: float) -> Any:
        key = round(distance * 1e15)
        if key not in self._propagators:
            made = fresnel(self._grid, self._lens.wavelength, distance, self._how.tilt)
            self._propagators[key] = self._engine.put(made)
        return self._propagators[key]


def _engine(how: Calculation) -> Engine:
    if how.backend == "torch":
        return TorchEngine(how.precision, how.device)
    return NumpyEngine(how.precision, how.workers)
