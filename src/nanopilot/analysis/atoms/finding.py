"""Where the columns are, to a fraction of a pixel; how wide they are, and how certain each is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nanopilot.analysis.atoms.filters import between_pixels, blurred, gaussian_taps, tops
from nanopilot.analysis.atoms.noise import noise_map
from nanopilot.analysis.atoms.steps import background

Array = np.ndarray[Any, np.dtype[Any]]

#: The surroundings that a column is held against: wider than it by this factor.
_AROUND = 2.5
_FURTHER = 4.0
#: Rows and columns that a width is taken from, at most.
_ENOUGH = 512
#: By how much a width stands out over the next.
_OUT = 1.01
#: Columns fill this share of a frame, and a step of the background does not.
_MUCH = 0.8
#: Widths of columns that are tried, in pixels (standard deviation).
_WIDTHS = (0.8, 1.0, 1.3, 1.7, 2.2, 2.8, 3.6, 4.6, 6.0, 7.7, 10.0)


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Places where a column may be.

    Parameters
    ----------
    place : numpy.ndarray
        Row and column in pixels, shape (n, 2).
    height : numpy.ndarray
        Of the Gaussian that fits best there, in counts, shape (n,).
    score : numpy.ndarray
        That height in standard deviations of its noise, shape (n,).
    """

    place: Array
    height: Array
    score: Array


def candidates(image: Array, sigma: float, least: float) -> Candidates:
    """Return local maxima of the matched filter above a threshold.

    The filter is a Gaussian of the column's width less a wider one, so that background and slopes
    do not count; D. Marr and E. Hildreth, Proc. R. Soc. B 207 (1980) 187.

    Parameters
    ----------
    image : numpy.ndarray
        Counts, float32, shape (rows, columns).
    sigma : float
        Width of a column in pixels (standard deviation).
    least : float
        Threshold in standard deviations of the noise.
    """
    return _tops(image - background(image, sigma), noise_map(image), (sigma, _AROUND), least)


def left_over(left: Array, image: Array, sigma: float, least: float) -> Candidates:
    """Return local maxima of the matched filter in what a fit has left; as `candidates`.

    Parameters
    ----------
    left : numpy.ndarray
        The frame without its columns and what is under them, shape (rows, columns).
    image : numpy.ndarray
        The frame, for its noise.
    sigma : float
        Width of a column in pixels (standard deviation).
    least : float
        Threshold in standard deviations of the noise.
    """
    noise = noise_map(image.astype(np.float32))
    # Without neighbours, more of what is around tells the background.
    return _tops(left.astype(np.float32), noise, (sigma, _FURTHER), least)


def _tops(above: Array, noise: Array, widths: tuple[float, float], least: float) -> Candidates:
    sigma, around = widths
    response, top, power = _matched(above, sigma, around)
    score = response / np.sqrt(noise * np.float32(power))
    found = tops(score, least, max(1, round(1.2 * sigma)))
    values = score[found[:, 0], found[:, 1]]
    height = response[found[:, 0], found[:, 1]] / top
    return Candidates(between_pixels(response, found), height, values)


def _matched(image: Array, sigma: float, around: float) -> tuple[Array, float, float]:
    """Return the filtered frame, what a column of height 1 gives, and what variance 1 becomes."""
    wide = around * sigma
    response = blurred(image, gaussian_taps(sigma)) - blurred(image, gaussian_taps(wide))
    top = 0.5 - sigma**2 / (sigma**2 + wide**2)
    power = 1 / (4 * math.pi * sigma**2) + 1 / (4 * math.pi * wide**2)
    return response, top, power - 1 / (math.pi * (sigma**2 + wide**2))


def typical_width(image: Array) -> float:
    """Return the width (standard deviation, pixels) of the columns in a frame.

    That of the matched filter which lets most through over its noise; between the widths tried by
    a parabola.
    """
    gains = []
    # The middle of a large frame is enough.
    first = [max(0, (size - _ENOUGH) // 2) for size in image.shape]
    image = np.ascontiguousarray(image[first[0] :, first[1] :][:_ENOUGH, :_ENOUGH])
    # The widest filter has to fit into the frame.
    widths = [one for one in _WIDTHS if 4 * _AROUND * one < min(image.shape)] or [_WIDTHS[0]]
    noise = np.sqrt(noise_map(image))
    for sigma in widths:
        # Steps of the background must not pass for columns as wide as the frame.
        response, _, power = _matched(image - background(image, sigma), sigma, _AROUND)
        gains.append(float(np.quantile((response / noise)[::2, ::2] ** 2, _MUCH)) / power)
    # The first that stands out: steps and bends of the background are wider than columns.
    out = [k for k in range(1, len(gains) - 1) if gains[k - 1] <= gains[k] > _OUT * gains[k + 1]]
    best = out[0] if out else int(np.argmax(gains))
    if not 0 < best < len(widths) - 1:
        return widths[best]
    x = np.log(widths[best - 1 : best + 2])
    a, b, _ = np.polyfit(x, gains[best - 1 : best + 2], 2)
    return float(np.exp(np.clip(-b / (2 * a), x[0], x[2]))) if a < 0 else widths[best]
