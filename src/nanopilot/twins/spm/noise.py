"""Noise of the height signal, as the spectra of the settings say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numba
import numpy as np

from nanopilot.twins.spm.settings import Noise

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Slowest process of 1/f noise in hertz, and processes per decade.
SLOWEST, PER_DECADE = 1e-4, 2


@dataclass
class NoiseSource:
    """Noise that goes on from one stretch of time to the next.

    Parameters
    ----------
    noise : Noise
        Densities and amplitudes.
    rng : numpy.random.Generator
        Of the whole of it.
    rate : float
        Samples per second.
    """

    noise: Noise
    rng: np.random.Generator
    rate: float
    _pink: PinkFilter | None = field(default=None, init=False)

    def draw(self, start: float, size: int) -> FloatArray | None:
        """Return noise in metres, shape (size,); None where there is none.

        Parameters
        ----------
        start : float
            Time of the first sample in seconds; the phase of the hum hangs on it.
        size : int
            How many samples.
        """
        noise = self.noise
        if not (noise.white or noise.pink or noise.mains):
            return None
        total = np.zeros(size)
        if noise.white:
            # A one-sided density n over the band up to rate / 2 is a variance of n^2 rate / 2.
            total += self.rng.normal(0.0, noise.white * np.sqrt(self.rate / 2), size)
        if noise.pink:
            if self._pink is None:
                self._pink = PinkFilter.of(self.rate, self.rng)
            total += noise.pink * self._pink.run(self.rng.normal(size=size))
        if noise.mains:
            times = start + np.arange(size) / self.rate
            total += noise.mains * np.sin(2 * np.pi * noise.mains_frequency * times)
        return total


@dataclass
class PinkFilter:
    """Turns white into 1/f noise whose one-sided density at 1 Hz is 1 per sqrt(Hz).

    First-order sections with alternating poles and zeros, evenly spaced in log frequency, fall
    by 10 dB per decade. M. S. Keshner, Proc. IEEE 70 (1982) 212. Here as the sum of their
    partial fractions: each is a low pass of the same white noise.

    Parameters
    ----------
    poles, weights : numpy.ndarray
        Of the low passes, shape (n,).
    direct : float
        Weight of the white noise itself.
    state : numpy.ndarray
        Of the low passes; drawn so that the noise has been running for ever.
    """

    poles: FloatArray
    weights: FloatArray
    direct: float
    state: FloatArray

    @classmethod
    def of(cls, rate: float, rng: np.random.Generator) -> PinkFilter:
        """Return the filter for white noise of variance 1 at `rate` samples per second."""
        decades = np.log10(rate / 2 / SLOWEST)
        corners = SLOWEST * 10 ** (np.arange(int(decades * PER_DECADE) + 1) / PER_DECADE)
        poles = np.exp(-2 * np.pi * corners / rate)
        zeros = np.exp(-2 * np.pi * corners * 10 ** (0.5 / PER_DECADE) / rate)
        weights = _partial_fractions(poles, zeros)
        # One-sided density of white noise of variance 1 is 2 / rate; at 1 Hz it shall become 1.
        turn = np.exp(2j * np.pi * _middle(rate) / rate)
        gain = abs(np.prod((turn - zeros) / (turn - poles)))
        scale = 1 / (gain * np.sqrt(2 / rate * _middle(rate)))
        # What low passes of the same noise share: sum over k of p^k q^k.
        shared = 1 / (1 - np.multiply.outer(poles, poles))
        size, way = np.linalg.eigh(shared)
        state = way @ (np.sqrt(np.maximum(size, 0)) * rng.normal(size=poles.size))
        return cls(poles, weights * scale, scale, state)

    def run(self, white: FloatArray) -> FloatArray:
        """Return the noise that follows from white noise of variance 1."""
        out = np.empty(white.size)
        _low_passes(white, self.poles, self.weights, self.state, out)
        out += self.direct * white
        return out


def _middle(rate: float) -> float:
    """Return the frequency in hertz at which the density is set: far from both ends."""
    return float(np.sqrt(SLOWEST * rate / 2))


def _partial_fractions(poles: FloatArray, zeros: FloatArray) -> FloatArray:
    """Return w of prod (1 - z q) / (1 - z p) = 1 + sum w z / (1 - z p), z one step of delay."""
    weights = np.empty(poles.size)
    for k, pole in enumerate(poles):
        others = np.delete(poles, k)
        # Paired factors keep every intermediate product near 1.
        near = np.delete(zeros, k)
        weights[k] = (pole - zeros[k]) * np.prod((pole - near) / (pole - others))
    return weights


@numba.njit(cache=True, fastmath=True)
def _low_passes(
    white: FloatArray, poles: FloatArray, weights: FloatArray, state: FloatArray, out: FloatArray
) -> None:
    for i in range(white.size):
        total = 0.0
        for k in range(poles.size):
            total += weights[k] * state[k]
            state[k] = poles[k] * state[k] + white[i]
        out[i] = total


def height_noise(
    noise: Noise, rng: np.random.Generator, start: float, rate: float, size: int
) -> FloatArray:
    """Return one stretch of noise in metres, shape (size,); parameters as of `NoiseSource`."""
    drawn = NoiseSource(noise, rng, rate).draw(start, size)
    return np.zeros(size) if drawn is None else drawn


def digitised(values: FloatArray, z_range: float, bits: int) -> FloatArray:
    """Return heights as the converter reads them: steps of the whole range over 2**bits."""
    if not bits:
        return values
    step = 2 * z_range / 2**bits
    rounded: FloatArray = np.clip(np.round(values / step) * step, -z_range, z_range)
    return rounded
