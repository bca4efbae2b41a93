"""What a request means for the tip: stretches of way, and which samples make up which pixel."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from nanopilot.core.acquiring import Filled
from nanopilot.core.geometry import path as visited
from nanopilot.core.geometry import places
from nanopilot.core.requests import Direction, ScanRequest
from nanopilot.twins.spm.channels import Pass
from nanopilot.twins.spm.line import Gone, Way
from nanopilot.twins.spm.motion import RealPath

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: Seconds of a block: several lines where they are quick, several points.
BLOCK = 0.25
#: Seconds at a place of a sparse scan, and metres per second between them.
DWELL, TRAVEL = 10e-3, 2e-6


@dataclass(frozen=True, slots=True)
class Part:
    """What the pixels of one stretch are: where they go, what was recorded, where it was sensed.

    Parameters
    ----------
    at : index
        Of the pixels in an array of one frame.
    line : Pass
        Averaged over each pixel.
    sensed : (numpy.ndarray, numpy.ndarray)
        Place of the piezos (x, y) in metres.
    """

    at: Any
    line: Pass
    sensed: tuple[FloatArray, FloatArray]


class Ways(Protocol):
    """A frame as stretches; the tip does not leave its way between them."""

    def __len__(self) -> int:
        """How many stretches there are."""

    def seconds(self, number: int) -> float:
        """Return how long a stretch takes."""

    def way(self, number: int, began: float) -> Way:
        """Return where the piezos are sent, from a time on."""

    def parts(self, number: int, gone: Gone) -> Iterator[Part]:
        """Yield the pixels of a stretch."""

    def filled(self, number: int) -> Filled | None:
        """Return which part of the frame a stretch has completed."""


@dataclass(frozen=True, slots=True)
class LineWays:
    """Lines there and back, or there in one and back in the next (serpentine).

    Parameters
    ----------
    request : ScanRequest
        What was asked for.
    path : RealPath
        For its hysteresis.
    line_rate : float
        Lines per second, there and back.
    samples : int
        Of the loop, one way.
    """

    request: ScanRequest
    path: RealPath
    line_rate: float
    samples: int

    @property
    def there_and_back(self) -> bool:
        """Whether each line is gone over twice."""
        return self.request.order != "serpentine"

    @property
    def _per_block(self) -> int:
        # Rows of a sparse scan are no slice.
        return 1 if self.request.lines else max(1, int(BLOCK * self.line_rate))

    def _rows(self, number: int) -> list[int]:
        rows = self.request.lines or range(self.request.shape[0])
        return list(rows[number * self._per_block : (number + 1) * self._per_block])

    def __len__(self) -> int:
        """How many blocks of lines there are."""
        rows = len(self.request.lines) or self.request.shape[0]
        return math.ceil(rows / self._per_block)

    def seconds(self, number: int) -> float:
        """Return how long a block takes."""
        each = 1.0 if self.there_and_back else 0.5
        return len(self._rows(number)) * each / self.line_rate

    def _backwards(self, row: int) -> tuple[bool, ...]:
        return (False, True) if self.there_and_back else (row % 2 == 1,)

    def way(self, number: int, began: float) -> Way:
        """Return the lines of a block; each goes along its own y, and on to the next at its end."""
        request, rows, size = self.request, self._rows(number), self.samples
        (count, columns), half = request.shape, 0.5 / self.line_rate
        # The field of view ends in the middle of the outermost pixels; the way covers them whole.
        width = request.field_of_view[0] * (columns / (columns - 1) if columns > 1 else 1.0)
        along = (np.arange(size) + 0.5) / size
        ways = []
        for back in (False, True):
            where = along[::-1] if back else along
            ways.append((where - 0.5) * width + self.path.lag(where, width, back=back))
        passes = [(row, back) for row in rows for back in self._backwards(row)]
        local = np.concatenate([ways[back] for _, back in passes])
        height = request.field_of_view[1]
        y = [height * (row / (count - 1) - 0.5) if count > 1 else 0.0 for row, _ in passes]
        up = np.repeat(y, size)
        cos, sin = math.cos(request.rotation), math.sin(request.rotation)
        x = request.centre[0] + cos * local
        x = x - sin * up if sin else x
        up = cos * up + request.centre[1]
        steps: FloatArray = np.arange(0.5, local.size)
        time = began + steps * (half / size)
        return Way(x, up + sin * local if sin else up, time)

    def parts(self, number: int, gone: Gone) -> Iterator[Part]:
        """Yield line by line, left pixel first."""
        rows = self._rows(number)
        passes = [(row, back) for row in rows for back in self._backwards(row)]
        named = ("x", "y", "time", "height", "error", "gap", "sensed_x", "sensed_y")
        means: dict[int, FloatArray] = {}
        pixels = []
        for name in named:
            values = getattr(gone, name)
            if id(values) not in means:
                means[id(values)] = _pixels(values.reshape(-1, self.samples), self.request.shape[1])
            pixels.append(means[id(values)])
        for k, (row, back) in enumerate(passes):
            turned = slice(None, None, -1) if back else slice(None)
            x, y, time, height, error, gap, sensed_x, sensed_y = (one[k, turned] for one in pixels)
            way: Direction = "retrace" if back and self.there_and_back else "trace"
            line = Pass(x, y, time, height, error, gap, way)
            yield Part(row, line, (sensed_x, sensed_y))

    def filled(self, number: int) -> Filled:
        """Return the rows."""
        rows = self._rows(number)
        return {"y": slice(rows[0], rows[-1] + 1)}


@dataclass(frozen=True, slots=True)
class PointWays:
    """Places one after the other, in a straight line from each to the next, and a wait at each.

    Parameters
    ----------
    request : ScanRequest
        What was asked for; every pixel of a spiral is a place.
    rate : float
        Samples of the loop per second.
    order : numpy.ndarray
        Pixels as they are visited, shape (n,).
    corners : numpy.ndarray
        Their places (x, y) in metres, the first one twice, shape (n + 1, 2).
    travel : numpy.ndarray
        Samples on the way to each, shape (n,).
    """

    request: ScanRequest
    rate: float
    order: IntArray
    corners: FloatArray
    travel: IntArray

    @classmethod
    def of(cls, request: ScanRequest, rate: float) -> PointWays:
        """Return the ways of a request."""
        order = visited(request)
        where = places(request)[order]
        corners = np.concatenate([where[:1], where])
        apart = np.hypot(*np.diff(corners, axis=0).T)
        return cls(request, rate, order, corners, np.rint(apart / TRAVEL * rate).astype(np.int64))

    @property
    def dwell(self) -> int:
        """Samples at each place."""
        request = self.request
        seconds = request.dwell_time or DWELL
        if request.line_rate is not None and not request.points:
            seconds = 0.5 / (request.line_rate * request.shape[1])
        return max(1, round(seconds * self.rate))

    @property
    def _per_block(self) -> int:
        return max(1, int(BLOCK * self.rate / self.dwell))

    def _part(self, number: int) -> slice:
        return slice(number * self._per_block, (number + 1) * self._per_block)

    def __len__(self) -> int:
        """How many blocks of places there are."""
        return math.ceil(self.order.size / self._per_block)

    def seconds(self, number: int) -> float:
        """Return how long a block takes, the way there included."""
        travel = self.travel[self._part(number)]
        return float(travel.sum() + self.dwell * travel.size) / self.rate

    def way(self, number: int, began: float) -> Way:
        """Return the way from place to place."""
        part = self._part(number)
        corners, travel = self.corners[part.start : part.stop + 1], self.travel[part]
        ends = np.cumsum(travel + self.dwell)
        samples = np.arange(ends[-1])
        stops = np.concatenate([[0], np.column_stack([ends - self.dwell, ends]).ravel()])
        held = np.repeat(corners[1:], 2, axis=0)
        x, y = (np.interp(samples, stops, np.append(corners[0, k], held[:, k])) for k in (0, 1))
        return Way(x, y, began + (samples + 0.5) / self.rate)

    def parts(self, number: int, gone: Gone) -> Iterator[Part]:
        """Yield all the places at once."""
        ends = np.cumsum(self.travel[self._part(number)] + self.dwell)
        # Every second stretch is a wait; the last one goes on to the end.
        edges = np.column_stack([ends - self.dwell, ends]).ravel()[:-1]

        def mean(values: FloatArray) -> FloatArray:
            means: FloatArray = np.add.reduceat(values, edges)[::2] / self.dwell
            return means

        pixels, columns = self.order[self._part(number)], self.request.shape[1]
        at = pixels if self.request.points else (pixels // columns, pixels % columns)
        x, y, time = mean(gone.x), mean(gone.y), mean(gone.time)
        height, error, gap = mean(gone.height), mean(gone.error), mean(gone.gap)
        line = Pass(x, y, time, height, error, gap, "trace")
        yield Part(at, line, (mean(gone.sensed_x), mean(gone.sensed_y)))

    def filled(self, number: int) -> Filled | None:
        """Return the points; a spiral is there when it is complete."""
        if self.request.points:
            part = self._part(number)
            return {"point": slice(part.start, min(part.stop, self.order.size))}
        return {"y": slice(0, self.request.shape[0])} if number == len(self) - 1 else None


def _pixels(values: FloatArray, columns: int) -> FloatArray:
    """Return means over the samples of each pixel, shape (lines, columns).

    Where the loop is slower than the pixels, a pixel has the sample that was there at its time.
    """
    lines, size = values.shape
    edges = np.arange(columns) * size // columns
    means: FloatArray
    if size < columns:
        means = values[:, edges]
    elif size % columns == 0:
        means = values.reshape(lines, columns, -1).mean(axis=-1)
    else:
        means = np.add.reduceat(values, edges, axis=1) / np.diff(np.append(edges, size))
    return means


def ways_of(request: ScanRequest, path: RealPath, line_rate: float, rate: float) -> Ways:
    """Return the ways of one frame.

    Parameters
    ----------
    request : ScanRequest
        What was asked for.
    path : RealPath
        How the tip really moves.
    line_rate : float
        Lines per second, there and back.
    rate : float
        Samples of the loop per second.
    """
    if request.order in ("points", "spiral"):
        return PointWays.of(request, rate)
    return LineWays(request, path, line_rate, max(1, round(rate / (2 * line_rate))))
