"""What a scanning-probe twin is held against: formulas and slow ways of their own.

Nothing of the twin's physics is used here, so that a mistake there cannot hide itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import map_coordinates
from scipy.signal import cont2discrete, lfilter, welch

from nanopilot.core.signals import SignalSet

FloatArray = np.ndarray[Any, np.dtype[np.float64]]


def dilated(surface: FloatArray, tip: FloatArray) -> FloatArray:
    """Return the image of a surface pixel by pixel: max over u of s(x + u) - t(u)."""
    rows, columns = surface.shape
    up, right = tip.shape[0] // 2, tip.shape[1] // 2
    image = np.full(surface.shape, -np.inf)
    for i in range(rows):
        for j in range(columns):
            low, left = max(i - up, 0), max(j - right, 0)
            part = surface[low : i + up + 1, left : j + right + 1]
            begin = np.s_[low - i + up : low - i + up + part.shape[0]]
            flank = tip[begin, left - j + right : left - j + right + part.shape[1]]
            image[i, j] = (part - flank).max()
    return image


def step_response(
    loop: tuple[float, float, float], piezo: tuple[float, float], surface: FloatArray
) -> FloatArray:
    """Return how a sampled loop follows a surface from rest, while it stays linear.

    A PID controller, its output held between samples, a piezo that is a damped oscillator:
    K. J. Astrom and B. Wittenmark, Computer-Controlled Systems, 3rd ed. 1997, chapters 2 and 8.

    Parameters
    ----------
    loop : (float, float, float)
        Samples per second, proportional gain, integral gain in 1/s.
    piezo : (float, float)
        Resonance in hertz, quality factor.
    surface : numpy.ndarray
        Heights at the samples in metres, shape (n,); the loop rests at the first.
    """
    rate, proportional, integral = loop
    w, quality = 2 * np.pi * piezo[0], piezo[1]
    held = cont2discrete((np.array([w**2]), np.array([1.0, w / quality, w**2])), 1 / rate, "zoh")
    plant, poles = np.ravel(held[0]), np.asarray(held[1], dtype=np.float64)
    # In powers of one sample's delay q: p + i / (1 - q) = (p + i - p q) / (1 - q).
    top = np.convolve(plant, [proportional + integral / rate, -proportional])
    bottom = np.convolve(poles, [1.0, -1.0])
    followed: FloatArray = surface[0] + lfilter(top, bottom + top, surface - surface[0])
    return followed


def density(signal: FloatArray, rate: float, band: tuple[float, float]) -> float:
    """Return the mean one-sided amplitude density in a band, in units per sqrt(Hz)."""
    frequency, power = welch(signal, rate, nperseg=min(16384, signal.size))
    return float(np.sqrt(power[(frequency >= band[0]) & (frequency < band[1])].mean()))


def density_at_1_hz(signal: FloatArray, rate: float, band: tuple[float, float]) -> float:
    """Return the amplitude density at 1 Hz of noise that falls as 1/f, judged from a band."""
    frequency, power = welch(signal, rate, nperseg=min(16384, signal.size))
    within = (frequency >= band[0]) & (frequency < band[1])
    return float(np.sqrt((power[within] * frequency[within]).mean()))


def amplitude(signal: FloatArray, times: FloatArray, frequency: float) -> float:
    """Return the amplitude of one frequency."""
    return float(2 * abs(np.mean(signal * np.exp(-2j * np.pi * frequency * times))))


def displacement(frame: SignalSet, name: str, truth: FloatArray, pitch: float) -> FloatArray:
    """Return where a frame really lies, less where it says: (x, y, z) in metres.

    Least squares, by Gauss and Newton, between the frame and the known image.

    Parameters
    ----------
    frame : SignalSet
        Dims (y, x), not rotated.
    name : str
        Of its channel of height.
    truth : numpy.ndarray
        Image of the whole sample, its middle at (0, 0), shape (rows, columns).
    pitch : float
        Metres per pixel of it.
    """
    x, y = np.meshgrid(frame["x"].to_numpy(), frame["y"].to_numpy())
    heights, shift, step = frame[name].to_numpy(), np.zeros(3), pitch / 2

    def there(right: float, up: float) -> FloatArray:
        row = (y + shift[1] + up) / pitch + (truth.shape[0] - 1) / 2
        column = (x + shift[0] + right) / pitch + (truth.shape[1] - 1) / 2
        found: FloatArray = map_coordinates(truth, [row, column], order=1, mode="nearest")
        return found

    for _ in range(15):
        along_x = (there(step, 0.0) - there(-step, 0.0)) / (2 * step)
        along_y = (there(0.0, step) - there(0.0, -step)) / (2 * step)
        basis = np.stack([along_x, along_y, np.ones_like(x)], axis=-1).reshape(-1, 3)
        rest = (heights - there(0.0, 0.0) - shift[2]).ravel()
        shift = shift + np.linalg.lstsq(basis, rest, rcond=None)[0]
    return shift
