"""Columns looked for in passes: the plain ones first, then what is left between them."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from nanopilot.analysis.atoms.finding import candidates, left_over, typical_width
from nanopilot.analysis.atoms.noise import first_noise
from nanopilot.analysis.atoms.overlaps import odd, told_apart
from nanopilot.analysis.atoms.prior import LEAST, Neighbours
from nanopilot.analysis.atoms.refining import Refined, Start, modelled, refine, width_of
from nanopilot.analysis.atoms.stamps import HEIGHT

Array = np.ndarray[Any, np.dtype[Any]]

#: Evidence (standard deviations) of the filter that a first look, and a second, begins at.
_FIRST, _SECOND = 3.0, 1.2
#: What the filter may be short of the evidence needed: the fit has the last word.
_SHORT = 1.2
#: Evidence of columns that are asked for their neighbours.
_SURE = 3.5
#: Passes over what is left.
_PASSES = 2
#: Pixels from which on threads pay.
_SMALL = 400_000
#: Rounds in which columns are dropped.
_ROUNDS = 4
#: New columns keep so many widths away from known ones, and from known ones of another shape.
_APART, _LOBES = 1.6, 3.5


def search(image: Array, width: float | None = None, least_height: float = 0.1) -> Refined:
    """Return the columns of a frame, with errors; small frames are not worth a second thread.

    Parameters
    ----------
    image : numpy.ndarray
        Counts, float64, shape (rows, columns).
    width : float, optional
        Standard deviation of a column in pixels; otherwise found.
    least_height : float
        Lower than this share of the middling column is none.
    """
    threads = numba.get_num_threads()
    if image.size < _SMALL:
        numba.set_num_threads(1)
    try:
        return _searched(image, width, least_height)
    finally:
        numba.set_num_threads(threads)


def _searched(image: Array, width: float | None, least_height: float) -> Refined:
    small = image.astype(np.float32)
    sigma = typical_width(small) if width is None else width
    noise = first_noise(small)
    first = candidates(small, sigma, _FIRST)
    shape = np.eye(2) * sigma**2
    now = refine(image, Start(first.place, first.height, shape, noise, _darkest(small)))
    for _ in range(_PASSES):
        # Two columns taken for one leave lobes that would pass for more.
        now = told_apart(image, now.keep(now.significance > LEAST))
        extra = _between(image, now)
        if not len(extra.place):
            break
        place = np.concatenate([now.table[:, :2], extra.place])
        height = np.concatenate([now.table[:, HEIGHT], extra.height])
        ground = np.concatenate([now.ground, extra.ground])
        now = refine(image, Start(place, height, now.shape, now.noise, ground))
    return told_apart(image, _settled(image, now, least_height))


def _darkest(image: Array) -> float:
    return float(np.quantile(image[::4, ::4], 0.1))


def _between(image: Array, now: Refined) -> Start:
    """Return what a fit has left that may be columns, in view of their neighbours."""
    from scipy.spatial import cKDTree

    width = width_of(now.shape)
    left = image - modelled(image, now)
    if now.under is not None:
        left -= now.under
    extra = left_over(left, image, width, _SECOND)
    sure = now.table[now.significance > _SURE, :2]
    enough = extra.score > Neighbours.of(sure).needed(extra.place) - _SHORT
    place, height = extra.place[enough], extra.height[enough]
    ground = np.zeros(len(place))
    if len(now.table) and len(place):
        tree: Any = cKDTree(now.table[:, :2])
        far, near = tree.query(place)
        # A column of another shape, too, leaves lobes beside it.
        free = far > np.where(odd(image, now)[near], _LOBES, _APART) * width
        place, height, ground = place[free], height[free], now.ground[near][free]
    return Start(place, height, now.shape, now.noise, ground)


def _settled(image: Array, now: Refined, least_height: float) -> Refined:
    """Drop what neighbours and evidence do not bear out, until nothing more goes."""
    for _ in range(_ROUNDS):
        sure = now.significance > _SURE
        needed = Neighbours.of(now.table[sure, :2]).needed(now.table[:, :2])
        tall = float(np.median(now.table[sure, HEIGHT])) if sure.any() else 0.0
        kept = (now.significance >= needed) & (now.table[:, HEIGHT] >= least_height * tall)
        if kept.all():
            break
        now = now.keep(kept)
        now = refine(
            image,
            Start(now.table[:, :2], now.table[:, HEIGHT], now.shape, now.noise, now.ground),
        )
    return now
