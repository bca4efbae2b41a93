"""The mains in a raster scan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nanopilot.analysis.noise_spectra import FloatArray


@dataclass(frozen=True, slots=True)
class Hum:
    """A line of the mains.

    Parameters
    ----------
    frequency : float
        Hertz.
    amplitude, std : float
        Metres; 0 if the power is not above that of the frequencies around it.
    significance : float
        Power above that background, in its standard errors.
    """

    frequency: float
    amplitude: float
    std: float
    significance: float


def find_hum(lines: FloatArray, rate: float, frequency: float) -> Hum:
    """Measure a sine of known frequency in every line, its phase free.

    Parameters
    ----------
    lines : numpy.ndarray
        Shape (lines, columns): heights, surface taken away as far as possible.
    rate : float
        Pixels per second.
    frequency : float
        Hertz, below half of `rate`.
    """
    columns = lines.shape[1]
    step = rate / columns
    at = _power(lines, rate, frequency)
    beside = [_power(lines, rate, frequency + n * step) for n in (-4, -3, 3, 4)]
    background = np.mean(beside, axis=0)
    above = at - background
    power = float(above.mean())
    # Lines next to one another share what the surface left; blocks of them hardly do.
    blocks = np.array([part.mean() for part in np.array_split(above, 16)])
    spread = float(blocks.std(ddof=1) / 4)
    # Backgrounds that do not agree with one another leave room for a peak that is none.
    uneven = float(np.std([one.mean() for one in beside]))
    error = float(np.hypot(spread, uneven))
    amplitude = float(np.sqrt(max(power, 0.0)))
    std = error / (2 * amplitude) if power > error else float(np.sqrt(error))
    return Hum(frequency, amplitude, std, power / error if error else 0.0)


def _power(lines: FloatArray, rate: float, frequency: float) -> FloatArray:
    """Return the squared amplitude of a sine in every line, shape (lines,)."""
    window = np.hanning(lines.shape[1] + 2)[1:-1]
    turn = np.exp(-2j * np.pi * frequency / rate * np.arange(lines.shape[1]))
    level = lines - lines.mean(axis=1, keepdims=True)
    passed = np.sinc(frequency / rate)
    found: FloatArray = np.abs(2 * (level * window) @ turn / window.sum() / passed) ** 2
    return found
