"""How far one picture is shifted against another, in parts of a pixel, with its error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nanopilot.analysis.correlation import Pair, Peak
from nanopilot.analysis.correlation_kernels import binned
from nanopilot.core.errors import SignalError
from nanopilot.core.history import FloatArray

Array = np.ndarray[Any, np.dtype[Any]]

#: Fewest pixels along a side, and the least part of the picture that both must have.
SMALLEST, COMMON = 16, 1 / 4
#: Least concentration of the phases of two pictures of one place; see `Shift.concentration`.
LEAST = 0.5
#: Large pictures are measured on about so many pixels, and on more if more than this part of
#: what is known comes from the fast half of the frequencies.
_COARSE, _FAST = 256, 0.05
#: Windows follow the shift until they are off by less than so many pixels, at most so often.
_FOLLOWED, _TIMES = 0.01, 5
#: Pixels by which even pictures without noise are missed.
_FLOOR = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Shift:
    """Where the content of a picture has gone, against a reference.

    Parameters
    ----------
    pixels : numpy.ndarray
        (y, x) in pixels: what is at p in the reference is at p + pixels in the other.
    covariance : numpy.ndarray
        Of `pixels`, shape (2, 2).
    concentration : float
        1: phases of both agree wherever they matter; near 0: they have nothing in common.
    """

    pixels: FloatArray
    covariance: FloatArray
    concentration: float

    @property
    def matched(self) -> bool:
        """Whether both show the same place; if not, the numbers mean nothing."""
        return self.concentration >= LEAST

    @property
    def std(self) -> FloatArray:
        """Standard deviations of (y, x) in pixels."""
        return np.sqrt(np.diag(self.covariance))


def register(reference: Array, moving: Array) -> Shift:
    """Measure the shift of a picture against a reference.

    Whole pixels come from the peak of the cross-correlation, weighted by the root of the size of
    the cross spectrum: half way between plain correlation, whose peak is broad where the surface
    is smooth, and phase correlation, which counts noise as much as signal. The rest maximises the
    correlation weighted as is best for the coherence found, C. H. Knapp and G. C. Carter, IEEE
    Trans. Acoust. Speech Signal Process. 24 (1976) 320, equation 31. The Hann window of each
    picture moves along with its content, so that it draws the peak nowhere. The error follows from
    how much the phases scatter (a sandwich estimator), with no assumption on the noise but
    that it is not the same in both.

    Parameters
    ----------
    reference, moving : numpy.ndarray
        Same shape (rows, columns), at least 16 x 16. NaN counts as not measured.

    Returns
    -------
    Shift
        In pixels; ask `matched` before believing it.

    Raises
    ------
    SignalError
        Shapes differ or are too small, or nothing was measured.

    Examples
    --------
    >>> picture = np.random.default_rng(0).normal(size=(64, 64))
    >>> register(picture, np.roll(picture, (2, -3), axis=(0, 1))).pixels.round().tolist()
    [2.0, -3.0]
    """
    reference, moving = np.asarray(reference), np.asarray(moving)
    offset = _check(reference, moving)
    levels = [(reference, moving)]
    while min(levels[-1][0].shape) // 2 >= _COARSE:
        shift = offset if len(levels) == 1 else 0.0
        first, second = levels[-1]
        levels.append((binned(first, 2, shift), binned(second, 2, shift)))
    found: Peak | None = None
    while True:
        pair = levels.pop()
        if not levels:
            pair = binned(reference, 1, offset), binned(moving, 1, offset)
        start = 2 * found.shift if found and found.concentration >= LEAST else None
        found = _follow(*pair, start, last=not levels)
        if not levels or (found.concentration >= LEAST and found.fast <= _FAST):
            break
    bins = 2 ** len(levels)
    covariance = found.covariance * bins**2 + np.eye(2) * _FLOOR**2
    return Shift(found.shift * bins, covariance, found.concentration)


def _follow(reference: Array, moving: Array, start: FloatArray | None, *, last: bool) -> Peak:
    """Return the peak seen through windows that lie where the content is.

    Unless it is the last, a picture of which more is known on more pixels need not be precise.
    """
    shape = np.array(reference.shape)
    followed = np.zeros(2) if start is None else start
    pair = Pair.of(reference, moving, followed)
    found = pair.climb(pair.coarse() if start is None else start)
    for _ in range(_TIMES):
        if (shape - np.abs(found.shift) < np.maximum(SMALLEST, COMMON * shape)).any():
            return Peak(found.shift, np.full((2, 2), np.inf), 0.0, 0.0)
        if np.abs(found.shift - followed).max() < _FOLLOWED or not (last or found.fast <= _FAST):
            break
        followed = found.shift
        found = Pair.of(reference, moving, followed).climb(followed)
    return found


def _check(reference: Array, moving: Array) -> float:
    """Return some height of the reference, or say what is wrong with the pictures."""
    if reference.shape != moving.shape or reference.ndim != 2 or min(reference.shape) < SMALLEST:
        raise SignalError(
            f"`moving` has shape {moving.shape} and `reference` {reference.shape}; they must have "
            f"the same, at least {SMALLEST} x {SMALLEST} pixels."
        )
    heights = [_some(one) for one in (reference, moving)]
    for name, height in zip(("reference", "moving"), heights, strict=True):
        if height is None:
            raise SignalError(f"`{name}` has no finite pixel; give a frame that was measured.")
    return heights[0] or 0.0


def _some(values: Array) -> float | None:
    """Return the first finite value there is."""
    for line in values:
        finite = line[np.isfinite(line)]
        if finite.size:
            return float(finite[0])
    return None
