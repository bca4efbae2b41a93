"""Kernels of `registration`: windowed pictures, cross spectra, and their sums cell by cell.

On one thread: they are short, and two that wait for each other lose more on a busy machine.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

#: What `cell_sums` counts: pairs, powers of both, real part, gradient (2), curvature (3),
#: scatter (3).
SUMS = 12
#: Sums may be taken in any order, so that several run at once; what is no number stays none.
REORDERED = {"reassoc", "contract", "nsz"}


@numba.njit(cache=True)
def binned(values: Array, bins: int, offset: float) -> Array:
    """Return means over squares of pixels as float32, NaN where there is no number.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (rows, columns); what is left of whole squares is left out.
    bins : int
        Pixels along each side of a square.
    offset : float
        Taken off first, so that float32 keeps the digits.
    """
    rows, columns = values.shape[0] // bins, values.shape[1] // bins
    out = np.empty((rows, columns), dtype=np.float32)
    for i in range(rows):
        if bins == 2 and _whole_pairs(values[2 * i], values[2 * i + 1], offset, out[i]):
            continue
        for j in range(columns):
            total, count = 0.0, 0
            for line in range(i * bins, (i + 1) * bins):
                for place in range(j * bins, (j + 1) * bins):
                    value = values[line, place]
                    if np.isfinite(value):
                        total += value - offset
                        count += 1
            out[i, j] = total / count if count else np.nan
    return out


@numba.njit(cache=True, fastmath=REORDERED)
def _whole_pairs(above: Array, below: Array, offset: float, out: Array) -> bool:
    """Write the means of squares of two pixels; return whether all of these are numbers."""
    for j in range(out.size):
        total = (above[2 * j] - offset) + (above[2 * j + 1] - offset)
        total += (below[2 * j] - offset) + (below[2 * j + 1] - offset)
        out[j] = total * 0.25
    nothing = np.float32(0)
    for j in range(out.size):
        nothing += out[j] * np.float32(0)
    whole: bool = nothing == 0
    return whole


@numba.njit(cache=True)
def windowed(values: Array, row: Array, column: Array) -> Array:
    """Return a picture without its mean, tapered along both axes; 0 where it is no number.

    Parameters
    ----------
    values : numpy.ndarray of float32
        Shape (rows, columns).
    row, column : numpy.ndarray of float32
        Windows, shapes (rows,) and (columns,).
    """
    whole = np.empty(row.size, dtype=np.bool_)
    every, total, weights = float(column.sum()), 0.0, 0.0
    for i in range(row.size):
        line = _weighed(values[i], column)
        whole[i] = np.isfinite(line)
        if whole[i]:
            total += row[i] * line
            weights += row[i] * every
            continue
        for j in range(column.size):
            if np.isfinite(values[i, j]):
                total += row[i] * column[j] * values[i, j]
                weights += row[i] * column[j]
    mean = np.float32(total / max(1e-30, weights))
    out = np.zeros(values.shape, dtype=np.float32)
    for i in range(row.size):
        if whole[i]:
            for j in range(column.size):
                out[i, j] = (values[i, j] - mean) * row[i] * column[j]
            continue
        for j in range(column.size):
            if np.isfinite(values[i, j]):
                out[i, j] = (values[i, j] - mean) * row[i] * column[j]
    return out


@numba.njit(cache=True, fastmath=REORDERED)
def _weighed(line: Array, weights: Array) -> float:
    total = np.float32(0)
    for j in range(line.size):
        total += line[j] * weights[j]
    return float(total)


@numba.njit(cache=True, fastmath=True)
def half_phase(moving: Array, reference: Array, floor: float) -> Array:
    """Return the cross spectrum over the root of its size, 0 where that is below a floor.

    Parameters
    ----------
    moving, reference : numpy.ndarray of complex64
        Same shape.
    floor : float
        Smallest size of the product that is more than noise.
    """
    rows, columns = moving.shape
    out = np.zeros((rows, columns), dtype=np.complex64)
    least = np.float32(max(floor * floor, 1e-30))
    for i in range(rows):
        for j in range(columns):
            m, r = moving[i, j], reference[i, j]
            real = m.real * r.real + m.imag * r.imag
            imag = m.imag * r.real - m.real * r.imag
            power = real * real + imag * imag
            if power > least:
                scale = np.float32(1) / np.sqrt(np.sqrt(power))
                out[i, j] = np.complex64(complex(real * scale, imag * scale))
    return out


@numba.njit(cache=True, fastmath=True)
def cell_sums(moving: Array, reference: Array, shift: Array, width: int, edges: Array) -> Array:
    """Return sums over the cells of the half plane of frequencies.

    Parameters
    ----------
    moving, reference : numpy.ndarray of complex64
        Spectra of real pictures, shape (rows, columns // 2 + 1).
    shift : numpy.ndarray
        (y, x) in pixels by which the moving picture is brought back first.
    width : int
        Columns of the pictures.
    edges : numpy.ndarray of int
        First frequency of every cell along both axes, and one behind the last of all, shape
        (2, cells + 1); what lies beyond is left out.

    Returns
    -------
    numpy.ndarray
        Shape (cells, cells, SUMS).
    """
    rows, cells = moving.shape[0], edges.shape[1] - 1
    along = np.arange(edges[1, cells]) * (2 * np.pi / width)
    turn = np.exp(1j * shift[1] * along).astype(np.complex64)
    total = np.zeros((cells, cells, SUMS))
    for cell in range(cells):
        for index in range(edges[0, cell], edges[0, cell + 1]):
            for sign in (1, -1):
                if sign == -1 and (index == 0 or 2 * index == rows):
                    continue
                i = index if sign == 1 else rows - index
                ky = sign * index * (2 * np.pi / rows)
                lead = np.complex64(complex(np.cos(ky * shift[0]), np.sin(ky * shift[0])))
                pair = (moving[i], reference[i])
                _row_sums(total[cell], pair, lead * turn, edges[1], (ky, width))
    return total


@numba.njit(cache=True, fastmath=True)
def _row_sums(
    total: Array, pair: tuple[Array, Array], turn: Array, edges: Array, row: tuple[float, int]
) -> None:
    (m, r), (ky, width) = pair, row
    step = np.float32(2 * np.pi / width)
    for cell in range(total.shape[0]):
        begin, end = edges[cell], edges[cell + 1]
        one = other = re = im = x_im = x_re = xx_re = np.float32(0)
        im_im = x_im_im = xx_im_im = np.float32(0)
        for j in range(begin, end):
            a, b, c = m[j], r[j], turn[j]
            p = a.real * b.real + a.imag * b.imag
            q = a.imag * b.real - a.real * b.imag
            real, imag = p * c.real - q * c.imag, p * c.imag + q * c.real
            kx = np.float32(j) * step
            # Both halves of the first and of the last column are in the half plane.
            half = np.float32(0.5) if j == 0 or 2 * j == width else np.float32(1)
            one += half * (a.real * a.real + a.imag * a.imag)
            other += half * (b.real * b.real + b.imag * b.imag)
            re += half * real
            im += half * imag
            x_im += kx * imag
            x_re += kx * real
            xx_re += kx * kx * real
            im_im += half * imag * imag
            x_im_im += kx * imag * imag
            xx_im_im += kx * kx * imag * imag
        out = total[cell]
        out[0] += _pairs(begin, end, width)
        out[1] += one
        out[2] += other
        out[3] += re
        out[4] += ky * im
        out[5] += x_im
        out[6] += ky * ky * re
        out[7] += ky * x_re
        out[8] += xx_re
        out[9] += ky * ky * im_im
        out[10] += ky * x_im_im
        out[11] += xx_im_im


@numba.njit(cache=True)
def _pairs(begin: int, end: int, width: int) -> float:
    """Return how many independent coefficients columns hold: half of the first and of the last."""
    count = float(end - begin)
    if begin == 0:
        count -= 0.5
    if 2 * (end - 1) == width and end > begin:
        count -= 0.5
    return count
