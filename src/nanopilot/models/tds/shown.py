"""What a network is shown of a pattern: pictures, and numbers that say what they are of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nanopilot.models.electron_optics import wavelength
from nanopilot.models.tds.atoms import vibrating_atom
from nanopilot.models.tds.coherent import MeanWave
from nanopilot.models.tds.diffuse import diffuse

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: What each of the numbers is.
FEATURES = (
    "log_thickness", "log_voltage", "log_aperture", "tilt_of_beam", "log_lost", "log_struck",
    "log_number", "log_number_of_all", "rms_of_lost", "log_collisions", "rest",
)  # fmt: skip
#: Of logarithms of what may be nothing.
_LEAST = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """One place, on the detector of `COARSE`.

    Parameters
    ----------
    elastic, mean : numpy.ndarray
        Patterns of atoms at rest and of the mean wave, shape (64, 64).
    once : numpy.ndarray
        Estimates of what is diffuse, shape (2, 64, 64); see `diffuse`.
    lost : float
        Fraction that is scattered diffusely.
    numbers : numpy.ndarray
        Shape (len(FEATURES),).
    """

    elastic: FloatArray
    mean: FloatArray
    once: FloatArray
    lost: float
    numbers: FloatArray


def show(elastic: FloatArray, wave: MeanWave, optics: tuple[float, float, float]) -> list[Shown]:
    """Return what a network is shown of every place.

    Parameters
    ----------
    elastic : numpy.ndarray
        Shape (places, pixels, pixels).
    wave : MeanWave
        Of the same places.
    optics : (float, float, float)
        Voltage in volts, convergence angle and tilt of the beam in radians.
    """
    once = diffuse(wave, wave.coarse, optics[0])
    return [
        Shown(
            elastic[number], wave.coarse.patterns[number], once[:, number],
            float(wave.lost[number].sum()), describe(wave, number, optics),
        )
        for number in range(len(wave.lost))
    ]  # fmt: skip


def describe(wave: MeanWave, place: int, optics: tuple[float, float, float]) -> FloatArray:
    """Return the numbers of one place, in the order of `FEATURES`."""
    voltage, convergence, tilt = optics
    lost, struck = (one[place].sum(axis=-1) + _LEAST for one in (wave.lost, wave.struck))
    number = np.asarray([kind[0] for kind in wave.kinds], dtype=float)
    rms = np.asarray([kind[1] for kind in wave.kinds])
    areal = wave.areal + _LEAST
    atoms = [vibrating_atom(*kind, voltage) for kind in wave.kinds]
    all_of_it = [2 * math.pi * np.trapezoid(one.cross_section(one.k) * one.k, one.k)
                 for one in atoms]  # fmt: skip
    by_depth = wave.lost[place].sum(axis=0) + _LEAST
    return np.asarray([
        math.log(wave.depth / 1e-9),
        math.log(voltage / 1e5),
        math.log(convergence / wavelength(voltage) * 1e-10),
        tilt / 1e-2,
        math.log(lost.sum()),
        math.log(struck.sum() / lost.sum()),
        math.log(float(np.average(number, weights=lost))),
        math.log(float(np.average(number, weights=areal))),
        float(np.average(rms, weights=lost)) / 1e-11,
        math.log(float(areal @ np.asarray(all_of_it)) + _LEAST),
        float(np.average(1 - wave.depths / wave.depth, weights=by_depth)),
    ])  # fmt: skip
