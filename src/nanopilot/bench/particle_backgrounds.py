"""Backgrounds without particles for scenes, and their matching: one histogram, one spectrum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.special import ndtri

Array = np.ndarray[Any, np.dtype[np.float64]]
#: Rounds of matching; the histogram is exact after each, the spectrum close after a few.
_ROUNDS = 12


def cloud(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Draw a field whose power falls with the frequency as a power of it."""
    return _coloured(
        rng, shape, lambda k: np.maximum(k, 2.0 / max(shape)) ** -rng.uniform(1.2, 1.7)
    )


def speckle(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Draw the grain of an amorphous film: one length, and a slow cloud under it."""
    middle = 1 / rng.uniform(6, 14)
    band = _coloured(rng, shape, lambda k: np.exp(-0.5 * ((k - middle) / (0.4 * middle)) ** 2))
    return _even(band + rng.uniform(0.3, 1.0) * cloud(rng, shape))


def streaks(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Draw a field much longer one way than across it."""
    turn, ratio = rng.uniform(0, np.pi), rng.uniform(3, 8)
    row, column = _frequencies(shape)
    along = np.cos(turn) * row + np.sin(turn) * column
    across = np.cos(turn) * column - np.sin(turn) * row
    k = np.hypot(ratio * along, across)
    return _filtered(rng, np.maximum(k, 2.0 / max(shape)) ** -1.4)


def terraces(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Draw steps: a slope that winds, cut into a few levels, edges a little soft, grain on them."""
    levels = np.round(_winding(rng, shape) * rng.uniform(0.8, 1.4))
    soft = gaussian_filter(levels, rng.uniform(1.0, 2.5))
    return _even(_even(soft) + rng.uniform(0.3, 0.7) * cloud(rng, shape))


def fibres(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Draw winding fibres that cross, on a cloud; none closes to a ring by itself."""
    total = np.zeros(shape)
    for _ in range(int(rng.integers(2, 6))):
        line = np.abs(_winding(rng, shape) - rng.uniform(-1.0, 1.0)) * rng.uniform(12, 25)
        total += rng.uniform(0.4, 1.0) * np.exp(-(line**2) / rng.uniform(0.5, 4))
    return _even(_even(total) + rng.uniform(0.4, 1.0) * cloud(rng, shape))


BACKGROUNDS: dict[str, Callable[[np.random.Generator, tuple[int, int]], Array]] = {
    "cloud": cloud,
    "speckle": speckle,
    "streaks": streaks,
    "terraces": terraces,
    "fibres": fibres,
}


def ranked(image: Array, middle: float, spread: float) -> Array:
    """Give an image the histogram of a normal distribution without changing the order of values.

    Parameters
    ----------
    image : numpy.ndarray
        Shape (rows, columns).
    middle, spread : float
        Mean and standard deviation of the histogram it gets; all images have the same then.
    """
    order = np.argsort(image, axis=None, kind="stable")
    values = np.empty(image.size)
    values[order] = middle + spread * ndtri((np.arange(image.size) + 0.5) / image.size)
    return values.reshape(image.shape)


def matched(empty: Array, full: Array) -> Array:
    """Give a background the histogram and the radial power spectrum of another image.

    The way of T. Schreiber and A. Schmitz, Phys. Rev. Lett. 77 (1996) 635, begun with the phases
    of the background, not with random ones: what is structured in it stays so.

    Parameters
    ----------
    empty, full : numpy.ndarray
        The background and the image it has to be like, one shape.
    """
    sorted_values = np.sort(full, axis=None)
    wanted = radial_spectrum(full)
    rings = _rings(full.shape)
    image = ranked(empty, float(full.mean()), float(full.std()))
    for _ in range(_ROUNDS):
        gain = np.sqrt(wanted / np.maximum(radial_spectrum(image), 1e-30))
        gain[0] = 1.0
        shaped = np.fft.ifft2(np.fft.fft2(image) * gain[rings]).real
        order = np.argsort(shaped, axis=None, kind="stable")
        image = np.empty(shaped.size)
        image[order] = sorted_values
        image = image.reshape(shaped.shape)
    return image


def radial_spectrum(image: Array) -> Array:
    """Return the mean power on rings of spatial frequency, shape (n,); the first is the mean."""
    rings = _rings(image.shape)
    power = np.abs(np.fft.fft2(image)) ** 2
    count = np.bincount(rings.ravel())
    total: Array = np.bincount(rings.ravel(), weights=power.ravel()) / np.maximum(count, 1)
    return total


def _rings(shape: tuple[int, ...]) -> Any:
    row, column = _frequencies((shape[0], shape[1]))
    return np.rint(np.hypot(row, column) * min(shape)).astype(int)


def _frequencies(shape: tuple[int, int]) -> tuple[Array, Array]:
    row = np.fft.fftfreq(shape[0])[:, None] * np.ones(shape)
    return row, np.fft.fftfreq(shape[1])[None, :] * np.ones(shape)


def _coloured(
    rng: np.random.Generator, shape: tuple[int, int], amplitude: Callable[[Array], Array]
) -> Array:
    return _filtered(rng, amplitude(np.hypot(*_frequencies(shape))))


def _filtered(rng: np.random.Generator, amplitude: Array) -> Array:
    return _even(np.fft.ifft2(np.fft.fft2(rng.normal(size=amplitude.shape)) * amplitude).real)


def _winding(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Return a slope with slow waves on it: its level lines run across the frame."""
    waves = _even(gaussian_filter(rng.normal(size=shape), rng.uniform(25, 60), mode="wrap"))
    row, column = (np.linspace(-1, 1, size) for size in shape)
    turn = rng.uniform(0, 2 * np.pi)
    slope = np.cos(turn) * row[:, None] + np.sin(turn) * column[None, :]
    return _even(_even(slope) + rng.uniform(0.2, 0.5) * waves)


def _even(field: Array) -> Array:
    """Bring a field to mean 0 and standard deviation 1."""
    found: Array = (field - field.mean()) / field.std()
    return found
