"""Loops of `render`: atoms onto a grid, a grid to places, and sums over neighbours.

One smooth bump carries all of them, the exponential of a semicircle of A. H. Barnett, J. Magland
and L. af Klinteberg, SIAM J. Sci. Comput. 41 (2019) C479, equation 1.8; its values come from a
table of fractions of a grid step.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from nanopilot.models.quadrature import gauss_legendre

Array = np.ndarray[Any, np.dtype[Any]]

#: Grid points along an axis that one atom is spread over, and that one place is gathered from.
SPREAD, GATHER = 8, 6
#: Grid points per shortest period that is kept, over two; the bumps are as wide as this asks for.
FINER = 1.6
#: Fractions of a grid step in a table of bumps; between them it is interpolated linearly.
STEPS = 2048


def bump(width: int, distance: Array) -> Array:
    """Return the bump at distances in grid steps; 0 from half its width on.

    Its steepness is that of Barnett et al. (2019), equation 4.5, for a grid `FINER` than needed.
    """
    steep = 0.97 * math.pi * width * (1 - 1 / (2 * FINER))
    inside = np.clip(1 - (2 * distance / width) ** 2, 0.0, None)
    found: Array = np.where(inside > 0, np.exp(steep * (np.sqrt(inside) - 1)), 0.0)
    return found


def bump_table(width: int) -> Array:
    """Return values at all points under a bump, shape (STEPS + 2, width), by fraction of a step."""
    fraction = np.arange(STEPS + 2) / STEPS
    distance = fraction[:, None] - width / 2 + np.arange(width)
    return np.ascontiguousarray(bump(width, distance))


def bump_spectrum(width: int, frequency: Array) -> Array:
    """Return the Fourier transform of a bump at frequencies in cycles per grid step."""
    nodes, weights = gauss_legendre(64)
    distance = (nodes + 1) * width / 4
    waves = np.cos(2 * math.pi * np.multiply.outer(frequency, distance))
    found: Array = waves @ (bump(width, distance) * weights * width / 2)
    return found


@numba.njit(cache=True, nogil=True)
def _taps(place: float, table: Array, taps: Array) -> int:
    """Put the values of the bump at the points round a place into `taps`; return the first."""
    width = table.shape[1]
    first: int = math.ceil(place - width / 2)
    fraction = (first - place + width / 2) * STEPS
    step = int(fraction)
    rest = fraction - step
    for j in range(width):
        taps[j] = (1 - rest) * table[step, j] + rest * table[step + 1, j]
    return first


@numba.njit(cache=True, nogil=True)
def spread(rows: Array, columns: Array, weights: Array, table: Array, grid: Array) -> None:
    """Add bumps at places (grid steps) to a periodic grid.

    Parameters
    ----------
    rows, columns, weights : numpy.ndarray
        Where and how much, shape (n,).
    table : numpy.ndarray
        `bump_table` of `SPREAD`.
    grid : numpy.ndarray
        Added to, shape (rows, columns).
    """
    across, down = np.empty(SPREAD), np.empty(SPREAD)
    index = np.empty(SPREAD, dtype=np.int64)
    height, width = grid.shape
    for n in range(len(rows)):
        top = _taps(rows[n], table, down)
        left = _taps(columns[n], table, across)
        for j in range(SPREAD):
            index[j] = (left + j) % width
        for i in range(SPREAD):
            line = grid[(top + i) % height]
            share = weights[n] * down[i]
            for j in range(SPREAD):
                line[index[j]] += share * across[j]


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def gather(grids: Array, rows: Array, columns: Array, table: Array, out: Array) -> None:
    """Put what grids have at places into `out`.

    Parameters
    ----------
    grids : numpy.ndarray
        Shape (channels, rows, columns), periodic.
    rows, columns : numpy.ndarray
        Places in grid steps, shape (n,).
    table : numpy.ndarray
        `bump_table` of `GATHER`.
    out : numpy.ndarray
        Shape (channels, n).
    """
    across, down = np.empty(GATHER), np.empty(GATHER)
    index = np.empty(GATHER, dtype=np.int64)
    channels, height, width = grids.shape
    for n in range(len(rows)):
        top = _taps(rows[n], table, down)
        left = _taps(columns[n], table, across) % width
        whole = left + GATHER <= width
        for j in range(GATHER):
            index[j] = (left + j) % width
        for c in range(channels):
            total = 0.0
            for i in range(GATHER):
                line = grids[c, (top + i) % height]
                along = 0.0
                if whole:
                    for j in range(GATHER):
                        along += across[j] * line[left + j]
                else:
                    for j in range(GATHER):
                        along += across[j] * line[index[j]]
                total += down[i] * along
            out[c, n] = total


@numba.njit(cache=True, nogil=True)
def turn_phase(wave: Array, phase: Array) -> None:
    """Multiply a wave by ``exp(i phase)``; complex64 and float32, one shape."""
    flat, turned = wave.ravel(), phase.ravel()
    for n in range(len(flat)):
        flat[n] *= np.complex64(complex(math.cos(turned[n]), math.sin(turned[n])))


@numba.njit(cache=True, nogil=True)
def stamp(image: Array, place: tuple[float, float], side: int, table: Array, grids: Array) -> None:
    """Add one atom's image, as far as a square about it goes, to periodic grids.

    Parameters
    ----------
    image : numpy.ndarray
        What `gather` reads as the atom's image, its middle at index (0, 0), shape of `grids`.
    place : (float, float)
        Row and column of the atom in grid steps.
    side : int
        Of the square, in grid steps.
    table : numpy.ndarray
        `bump_table` of `GATHER`.
    grids : numpy.ndarray
        Added to, shape (channels, rows, columns).
    """
    across, down = np.empty(GATHER), np.empty(GATHER)
    channels, height, width = grids.shape
    row, column = place
    top, left = math.ceil(row - side / 2), math.ceil(column - side / 2)
    above = _taps(top - row, table, down)
    before = _taps(left - column, table, across)
    for c in range(channels):
        for i in range(side):
            for j in range(side):
                total = 0.0
                for a in range(GATHER):
                    line = image[c, (above + i + a) % height]
                    for b in range(GATHER):
                        total += down[a] * across[b] * line[(before + j + b) % width]
                grids[c, (top + i) % height, (left + j) % width] += total


@numba.njit(cache=True, nogil=True)
def add_neighbours(places: Array, atoms: Array, cells: Array, patch: Array, table: Array) -> Array:
    """Return the sum over all atoms near each place, one kind of atom and one focus.

    Parameters
    ----------
    places : numpy.ndarray
        Rows and columns in grid steps, shape (n, 2).
    atoms : numpy.ndarray
        Row, column (grid steps, none negative) and weight in each channel, shape (atoms, 2 +
        channels), sorted by cell.
    cells : numpy.ndarray
        First atom of each square cell half a patch wide, shape (rows, columns + 1), the last of
        a row being the first of the next.
    patch, table : numpy.ndarray
        As of `stamp`.

    Returns
    -------
    numpy.ndarray
        Shape (channels, n).
    """
    across, down = np.empty(GATHER), np.empty(GATHER)
    channels, side, _ = patch.shape
    out = np.zeros((channels, len(places)))
    half = side / 2
    tall, wide = cells.shape[0], cells.shape[1] - 1
    for n in range(len(places)):
        y, x = places[n]
        low, high = math.floor(x / half) - 1, math.floor(x / half) + 2
        low, high = max(low, 0), min(high, wide)
        middle = math.floor(y / half)
        for line in range(max(middle - 1, 0), min(middle + 2, tall)):
            if low >= high:
                continue
            for atom in range(cells[line, low], cells[line, high]):
                dy, dx = y - atoms[atom, 0], x - atoms[atom, 1]
                if abs(dy) > half or abs(dx) > half:
                    continue
                top, left = _taps(dy, table, down), _taps(dx, table, across)
                for c in range(channels):
                    total = 0.0
                    for i in range(GATHER):
                        row = patch[c, (top + i) % side]
                        for j in range(GATHER):
                            total += down[i] * across[j] * row[(left + j) % side]
                    out[c, n] += atoms[atom, 2 + c] * total
    return out
