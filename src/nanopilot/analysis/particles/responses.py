"""How much a frame looks like a particle of some radius at every place, whatever its contrast."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.ndimage import gaussian_filter1d
from scipy.special import j0, j1

Array = np.ndarray[Any, np.dtype[Any]]

#: Radii in pixels of the level that looks for them: from this to twice as much.
BASE = 5.0
#: Radii tried per octave.
STEPS = 4
#: Radius of the rim's middle and its width (standard deviation), over that of the particle.
_RIM, _WIDE = 0.86, 0.10
#: Softness of a disc's edge over its radius.
_SOFT = 0.07
#: Middle and spread of the rings that the spectrum is averaged over, in rings.
_SMOOTH = 1.5


@dataclass(frozen=True, slots=True, eq=False)
class Response:
    """What the filters of one radius say.

    Parameters
    ----------
    radius : float
        In pixels of the level.
    level : int
        How often the frame was halved.
    score : numpy.ndarray
        Evidence in standard deviations of what the background gives, float32, shape of the level.
    """

    radius: float
    level: int
    score: Array


def ladder(smallest: float, largest: float) -> list[tuple[int, tuple[float, ...]]]:
    """Return levels and the radii looked for on each, in pixels of the level.

    Parameters
    ----------
    smallest, largest : float
        Radii in pixels of the frame.

    Examples
    --------
    >>> [(level, len(radii)) for level, radii in ladder(5, 40)]
    [(0, 4), (1, 4), (2, 5)]
    """
    count = max(1, math.ceil(STEPS * math.log2(largest / smallest)) + 1)
    radii = np.geomspace(smallest, largest, count)
    top = max(0, math.floor(math.log2(largest / BASE) - 1e-9))
    levels = np.clip(np.floor(np.log2(radii / BASE) + 1e-9), 0, top).astype(int)
    found = []
    for level in sorted(set(levels.tolist())):
        found.append((int(level), tuple(float(r) / 2**level for r in radii[levels == level])))
    return found


def halved(image: Array) -> Array:
    """Return the means of 2 x 2 pixels; an odd last row or column is left out."""
    rows, columns = (size // 2 * 2 for size in image.shape)
    part = image[:rows, :columns]
    upper, lower = part[0::2], part[1::2]
    found: Array = 0.25 * (upper[:, 0::2] + upper[:, 1::2] + lower[:, 0::2] + lower[:, 1::2])
    return found


def pyramid(image: Array, levels: int) -> list[Array]:
    """Return an image and its halves, float32; fewer than asked where it gets too small."""
    found = [np.asarray(image, dtype=np.float32)]
    while len(found) <= levels and min(found[-1].shape) >= 4 * BASE:
        found.append(halved(found[-1]))
    return found


def responses(stack: list[Array], smallest: float, largest: float) -> Iterator[Response]:
    """Yield the response for each radius of the ladder.

    The filter is the matched one for any mix of a disc and a rim of that radius, bright or dark, in
    noise that has the spectrum of the frame itself: a matched subspace detector. L. L. Scharf and
    B. Friedlander, IEEE Trans. Signal Process. 42 (1994) 2146, equation 4.4, with the
    covariance of the background diagonal in the Fourier transform.

    Parameters
    ----------
    stack : list of numpy.ndarray
        Of `pyramid`.
    smallest, largest : float
        Radii in pixels of the frame.
    """
    for level, radii in ladder(smallest, largest):
        if level >= len(stack):
            return
        field = _Field.of(stack[level], 2 * math.ceil(radii[-1]))
        for radius in radii:
            yield Response(radius, level, field.score(radius))


@dataclass(frozen=True, slots=True, eq=False)
class _Field:
    """The whitened transform of one level, mirrored at its edges."""

    white: Array
    weight: Array
    wave: Array
    shape: tuple[int, int]
    full: tuple[int, int]
    around: int

    @classmethod
    def of(cls, image: Array, around: int) -> _Field:
        """Take a level and how much is mirrored at each edge."""
        around = min(around, min(image.shape) - 1)
        full = [next_fast_len(size + 2 * around, real=True) for size in image.shape]
        extra = [
            (around, min(whole - size - around, size - 1))
            for size, whole in zip(image.shape, full, strict=True)
        ]
        padded = np.pad(image - np.float32(image.mean()), extra, mode="reflect")
        shape = (padded.shape[0], padded.shape[1])
        row = np.fft.fftfreq(shape[0]).astype(np.float32)[:, None]
        column = np.fft.rfftfreq(shape[1]).astype(np.float32)[None, :]
        wave = np.hypot(row, column)
        transform = rfft2(padded)
        inverse = 1 / power_spectrum(transform, wave)
        inverse[0, 0] = 0
        return cls(transform * inverse, inverse, wave, image.shape, shape, around)

    def score(self, radius: float) -> Array:
        """Return the evidence for particles of a radius, in standard deviations."""
        parts = _templates(radius)
        shown = [_curve(part, self.wave) for part in parts]
        # The transform holds half of all waves: the others are their mirror images.
        double = np.full(self.wave.shape[1], 2.0, np.float32)
        double[0] = 1
        weight = self.weight * double
        size = self.full[0] * self.full[1]
        gram = np.array([[float(np.sum(a * b * weight)) for b in shown] for a in shown])
        inside = (slice(self.around, self.around + n) for n in self.shape)
        cut = tuple(inside)
        found = [irfft2(self.white * one, s=self.full)[cut] * size for one in shown]
        inverse = np.linalg.inv(gram).astype(np.float32)
        total = inverse[0, 0] * found[0] ** 2 + inverse[1, 1] * found[1] ** 2
        total += 2 * inverse[0, 1] * found[0] * found[1]
        score: Array = np.sqrt(np.maximum(total, 0))
        return score


def power_spectrum(transform: Array, wave: Array) -> Array:
    """Return the power of the background at each wave: medians over rings, in float32.

    A median, because what is no background is in few waves; it is brought to the mean of the
    exponential distribution that the power of noise has.

    Parameters
    ----------
    transform : numpy.ndarray
        Fourier transform of a real frame, shape (rows, columns // 2 + 1).
    wave : numpy.ndarray
        Spatial frequency of its entries, cycles per pixel.
    """
    count = max(8, min(transform.shape[0] // 3, 200))
    ring = np.minimum((wave * (count / 0.5)).astype(np.int32), count - 1)
    power = (transform.real**2 + transform.imag**2).ravel()
    order = np.argsort(ring, axis=None, kind="stable")
    edges = np.searchsorted(ring.ravel()[order], np.arange(count + 1))
    level = np.array(
        [
            np.log(np.median(power[order[a:b]]) / np.log(2) + 1e-30) if b > a else np.nan
            for a, b in pairwise(edges)
        ]
    )
    known = np.isfinite(level)
    level = np.interp(np.arange(count), np.flatnonzero(known), level[known])
    level = gaussian_filter1d(level, _SMOOTH, mode="nearest")
    middle = (np.arange(count) + 0.5) * (0.5 / count)
    found: Array = np.exp(np.interp(wave.ravel(), middle, level)).reshape(wave.shape)
    return found.astype(np.float32)


def _templates(radius: float) -> tuple[tuple[str, float, float], ...]:
    return (
        ("disc", radius, max(_SOFT * radius, 0.5)),
        ("rim", _RIM * radius, max(_WIDE * radius, 0.5)),
    )


def _curve(part: tuple[str, float, float], wave: Array) -> Array:
    """Return the Fourier transform of a disc or of a thin ring, blurred; a function of k alone."""
    kind, radius, blur = part
    # A table: Bessel functions of every entry would take longer than the transform.
    k = np.linspace(0, float(wave.max()) + 1e-6, 4096)
    x = 2 * np.pi * k * radius
    fall = np.exp(-2 * (np.pi * k * blur) ** 2)
    if kind == "disc":
        value = (
            np.pi
            * radius**2
            * np.where(x < 1e-6, 1.0, 2 * j1(np.maximum(x, 1e-6)) / np.maximum(x, 1e-6))
        )
    else:
        value = 2 * np.pi * radius * j0(x)
    index = np.rint(wave * ((len(k) - 1) / k[-1])).astype(np.int32)
    found: Array = (value * fall).astype(np.float32)[index]
    return found
