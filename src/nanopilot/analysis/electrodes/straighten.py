"""Bent plates made straight: the direction of the stripes is followed from row to row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d, map_coordinates

from nanopilot.analysis.electrodes.periodicity import Patch

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Rows beyond the patch, and lags beside it, that the strip takes along.
_BEYOND, _BESIDE = 60, 3.5
#: Rows of a block that is matched with the mean of all.
_BLOCK = 12
#: Rows at either end of a patch whose direction is trusted less.
_ENDS = 28
#: Pixels that a block may be off its place.
_MOST = 2.0
#: Correlation with the mean from which a block is believed.
_ALIKE = 0.35


@dataclass(frozen=True, slots=True, eq=False)
class Strip:
    """A part of an image whose stripes have been made to run along the columns.

    Parameters
    ----------
    values : numpy.ndarray
        Brightness, shape (rows, columns).
    path : numpy.ndarray
        Column of the image that each value comes from, shape of `values`.
    first : int
        Row of the image that is the first of the strip; rows stay what they are.
    body : slice
        Rows of the strip that the patch had.
    lag : float
        Distance of repetition of the patch.
    """

    values: FloatArray
    path: FloatArray
    first: int
    body: slice
    lag: float

    def column(self, rows: FloatArray, places: FloatArray) -> FloatArray:
        """Return columns of the image for rows and columns of the strip, in pixels."""
        return np.asarray(map_coordinates(self.path, [rows, places], order=1, mode="nearest"))


def straighten(image: FloatArray, patch: Patch) -> Strip:
    """Cut a patch out of an image, with what is around it, and straighten its stripes.

    The direction is that of the structure tensor (J. Bigun & G. H. Granlund, Proc. ICCV (1987)
    433), smooth over the patch; what is left is found by matching blocks of rows with their mean.

    Parameters
    ----------
    image : numpy.ndarray
        Shape (rows, columns).
    patch : Patch
        As of `find_patches`.
    """
    first = max(patch.rows.start - _BEYOND, 0)
    last = min(patch.rows.stop + _BEYOND, image.shape[0])
    beside = round(_BESIDE * patch.lag)
    left, right = patch.columns.start - beside, patch.columns.stop + beside
    body = slice(patch.rows.start - first, patch.rows.stop - first)
    slope = _slopes(image[patch.rows, patch.columns], patch)
    columns = np.arange(left, right, dtype=float)
    path = _follow(slope, columns, (last - first, body))
    # Walls beside the stack have a direction of their own.
    mask = np.zeros(right - left)
    mask[beside : right - left - beside] = patch.score.mean(axis=0) > _ALIKE
    for _ in range(2):
        values = _along(image[first:last], path)
        path += _residual(values, body, (patch.lag, mask))
    return Strip(_along(image[first:last], path), path, first, body, patch.lag)


def _along(image: FloatArray, path: FloatArray) -> FloatArray:
    rows = np.broadcast_to(np.arange(image.shape[0], dtype=float)[:, None], path.shape)
    return np.asarray(map_coordinates(image, [rows, path], order=1, mode="nearest"))


def _powers(rows: FloatArray, columns: FloatArray, highest: int) -> FloatArray:
    """Return products of powers of rows and of the first power of columns, last axis."""
    terms = [rows**i * columns**j for i in range(highest + 1) for j in (0, 1)]
    return np.stack(np.broadcast_arrays(*terms), axis=-1)


@dataclass(frozen=True, slots=True, eq=False)
class _Slope:
    weights: FloatArray
    height: int
    middle: float

    def __call__(self, row: float, columns: FloatArray) -> FloatArray:
        """Return the slope at a row of the body and columns of the image."""
        inset = min(0.7 * _ENDS / self.height, 0.3)
        along = np.clip(row / self.height, inset, 1.0 - inset) - 0.5
        across = np.clip((columns - self.middle) / 100.0, -4.0, 4.0)
        return np.asarray(_powers(np.array(along), across, 3) @ self.weights)


def _slopes(part: FloatArray, patch: Patch) -> _Slope:
    """Fit the slope of the stripes, columns per row, over a patch."""
    smooth = gaussian_filter(part, (2.0, 1.0))
    down, right = np.gradient(smooth)
    wide = (6.0, 8.0)
    xx, yy, xy = (gaussian_filter(a, wide) for a in (right**2, down**2, right * down))
    angle = 0.5 * np.arctan2(2 * xy, xx - yy)
    slope = np.clip(-np.tan(angle), -0.5, 0.5)
    trust = np.hypot(xx - yy, 2 * xy) / (xx + yy + 1e-12 * (1 + xx.max()))
    rows, columns = np.mgrid[0 : part.shape[0] : 4, 0 : part.shape[1] : 3]
    start = patch.columns.start
    middle = start + part.shape[1] / 2
    basis = _powers(rows / part.shape[0] - 0.5, (columns + start - middle) / 100.0, 3)
    trust *= np.clip(patch.score - 0.3, 0, None)
    # The ends of plates have edges along them, which are no direction of theirs.
    inner = np.minimum(np.arange(len(part)), np.arange(len(part))[::-1]) / _ENDS
    trust *= np.clip(inner, 0.02, 1.0)[:, None] ** 2
    heavy = np.sqrt(np.clip(trust, 0, 1)[::4, ::3].ravel())
    basis = basis.reshape(-1, basis.shape[-1])
    seen = slope[::4, ::3].ravel()
    weights = np.zeros(basis.shape[1])
    for _ in range(4):
        away = np.abs(seen - basis @ weights)
        robust = heavy / np.sqrt(1 + (away / 0.05) ** 2)
        weights, *_ = np.linalg.lstsq(basis * robust[:, None], seen * robust, rcond=1e-8)
    return _Slope(weights, part.shape[0], middle)


def _follow(slope: _Slope, columns: FloatArray, rows: tuple[int, slice]) -> FloatArray:
    """Integrate the slope from the middle of the body up and down."""
    height, body = rows
    path = np.empty((height, len(columns)))
    middle = (body.start + body.stop) // 2
    path[middle] = columns
    for row in range(middle + 1, height):
        path[row] = path[row - 1] + slope(row - 0.5 - body.start, path[row - 1])
    for row in range(middle - 1, -1, -1):
        path[row] = path[row + 1] - slope(row + 0.5 - body.start, path[row + 1])
    return path


def _residual(values: FloatArray, body: slice, known: tuple[float, FloatArray]) -> FloatArray:
    """Return the smooth shift that blocks of rows still have against their mean."""
    lag, mask = known
    height, wide = values.shape
    fine = values - gaussian_filter1d(values, lag / 2, axis=1)
    inset = min(_ENDS // 2, (body.stop - body.start) // 6)
    blocks = [(r, fine[r : r + _BLOCK].mean(axis=0))
              for r in range(body.start + inset, body.stop - inset - _BLOCK + 1, _BLOCK // 2)
             ]  # fmt: skip
    mean = fine[body].mean(axis=0)
    # The lag may be that of several plates: no further than to half a narrow one.
    most = min(lag / 5, _MOST)
    reach = np.arange(-most, most + 0.25, 0.25)
    grid = np.arange(wide, dtype=float)
    moved = np.stack([np.interp(grid - shift, grid, mean) for shift in reach])
    parts = [
        mask * np.exp(-0.5 * ((grid - at * wide) / (0.15 * wide)) ** 2) for at in (0.28, 0.5, 0.72)
    ]
    found = []
    for row, block in blocks:
        for number, window in enumerate(parts):
            both = (moved * window) @ block
            size = np.sqrt((moved**2 @ window) * (block**2 @ window)) + 1e-30
            like = both / size
            best = int(np.argmax(like))
            if like[best] > _ALIKE and 0 < best < len(reach) - 1:
                a, b, c = like[best - 1 : best + 2]
                shift = reach[best] + 0.25 * 0.5 * (a - c) / (a - 2 * b + c)
                found.append((row + (_BLOCK - 1) / 2, (0.28, 0.5, 0.72)[number], shift, like[best]))
    if len(found) < 12:
        return np.zeros_like(values)
    rows, across, shift, like = np.array(found).T
    low, high = rows.min(), rows.max()

    def basis(row: FloatArray, column: FloatArray) -> FloatArray:
        along = (np.clip(row, low, high) - low) / max(high - low, 1.0) - 0.5
        return _powers(along, column - 0.5, 4)

    weights, *_ = np.linalg.lstsq(basis(rows, across) * like[:, None], shift * like, rcond=1e-6)
    everywhere = basis(np.arange(height, dtype=float)[:, None], grid[None] / wide)
    return np.asarray(everywhere @ weights)
