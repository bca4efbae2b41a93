"""Masks of plates: watershed from a marker on every plate and every gap."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates
from skimage.segmentation import watershed

from nanopilot.analysis.electrodes.tips import Tips

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: Columns that one column of the strip is made of, so that narrow plates have flanks.
_FINE = 4


def plate_labels(tips: Tips, spacing: float, bottom: float, shape: tuple[int, int]) -> IntArray:
    """Return the mask of every plate in the upright image: 1 to n, 0 elsewhere.

    Parameters
    ----------
    tips : Tips
        As of `find_tips`.
    spacing : float
        Distance of neighbouring places in pixels.
    bottom : float
        Row of the strip where plates end.
    shape : (int, int)
        Rows and columns of the upright image.
    """
    strip = tips.strip
    wide = strip.values.shape[1]
    last = int(np.clip(round(bottom), 1, len(strip.values)))
    rows = np.arange(max(int(tips.row.min()) - 3, 0), last)
    columns = np.arange(wide * _FINE) / _FINE
    grid = np.broadcast_arrays(rows[:, None].astype(float), columns)
    smooth = gaussian_filter(strip.values, (2.5, 0.4))
    fine = map_coordinates(smooth, grid, order=3, mode="nearest")
    steep = np.abs(np.gradient(fine, axis=1))
    found = watershed(steep, _markers(tips, spacing, rows, steep.shape))
    found[found > len(tips.row)] = 0
    for k, tip in enumerate(tips.row, start=1):
        found[: max(int(np.ceil(tip)) - rows[0], 0)][
            found[: max(int(np.ceil(tip)) - rows[0], 0)] == k
        ] = 0
    return _laid_back(found, tips, rows, shape)


def _markers(tips: Tips, spacing: float, rows: IntArray, shape: tuple[int, int]) -> IntArray:
    """Mark plates by their number, gaps by one more than there are plates."""
    marks = np.zeros(shape, dtype=np.int64)
    n = len(tips.row)
    place = tips.bars.place
    between = (place[1:] + place[:-1]) / 2
    close = np.diff(place) < 1.5 * spacing
    gaps = np.concatenate([
        between[close], place[:1] - spacing / 2, place[-1:] + spacing / 2,
        place[1:][~close] - spacing / 2, place[:-1][~close] + spacing / 2,
    ])  # fmt: skip
    for gap in gaps:
        at = int(np.clip(round(gap * _FINE), 0, shape[1] - 1))
        marks[:, at] = n + 1
    marks[:, : max(int((place[0] - 0.75 * spacing) * _FINE), 1)] = n + 1
    marks[:, int((place[-1] + 0.75 * spacing) * _FINE) :] = n + 1
    for k, (middle, tip) in enumerate(zip(place, tips.row, strict=True), start=1):
        at = round(float(middle) * _FINE)
        start = max(int(np.ceil(tip)) - int(rows[0]), 0)
        marks[start:, at - 1 : at + 2] = k
        marks[:start, at - 1 : at + 2] = n + 1
    return marks


def _laid_back(found: IntArray, tips: Tips, rows: IntArray, shape: tuple[int, int]) -> IntArray:
    """Bring labels of the fine strip back to where its path came from."""
    labels = np.zeros(shape, dtype=np.int64)
    path, first = tips.strip.path, tips.strip.first
    grid = np.arange(path.shape[1], dtype=float)
    for line, row in zip(found, rows, strict=True):
        here = path[row]
        low, high = max(int(np.ceil(here[0])), 0), min(int(here[-1]), shape[1] - 1)
        columns = np.arange(low, high + 1)
        back = np.interp(columns, here, grid) * _FINE
        labels[first + row, low : high + 1] = line[np.clip(np.round(back).astype(int), 0,
                                                           len(line) - 1)]  # fmt: skip
    return labels
