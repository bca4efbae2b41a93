"""The way of the beam over the pixels of a scan, in blocks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nanopilot.core.acquiring import Filled
from nanopilot.core.geometry import path, places
from nanopilot.core.requests import Order, ScanRequest

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

ORDERS: tuple[Order, ...] = ("raster", "serpentine", "spiral", "lines", "points")
#: Pixels of a block, about; a frame has a few blocks at least.
_BLOCK, _FEWEST = 16384, 4


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Pixels that are visited one after the other.

    Parameters
    ----------
    pixels : numpy.ndarray
        row * columns + column, in the order of the visit, shape (n,).
    told : numpy.ndarray
        Deflections (x, y) in metres, shape (n, 2).
    begins : numpy.ndarray
        When each pixel's dwell begins, in seconds since the frame began, shape (n,).
    line : numpy.ndarray
        When its line began, the same.
    flown : numpy.ndarray
        How far the beam flew back before the line, (x, y) in metres, shape (2,).
    seconds : float
        How long the block takes, pauses included.
    filled : mapping or None
        Which part of the frame is complete after it; None: none yet.
    """

    pixels: IntArray
    told: FloatArray
    begins: FloatArray
    line: FloatArray
    flown: FloatArray
    seconds: float
    filled: Filled | None


def dwell_of(request: ScanRequest, usual: float) -> float:
    """Return seconds per pixel: as asked, of the line rate asked for, or as usual."""
    if request.dwell_time is not None:
        return request.dwell_time
    if request.line_rate is None or request.points:
        return usual
    return 1.0 / (request.line_rate * request.shape[1])


def lines_of(request: ScanRequest) -> int:
    """Return how many lines are scanned in one frame; points and spirals are one."""
    if request.order in ("points", "spiral"):
        return 1
    return len(request.lines) or request.shape[0]


def frame_seconds(request: ScanRequest, dwell: float, wait: float) -> float:
    """Return seconds of one frame: every dwell, and a pause before every line."""
    return len(path(request)) * dwell + lines_of(request) * wait


def blocks_of(request: ScanRequest, dwell: float, wait: float) -> Iterator[Block]:
    """Yield the blocks of one frame.

    Parameters
    ----------
    request : ScanRequest
        What is scanned.
    dwell, wait : float
        Seconds per pixel, and before every line.
    """
    order, where = path(request), places(request)
    lines = lines_of(request)
    each = len(order) // lines
    per = max(1, min(_BLOCK // max(each, 1), math.ceil(lines / _FEWEST)))
    whole = request.order == "spiral"
    back = np.zeros(2)
    if request.order in ("raster", "lines") and each > 1:
        back = where[order[each - 1]] - where[order[0]]
    cuts = _cuts(request, lines, each, per)
    for first, last in cuts:
        number = np.arange(first, last)
        line = number // each
        begins = number * dwell + (line + 1) * wait
        starts = line * each * dwell + (line + 1) * wait
        pauses = wait * len(np.unique(line)) if lines > 1 or first == 0 else 0.0
        rows = request.lines or tuple(range(request.shape[0]))
        filled: Filled | None
        if request.points:
            filled = {"point": slice(first, last)}
        elif whole:
            filled = {"y": slice(0, request.shape[0])} if last == len(order) else None
        elif request.lines:
            filled = {"y": rows[first // each]}
        else:
            filled = {"y": slice(first // each, last // each)}
        seconds = (last - first) * dwell + pauses
        yield Block(order[first:last], where[order[first:last]], begins, starts, back, seconds,
                    filled)  # fmt: skip


def _cuts(request: ScanRequest, lines: int, each: int, per: int) -> list[tuple[int, int]]:
    """Return first and one past the last pixel of every block, counted along the way."""
    if request.lines:
        per = 1
    if lines == 1 and request.order in ("points", "spiral"):
        step = max(1, min(_BLOCK, math.ceil(each / _FEWEST)))
        return [(first, min(first + step, each)) for first in range(0, each, step)]
    return [(first * each, min(first + per, lines) * each) for first in range(0, lines, per)]
