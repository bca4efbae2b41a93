"""Particles that touch or overlap, told apart: cut between dents, the shared part given to both."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import binary_dilation, distance_transform_edt, gaussian_filter, label
from skimage.measure import find_contours

from nanopilot.analysis.particle_shapes.polygons import (
    dents,
    evenly,
    hull_area,
    inside,
    polygon_area,
)

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: A dent counts from so many pixels, and from this share of the diameter.
_DEEP, _DEEP_SHARE = 0.7, 0.03
#: What the hull has more than the outline, over the outline: less than this is no dent at all.
_DENTED = 0.012
#: Dents that cuts are tried between, at most; and pieces that a thing may fall into.
_DENTS, _PIECES = 10, 12
#: A cut must take away at least this share of what the hull has more.
_GAIN = 0.4
#: A piece is at least this share of the whole.
_SHARE = 0.06
#: A cut is no longer than this over the diameter of the smaller piece.
_LONG = 1.15
#: What longer cuts cost, per pixel squared.
_COST = 0.06


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A part of an outline.

    Parameters
    ----------
    points : numpy.ndarray
        Shape (n, 2).
    cuts : tuple
        Both ends of every cut that bounds it, each of shape (2, 2).
    """

    points: FloatArray
    cuts: tuple[FloatArray, ...] = ()


def split(points: FloatArray, least: float) -> list[Piece]:
    """Cut an outline between its dents until what is left is convex.

    Each cut is the one, between two dents or from a dent straight across, that leaves the least
    difference to the convex hulls of both sides. The work is bounded by the number of dents and
    never looks at the frame.

    Parameters
    ----------
    points : numpy.ndarray
        Outline in pixels, shape (n, 2).
    least : float
        Smallest area of a piece, in pixels.
    """
    waiting: list[Piece] = [Piece(evenly(points, 1.0, 1.2))]
    done: list[Piece] = []
    while waiting:
        piece = waiting.pop()
        halves = None
        if len(waiting) + len(done) + 1 < _PIECES:
            halves = _halved(piece, least)
        if halves is None:
            done.append(piece)
        else:
            waiting.extend(halves)
    return done if len(done) > 1 else [Piece(points)]


def _halved(piece: Piece, least: float) -> tuple[Piece, Piece] | None:
    points = piece.points
    area = abs(polygon_area(points))
    lost = hull_area(points) - area
    if lost < _DENTED * area:
        return None
    across = math.sqrt(4 * area / math.pi)
    reach = int(np.clip(0.16 * across, 4, 12))
    bent = dents(points, reach, max(_DEEP, _DEEP_SHARE * across))[:_DENTS]
    best: tuple[float, int, int] | None = None
    for i, j in _cuts(points, bent, reach):
        one, other = _sides(points, i, j)
        areas = sorted(abs(polygon_area(side)) for side in (one, other))
        length = float(np.hypot(*(points[i] - points[j])))
        if areas[0] < max(least, _SHARE * area) or length > _LONG * math.sqrt(
            4 * areas[0] / math.pi
        ):
            continue
        left = hull_area(one) + hull_area(other) - sum(areas)
        # Beyond the area itself: a cut that leaves the outline.
        if left > (1 - _GAIN) * lost or abs(sum(areas) - area) > 0.02 * area:
            continue
        cost = left + _COST * length**2
        if best is None or cost < best[0]:
            best = (cost, i, j)
    if best is None:
        return None
    _, i, j = best
    cut = points[[i, j]]
    one, other = _sides(points, i, j)
    return Piece(one, (*_beside(piece.cuts, one), cut)), Piece(
        other, (*_beside(piece.cuts, other), cut)
    )


def _sides(points: FloatArray, i: int, j: int) -> tuple[FloatArray, FloatArray]:
    i, j = min(i, j), max(i, j)
    return points[i : j + 1], np.concatenate([points[j:], points[: i + 1]])


def _beside(cuts: tuple[FloatArray, ...], side: FloatArray) -> tuple[FloatArray, ...]:
    """Return the earlier cuts that bound this side."""
    return tuple(
        cut for cut in cuts
        if all(np.hypot(*(side - end).T).min() < 1.5 for end in cut)
    )  # fmt: skip


def _cuts(
    points: FloatArray, bent: np.ndarray[Any, np.dtype[np.int64]], reach: int
) -> list[tuple[int, int]]:
    """Return pairs of points: all pairs of dents, and of each dent the places across from it."""
    n = len(points)
    pairs = {
        (min(a, b), max(a, b)) for number, a in enumerate(bent) for b in bent[:number]
        if min(abs(a - b), n - abs(a - b)) > 2
    }  # fmt: skip
    for a in bent:
        far = np.hypot(*(points - points[a]).T)
        gap = np.abs(np.arange(n) - a)
        far[np.minimum(gap, n - gap) < 3 * reach] = np.inf
        nearest = np.flatnonzero(
            (far <= np.roll(far, 1)) & (far <= np.roll(far, -1)) & np.isfinite(far)
        )
        pairs.update((min(int(a), int(b)), max(int(a), int(b))) for b in nearest[:3])
    return [(int(a), int(b)) for a, b in sorted(pairs)]


def completed(
    pieces: list[Piece], thickness: FloatArray, corner: tuple[int, int]
) -> list[FloatArray]:
    """Return the outline of every piece, what it shares with a neighbour given to both.

    Thicknesses add up where two particles overlap (Beer and Lambert), so the shared part is what
    lies at a cut and is thicker than the thicker of both by nearly half of the thinner.

    Parameters
    ----------
    pieces : list of Piece
        Of one thing.
    thickness : numpy.ndarray
        In any unit, of the pixels around it, shape (rows, columns).
    corner : (int, int)
        Row and column of the frame at which it begins.
    """
    shape = (thickness.shape[0], thickness.shape[1])
    masks = [inside(piece.points - np.array(corner), shape) for piece in pieces]
    plain = [_plateau(mask, thickness) for mask in masks]
    grown = [mask.copy() for mask in masks]
    for a in range(len(pieces)):
        for b in range(a):
            cut = _common(pieces[a], pieces[b])
            if cut is None:
                continue
            low, high = sorted((plain[a], plain[b]))
            pair = masks[a] | masks[b]
            shared = _shared(pair & (thickness > high + 0.45 * low), cut - np.array(corner))
            if shared is None or shared.sum() > 0.5 * min(masks[a].sum(), masks[b].sum()):
                continue
            grown[a] |= shared
            grown[b] |= shared
    return [
        piece.points if (more == mask).all() else _outline(more, piece.points, corner)
        for piece, mask, more in zip(pieces, masks, grown, strict=True)
    ]


def _plateau(mask: BoolArray, thickness: FloatArray) -> float:
    """Return the middling thickness of a piece away from its edge."""
    if not mask.any():
        return 0.0
    deep = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    inner = mask & (deep > min(2.0, 0.5 * float(deep.max())))
    return float(np.median(thickness[inner if inner.any() else mask]))


def _common(one: Piece, other: Piece) -> FloatArray | None:
    for cut in one.cuts:
        if any(cut is theirs for theirs in other.cuts):
            return cut
    return None


def _shared(thick: BoolArray, cut: FloatArray) -> BoolArray | None:
    """Return the thick part that the cut runs through; a thin line of pixels is noise."""
    steps = max(2, math.ceil(float(np.hypot(*(cut[1] - cut[0])))) * 2)
    line = np.rint(cut[0] + np.linspace(0.15, 0.85, steps)[:, None] * (cut[1] - cut[0])).astype(int)
    rows, columns = (line[:, k].clip(0, thick.shape[k] - 1) for k in range(2))
    on = np.zeros(thick.shape, dtype=bool)
    on[rows, columns] = True
    parts, _ = label(thick)
    touched = np.unique(parts[binary_dilation(on) & thick])
    found = np.isin(parts, touched[touched > 0])
    if not found.any() or found[on].mean() < 0.4:
        return None
    return found


def _outline(mask: BoolArray, points: FloatArray, corner: tuple[int, int]) -> FloatArray:
    smooth = gaussian_filter(np.pad(mask, 4).astype(np.float64), 1.0)
    lines = [np.asarray(one[:-1], dtype=np.float64) for one in find_contours(smooth, 0.5)]
    if not lines:
        return points
    drawn = max(lines, key=lambda one: abs(polygon_area(one))) - 4
    scale = math.sqrt(np.count_nonzero(mask) / max(abs(polygon_area(drawn)), 1e-9))
    middle = drawn.mean(axis=0)
    found: FloatArray = middle + (drawn - middle) * scale + np.array(corner)
    return found
