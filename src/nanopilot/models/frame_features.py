"""What a frame looks like, in some sixty numbers that change with its content and with its scale.

For `nanopilot.models.familiarity`. The frame has to be at the pixel size that a network wants: half
the magnification is another picture. Offset and gain are left out of account, and so are quarter
turns and mirrors. All numbers are means over windows of one size, so that frames and the crops that
a network is trained on can be compared.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from nanopilot.core.errors import OutOfRange

AnyArray = np.ndarray[Any, np.dtype[Any]]
FloatArray = np.ndarray[Any, np.dtype[np.float64]]
Float32 = np.ndarray[Any, np.dtype[np.float32]]

#: Rows and columns of a window, and windows along each side, at most.
WINDOW, _MOST = 128, 4
#: Rows and columns that a frame needs.
LEAST = 32
#: Cycles per pixel between bands of the spectrum: octaves, then half octaves.
_EDGES = (1 / 64, *(2.0 ** (-half / 2) for half in range(10, 1, -1)))
_PEAKED = ((1 / 32, 1 / 16), (1 / 16, 1 / 8), (1 / 8, 1 / 4), (1 / 4, 1 / 2))
#: Symmetries that are looked for in the spectrum.
_FOLDS = (2, 4, 6)
_QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
#: How often the window is halved.
_LEVELS = 4
_TINY = 1e-12

FEATURES: tuple[str, ...] = (
    *(f"power in band {number}" for number in range(len(_EDGES) + 1)),
    *(f"peak in octave {number}" for number in range(len(_PEAKED))),
    *(f"{fold}-fold, {part}" for part in ("coarse", "fine") for fold in _FOLDS),
    *(
        f"{what}, level {level}"
        for level in range(_LEVELS)
        for what in ("slope", "sparse slopes", "sparse bends", "skewed bends")
    ),
    *(
        f"{what}, level {level}"
        for level in range(2)
        for what in ("blobs for ridges", "bright for dark", "aligned", "uneven")
    ),
    *(f"quantile {one:g}" for one in _QUANTILES),
    *("skew", "kurtosis", "flat pixels", "noise", "offsets of lines, more", "and less"),
)


def frame_features(image: AnyArray) -> FloatArray:
    """Return the features of one frame, in the order of `FEATURES`.

    Power spectrum in bands and its symmetries, local structure at four scales (sparseness of
    gradients and of Laplacians: D. L. Ruderman, Netw. Comput. Neural Syst. 5 (1994) 517, section 3;
    coherence of the structure tensor: J. Bigün and G. H. Granlund, Proc. ICCV (1987) 433), the
    histogram, noise (J. Immerkær, Comput. Vis. Image Underst. 64 (1996) 300, with a median), and
    offsets from line to line.

    Parameters
    ----------
    image : numpy.ndarray
        Shape (rows, columns), at the network's pixel size; what is not finite takes the median.

    Returns
    -------
    numpy.ndarray
        Finite, shape (len(FEATURES),).

    Raises
    ------
    OutOfRange
        It is no picture, too small, or has no finite pixel.
    """
    values = standard_windows(image)
    level, pyramid = values, []
    for _ in range(_LEVELS):
        pyramid.append(level)
        level = halved(level)
    parts = [
        _spectral(values),
        *(_local(one) for one in pyramid),
        *(_shapes(one) for one in pyramid[:2]),
        _pixels(values),
    ]
    return np.asarray(np.concatenate(parts, axis=1).mean(axis=0), dtype=np.float64)


def _checked(image: AnyArray) -> FloatArray:
    values = np.asarray(image, dtype=np.float64)
    if values.ndim != 2 or min(values.shape) < LEAST:
        raise OutOfRange(
            f"`image` has shape {values.shape}; it has to be (rows, columns), {LEAST} of both at "
            "least. Take a larger frame, or a finer pixel size."
        )
    finite = np.isfinite(values)
    if not finite.any():
        raise OutOfRange("`image` has no finite pixel; give one that was measured.")
    return values if finite.all() else np.where(finite, values, np.median(values[finite]))


def _windows(image: FloatArray) -> FloatArray:
    """Return windows spread evenly over an image, shape (windows, rows, columns)."""
    rows, columns = (min(WINDOW, length) for length in image.shape)
    starts = [
        np.linspace(0, length - size, min(_MOST, -(-length // size))).round().astype(int)
        for length, size in zip(image.shape, (rows, columns), strict=True)
    ]
    return np.stack(
        [
            image[down : down + rows, across : across + columns]
            for down in starts[0]
            for across in starts[1]
        ]
    )


def standard_windows(image: AnyArray) -> Float32:
    """Return windows spread over a frame, each of mean 0 and spread 1; see `frame_features`.

    Parameters
    ----------
    image : numpy.ndarray
        Shape (rows, columns); what is not finite takes the median.

    Returns
    -------
    numpy.ndarray
        Shape (windows, rows, columns); 0 where a window is even.

    Raises
    ------
    OutOfRange
        It is no picture, too small, or has no finite pixel.
    """
    return _standard(_windows(_checked(image)))


def _standard(windows: FloatArray) -> Float32:
    centred = windows - windows.mean(axis=(1, 2), keepdims=True)
    spread = centred.std(axis=(1, 2), keepdims=True)
    # What is left of a constant after rounding is no picture.
    largest = np.abs(windows).max(axis=(1, 2), keepdims=True)
    even = spread <= 1e-12 * largest
    return np.where(even, 0.0, centred / np.where(even, 1.0, spread)).astype(np.float32)


def halved(values: AnyArray) -> AnyArray:
    """Return means over two by two pixels, shape (windows, rows // 2, columns // 2).

    Parameters
    ----------
    values : numpy.ndarray
        Shape (windows, rows, columns).
    """
    rows, columns = (length // 2 * 2 for length in values.shape[1:])
    even = values[:, :rows, :columns]
    return np.asarray(
        (even[:, ::2, ::2] + even[:, 1::2, ::2] + even[:, ::2, 1::2] + even[:, 1::2, 1::2]) / 4
    )


@lru_cache(maxsize=8)
def _sorted_frequencies(shape: tuple[int, int]) -> tuple[Float32, FloatArray, FloatArray, AnyArray]:
    """Return taper, what sums up each band, what sums up symmetries, and octaves, of a spectrum."""
    rows, columns = shape
    taper = np.outer(np.hanning(rows + 2)[1:-1], np.hanning(columns + 2)[1:-1])
    v, u = np.meshgrid(np.fft.fftfreq(rows), np.fft.rfftfreq(columns), indexing="ij")
    radius, angle = np.hypot(u, v).ravel(), np.arctan2(v, u).ravel()
    # All but the first and the middle column stand for their mirror images too.
    twice = np.where((u > 0) & (u < 0.5), 2.0, 1.0).ravel() * (radius > 0)
    band = np.searchsorted(np.array(_EDGES), radius, side="right")
    bands = np.zeros((radius.size, len(_EDGES) + 1))
    bands[np.arange(radius.size), band] = twice
    turning = []
    for part in (radius < 1 / 8, radius >= 1 / 8):
        weight = twice * part
        turning += [weight, *(weight * np.cos(n * angle) for n in _FOLDS)]
        turning += [weight * np.sin(n * angle) for n in _FOLDS]
    octaves = twice * np.stack([(radius >= low) & (radius < high) for low, high in _PEAKED])
    return taper.astype(np.float32), bands, np.stack(turning, axis=1), octaves


def _spectral(values: Float32) -> FloatArray:
    """Return shares of power in bands, peaks in octaves, and symmetries."""
    shape = (values.shape[1], values.shape[2])
    taper, bands, turning, octaves = _sorted_frequencies(shape)
    power = np.abs(np.fft.rfft2(values * taper)).astype(np.float64) ** 2
    power = power.reshape(len(values), -1)
    shares = power @ bands
    shares = shares / np.maximum(shares.sum(axis=1, keepdims=True), _TINY)
    peaks = []
    for octave in octaves:
        mean = power @ octave / max(float(octave.sum()), 1.0)
        most = (power * (octave > 0)).max(axis=1)
        peaks.append(most / np.maximum(mean, _TINY))
    sums = (power @ turning).reshape(len(values), 2, -1)
    # The sine changes its sign in a mirror, the cosine in a turn: their lengths stay.
    count = len(_FOLDS)
    folds = np.hypot(sums[..., 1 : 1 + count], sums[..., 1 + count :])
    folds = folds / np.maximum(sums[..., :1], _TINY)
    logs = [np.log10(shares + 1e-5), np.log10(np.stack(peaks, axis=1) + 1e-2)]
    return np.concatenate([*logs, folds.reshape(len(values), -1)], axis=1)


def _mean(values: AnyArray) -> AnyArray:
    return np.asarray(values.mean(axis=(1, 2), dtype=np.float64))


def _local(values: Float32) -> FloatArray:
    """Return how steep, and how sparse slopes and bends are."""
    spread = np.sqrt(_mean(values**2))
    across = values[:, :-1, 1:] - values[:, :-1, :-1]
    down = values[:, 1:, :-1] - values[:, :-1, :-1]
    square = across**2 + down**2
    slope = np.sqrt(_mean(square))
    sparse = _mean(np.sqrt(square)) / np.maximum(slope, _TINY)
    middle = values[:, 1:-1, 1:-1]
    bend = 4 * middle - values[:, 2:, 1:-1] - values[:, :-2, 1:-1]
    bend = bend - values[:, 1:-1, 2:] - values[:, 1:-1, :-2]
    size = np.maximum(np.sqrt(_mean(bend**2)), _TINY)
    skewed = np.arcsinh(_mean(bend * bend * bend) / size**3)
    steep = np.log10(slope / np.maximum(spread, _TINY) + 1e-4)
    return np.stack([steep, sparse, _mean(np.abs(bend)) / size, skewed], axis=1)


def _shapes(values: Float32) -> FloatArray:
    """Return blobs for ridges, bright for dark, alignment, and how unevenly slopes are spread."""
    middle = values[:, 1:-1, 1:-1]
    rows = values[:, 2:, 1:-1] + values[:, :-2, 1:-1] - 2 * middle
    columns = values[:, 1:-1, 2:] + values[:, 1:-1, :-2] - 2 * middle
    mixed = values[:, 2:, 2:] + values[:, :-2, :-2] - values[:, 2:, :-2] - values[:, :-2, 2:]
    half, apart = (rows + columns) / 2, np.hypot((rows - columns) / 2, mixed / 4)
    # Of both curvatures the larger is of the sign of their mean.
    most, least = np.abs(half) + apart, np.abs(np.abs(half) - apart)
    size = np.maximum(_mean(most), _TINY)
    down = (values[:, 2:, 1:-1] - values[:, :-2, 1:-1]) / 2
    across = (values[:, 1:-1, 2:] - values[:, 1:-1, :-2]) / 2
    tensor = [halved(halved(halved(one))) for one in (down**2, across**2, down * across)]
    energy = tensor[0] + tensor[1]
    aligned = np.hypot(tensor[0] - tensor[1], 2 * tensor[2])
    mean = np.maximum(_mean(energy), _TINY)
    uneven = np.log10(mean) - _mean(np.log10(energy + 1e-3 * mean[:, None, None]))
    bright = -_mean(np.sign(half) * most) / size
    return np.stack([_mean(least) / size, bright, _mean(aligned) / mean, uneven], axis=1)


def _pixels(values: Float32) -> FloatArray:
    """Return the histogram, noise, and offsets from line to line."""
    flat = np.sort(values.reshape(len(values), -1), axis=1).astype(np.float64)
    at = [round(one * (flat.shape[1] - 1)) for one in _QUANTILES]
    square = flat * flat
    skew = np.arcsinh((square * flat).mean(axis=1))
    kurtosis = np.log10((square * square).mean(axis=1) + 1e-2)
    down, across = np.diff(values, axis=1), np.diff(values, axis=2)
    still = (
        (np.abs(down) < 1e-6).mean(axis=(1, 2)) + (np.abs(across) < 1e-6).mean(axis=(1, 2))
    ) / 2
    twice = np.abs(np.diff(np.diff(values, 2, axis=1), 2, axis=2)).reshape(len(values), -1)
    noise = np.median(twice, axis=1) / (6 * 0.6745)
    lines = [_offsets(down, 2), _offsets(across, 1)]
    rest = [np.log10(still + 1e-4), np.log10(noise + 1e-4), np.maximum(*lines), np.minimum(*lines)]
    return np.concatenate([flat[:, at], np.stack([skew, kurtosis, *rest], axis=1)], axis=1)


def _offsets(steps: Float32, along: int) -> AnyArray:
    """Return how much of the steps a whole line makes together; 0 for white noise."""
    together = steps.mean(axis=along, dtype=np.float64).std(axis=1) * np.sqrt(steps.shape[along])
    alone = np.sqrt(_mean(steps**2))
    return np.asarray(np.log10((together + 1e-4) / (alone + 1e-4)))
