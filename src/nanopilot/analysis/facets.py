"""Levelling by the slope that most of a surface has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial.legendre import legder, legval2d
from scipy.ndimage import correlate1d

from nanopilot.analysis.frame_arrays import rows_of
from nanopilot.core.errors import OutOfRange
from nanopilot.core.history import FloatArray
from nanopilot.core.signals import Signal

#: Kernel widths as parts of the spread of slopes, from wide to narrow.
_WIDTHS = (2.0, 1.4, 1.0, 0.7, 0.5, 0.35, 0.25)
_ROUNDS = 30


@dataclass(frozen=True, slots=True)
class FacetLevel:
    """Make level what most facets of a frame have in common: their slope, and its slow change.

    On a terraced surface the least-squares plane follows the staircase; the terraces are what is
    flat. Local slopes are fitted by those of a polynomial, those that do not belong left out by a
    kernel that narrows; of order 1 this is the mode of the slopes, found by mean shift.
    K. Fukunaga and L. Hostetler, IEEE Trans. Inf. Theory 21 (1975) 32.

    Parameters
    ----------
    order : int
        Of the polynomial, 1 to 4: 1 takes out tilt, 2 bow as well.
    window : int
        Pixels along each side over which a local slope is fitted, odd.
    keep_mean : bool
        Put the mean height back.

    Raises
    ------
    OutOfRange
        A setting is no good.
    """

    order: int = 1
    window: int = 5
    keep_mean: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.order <= 4:
            raise OutOfRange(f"`order` is {self.order}; 1 to 4 are allowed.")
        if self.window < 3 or self.window % 2 == 0:
            raise OutOfRange(f"`window` is {self.window}; it must be odd and at least 3.")

    def __call__(self, frame: Signal) -> Signal:
        """Return the levelled frame, dims (y, x), mean 0 unless kept; NaN stays NaN.

        Raises
        ------
        SignalError
            The frame has other dims, is smaller than the window, or has no finite pixel.
        """
        frame, heights = rows_of(frame, least=(self.window, self.window))
        level = heights - self.surface(heights)
        mean = float(np.nanmean(heights)) if self.keep_mean else 0.0
        return frame.copy(data=level - np.nanmean(level) + mean)

    def surface(self, heights: FloatArray) -> FloatArray:
        """Return the polynomial, shape (rows, columns); 0 where no window is whole."""
        half = self.window // 2
        y, x = np.meshgrid(*(np.linspace(-1, 1, size) for size in heights.shape), indexing="ij")
        inside = np.s_[half : y.shape[0] - half, half : y.shape[1] - half]
        slopes = self.slopes(heights)
        known = np.isfinite(slopes).all(axis=0)
        if not known.any():
            return np.zeros_like(heights)
        # In slopes per pixel, as those that were measured.
        steps = 2.0 / (np.array(heights.shape) - 1)
        terms = self._terms()
        bases = [
            np.stack([legval2d(y[inside][known], x[inside][known], legder(one, axis=axis)) * step
                      for one in terms], axis=-1)
            for axis, step in enumerate(steps)
        ]  # fmt: skip
        found = _fitted(slopes[:, known], np.stack(bases))
        total = sum(c * one for c, one in zip(found, terms, strict=True))
        return np.asarray(legval2d(y, x, total))

    def _terms(self) -> list[FloatArray]:
        size = self.order + 1
        places = [(j, i) for j in range(size) for i in range(size) if 0 < i + j <= self.order]
        terms = []
        for place in places:
            one = np.zeros((size, size))
            one[place] = 1.0
            terms.append(one)
        return terms

    def slopes(self, heights: FloatArray) -> FloatArray:
        """Return the slopes (y, x) per pixel of all windows, shape (2, rows, columns) of those."""
        half = self.window // 2
        ramp = np.arange(-half, half + 1) / sum(k * k for k in range(-half, half + 1))
        flat = np.full(self.window, 1 / self.window)
        level = heights - np.nanmean(heights)  # An offset would cost digits.
        inside = np.s_[half : level.shape[0] - half, half : level.shape[1] - half]
        return np.stack(
            [
                correlate1d(correlate1d(level, ramp, axis=axis), flat, axis=1 - axis)[inside]
                for axis in (0, 1)
            ]
        )


def _fitted(slopes: FloatArray, bases: FloatArray) -> FloatArray:
    """Return the terms of the polynomial whose slopes most of the measured ones have.

    Parameters
    ----------
    slopes : numpy.ndarray
        Shape (2, n).
    bases : numpy.ndarray
        Slopes of every term there, shape (2, n, terms).
    """
    weights = np.ones(slopes.shape[1])
    found = _weighted(slopes, bases, weights)
    for width in _WIDTHS:
        for _ in range(_ROUNDS):
            away = np.hypot(*(slopes - bases @ found))
            spread = float(np.median(away))
            if not spread:
                return found
            weights = np.exp(-0.5 * (away / (width * spread)) ** 2)
            moved = _weighted(slopes, bases, weights)
            step = float(np.abs(bases @ (moved - found)).max())
            found = moved
            if step < 1e-9 * spread:
                break
    return found


def _weighted(slopes: FloatArray, bases: FloatArray, weights: FloatArray) -> FloatArray:
    root = np.sqrt(weights)
    left = (bases * root[:, None]).reshape(-1, bases.shape[-1])
    scale = float(np.abs(slopes).max()) or 1.0
    terms, *_ = np.linalg.lstsq(left, (slopes / scale * root).ravel(), rcond=None)
    return np.asarray(terms * scale)
