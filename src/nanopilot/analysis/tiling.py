"""Frames too large to be looked at in one piece: tiles that overlap, and what comes of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol, TypeVar

import numpy as np

from nanopilot.core.errors import OutOfRange

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
AnyArray = np.ndarray[Any, np.dtype[Any]]
FoundT = TypeVar("FoundT")


class Sliceable(Protocol):
    """An image that is read piece by piece: an array in memory, of Zarr, or of HDF5."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""

    def __getitem__(self, key: Any) -> Any:
        """Return a piece."""


class Writable(Protocol):
    """An image that is written piece by piece."""

    def __setitem__(self, key: Any, value: Any) -> None:
        """Write a piece."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A piece of a frame.

    Parameters
    ----------
    rows, columns : slice
        What is read.
    core_rows, core_columns : slice
        What belongs to this tile and to no other.
    """

    rows: slice
    columns: slice
    core_rows: slice
    core_columns: slice

    def owns(self, row: float, column: float) -> bool:
        """Tell whether a place of the frame belongs to this tile; pixel centres at integers."""
        along = self.core_rows.start - 0.5 <= row < self.core_rows.stop - 0.5
        across = self.core_columns.start - 0.5 <= column < self.core_columns.stop - 0.5
        return bool(along and across)


def tiles(shape: tuple[int, int], *, size: int = 1024, overlap: int = 128) -> list[list[Tile]]:
    """Return tiles that cover a frame, row by row.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns of the frame.
    size : int
        Rows and columns of what is read at once, at most.
    overlap : int
        Pixels that neighbours share; more than the largest thing that must be seen whole.

    Raises
    ------
    OutOfRange
        The overlap leaves nothing of a tile, or the frame is empty.
    """
    if min(shape) < 1 or not 0 <= overlap < size / 2:
        raise OutOfRange(
            f"`overlap` is {overlap} of tiles of {size} in a frame of {shape}; it is 0 or more "
            f"and less than half of `size`."
        )
    rows, columns = (_cut(count, size, overlap) for count in shape)
    return [[Tile(r, c, rr, cc) for c, cc in columns] for r, rr in rows]


def _cut(count: int, size: int, overlap: int) -> list[tuple[slice, slice]]:
    """Return what is read and what belongs to each piece along one axis."""
    if count <= size:
        return [(slice(0, count), slice(0, count))]
    pieces = -(-(count - overlap) // (size - overlap))
    starts = np.linspace(0, count - size, pieces).round().astype(int)
    middles = [0, *((a + b + size) // 2 for a, b in pairwise(starts)), count]
    return [
        (slice(int(start), int(start) + size), slice(int(low), int(high)))
        for start, low, high in zip(starts, middles, middles[1:], strict=False)
    ]


def blend(
    image: Sliceable,
    operate: Callable[[AnyArray], AnyArray],
    out: Writable,
    *,
    size: int = 1024,
    overlap: int = 128,
) -> None:
    """Apply an operation tile by tile; where tiles overlap, mix what they say.

    Memory holds one row of tiles and no more.

    Parameters
    ----------
    image : array-like
        Shape (rows, columns).
    operate : callable
        Takes a piece, shape (h, w), and returns (h, w) or (channels, h, w).
    out : array-like
        Written band by band: shape (rows, columns), or (channels, rows, columns).
    size, overlap : int
        As of `tiles`.
    """
    grid = tiles((image.shape[0], image.shape[1]), size=size, overlap=overlap)
    columns = image.shape[1]
    sums: AnyArray | None = None
    weights = np.zeros((0, columns))
    start = 0
    for number, row in enumerate(grid):
        band = row[0].rows
        sums, weights = _grown(sums, weights, band.stop - start, columns)
        for tile in row:
            found = operate(np.asarray(image[tile.rows, tile.columns]))
            weight = _weight(tile, grid)
            at = (slice(tile.rows.start - start, tile.rows.stop - start), tile.columns)
            if sums is None:
                sums = np.zeros((*found.shape[:-2], *weights.shape))
            sums[(..., *at)] += found * weight
            weights[at] += weight
        done = (grid[number + 1][0].rows.start if number + 1 < len(grid) else band.stop) - start
        assert sums is not None  # noqa: S101 - a row of tiles has a tile
        out[..., start : start + done, :] = sums[..., :done, :] / weights[:done]
        sums, weights, start = sums[..., done:, :], weights[done:], start + done


def _grown(
    sums: AnyArray | None, weights: FloatArray, rows: int, columns: int
) -> tuple[AnyArray | None, FloatArray]:
    more = rows - weights.shape[0]
    grown = np.concatenate([weights, np.zeros((more, columns))])
    if sums is None:
        return None, grown
    empty = np.zeros((*sums.shape[:-2], more, columns))
    return np.concatenate([sums, empty], axis=-2), grown


def _weight(tile: Tile, grid: list[list[Tile]]) -> FloatArray:
    """Return how much a tile counts in each of its pixels: least at edges it shares."""
    last_row, last_column = grid[-1][0].rows.stop, grid[0][-1].columns.stop
    down = _ramp(tile.rows, last_row)
    across = _ramp(tile.columns, last_column)
    found: FloatArray = np.outer(down, across)
    return found


def _ramp(part: slice, end: int) -> FloatArray:
    count = part.stop - part.start
    index = np.arange(count, dtype=float)
    rise = index + 1 if part.start > 0 else np.full(count, float(count))
    fall = count - index if part.stop < end else np.full(count, float(count))
    # Squared: next to an edge, where the operation lacked neighbours, a tile says almost nothing.
    ramp: FloatArray = (np.minimum(rise, fall) / count) ** 2
    return ramp


def gather(
    image: Sliceable,
    find: Callable[[AnyArray, Tile], list[tuple[float, float, FoundT]]],
    *,
    size: int = 1024,
    overlap: int = 128,
    threads: int = 1,
) -> Iterator[tuple[float, float, FoundT]]:
    """Look for things tile by tile; each is told once, by the tile that its place belongs to.

    Parameters
    ----------
    image : array-like
        Shape (rows, columns).
    find : callable
        Takes a piece and its tile, returns (row, column, what) with places within the piece.
    size, overlap : int
        As of `tiles`; a thing must fit into the overlap to be seen whole by its tile.
    threads : int
        Pieces that are looked at, and in memory, at once; what is told does not depend on it.

    Yields
    ------
    tuple
        (row, column, what) with places within the frame.
    """
    every = [
        tile
        for row in tiles((image.shape[0], image.shape[1]), size=size, overlap=overlap)
        for tile in row
    ]

    def look(tile: Tile) -> list[tuple[float, float, FoundT]]:
        return find(np.asarray(image[tile.rows, tile.columns]), tile)

    for tile, found in zip(every, _in_order(look, every, threads), strict=True):
        for down, across, what in found:
            place = (down + tile.rows.start, across + tile.columns.start)
            if tile.owns(*place):
                yield (*place, what)


def _in_order(
    look: Callable[[Tile], FoundT], every: Sequence[Tile], threads: int
) -> Iterator[FoundT]:
    """Yield what is found in each tile, in their order, so many of them at work at once."""
    if threads <= 1:
        yield from map(look, every)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[FoundT]] = deque()
        try:
            for tile in every:
                waiting.append(pool.submit(look, tile))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for one in waiting:
                one.cancel()
