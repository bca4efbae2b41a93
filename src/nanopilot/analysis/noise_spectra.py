"""Noise of a raster scan: its spectrum along the lines, and what it is made of.

A line is much shorter than the time to the next one and much longer than a pixel. What neighbouring
lines do not share is noise; what they share is surface.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nanopilot.core.errors import SignalError

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: First bin that is used: below it a Hann window mixes with the mean of the line.
FIRST = 2
#: Lines further apart by one may differ by this factor more, and count as noise still.
_GROWTH = 1.3
#: How far noise has to be above the extrapolated power of the surface.
_ABOVE = 10
#: Share of the pixel rate up to which interpolated lines keep their noise.
_DULL = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class NoiseSpectrum:
    """One-sided power spectral density of noise along the lines.

    Parameters
    ----------
    frequency : numpy.ndarray
        Hertz, shape (n,); what is below bin `FIRST` of a line is not in it.
    density : numpy.ndarray
        m²/Hz (of heights), shape (n,).
    ceiling : numpy.ndarray
        What the noise certainly does not exceed: the surface not taken away.
    lines : numpy.ndarray
        How many independent lines every bin is worth, shape (n,).
    sure, alike : numpy.ndarray of bool
        Where it is noise and no surface; and where it may be either, for neighbouring lines differ
        as much as noise does.
    """

    frequency: FloatArray
    density: FloatArray
    ceiling: FloatArray
    lines: FloatArray
    sure: BoolArray
    alike: BoolArray


def line_spectrum(lines: FloatArray, rate: float) -> tuple[FloatArray, FloatArray]:
    """Return frequencies (Hz) and the one-sided density of every line, Hann window.

    Parameters
    ----------
    lines : numpy.ndarray
        Shape (lines, columns).
    rate : float
        Pixels per second.
    """
    transformed, frequency = _transformed(lines, rate)
    return frequency, np.abs(transformed) ** 2


def _transformed(lines: FloatArray, rate: float) -> tuple[np.ndarray[Any, Any], FloatArray]:
    if lines.ndim != 2 or min(lines.shape) < 16:
        raise SignalError(f"`lines` has shape {lines.shape}; a spectrum takes 16 x 16 or more.")
    columns = lines.shape[1]
    window = np.hanning(columns + 1)[:-1]
    level = lines - lines.mean(axis=1, keepdims=True)
    scale = np.sqrt(2 / (rate * np.sum(window**2)))
    frequency: FloatArray = np.fft.rfftfreq(columns, 1 / rate).astype(np.float64)
    return scale * np.fft.rfft(level * window, axis=1), frequency


def neighbours_differ(lines: FloatArray, rate: float) -> NoiseSpectrum:
    """Tell noise from surface by how much more lines differ the further they are apart.

    Half the mean squared difference of lines m apart is, at every frequency, N + A m^p: noise N,
    and surface that is forgotten on the way. The nugget of a variogram is N: N. Cressie,
    Statistics for Spatial Data (Wiley 1993), section 2.4. A smooth surface has p = 2, a jagged one
    p = 1; half of what that matters is taken for an error. The ceiling is V1.

    What the surface has finer than the distance of lines looks like noise. So the surface's power
    is extrapolated from where it rules, and bins where it would still matter are not `sure`.

    Parameters
    ----------
    lines : numpy.ndarray
        Heights of one direction, shape (lines, columns), in the order of time.
    rate : float
        Pixels per second.
    """
    transformed, frequency = _transformed(lines, rate)
    one, two = (
        np.mean(np.abs(transformed[m:] - transformed[:-m]) ** 2, axis=0) / 2 for m in (1, 2)
    )
    smooth, jagged = one - (two - one) / 3, 2 * one - two
    # Neighbouring differences share a line: a third of the information is lost.
    count = 2 * len(lines) / 3
    scatter = one / np.sqrt(count)
    nugget = np.where(two > one, smooth, one)
    apart = np.maximum(smooth - jagged, 0.0) / 2
    alike = (two <= _GROWTH * one + 3 * scatter) & (nugget > 0)
    sure = alike & (nugget > _ABOVE * _extrapolated(np.mean(np.abs(transformed) ** 2, axis=0), one))
    worth = 1 / (1 / count + (apart / np.maximum(nugget, 1e-300)) ** 2)
    return _cut(frequency, nugget, one, worth, (sure, alike))


def _extrapolated(power: FloatArray, differ: FloatArray) -> FloatArray:
    """Return the surface's power beyond the bins where neighbouring lines have it in common."""
    rules = power > 10 * differ
    rules[:FIRST] = True
    last = int(np.argmin(rules)) - 1 if not rules.all() else power.size - 1
    beyond = np.zeros(power.size)
    if last < 3 * FIRST:
        return beyond
    bins = np.arange(max(FIRST, last // 3), last + 1)
    falls, level = np.polyfit(np.log(bins), np.log(power[bins]), 1)
    rest = np.arange(last + 1, power.size)
    beyond[rest] = np.exp(level + min(falls, 0.0) * np.log(rest))
    return beyond


def pair_differs(difference: FloatArray, rate: float) -> NoiseSpectrum:
    """Return the noise of one direction from trace minus retrace, surface already taken away.

    What neighbouring lines still have in common is surface that is left. It goes too, and as much
    again is taken for an error.

    Parameters
    ----------
    difference : numpy.ndarray
        Shape (lines, columns).
    rate : float
        Pixels per second.
    """
    transformed, frequency = _transformed(difference, rate)
    half = np.mean(np.abs(transformed) ** 2, axis=0) / 2
    shared = np.mean(np.real(transformed[1:] * np.conj(transformed[:-1])), axis=0) / 2
    scatter = half / np.sqrt(len(difference))
    left = np.where(shared > 2 * scatter, shared, 0.0)
    worth = 1 / (1 / len(difference) + (left / np.maximum(half - left, 1e-2 * half)) ** 2)
    # Shifting trace and retrace towards each other has dulled what is faster.
    known = (half > 0) & (frequency < _DULL * rate)
    return _cut(frequency, np.maximum(half - left, 1e-2 * half), half, worth, (known, known))


def _cut(
    frequency: FloatArray,
    density: FloatArray,
    ceiling: FloatArray,
    lines: FloatArray,
    known: tuple[BoolArray, BoolArray],
) -> NoiseSpectrum:
    # The last bin has no partner.
    kept = slice(FIRST, -1)
    sure, alike = (one[kept] for one in known)
    return NoiseSpectrum(
        frequency[kept], density[kept], ceiling[kept], lines[kept], sure=sure, alike=alike
    )
