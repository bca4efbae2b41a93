"""How sure it is that something repeats, and how many plates there may be."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.stats import f as fisher

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: Harmonics of the distance of equal neighbours.
_HARMONICS = 4
#: Distances and axes that were tried before the best one was taken.
_TRIED = 50


def comb_chance(profile: FloatArray, spacing: float, seen: BoolArray | None = None) -> float:
    """Return the chance that a profile without repetition looks as periodic as this one.

    A mean over twice the spacing, which a comb leaves at zero, is taken off. Sines and cosines of
    twice the spacing and its first harmonics are fitted by least squares, and what they explain is
    held against what they leave: Fisher's F (R. A. Fisher, Proc. R. Soc. A 125 (1929) 54, tests one
    ordinate; here the frequencies are given and several taken together). Neighbouring pixels share
    noise, so half of them count; the result is corrected for the distances tried (Bonferroni).

    Parameters
    ----------
    profile : numpy.ndarray
        Darkness across the stack, from half a spacing before the first plate to half a spacing
        after the last one, shape (n,).
    spacing : float
        Distance of neighbouring places in pixels.
    seen : numpy.ndarray of bool, optional
        Columns that count; not those where a plate is missing.
    """
    good = np.ones(len(profile), dtype=bool) if seen is None else seen
    level = uniform_filter1d(profile, max(round(2 * spacing), 3), mode="reflect")
    phase = np.pi * np.arange(len(profile))[:, None] / spacing * np.arange(1, _HARMONICS + 1)
    waves = np.concatenate([np.cos(phase), np.sin(phase)], axis=1)[good]
    fine = (profile - level)[good]
    free = len(fine) / 2 - waves.shape[1] - 1
    whole = float(fine @ fine)
    if free < 2 or not whole > 0:
        return 1.0
    left = fine - waves @ np.linalg.lstsq(waves, fine, rcond=1e-8)[0]
    rest = max(float(left @ left), 1e-12 * whole)
    ratio = max(whole - rest, 0.0) / (2 * _HARMONICS) / (rest / free)
    return float(min(1.0, _TRIED * fisher.sf(ratio, 2 * _HARMONICS, free)))


def count_interval(chance: FloatArray, confidence: float = 0.95) -> tuple[int, int]:
    """Return the interval of the number of plates, places independent of one another.

    The number of plates among places that hold one each with their own chance has a
    Poisson binomial distribution; it is built up place by place.

    Parameters
    ----------
    chance : numpy.ndarray
        Of a plate at every place, those beside the stack too, shape (n,).
    confidence : float
        Share of the distribution inside; half of the rest is left on either side.
    """
    odds = np.array([1.0])
    for one in np.clip(chance, 1e-4, 1 - 1e-4):
        odds = np.convolve(odds, [1 - one, one])
    below = np.cumsum(odds)
    tail = (1 - confidence) / 2
    return int(np.searchsorted(below, tail)), int(np.searchsorted(below, 1 - tail))
