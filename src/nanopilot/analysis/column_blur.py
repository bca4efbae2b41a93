"""How wide the probe is, from how fast the harmonics of a lattice fall off."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import map_coordinates
from scipy.optimize import least_squares

from nanopilot.core.errors import SignalError
from nanopilot.models.electron_optics import Lens, beam_intensity

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Grid points of a probe along each side; pixels per Nyquist pixel of its intensity.
_GRID, _FINER = 160, 1.15
#: Relative error of the known crystal's own harmonics.
_MODEL = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Harmonics:
    """Sizes of the harmonics of one lattice at one focus.

    Parameters
    ----------
    waves : numpy.ndarray
        (x, y) in 1/m, shape (n, 2).
    size, std : numpy.ndarray
        In any one unit, and its standard errors, shape (n,).
    defocus : float
        Metres that were added to the lens' C1.
    """

    waves: FloatArray
    size: FloatArray
    std: FloatArray
    defocus: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """A probe that fits.

    Parameters
    ----------
    values, std : mapping of str to float
        ``source`` (standard deviation, metres), ``C1``, ``A1_x``, ``A1_y`` (metres).
    misfit : float
        Chi squared per degree of freedom.
    signed : bool
        Whether the sign of the defocus is known.
    """

    values: dict[str, float]
    std: dict[str, float]
    misfit: float
    signed: bool


def transfer(lens: Lens, waves: FloatArray, defocus: float = 0.0) -> FloatArray:
    """Return the size of the incoherent transfer function of a lens at frequencies.

    The Fourier transform of the probe's intensity: E. J. Kirkland, Advanced Computing in Electron
    Microscopy (2010), section 3.3. The source is in it.

    Parameters
    ----------
    lens : Lens
        What forms the beam.
    waves : numpy.ndarray
        (x, y) in 1/m, shape (n, 2).
    defocus : float
        Metres added to C1.

    Returns
    -------
    numpy.ndarray
        Shape (n,), 1 at frequency 0.
    """
    pixel = lens.wavelength / (4 * lens.convergence_angle) / _FINER
    sharp = lens.model_copy(update={"source_size": 0.0})
    # `beam_intensity` takes an underfocus.
    beam = beam_intensity(sharp, (_GRID, _GRID), pixel, -defocus)
    spectrum = np.fft.fftshift(np.fft.fft2(beam))
    at = waves.T[::-1] * (_GRID * pixel) + _GRID // 2
    both = [
        map_coordinates(part, at, order=3, mode="nearest")
        for part in (spectrum.real, spectrum.imag)
    ]
    blur = np.exp(-2 * (math.pi * lens.source_size) ** 2 * np.sum(waves**2, axis=1))
    found: FloatArray = np.hypot(*both) * blur
    return found


def blur_bound(lens: Lens, seen: Harmonics, level: float) -> float:
    """Return the largest source size (m) that these harmonics can have come through.

    What scatters is nowhere negative, so no harmonic of it is larger than its mean; a harmonic
    that was seen with size A of a mean m has been made smaller by no more than A / m.

    Parameters
    ----------
    lens : Lens
        Its source size does not enter.
    seen : Harmonics
        Counts.
    level : float
        Mean counts, less the offset if that is known.

    Raises
    ------
    SignalError
        No harmonic is five standard errors large.
    """
    sure = seen.size > 5 * seen.std
    if not sure.any():
        raise SignalError("`seen` has no harmonic of five standard errors.")
    sharp = transfer(lens.model_copy(update={"source_size": 0.0}), seen.waves[sure], seen.defocus)
    least = seen.size[sure] - 2 * seen.std[sure]
    ratio = np.log(np.maximum(level * sharp / least, 1.0))
    square = ratio / (2 * np.pi**2 * np.sum(seen.waves[sure] ** 2, axis=1))
    return float(np.sqrt(square.min()))


def fit_probe(lens: Lens, crystal: FloatArray, series: tuple[Harmonics, ...]) -> Probe:
    """Fit source size, defocus and twofold astigmatism to harmonics of a known crystal.

    Parameters
    ----------
    lens : Lens
        Voltage, convergence angle and what else is known; fitted on top of its C1 and A1.
    crystal : numpy.ndarray
        Sizes of the harmonics of what scatters, before any lens, in any one unit, shape (n,).
    series : tuple of Harmonics
        One, or one for each focus of a series, with the same waves.

    Raises
    ------
    SignalError
        Fewer than four harmonics stand out of the noise.
    """
    sure = series[0].size > 4 * series[0].std
    for one in series[1:]:
        sure |= one.size > 4 * one.std
    sure &= crystal > 1e-3 * crystal.max()
    if sure.sum() < 8:  # of each pair both are there
        raise SignalError(
            f"`series` has {sure.sum() // 2} harmonics above the noise; a probe takes 4."
        )
    own = crystal[sure]
    errors = [np.hypot(one.std[sure], _MODEL * one.size[sure]) for one in series]
    several = len({one.defocus for one in series}) > 1
    unit = lens.wavelength / lens.convergence_angle**2

    def off(guess: FloatArray) -> FloatArray:
        size, square, c1, a1x, a1y = guess
        aberrations = lens.aberrations.plus(C1=c1 * unit, A1_x=a1x * unit, A1_y=a1y * unit)
        there = lens.model_copy(update={"aberrations": aberrations, "source_size": 0.0})
        rest = []
        for one, error in zip(series, errors, strict=True):
            waves = one.waves[sure]
            blur = np.exp(-2 * np.pi**2 * square * 1e-22 * np.sum(waves**2, axis=1))
            seen = np.exp(size) * own * transfer(there, waves, one.defocus) * blur
            rest.append((seen - one.size[sure]) / error)
        return np.concatenate(rest) / math.sqrt(2)  # both of a pair say the same

    strongest = int(np.argmax(series[0].size[sure]))
    first = math.log(series[0].size[sure][strongest] / own[strongest])
    best = None
    for c1 in (0.1, -0.6, 0.6) if several else (0.1, 0.6):
        trial = least_squares(
            off, [first, 4.0, c1, 0.02, 0.02], bounds=([-99, 0, -4, -2, -2], [99, 400, 4, 2, 2]),
            x_scale=[0.05, 1.0, 0.1, 0.05, 0.05], max_nfev=40, diff_step=[1e-3] * 5,
        )  # fmt: skip
        best = trial if best is None or trial.cost < best.cost else best
    return _probe(best, unit, several)


def _probe(found: Any, unit: float, several: bool) -> Probe:
    degrees = max(found.fun.size / 2 - 5, 1.0)
    misfit = 2 * float(found.cost) / degrees
    curve = found.jac.T @ found.jac + np.diag([1e-12, 1e-8, 1 / 16, 1 / 4, 1 / 4])
    spread = np.sqrt(np.diag(np.linalg.inv(curve)) * max(misfit, 1.0))
    _, square, c1, a1x, a1y = found.x
    source = math.sqrt(square) * 1e-11
    wide = spread[1] * 1e-22
    source_std = wide / (2 * source) if source**2 > wide else math.sqrt(wide)
    names = ("C1", "A1_x", "A1_y")
    values = dict(zip(names, (float(one * unit) for one in (c1, a1x, a1y)), strict=True))
    std = dict(zip(names, (float(one * unit) for one in spread[2:]), strict=True))
    if not several and values["C1"] < 0:
        values = {name: -one for name, one in values.items()}
    return Probe({"source": source, **values}, {"source": source_std, **std}, misfit, several)
