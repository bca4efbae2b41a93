"""Ronchigrams: the shadow that a sample casts with the aperture taken out.

The sample is a phase object, ``exp(i sigma V)``, in a beam that fills an aperture far wider than
that of imaging; the far field of what leaves it is the ronchigram. Where the lens is poor the
shadow is streaked, where it is good it is magnified without end: J. M. Cowley, J. Electron Microsc.
Tech. 3 (1986) 25.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import fft

from nanopilot.core.errors import OutOfRange
from nanopilot.models.electron_optics import Lens
from nanopilot.twins.stem.contrast import atom_contrast
from nanopilot.twins.stem.render_atoms import AtomsByKind
from nanopilot.twins.stem.render_kernels import turn_phase
from nanopilot.twins.stem.render_lattice import Lattice, good_size

Array = np.ndarray[Any, np.dtype[Any]]

#: Most points of the beam along each axis.
_MOST = 2560
#: How much wider than the beam the field is, and how many times the aperture is kept.
_ROOM, _BEYOND = 1.15, 1.3
#: Finest detail of the sample that casts a shadow, in metres.
_FINEST = 5e-11


@dataclass(frozen=True, slots=True)
class View:
    """How a ronchigram is looked at.

    Parameters
    ----------
    pixels : int
        Rows and columns of the camera.
    angle_per_pixel : float
        Radians; the middle of the beam falls on pixel ``pixels // 2``.
    aperture : float
        Semi-angle in radians of the opening that is left.

    Raises
    ------
    OutOfRange
        No pixels, or angles that are not positive.
    """

    pixels: int
    angle_per_pixel: float
    aperture: float

    def __post_init__(self) -> None:
        if self.pixels < 1 or not (self.angle_per_pixel > 0 and self.aperture > 0):
            raise OutOfRange(
                f"`pixels`, `angle_per_pixel` and `aperture` are {self.pixels}, "
                f"{self.angle_per_pixel:g} rad and {self.aperture:g} rad; all are positive."
            )


def field_of(lens: Lens, view: View) -> tuple[float, int]:
    """Return how wide a piece of the sample a ronchigram needs (m), and points along each axis.

    Raises
    ------
    OutOfRange
        The beam is wider than can be calculated: too much defocus for this opening.
    """
    steps = np.linspace(-1, 1, 129) * view.aperture
    grid = steps[None, :] + 1j * steps[:, None]
    slopes = np.gradient(lens.aberrations.path(grid), steps[1] - steps[0])
    inside = np.abs(grid) <= view.aperture
    wide = 2 * float(np.hypot(*slopes)[inside].max()) * _ROOM + 20 * _FINEST
    # A whole number of steps of the beam's angles is one pixel of the camera.
    finer = max(1, math.ceil(wide * view.angle_per_pixel / lens.wavelength))
    step = view.angle_per_pixel / finer
    least = max(view.pixels * finer, math.ceil(2 * _BEYOND * view.aperture / step))
    points = good_size(least)
    if points > _MOST:
        most = _MOST * lens.wavelength / (2 * _BEYOND * view.aperture)
        raise OutOfRange(
            f"`aperture` is {view.aperture:g} rad, where the beam is {wide:.3g} m wide; a "
            f"ronchigram is calculated up to about {most:.3g} m: reduce defocus or aberrations, or "
            "the opening."
        )
    return lens.wavelength / step, points


def projected_phase(
    sample: AtomsByKind, spot: tuple[float, float], voltage: float, wide: float
) -> tuple[Lattice, Array]:
    """Return the phase of the sample round a place, as coefficients on a lattice.

    Parameters
    ----------
    sample : AtomsByKind
        Atoms, and the grain of its film.
    spot : (float, float)
        x and y in metres.
    voltage : float
        Volts.
    wide : float
        Of the square round it, in metres.
    """
    corner = spot[0] - wide / 2, spot[1] - wide / 2
    lattice = Lattice(corner, (wide, wide), 1 / (2 * _FINEST))
    patch = sample.patch(lattice, {}, (0.0, 0.0, 0.0))
    ky, kx = lattice.frequencies()
    square = kx**2 + ky**2
    total = np.zeros((len(lattice.rows), len(lattice.columns)), dtype=np.complex64)
    for (number, rms), density in patch.density.items():
        contrast = atom_contrast(number, voltage)
        factor = contrast.at(contrast.phase, np.sqrt(square))
        factor *= np.exp(-2 * (math.pi * rms) ** 2 * square)
        total += density[0] * factor.astype(np.float32)
    return lattice, total


def ronchigram(sample: AtomsByKind, lens: Lens, spot: tuple[float, float], view: View) -> Array:
    """Return the ronchigram with the beam at a place.

    The beam is coherent: focal spread and source size, which take fringes away at large angles, are
    left out.

    Parameters
    ----------
    sample : AtomsByKind
        Atoms, and other matter as its film.
    lens : Lens
        What forms the beam; its own convergence angle does not matter.
    spot : (float, float)
        x and y in metres.
    view : View
        Camera and opening.

    Returns
    -------
    numpy.ndarray
        Fractions of the beam, shape (ky, kx), pixels by pixels; the sum is 1 less what is scattered
        past the camera.

    Raises
    ------
    OutOfRange
        The beam is wider than can be calculated.
    """
    wide, points = field_of(lens, view)
    lattice, phase = projected_phase(sample, spot, lens.voltage, wide)
    # Fine enough for all details of the lattice; of those points the beam has one in `every`.
    every = math.ceil(2 * (len(lattice.columns) + 1) / points)
    shadow = lattice.sampled(phase, (points * every, points * every))[::every, ::every]
    step = lens.wavelength / wide
    field = fft.ifft2(_wave(lens, view, step, points), overwrite_x=True)
    # The middle of the beam is at point (0, 0), that of the shadow in the middle.
    turn_phase(field, fft.ifftshift(shadow))
    far = fft.fft2(field, overwrite_x=True)
    return _seen(fft.fftshift(far.real**2 + far.imag**2), view, step)


def _wave(lens: Lens, view: View, step: float, points: int) -> Array:
    """Return the wave in the opening, angles in the order of a transform; sum of squares 1."""
    angle = fft.fftfreq(points, 1 / points) * step
    inside = np.flatnonzero(np.abs(angle) <= view.aperture + step)
    grid = angle[inside][None, :] + 1j * angle[inside][:, None]
    share = np.clip((view.aperture - np.abs(grid)) / step + 0.5, 0.0, 1.0)
    wave = np.sqrt(share / share.sum()).astype(np.complex64)
    phase = np.remainder(lens.aberrations.phase(grid, lens.voltage), 2 * math.pi)
    turn_phase(wave, -phase.astype(np.float32))
    out = np.zeros((points, points), dtype=np.complex64)
    out[np.ix_(inside, inside)] = wave
    return out


def _seen(far: Array, view: View, step: float) -> Array:
    """Return what falls on each pixel of the camera; the middle of the beam on pixel n // 2."""
    finer = round(view.angle_per_pixel / step)
    out = np.zeros((view.pixels * finer, view.pixels * finer))
    # A pixel is `finer` steps wide, with its middle step (or the one after it) on its own angle.
    shift = len(far) // 2 - (view.pixels // 2) * finer - finer // 2
    low, high = max(shift, 0), min(shift + len(out), len(far))
    out[low - shift : high - shift, low - shift : high - shift] = far[low:high, low:high]
    binned = out.reshape(view.pixels, finer, view.pixels, finer).sum(axis=(1, 3))
    found: Array = binned
    return found
