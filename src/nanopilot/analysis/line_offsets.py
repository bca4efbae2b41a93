"""By how much whole lines of a frame lie too high."""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
from scipy.linalg import solveh_banded

from nanopilot.analysis.frame_arrays import NORMAL_MAD, BoolArray
from nanopilot.core.history import FloatArray

Method = Literal["differences", "median"]

#: Neighbours a line is compared with: far ones keep errors from adding up.
_STEPS = (1, 2, 4)


def line_offsets(heights: FloatArray, method: Method) -> FloatArray:
    """Return the offset of every line, shape (rows,), its mean 0.

    Parameters
    ----------
    heights : numpy.ndarray
        Shape (rows, columns); NaN is left out, lines of NaN have no offset.
    method : {"differences", "median"}
        As of `MatchLines`.
    """
    if method == "median":
        return masked_medians(heights, np.isfinite(heights))
    offsets = _joined(heights)
    measured = np.isfinite(heights).any(axis=1)
    return np.where(measured, offsets - offsets[measured].mean(), 0.0)


def masked_medians(heights: FloatArray, mask: BoolArray) -> FloatArray:
    """Return the median of every line over a mask, their mean taken off; 0 where it is empty."""
    medians = _medians(np.where(mask, heights, np.nan))
    known = np.isfinite(medians)
    if not known.any():
        return np.zeros(len(heights))
    return np.where(known, medians - medians[known].mean(), 0.0)


def _medians(lines: FloatArray) -> FloatArray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # lines of NaN
        return np.asarray(np.nanmedian(lines, axis=1))


def _joined(heights: FloatArray) -> FloatArray:
    """Return the offsets that fit the medians of differences best, the first line's 0."""
    rows = len(heights)
    pairs = [_compared(heights, step) for step in _STEPS if step < rows]
    if not pairs:
        return np.zeros(rows)
    spread = np.concatenate([noise[np.isfinite(noise)] for _, noise, _ in pairs])
    usual = float(np.median(spread)) if spread.size else 0.0
    # Half a matrix: row k holds the k-th diagonal below the main one.
    bands, right = np.zeros((max(_STEPS) + 1, rows)), np.zeros(rows)
    for step, (apart, noise, count) in zip(_STEPS, pairs, strict=False):
        size = rows - step
        known = np.isfinite(apart)
        weight = np.where(known, count / (noise**2 + (0.1 * usual) ** 2 + 1e-300), 0.0)
        pull = weight * np.where(known, apart, 0.0)
        bands[0, :size] += weight
        bands[0, step:] += weight
        bands[step, :size] -= weight
        right[:size] -= pull
        right[step:] += pull
    largest = float(bands[0].max())
    if not largest:
        return np.zeros(rows)
    bands, right = bands / largest, right / largest
    # One line is held at 0, and lines that nothing is known of stay there too.
    bands[0, 0] += 1.0
    bands[0] += 1e-13
    return np.asarray(solveh_banded(bands, right, lower=True))


def _compared(heights: FloatArray, step: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return median and spread of the differences of lines `step` apart, and how many there are."""
    apart = heights[step:] - heights[:-step]
    middle = _medians(apart)
    noise = NORMAL_MAD * _medians(np.abs(apart - middle[:, None]))
    return middle, noise, np.isfinite(apart).sum(axis=1).astype(float)
