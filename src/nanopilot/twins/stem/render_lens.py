"""What a lens does to every spatial frequency of an image, for detectors in and out of the disc."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import fft

from nanopilot.models.electron_optics import Aberrations, Lens
from nanopilot.twins.stem.contrast import (
    Ring,
    annular_cross_section,
    atom_contrast,
    object_share,
)
from nanopilot.twins.stem.render_lattice import Lattice, good_size

Array = np.ndarray[Any, np.dtype[Any]]

#: Foci that a focal spread is averaged over (Gauss-Hermite).
_SPREAD_FOCI = 7


@dataclass(frozen=True, slots=True, eq=False)
class LensTerms:
    """Transforms of the beam on the frequencies of a `Lattice`, complex64, dimensionless.

    Parameters
    ----------
    beam : numpy.ndarray
        Of its intensity, 1 at frequency 0: what incoherent scattering is imaged with.
    phase, loss : mapping of str to numpy.ndarray
        By detector that reaches into the bright disc, with d the part of the wave a that it
        catches: of ``-2 Im(conj(d) a)`` and of ``Re(conj(d) a)``.
    """

    beam: Array
    phase: Mapping[str, Array]
    loss: Mapping[str, Array]


def lens_terms(
    lens: Lens, lattice: Lattice, rings: Mapping[str, Ring], height: float = 0.0
) -> LensTerms:
    """Return what a lens does to atoms at a height.

    Focal spread is averaged over seven foci, source size is a Gaussian blur.

    Parameters
    ----------
    lens : Lens
        What forms the beam.
    lattice : Lattice
        Which frequencies.
    rings : mapping of str to Ring
        Detectors; those outside the bright disc need no terms of their own.
    height : float
        Metres downstream of the plane that `lens.aberrations` speak of.
    """
    pupil, angle, place = _pupil(lens, lattice)
    bright = {name: ring for name, ring in rings.items() if ring.inner < lens.convergence_angle}
    within = {name: _inside(angle, ring, lens, lattice) for name, ring in bright.items()}
    foci = _SPREAD_FOCI if lens.focal_spread > 0 else 1
    nodes, weights = np.polynomial.hermite_e.hermegauss(foci)
    sums = [np.zeros((len(lattice.rows), len(lattice.columns)), dtype=np.complex64)]
    sums += [np.zeros_like(sums[0]) for _ in range(2 * len(bright))]
    for node, weight in zip(nodes, weights / weights.sum(), strict=True):
        away = height - node * lens.focal_spread
        turned = np.exp(-1j * math.pi / lens.wavelength * away * np.abs(angle) ** 2)
        for number, term in enumerate(_terms(pupil * turned, within, place, lattice)):
            sums[number] += np.float32(weight) * term
    ky, kx = lattice.frequencies()
    if lens.source_size > 0:
        blur = np.exp(-2 * (math.pi * lens.source_size) ** 2 * (kx**2 + ky**2))
        sums = [(one * blur).astype(np.complex64) for one in sums]
    phase = dict(zip(bright, sums[1::2], strict=True))
    return LensTerms(sums[0], phase, dict(zip(bright, sums[2::2], strict=True)))


def _pupil(lens: Lens, lattice: Lattice) -> tuple[Array, Array, tuple[Array, Array]]:
    """Return the aperture's part of the wave, its complex angles, and their rows and columns.

    The sum of squares is one; the edge is smoothed over one step, as in `beam_wave`.
    """
    length, (wide, high) = lens.wavelength, lattice.period
    step = length / min(wide, high)
    most = lens.convergence_angle + step
    across = np.arange(-int(most / length * wide), int(most / length * wide) + 1)
    down = np.arange(-int(most / length * high), int(most / length * high) + 1)
    angle = (length * (across[None, :] / wide + 1j * down[:, None] / high)).astype(complex)
    aperture = np.clip((lens.convergence_angle - np.abs(angle)) / step + 0.5, 0.0, 1.0)
    found = np.flatnonzero(aperture)
    angle, aperture = angle.ravel()[found], aperture.ravel()[found]
    wave = np.sqrt(aperture) * np.exp(-1j * lens.aberrations.phase(angle, lens.voltage))
    wave /= math.sqrt(float(aperture.sum()))
    place = down[found // len(across)], across[found % len(across)]
    return wave, angle, place


def _inside(angle: Array, ring: Ring, lens: Lens, lattice: Lattice) -> Array:
    """Return how much of each angle of the pupil a ring catches, 0 to 1."""
    step = lens.wavelength / min(lattice.period)
    size = np.abs(angle)
    found = np.clip((ring.outer - size) / step + 0.5, 0.0, 1.0)
    if ring.outer >= lens.convergence_angle:
        found = np.ones_like(size)
    if ring.inner > 0:
        found = found - np.clip((ring.inner - size) / step + 0.5, 0.0, 1.0)
    return np.clip(found, 0.0, 1.0)


def _terms(
    wave: Array, within: Mapping[str, Array], place: tuple[Array, Array], lattice: Lattice
) -> list[Array]:
    """Return transforms of the intensity, and of the phase and loss of each detector."""
    rows, columns = lattice.rows, lattice.columns
    shape = good_size(len(rows) + 1), good_size(2 * len(columns))
    scale = np.float32(shape[0] * shape[1])

    def spatial(values: Array) -> Array:
        grid = np.zeros(shape, dtype=np.complex64)
        grid[place] = values
        return np.asarray(fft.ifft2(grid, overwrite_x=True))

    def kept(real: Array) -> Array:
        half = fft.rfft(real, axis=1)[:, : len(columns)]
        return np.asarray(fft.fft(half, axis=0)[rows] * scale)

    beam = spatial(wave)
    found = [kept(beam.real**2 + beam.imag**2)]
    for share in within.values():
        both = np.conj(spatial(wave * share)) * beam
        found += [kept(-2 * both.imag), kept(both.real)]
    return found


@dataclass(frozen=True, slots=True, eq=False)
class KindTerms:
    """What of one kind of atom does not hang on the focus, on the frequencies of a `Lattice`.

    Parameters
    ----------
    gained : mapping of str to numpy.ndarray
        Transform of what each detector gains in m², vibration included, float32.
    phase, loss : numpy.ndarray
        Transforms of `AtomContrast` in m², vibration included, float32.
    """

    gained: Mapping[str, Array]
    phase: Array
    loss: Array


def kind_terms(
    kind: tuple[int, float], lens: Lens, lattice: Lattice, rings: Mapping[str, Ring]
) -> KindTerms:
    """Return what an atom of number and rms (m) is like, for a lens of this voltage and angle."""
    number, rms = kind
    contrast = atom_contrast(number, lens.voltage)
    ky, kx = lattice.frequencies()
    square = kx**2 + ky**2
    frequency = np.sqrt(square)
    blur = np.exp(-2 * (math.pi * rms) ** 2 * square)
    gained = {}
    for name, ring in rings.items():
        area = annular_cross_section(number, rms, lens.voltage, ring, lens.convergence_angle)
        share = object_share(number, lens.voltage, ring, lens.convergence_angle, frequency)
        gained[name] = (area * share * blur).astype(np.float32)
    phase, loss = (
        (contrast.at(one, frequency) * blur).astype(np.float32)
        for one in (contrast.phase, contrast.loss)
    )
    return KindTerms(gained, phase, loss)


def transfer(name: str, kind: KindTerms, terms: LensTerms) -> Array:
    """Return the transform of one atom's image in a detector in m², complex64.

    The atom is at r and the beam at x: the image is that of the beam turned round, ``b(r - x)``.
    """
    found = kind.gained[name] * terms.beam
    if name in terms.phase:
        found = found + kind.phase * terms.phase[name] - kind.loss * terms.loss[name]
    return np.asarray(np.conj(found), dtype=np.complex64)


def turned(aberrations: Aberrations, rotation: float) -> Aberrations:
    """Return aberrations as seen along axes that are rotated by `rotation` (rad)."""
    turn = complex(math.cos(rotation), math.sin(rotation))
    order = {"A1": -2, "B2": 1, "A2": -3, "S3": 2, "A3": -4}
    found: dict[str, float] = {}
    for name, power in order.items():
        value = complex(getattr(aberrations, f"{name}_x"), getattr(aberrations, f"{name}_y"))
        value *= turn**power
        found |= {f"{name}_x": value.real, f"{name}_y": value.imag}
    return aberrations.model_copy(update=found)


def reach_of(lens: Lens, heights: tuple[float, float] = (0.0, 0.0)) -> float:
    """Return how far from its middle the beam matters, in metres.

    Where rays of the aperture go to at most, and six times the wavelength over the aperture;
    beyond that is a percent or two of the beam, which comes in again on the other side of a patch.
    """
    steps = np.linspace(-1, 1, 65)
    grid = (lens.convergence_angle * (steps[None, :] + 1j * steps[:, None])).astype(complex)
    off = 0.0
    for height in heights:
        path = lens.aberrations.plus(C1=height).path(grid)
        slopes = np.gradient(path, lens.convergence_angle * 2 / 64)
        inside = np.abs(grid) <= lens.convergence_angle
        off = max(off, float(np.hypot(*slopes)[inside].max()))
    spread_out = 3 * lens.focal_spread * lens.convergence_angle + 4 * lens.source_size
    return off + spread_out + 6 * lens.wavelength / lens.convergence_angle
