"""Kernels of `outline`: gradients along rays, and the closed path that gathers most of them."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

#: Steps of the radius that a path may take from one ray to the next.
REACH = 2


@numba.njit(cache=True, nogil=True)
def rays(slopes: Array, place: Array, radius: Array, ladder: Array, out: Array) -> None:
    """Sample the slope of a frame along rays from the middle of each particle.

    Parameters
    ----------
    slopes : numpy.ndarray
        Along rows, and along columns, shape (2, rows, columns).
    place : numpy.ndarray
        Middle, (row, column) in pixels, shape (n, 2).
    radius : numpy.ndarray
        Unit of the ladder, in pixels, shape (n,).
    ladder : numpy.ndarray
        Distances from the middle in units of the radius, shape (distances,).
    out : numpy.ndarray
        Filled with the slope outwards, shape (n, rays, distances); rays turn from columns to rows;
        0 outside the frame.
    """
    _, rows, columns = slopes.shape
    count, turns, far = out.shape
    for one in range(count):
        for turn in range(turns):
            angle = 2 * np.pi * turn / turns
            sine, cosine = np.sin(angle), np.cos(angle)
            for step in range(far):
                y = place[one, 0] + radius[one] * ladder[step] * sine
                x = place[one, 1] + radius[one] * ladder[step] * cosine
                if not (0 <= y < rows - 1 and 0 <= x < columns - 1):
                    out[one, turn, step] = 0
                    continue
                down = _between(slopes[0], y, x)
                out[one, turn, step] = sine * down + cosine * _between(slopes[1], y, x)


@numba.njit(cache=True, nogil=True)
def _between(image: Array, y: float, x: float) -> float:
    """Return the value between four pixels."""
    row, column = int(y), int(x)
    v, u = y - row, x - column
    upper = (1 - u) * image[row, column] + u * image[row, column + 1]
    lower = (1 - u) * image[row + 1, column] + u * image[row + 1, column + 1]
    value: float = (1 - v) * upper + v * lower
    return value


@numba.njit(cache=True, nogil=True)
def closed_paths(gain: Array, bend: float, out: Array) -> None:
    """Find the path round each particle along which the gain is largest.

    The most a path can gather up to each distance of each ray, ray by ray (R. Bellman, Bull. Am.
    Math. Soc. 60 (1954) 503), twice round, so that the end meets the beginning; a change of
    distance by s steps costs `bend` s².

    Parameters
    ----------
    gain : numpy.ndarray
        Shape (n, rays, distances).
    bend : float
        In units of the gain.
    out : numpy.ndarray of int
        Filled with the distance taken on each ray, shape (n, rays).
    """
    count, turns, far = gain.shape
    best = np.zeros(far)
    after = np.zeros(far)
    came = np.zeros((2 * turns, far), dtype=np.int32)
    for one in range(count):
        best[:] = 0
        for turn in range(2 * turns):
            for step in range(far):
                most, at = -1e30, step
                for other in range(max(0, step - REACH), min(far, step + REACH + 1)):
                    value = best[other] - bend * (step - other) ** 2
                    if value > most:
                        most, at = value, other
                after[step] = most + gain[one, turn % turns, step]
                came[turn, step] = at
            best[:] = after
        step = int(np.argmax(best))
        # The middle of both rounds knows neither of its ends.
        for turn in range(2 * turns - 1, turns // 2 - 1, -1):
            if turn < turns + turns // 2:
                out[one, turn % turns] = step
            step = came[turn, step]
