"""Another multislice, abTEM's, asked for what ours and the electron twin are measured against."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from nanopilot.core.errors import MissingExtra, Unsupported
from nanopilot.models.electron_optics import Lens, interaction
from nanopilot.models.multislice import Calculation, Specimen
from nanopilot.models.multislice.grid import Grid, choose
from nanopilot.models.multislice.patterns import beam, overlaps

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Metres of a slice, at most.
SLICE = 2e-10
#: By how much finer than the ring alone asks for the grid is, per interaction and atomic number, in
#: V m: it has to show how far the heaviest atom turns the phase. On a grid for the ring, molybdenum
#: is an eighth too bright at 80 kV; on the one that is taken, half of that.
_HEAVY = 4.2e-9
#: How much finer still that grid is which a potential for images is made on.
_FINER = 3


def need_abtem() -> Any:
    """Return the module `abtem`.

    Raises
    ------
    MissingExtra
        It is not installed.
    """
    try:
        import abtem
    except ImportError as cause:
        raise MissingExtra(
            "this track compares with the package 'abtem': pip install 'nanopilot[abtem]'."
        ) from cause
    return abtem


@contextmanager
def quietly(precision: str) -> Iterator[Any]:
    """Yield abTEM, without progress bars, in ``"float32"`` or ``"float64"``."""
    abtem = need_abtem()
    settings = {
        "precision": precision,
        "diagnostics.progress_bar": False,
        # Measuring which transform is quickest takes longer than the transforms, and the last bits
        # would depend on how busy the machine is.
        "fftw.planning_effort": "FFTW_ESTIMATE",
    }
    with abtem.config.set(settings):
        yield abtem


def aberrations(lens: Lens) -> dict[str, float]:
    """Return polar coefficients in angstrom and radians, of defocus and astigmatism alone.

    Raises
    ------
    Unsupported
        There are others.
    """
    known = lens.aberrations
    others = known.model_copy(update={"C1": 0.0, "A1_x": 0.0, "A1_y": 0.0})
    if others != type(known)():
        raise Unsupported("`aberrations` other than C1 and A1 are not handed to abTEM here.")
    return {
        "C10": known.C1 * 1e10,
        "C12": math.hypot(known.A1_x, known.A1_y) * 1e10,
        "phi12": math.atan2(known.A1_y, known.A1_x) / 2,
    }


def dark_field(
    specimen: Specimen,
    lens: Lens,
    ring: tuple[float, float],
    places: FloatArray,
    phonons: tuple[int, int],
) -> FloatArray:
    """Return the fraction of the beam between two angles (rad) at places (m), shape (n,).

    Parameters
    ----------
    specimen : Specimen
        Atoms in their box.
    lens : Lens
        What forms the beam.
    ring : (float, float)
        Inner and outer angle in radians.
    places : numpy.ndarray
        x and y in metres, shape (n, 2).
    phonons : (int, int)
        How many configurations of vibrating atoms, and the seed that they are drawn with.
    """
    count, seed = phonons
    heaviest = interaction(lens.voltage) * int(specimen.number.max())
    finer = max(1.0, _HEAVY * heaviest)
    coarse = lens.wavelength / (3 * finer * (ring[1] + 2e-3)) * 1e10
    with quietly("float32") as abtem:
        detector = abtem.AnnularDetector(inner=ring[0] * 1e3, outer=ring[1] * 1e3)
        total = np.zeros(len(places))
        for moved in mirrored(specimen, count, np.random.default_rng(seed)):
            potential = _sampled(abtem, _atoms(moved), specimen, coarse)
            probe = abtem.Probe(
                energy=lens.voltage, semiangle_cutoff=lens.convergence_angle * 1e3,
                aberrations=aberrations(lens),
            )  # fmt: skip
            probe.grid.match(potential)
            scan = abtem.CustomScan(places * 1e10)
            total += np.asarray(
                probe.scan(potential, scan=scan, detectors=detector).compute().array
            )
    return total / count


def mirrored(specimen: Specimen, count: int, rng: np.random.Generator) -> Iterator[Specimen]:
    """Yield configurations of vibrating atoms (Einstein), every second one the first's mirror.

    Each is drawn as it should be, and what an image changes by in proportion to how far an atom is
    off cancels between the two (antithetic variates: J. M. Hammersley and K. W. Morton, Math. Proc.
    Camb. Phil. Soc. 52 (1956) 449). Two sets of twelve then have images of two layers of graphene
    that correlate to 0.999; without it, to 0.978, which is less than what is asked of the twin.
    """
    for number in range(count):
        if number % 2 == 0:
            away = rng.normal(size=specimen.position.shape) * specimen.rms[:, None]
        moved = specimen.position + (-1) ** number * away
        moved[:, 2] = np.clip(moved[:, 2], 0.0, specimen.box[2])
        yield replace(specimen, position=moved)


def _sampled(abtem: Any, atoms: Any, specimen: Specimen, coarse: float) -> Any:
    """Return abTEM's potential of a box on a grid of `coarse` angstrom at most.

    abTEM spreads every atom over the four points around it, which damps the largest angles by a
    third: so it is made on a grid that is thrice as fine, and frequencies beyond are left out.
    """
    from scipy.fft import next_fast_len

    shape = [2 * next_fast_len(math.ceil(side * 1e10 / coarse / 2)) for side in specimen.box[:2]]
    made = abtem.Potential(
        atoms, gpts=[_FINER * count for count in shape], parametrization="lobato",
        slice_thickness=_slice(specimen) * 1e10, projection="infinite",
    )  # fmt: skip
    fine = made.build().compute()
    which = [(np.fft.fftfreq(n) * n).round().astype(int) for n in shape]
    kept = np.fft.fft2(fine.array)[:, which[0][:, None], which[1][None, :]]
    array = (np.fft.ifft2(kept).real / _FINER**2).astype(np.float32)
    return abtem.PotentialArray(array, slice_thickness=fine.slice_thickness, extent=fine.extent)


def elastic(specimen: Specimen, lens: Lens, place: FloatArray, how: Calculation) -> FloatArray:
    """Return the pattern of atoms at rest on the detector of `how`, shape (pixels, pixels).

    The incident wave is ours, on the grid that ours is calculated on: what differs is scattering.
    Potential, slices and propagation are abTEM's. `place` is x and y in metres, shape (2,).
    """
    grid = choose(specimen, lens, how)
    wave = beam(lens, grid) * np.exp(
        -2j * np.pi * (grid.kx * place[0] + grid.ky[:, None] * place[1])
    )
    with quietly("float64") as abtem:
        potential = abtem.Potential(
            _atoms(specimen), gpts=grid.shape[::-1], slice_thickness=_slice(specimen) * 1e10,
            parametrization="lobato", projection="infinite",
        )  # fmt: skip
        waves = abtem.Waves(
            np.ascontiguousarray(np.fft.ifft2(wave).T), energy=lens.voltage,
            extent=(grid.box[1] * 1e10, grid.box[0] * 1e10),
        )  # fmt: skip
        leaving = waves.multislice(potential).compute().array
    return _onto(grid, lens, how, (np.abs(np.fft.fft2(leaving)) ** 2).T)


def _onto(grid: Grid, lens: Lens, how: Calculation, intensity: FloatArray) -> FloatArray:
    rows, columns = (
        overlaps(lens.wavelength * k, lens.wavelength / side, how)
        for k, side in zip((grid.ky, grid.kx), grid.box, strict=True)
    )
    return np.asarray(rows @ intensity @ columns.T)


def _slice(specimen: Specimen) -> float:
    return specimen.box[2] / math.ceil(specimen.box[2] / SLICE - 1e-9)


def _atoms(specimen: Specimen) -> Any:
    import ase

    sides = np.asarray(specimen.box) * 1e10
    return ase.Atoms(specimen.number, specimen.position * 1e10, cell=sides, pbc=True)
