"""The last of the straightening: all plates of a stack moved together, block of rows by block."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.ndimage import map_coordinates

from nanopilot.analysis.electrodes.stack import Stack
from nanopilot.analysis.electrodes.unmix import Bars, around, bar, ground, slope

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Rows of a block, and by how much the next one is further down.
_BLOCK, _NEXT = 8, 4
#: Highest power of the row in the shift.
_POWER = 4
#: Times it is done.
_TIMES = 3


def steady(stack: Stack, bars: Bars, rows: slice) -> Stack:
    """Return the stack with its strip straightened by what its own plates say.

    In every block of rows the plates may have moved together and spread together: two numbers,
    found by least squares with the derivative of the bars. Both are smooth along the plates.

    Parameters
    ----------
    stack : Stack
        As of `find_stack`.
    bars : Bars
        Shape of its plates.
    rows : slice
        Rows of the strip from the first tip to the bottom.
    """
    path, values, darkness = stack.strip.path.copy(), stack.strip.values, stack.darkness
    place = bars.place
    across = 2 * (np.arange(path.shape[1]) - place.mean()) / max(np.ptp(place), 1.0)
    for _ in range(_TIMES):
        found = _moves(darkness, bars, stack.slots.spacing, rows)
        if len(found) < _POWER + 3:
            return stack
        at, shift, fan = _smooth(found, len(darkness))
        moved = shift[:, None] + fan[:, None] * np.clip(across, -1.2, 1.2)
        grid = np.broadcast_to(np.arange(len(path), dtype=float)[:, None], path.shape)
        columns = np.arange(path.shape[1]) + moved
        path = map_coordinates(path, [grid, columns], order=1, mode="nearest")
        values = map_coordinates(values, [grid, columns], order=1, mode="nearest")
        darkness = -values
        if np.abs(moved[at]).max() < 0.05:
            break
    # Taken from the strip again and again, values grow soft: they are for finding the path only.
    return replace(stack, strip=replace(stack.strip, values=values, path=path), darkness=darkness)


def _moves(darkness: FloatArray, bars: Bars, spacing: float, rows: slice) -> FloatArray:
    """Return row, shift, spreading and their errors of every block, shape (blocks, 5)."""
    columns = around(bars.place, spacing, darkness.shape[1])
    shapes = bar(columns, bars.place, bars.width, bars.blur)
    rises = slope(columns, bars.place, bars.width, bars.blur)
    flat = ground(columns, spacing)
    both = np.concatenate([shapes, flat], axis=1)
    solve = np.linalg.pinv(both, rcond=1e-8)
    across = 2 * (bars.place - bars.place.mean()) / max(np.ptp(bars.place), 1.0)
    found = []
    for first in range(max(rows.start, 0), min(rows.stop, len(darkness)) - _BLOCK + 1, _NEXT):
        block = darkness[first : first + _BLOCK][:, columns.astype(int)]
        seen = block.mean(axis=0)
        height = np.clip((solve @ seen)[: len(across)], 0, None)
        moves = np.stack([rises @ height, rises @ (height * across)], axis=1)
        # What heights and ground can take up is taken off the moves too.
        moves = moves - both @ (solve @ moves)
        left = seen - both @ (solve @ seen)
        cover = np.linalg.pinv(moves.T @ moves)
        step = cover @ (moves.T @ left)
        sigma = float(np.std(np.diff(block, axis=0))) / np.sqrt(2 * _BLOCK)
        error = sigma * np.sqrt(np.clip(np.diag(cover), 0, None))
        if np.all(np.isfinite(step)) and np.all(error > 0) and error[0] < 0.5:
            limit = 0.25 * spacing
            step = np.clip(step, -limit, limit)
            found.append((first + (_BLOCK - 1) / 2, *step, *error))
    return np.array(found).reshape(-1, 5)


def _smooth(found: FloatArray, height: int) -> tuple[slice, FloatArray, FloatArray]:
    """Return rows that were measured, and shift and spreading of every row."""
    at = found[:, 0]
    low, high = at.min(), at.max()
    grid = (np.clip(np.arange(height), low, high) - low) / max(high - low, 1.0) * 2 - 1
    x = (at - low) / max(high - low, 1.0) * 2 - 1
    curves = []
    for k in (1, 2):
        weight = 1 / np.hypot(found[:, k + 2], 0.05)
        fit = np.polynomial.legendre.legfit(x, found[:, k], _POWER, w=weight)
        curves.append(np.polynomial.legendre.legval(grid, fit))
    return slice(int(low), int(high) + 1), curves[0], curves[1]
