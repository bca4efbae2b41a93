"""What the noise of a raster scan is made of: white, 1/f, read or in the loop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from nanopilot.analysis.noise_spectra import BoolArray, FloatArray, NoiseSpectrum

#: Share of a Hann window's power in the bin itself and in each of its neighbours.
_HANN = (1 / 6, 2 / 3, 1 / 6)
#: Variance of a sum over bins against that of independent ones: neighbours share a Hann window.
_SHARED = 1 + 2 * (2 / 3) ** 2 + 2 * (1 / 6) ** 2
#: How often a spectrum above the pixels' Nyquist frequency is folded back.
_FOLDS = 4


@dataclass(frozen=True, slots=True)
class NoiseFit:
    """White and 1/f noise that explain a spectrum.

    Parameters
    ----------
    white, pink : float
        One-sided amplitude densities, of 1/f noise at 1 Hz; m per sqrt(Hz).
    white_std, pink_std : float
        Standard errors, widened where the fit is worse than the scatter.
    misfit : float
        Root mean square of the decadic logarithm of measured over fitted density.
    likelihood : float
        Twice the negative logarithm of the likelihood; smaller is better.
    bins : int
        How many bins were used.
    """

    white: float
    pink: float
    white_std: float
    pink_std: float
    misfit: float
    likelihood: float
    bins: int


def fit_noise(
    spectrum: NoiseSpectrum, shapes: FloatArray, used: BoolArray, hum: tuple[float, ...] = ()
) -> NoiseFit | None:
    """Fit white and 1/f noise by maximum likelihood of the averaged periodogram.

    An averaged periodogram has a gamma distribution; P. Whittle, Ark. Mat. 2 (1953) 423.

    Parameters
    ----------
    spectrum : NoiseSpectrum
        Measured.
    shapes : numpy.ndarray
        What white and 1/f noise of density 1 would look like there, shape (n, 2); see
        `noise_shapes`.
    used : numpy.ndarray of bool
        Which bins: its `sure` ones, or its `alike` ones for a bound.
    hum : tuple of float
        Hertz that are left out with their multiples.

    Returns
    -------
    NoiseFit or None
        None: these are fewer than eight bins.
    """
    used = used & (spectrum.density > 0)
    for frequency in hum:
        used = used & _apart(spectrum.frequency, frequency)
    if np.count_nonzero(used) < 8:
        return None
    basis = shapes[used]
    measured = spectrum.density[used]
    powers = np.linalg.lstsq(basis / measured[:, None], np.ones(measured.size))[0].clip(0)
    for _ in range(30):
        model = np.maximum(basis @ powers, 1e-12 * measured)
        powers, _ = nnls(basis / model[:, None], measured / model)
    model = np.maximum(basis @ powers, 1e-12 * measured)
    return _judged(powers, basis / model[:, None], measured / model, spectrum.lines[used])


def _judged(
    powers: FloatArray, shares: FloatArray, ratio: FloatArray, lines: FloatArray
) -> NoiseFit:
    """Return the fit with its errors; `shares` are shapes and `ratio` is data over the model."""
    deviance = 2 * float(np.sum(lines * (ratio - 1 - np.log(ratio))))
    widened = max(1.0, deviance / ratio.size) * _SHARED
    weighted = shares * np.sqrt(lines)[:, None]
    free = powers > 0
    # What is not there at all is bounded as if it were the only one.
    spread = np.sqrt(widened / np.sum(weighted**2, axis=0))
    both = weighted[:, free]
    spread[free] = np.sqrt(np.diag(np.linalg.inv(both.T @ both)) * widened)
    size = np.sqrt(powers)
    # Of a square root; near zero the error of the power itself decides.
    error = np.where(powers > spread, spread / (2 * np.maximum(size, 1e-300)), np.sqrt(spread))
    misfit = float(np.sqrt(np.mean(np.log10(ratio) ** 2)))
    return NoiseFit(
        white=float(size[0]),
        pink=float(size[1]),
        white_std=float(error[0]),
        pink_std=float(error[1]),
        misfit=misfit,
        likelihood=deviance,
        bins=ratio.size,
    )


def noise_shapes(frequency: FloatArray, rate: float, corner: float | None = None) -> FloatArray:
    """Return what white and 1/f noise of density 1 look like in pixels, shape (n, 2).

    A pixel is the mean over its time; what is faster is folded back. A Hann window lets
    neighbouring bins into each other.

    Parameters
    ----------
    frequency : numpy.ndarray
        Hertz, evenly spaced, shape (n,).
    rate : float
        Pixels per second.
    corner : float, optional
        Hertz: the noise is in the loop, and the height follows it as a first-order low pass
        with this corner. None: it is added to the height that is read.
    """
    step = frequency[1] - frequency[0]
    shapes = np.zeros((frequency.size, 2))
    for weight, aside in zip(_HANN, (-step, 0.0, step), strict=True):
        for fold in range(-_FOLDS, _FOLDS + 1):
            there = np.abs(frequency + aside + fold * rate)
            passed = weight * np.sinc(there / rate) ** 2
            if corner is not None:
                passed = passed / (1 + (there / corner) ** 2)
            shapes[:, 0] += passed
            shapes[:, 1] += passed / np.maximum(there, step / 2)
    if corner is None:
        shapes[:, 0] = 1.0  # all folds of it together
    return shapes


def _apart(frequency: FloatArray, hum: float) -> BoolArray:
    step = frequency[1] - frequency[0]
    multiples = hum * np.arange(1, 4)
    away = np.abs(frequency[:, None] - multiples).min(axis=1)
    apart: BoolArray = away > 2.5 * step
    return apart
