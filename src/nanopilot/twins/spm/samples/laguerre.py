"""Laguerre (power) cells on pixels, and cells of given sizes."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

_TILE, _BLOCK = 16, 128
#: The additive recurrence on the plane that fills it most evenly: powers of 1 / 1.3247..., the
#: root of x³ = x + 1.
_EVEN = np.array([0.7548776662466927, 0.5698402909980532])
#: Rounds in which places and weights are adapted, and those in which only weights are.
_ROUNDS, _SHIFTS = 40, 12


@numba.njit(cache=True)
def _candidates(
    seeds: FloatArray,
    weights: FloatArray,
    among: IntArray,
    middle: tuple[float, float],
    reach: float,
) -> IntArray:
    """Return which cells may hold a place within `reach` of the middle.

    Of two powers the difference is linear in the place, with gradient 2 (c_j - c_i): a cell that
    loses at the middle by more than 2 reach |c_j - c_i| to the one that wins there holds nothing.
    """
    best, winner = np.inf, among[0]
    powers = np.empty(among.size)
    for n in range(among.size):
        i = among[n]
        power = (seeds[i, 0] - middle[0]) ** 2 + (seeds[i, 1] - middle[1]) ** 2 - weights[i]
        powers[n] = power
        if power < best:
            best, winner = power, i
    kept = np.empty(among.size, dtype=np.int64)
    count = 0
    for n in range(among.size):
        i = among[n]
        apart = np.hypot(seeds[i, 0] - seeds[winner, 0], seeds[i, 1] - seeds[winner, 1])
        if powers[n] - best <= 2 * reach * apart * (1 + 1e-9) + 1e-9:
            kept[count] = i
            count += 1
    return kept[:count].copy()


@numba.njit(cache=True)
def power_cells(seeds: FloatArray, weights: FloatArray, rows: int, columns: int) -> IntArray:
    """Return the number of the cell of every pixel, shape (rows, columns).

    The power of a place p in cell i is |p - c_i|² - w_i; a place belongs to the cell where that
    is smallest (Aurenhammer, SIAM J. Comput. 16, 78 (1987)). Blocks, and tiles in them, first
    find out which few cells they can hold.

    Parameters
    ----------
    seeds : numpy.ndarray
        Fractional (row, column) of each cell, shape (n, 2).
    weights : numpy.ndarray
        Pixels², shape (n,).
    rows, columns : int
        Of pixels.
    """
    label = np.empty((rows, columns), dtype=np.int64)
    everyone = np.arange(weights.size)
    half_diagonal = 0.5 * np.sqrt(2.0)
    for top in range(0, rows, _BLOCK):
        for left in range(0, columns, _BLOCK):
            middle = (top + (_BLOCK - 1) / 2, left + (_BLOCK - 1) / 2)
            near = _candidates(seeds, weights, everyone, middle, half_diagonal * _BLOCK)
            for up in range(top, min(top + _BLOCK, rows), _TILE):
                for side in range(left, min(left + _BLOCK, columns), _TILE):
                    centre = (up + (_TILE - 1) / 2, side + (_TILE - 1) / 2)
                    few = _candidates(seeds, weights, near, centre, half_diagonal * _TILE)
                    tile = label[up : up + _TILE, side : side + _TILE]
                    _decide(seeds, weights, few, tile, (up, side))
    return label


@numba.njit(cache=True)
def _decide(
    seeds: FloatArray, weights: FloatArray, few: IntArray, tile: IntArray, first: tuple[int, int]
) -> None:
    """Fill one tile, whose first pixel is (row, column)."""
    up, side = first
    for i in range(tile.shape[0]):
        for j in range(tile.shape[1]):
            best, winner = np.inf, few[0]
            for cell in few:
                away = (seeds[cell, 0] - up - i) ** 2 + (seeds[cell, 1] - side - j) ** 2
                if away - weights[cell] < best:
                    best, winner = away - weights[cell], cell
            tile[i, j] = winner


def cells_of_sizes(
    rng: np.random.Generator, areas: FloatArray, rows: int, columns: int
) -> tuple[FloatArray, FloatArray]:
    """Return seeds and weights whose cells have, nearly, the areas that are asked for.

    Seeds start at random, move to the middles of their cells a few times, and weights grow where
    a cell is too small: the cell of area A and about six neighbours gains sqrt(3) per unit of
    weight. Bourne and others (Phil. Mag. 100, 2677 (2020)) show that such weights exist.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where the cells begin.
    areas : numpy.ndarray
        Wanted, shape (n,); scaled so that together they fill the pixels.
    rows, columns : int
        Of pixels: enough of them that a small cell still has some.
    """
    target = areas * (rows * columns / areas.sum())
    # Evenly spread from the beginning: where many crowd, weights alone would have to make room.
    even = np.outer(np.arange(areas.size), _EVEN) + rng.uniform(0, 1, 2)
    even += 0.4 / np.sqrt(areas.size) * rng.standard_normal((areas.size, 2))
    seeds = (even % 1.0) * (rows, columns) - 0.5
    weights = target / np.pi
    row, column = np.indices((rows, columns))
    for turn in range(_ROUNDS):
        label = power_cells(seeds, weights, rows, columns).ravel()
        found = np.bincount(label, minlength=areas.size)
        weights = weights + 0.8 / np.sqrt(3) * (target - found)
        if turn < _SHIFTS:
            there = np.maximum(found, 1)
            middles = [np.bincount(label, one.ravel(), areas.size) / there for one in (row, column)]
            seeds = np.where(found[:, None] > 0, np.stack(middles, axis=1), seeds)
    return seeds, weights
