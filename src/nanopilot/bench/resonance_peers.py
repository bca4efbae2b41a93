"""Resonances fitted as most scripts do it: `scipy.optimize.curve_fit`, one at a time."""

from __future__ import annotations

import warnings
from typing import Any, Protocol

import numpy as np
from scipy.optimize import OptimizeWarning, curve_fit

from nanopilot.analysis.resonance import sho_response
from nanopilot.bench.coverage import Fits
from nanopilot.core.history import FloatArray
from nanopilot.core.signals import Signal


class Spectra(Protocol):
    """What the two methods look at."""

    @property
    def bands(self) -> tuple[Signal, ...]:
        """Complex spectra, dims (point, frequency)."""


def fit_from_peak(visible: Spectra) -> tuple[Fits, ...]:
    """Begin at the bin of largest magnitude, with a width of a sixth of the band."""
    answers = []
    for band in visible.bands:
        starts = peak_starts(band.to_numpy(), band["frequency"].to_numpy())
        answers.append(fit_each(band, starts))
    return tuple(answers)


def peak_starts(values: np.ndarray, frequency: FloatArray) -> FloatArray:
    """Return f0, Q, amplitude and phase guessed from the largest bin, shape (n, 4)."""
    level = values - np.median(values.real, axis=1, keepdims=True)
    level = level - 1j * np.median(values.imag, axis=1, keepdims=True)
    at = np.argmax(np.abs(level), axis=1)
    top = level[np.arange(len(at)), at]
    quality = 6.0 * frequency[at] / np.ptp(frequency)
    drive = top / (1j * quality)
    return np.stack([frequency[at], quality, np.abs(drive), np.angle(drive)], axis=1)


def fit_each(band: Signal, starts: FloatArray) -> Fits:
    """Fit f0, Q, amplitude, phase and a complex background, spectrum by spectrum.

    Parameters
    ----------
    band : Signal
        Complex, dims (point, frequency).
    starts : numpy.ndarray
        f0, Q, amplitude and phase, shape (n, 4).
    """
    frequency = band["frequency"].to_numpy()
    rows = [
        _fit(frequency, spectrum, start)
        for spectrum, start in zip(band.to_numpy(), starts, strict=True)
    ]
    values, std = (np.array(part) for part in zip(*rows, strict=True))
    return Fits(values, std, np.isfinite(values).all(axis=1) & np.isfinite(std).all(axis=1))


def _fit(frequency: FloatArray, spectrum: np.ndarray, start: FloatArray) -> Any:
    size = float(np.abs(spectrum).max())
    seen = np.concatenate([spectrum.real, spectrum.imag]) / size
    guess = np.append(start / [1.0, 1.0, size, 1.0], [0.0, 0.0])
    nothing = np.full(4, np.nan)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", OptimizeWarning)
        try:
            found, covariance = curve_fit(_stacked, frequency, seen, p0=guess)
        except RuntimeError:  # too many calls
            return nothing, nothing
        std = np.sqrt(np.diag(covariance))[:4]
    # A negative amplitude is a positive one half a turn away; so is a negative Q.
    f0, quality, amplitude, phase = found[:4]
    phase += np.pi * (amplitude < 0)
    return np.array([f0, quality, abs(amplitude) * size, phase]), std * [1.0, 1.0, size, 1.0]


def _stacked(f: FloatArray, *parameters: float) -> FloatArray:
    f0, quality, amplitude, phase, real, imaginary = parameters
    drive = amplitude * np.exp(1j * phase)
    model = sho_response(f, f0, quality, drive) + complex(real, imaginary)
    return np.concatenate([model.real, model.imag])
