"""Where a scan goes, and when it is where."""

from __future__ import annotations

from typing import Any

import numpy as np

from nanopilot.core.requests import ScanRequest

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]


def own_axes(request: ScanRequest) -> tuple[FloatArray, FloatArray]:
    """Return the axes (x, y) of a frame in metres, as if it were not rotated."""
    x, y = _offsets(request)
    return request.centre[0] + x, request.centre[1] + y


def _offsets(request: ScanRequest) -> tuple[FloatArray, FloatArray]:
    (rows, columns), (width, height) = request.shape, request.field_of_view
    x = np.linspace(-0.5, 0.5, columns) if columns > 1 else np.zeros(1)
    y = np.linspace(-0.5, 0.5, rows) if rows > 1 else np.zeros(1)
    return width * x, height * y


def places(request: ScanRequest) -> FloatArray:
    """Return where every pixel lies on the sample, (x, y) in metres, shape (n, 2).

    Row by row for a frame, in their own order for sparse points.
    """
    if request.points:
        return np.array(request.points, dtype=float)
    grid = np.stack(np.meshgrid(*_offsets(request)), axis=-1).reshape(-1, 2)
    return _turned(grid, request)


def _turned(offsets: FloatArray, request: ScanRequest) -> FloatArray:
    """Turn offsets from the centre with the frame; NaN and infinity give NaN, without a warning."""
    with np.errstate(invalid="ignore"):
        cos, sin = np.cos(request.rotation), np.sin(request.rotation)
        turned: FloatArray = offsets @ np.array([[cos, sin], [-sin, cos]]) + np.array(
            request.centre
        )
    return turned


def corners(request: ScanRequest) -> FloatArray:
    """Return the outermost places a scan visits, (x, y) in metres, shape (n, 2)."""
    if request.points:
        return np.array(request.points, dtype=float)
    half = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * np.array(request.field_of_view) / 2
    return _turned(half, request)


def path(request: ScanRequest) -> IntArray:
    """Return the pixels (row * columns + column) in the order in which they are visited.

    Examples
    --------
    >>> frame = ScanRequest(centre=(0, 0), field_of_view=(1, 1), shape=(2, 3), order="serpentine")
    >>> path(frame).tolist()
    [0, 1, 2, 5, 4, 3]
    """
    if request.points:
        return np.arange(len(request.points))
    rows, columns = request.shape
    pixels = np.arange(rows * columns).reshape(rows, columns)
    if request.order == "serpentine":
        pixels[1::2] = pixels[1::2, ::-1]
    elif request.order == "lines":
        pixels = pixels[list(request.lines)]
    elif request.order == "spiral":
        return _outwards(rows, columns)
    return pixels.ravel()


def _outwards(rows: int, columns: int) -> IntArray:
    """Return the pixels ring by ring from the centre, each ring counter-clockwise."""
    row, column = np.indices((rows, columns))
    up, right = row - (rows - 1) / 2, column - (columns - 1) / 2
    ring = np.maximum(np.abs(up), np.abs(right))
    angle = np.mod(np.arctan2(up, right), 2 * np.pi)
    return np.lexsort((angle.ravel(), ring.ravel()))


def visit_times(request: ScanRequest, seconds: float) -> FloatArray:
    """Return when each pixel is visited, seconds from the start; NaN where it is not.

    Parameters
    ----------
    request : ScanRequest
        One frame of it is looked at.
    seconds : float
        Time of that frame, spent evenly along the path.

    Returns
    -------
    numpy.ndarray
        Shape (rows, columns), or (n,) for sparse points.
    """
    order = path(request)
    size = len(request.points) or request.shape[0] * request.shape[1]
    times = np.full(size, np.nan)
    times[order] = (np.arange(len(order)) + 0.5) * (seconds / len(order))
    return times if request.points else times.reshape(request.shape)
