"""Particles of frames of any size: piece by piece, in memory that does not grow with the frame."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from threading import Lock
from typing import Any

import numpy as np

from nanopilot.analysis.particles.candidates import Candidates, candidates
from nanopilot.analysis.particles.outline import polygon
from nanopilot.analysis.particles.probability import judge, resolve
from nanopilot.analysis.tiling import Sliceable, Tile, gather, tiles
from nanopilot.core.errors import OutOfRange, SignalError

Array = np.ndarray[Any, np.dtype[Any]]
#: Told: tiles done, tiles in all.
Progress = Callable[[int, int], None]
#: Takes a piece, returns its candidates and their probabilities.
Look = Callable[[Array], tuple[Candidates, Array]]

#: Rows and columns of a piece at least; it grows with the largest particle.
_PIECE = 2048
#: A particle is seen whole, and its surroundings too, within so many of its radii.
_SEEN = 1.8
#: Radii in pixels that are looked for if nothing else is said; the largest is no more than this
#: part of the shorter side.
SMALLEST, LARGEST, SHARE = 6.0, 128.0, 0.25
#: A radius is at least this, and a frame has at least so many pixels along a side.
LEAST_RADIUS, LEAST_SIZE = 3.0, 32


@dataclass(frozen=True, slots=True)
class Limits:
    """Radii looked for and the probability that is enough.

    Parameters
    ----------
    smallest, largest : float
        In pixels.
    probability : float
        Less probable candidates are left out.
    """

    smallest: float
    largest: float
    probability: float = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Particles, row by row of the frame; in pixels.

    Parameters
    ----------
    place, radius : numpy.ndarray
        Centre of area (row, column), shape (n, 2); radius of the disc of the same area, shape (n,).
    probability, contrast : numpy.ndarray
        Shape (n,).
    outlines : tuple of numpy.ndarray
        Corners (x, y), one closed polygon each, shape (48, 2).
    """

    place: Array
    radius: Array
    probability: Array
    contrast: Array
    outlines: tuple[Array, ...]


def classical(limits: Limits) -> Look:
    """Return what looks at one piece without a network."""

    def look(piece: Array) -> tuple[Candidates, Array]:
        found = candidates(piece, limits.smallest, limits.largest)
        return found, judge()(found.features)

    return look


def search(
    image: Sliceable,
    limits: Limits,
    look: Look | None = None,
    progress: Progress = lambda done, of: None,
    threads: int = 1,
) -> Found:
    """Return the particles of a frame that need not fit into memory.

    Parameters
    ----------
    image : array-like
        Shape (rows, columns): an array in memory, of Zarr, or of HDF5; numbers of any kind.
    limits : Limits
        What to look for.
    look : callable, optional
        How; without a network if it is left out.
    progress : callable
        Told after each piece.
    threads : int
        Pieces at once; each takes about a quarter of a gigabyte. The particles are the same.

    Raises
    ------
    SignalError
        It is no image of 32 pixels or more along each side, or has values that are not finite.
    OutOfRange
        The limits are not those of any particle in this frame.
    """
    shape = _checked(image, limits)
    overlap = 2 * math.ceil(_SEEN * limits.largest) + 2
    size = max(_PIECE, 6 * overlap)
    of = sum(len(row) for row in tiles(shape, size=size, overlap=overlap))
    look = look or classical(limits)
    counted, turn = count(1), Lock()

    def find(piece: Array, tile: Tile) -> list[tuple[float, float, tuple[Any, ...]]]:
        _finite(piece, tile)
        found = _in_piece(piece, tile, limits, look)
        with turn:
            progress(next(counted), of)
        return found

    told = gather(image, find, size=size, overlap=overlap, threads=threads)
    rows = sorted(told, key=lambda one: one[:2])
    return _distinct(rows)


def _checked(image: Sliceable, limits: Limits) -> tuple[int, int]:
    if len(image.shape) != 2 or min(image.shape) < LEAST_SIZE:
        raise SignalError(
            f"`image` has shape {tuple(image.shape)}; a frame has rows and columns, {LEAST_SIZE} "
            "or more of each."
        )
    most = max(SHARE * min(image.shape), 2 * LEAST_RADIUS) * 2
    if not LEAST_RADIUS <= limits.smallest <= limits.largest <= most:
        raise OutOfRange(
            f"`smallest` is {limits.smallest:.4g} and `largest` {limits.largest:.4g} pixels; in "
            f"this frame radii are {LEAST_RADIUS:g} to {most:.4g} pixels, the smallest first."
        )
    if not 0 <= limits.probability <= 1:
        raise OutOfRange(f"`least_probability` is {limits.probability}; it is 0 to 1.")
    return int(image.shape[0]), int(image.shape[1])


def _finite(piece: Array, tile: Tile) -> None:
    if piece.dtype.kind == "f" and not np.isfinite(piece).all():
        at = np.argwhere(~np.isfinite(piece))[0] + (tile.rows.start, tile.columns.start)
        raise SignalError(
            f"`image` is not finite at row {at[0]}, column {at[1]}; fill gaps before particles "
            "are looked for."
        )


def _in_piece(
    piece: Array, tile: Tile, limits: Limits, look: Look
) -> list[tuple[float, float, tuple[Any, ...]]]:
    """Return row and column in the piece, and the rest, of what is probable enough in it."""
    if float(piece.max()) == float(piece.min()):
        return []
    found, probability = look(piece)
    size = np.array(piece.shape)
    inside = ((found.place >= -0.5) & (found.place < size - 0.5)).all(axis=1)
    # An outline may end larger than any seed was.
    inside &= (found.radius >= limits.smallest / 1.5) & (found.radius <= limits.largest * 1.5)
    kept = np.flatnonzero(inside & (probability >= min(limits.probability, 0.5) / 2))
    some, sure = found.take(kept), probability[kept]
    best = resolve(some, sure)
    start = np.array([tile.rows.start, tile.columns.start])
    return [
        (
            float(some.place[one, 0]),
            float(some.place[one, 1]),
            (
                float(some.radius[one]), float(sure[one]), float(some.contrast[one]),
                polygon(some.middle[one] + start, some.reach[one]),
            ),
        )
        for one in best
        if sure[one] >= limits.probability
    ]  # fmt: skip


def _distinct(rows: list[tuple[float, float, tuple[Any, ...]]]) -> Found:
    """Return particles told by one tile only: two may differ a little about where one lies."""
    place = np.array([one[:2] for one in rows]).reshape(-1, 2)
    radius, sure, contrast = (np.array([one[2][k] for one in rows]) for k in range(3))
    empty = np.zeros((len(rows), 0))
    best = np.sort(resolve(Candidates(place, radius, place, empty, contrast, empty), sure))
    return Found(
        place[best], radius[best], sure[best], contrast[best],
        tuple(rows[int(one)][2][3] for one in best),
    )  # fmt: skip
