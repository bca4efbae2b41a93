"""What a surface is like as a whole: spectrum, heights, correlation; and how two differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import least_squares
from scipy.stats import wasserstein_distance

from nanopilot.core.errors import SignalError

FloatArray = np.ndarray[Any, np.dtype[np.float64]]


def levelled(height: FloatArray) -> FloatArray:
    """Return heights without their least-squares plane.

    Examples
    --------
    >>> y, x = np.indices((8, 9))
    >>> bool(np.abs(levelled(3.0 * x - 2.0 * y + 7.0)).max() < 1e-12)
    True
    """
    y, x = (np.linspace(-1, 1, n) for n in height.shape)
    by_y = (height * y[:, None]).mean() / np.mean(y**2)
    by_x = (height * x[None, :]).mean() / np.mean(x**2)
    level: FloatArray = height - height.mean() - by_y * y[:, None] - by_x * x[None, :]
    return level


def profile_spectrum(height: FloatArray, pitch: float, axis: int) -> tuple[FloatArray, FloatArray]:
    """Return wave numbers (1/m) and the mean one-sided power density of profiles (m² m).

    Parameters
    ----------
    height : numpy.ndarray
        Levelled heights in metres.
    pitch : float
        Metres per pixel.
    axis : int
        Along which the profiles run.
    """
    profiles = height if axis == 1 else height.T
    columns = profiles.shape[1]
    window = np.hanning(columns + 1)[:-1]
    level = profiles - profiles.mean(axis=1, keepdims=True)
    power = np.mean(np.abs(np.fft.rfft(level * window, axis=1)) ** 2, axis=0)
    wave: FloatArray = np.fft.rfftfreq(columns, pitch).astype(np.float64)
    return wave[1:-1], (2 * pitch * power / np.sum(window**2))[1:-1]


def autocorrelation(height: FloatArray, axis: int, most: float = 0.25) -> FloatArray:
    """Return the correlation of heights at distances along an axis, 1 at distance 0.

    Parameters
    ----------
    height : numpy.ndarray
        Levelled heights.
    axis : int
        Along which.
    most : float
        Largest distance, as a share of the picture.
    """
    values = height if axis == 1 else height.T
    values = values - values.mean()
    size = values.shape[1]
    variance = np.mean(values**2)
    if not variance:
        raise SignalError("`height` is flat: nothing to correlate.")
    found = [
        np.mean(values[:, : size - lag] * values[:, lag:]) / variance
        for lag in range(max(2, int(most * size)))
    ]
    return np.array(found)


@dataclass(frozen=True, slots=True)
class SelfAffine:
    """A self-affine spectrum, C(q) ~ (1 + q² xi²)^-(1 + H) of heights over a plane.

    G. Palasantzas, Phys. Rev. B 48 (1993) 14472, equation 4; that of profiles falls by half a
    power less, as (1 + q² xi²)^-(1/2 + H).

    Parameters
    ----------
    rms, hurst, correlation_length : float
        Metres, exponent H from 0 to 1, metres.
    misfit : float
        Root mean square of the decadic logarithm of measured over fitted density.
    """

    rms: float
    hurst: float
    correlation_length: float
    misfit: float


def self_affine_fit(height: FloatArray, pitch: float, below: float | None = None) -> SelfAffine:
    """Fit a self-affine spectrum to the profiles along x.

    Parameters
    ----------
    height : numpy.ndarray
        Levelled heights in metres.
    pitch : float
        Metres per pixel.
    below : float, optional
        Largest wave number in 1/m that is believed; above it noise or the tip may rule.
    """
    wave, power = profile_spectrum(height, pitch, axis=1)
    used = np.ones(wave.size, dtype=bool) if below is None else wave <= below
    used[: min(8, used.size)] = True
    wave, power = 2 * np.pi * wave[used], power[used]
    weight = 1 / np.sqrt(np.arange(1, wave.size + 1))  # as many in every octave

    def off(guess: FloatArray) -> FloatArray:
        size, length, hurst = guess
        model = size - (0.5 + hurst) * np.log1p((wave * np.exp(length)) ** 2)
        apart: FloatArray = weight * (np.log(power) - model)
        return apart

    width = pitch * height.shape[1]
    start = [np.log(power[0]), np.log(width / 10), 0.7]
    bounds = ([-np.inf, np.log(2 * pitch), 0.01], [np.inf, np.log(width / 2), 1.0])
    found = least_squares(off, start, bounds=bounds)
    misfit = float(np.sqrt(np.mean((found.fun / weight) ** 2)) / np.log(10))
    return SelfAffine(float(height.std()), float(found.x[2]), float(np.exp(found.x[1])), misfit)


@dataclass(frozen=True, slots=True)
class Distances:
    """How two surfaces differ; 0: not at all.

    Parameters
    ----------
    spectrum : float
        Decades between the power spectra, root mean square, lines and columns alike.
    histogram : float
        Wasserstein distance of the levelled heights, in units of the first one's rms.
    autocorrelation : float
        Root mean square difference, lines and columns alike.
    """

    spectrum: float
    histogram: float
    autocorrelation: float


def distances(real: FloatArray, other: FloatArray, pitch: float) -> Distances:
    """Compare two pictures of the same size.

    Parameters
    ----------
    real, other : numpy.ndarray
        Heights in metres, shape (rows, columns).
    pitch : float
        Metres per pixel.

    Raises
    ------
    SignalError
        They have different shapes, or the first one is flat.
    """
    if real.shape != other.shape:
        raise SignalError(f"`other` has shape {other.shape}, not {real.shape} as `real`.")
    first, second = levelled(real), levelled(other)
    decades, correlations = [], []
    for axis in (0, 1):
        ours, theirs = (profile_spectrum(one, pitch, axis)[1] for one in (first, second))
        decades.append(np.log10(np.maximum(theirs, 1e-60) / np.maximum(ours, 1e-60)))
        correlations.append(autocorrelation(second, axis) - autocorrelation(first, axis))
    rms = first.std()
    return Distances(
        float(np.sqrt(np.mean(np.concatenate(decades) ** 2))),
        float(wasserstein_distance(first.ravel(), second.ravel()) / rms),
        float(np.sqrt(np.mean(np.concatenate(correlations) ** 2))),
    )
