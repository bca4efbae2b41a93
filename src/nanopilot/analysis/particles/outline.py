"""The outline of each candidate: a closed path round its middle along which the frame changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from nanopilot.analysis.particles.outline_kernels import closed_paths, rays

Array = np.ndarray[Any, np.dtype[Any]]

#: Rays of an outline.
RAYS = 48
#: Distances from the middle that are looked at, over the radius that is expected.
_STEP = 0.04
LADDER = np.arange(0.35, 1.76, _STEP)
#: Those that an outline may keep to: a core with a stronger edge is another candidate's.
_MAY = (LADDER > 0.65) & (LADDER < 1.5)
_NEVER = -1000.0
#: Scale of slopes in pixels (standard deviation), and the cost of a bend.
_SLOPE, BEND = 1.2, 0.35
#: Slopes in standard deviations count less than this, so that one line across does not win.
_MOST = 12.0
#: Rounds in which middle and radius are renewed.
_ROUNDS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Slopes:
    """Slopes of one level of a frame in units of their own spread.

    Parameters
    ----------
    both : numpy.ndarray
        Along rows, and along columns, float32, shape (2, rows, columns).
    spread : float
        Their unit, per pixel.
    """

    both: Array
    spread: float

    @classmethod
    def of(cls, image: Array) -> Slopes:
        """Take them from a level, shape (rows, columns)."""
        down = gaussian_filter(image, _SLOPE, order=(1, 0), mode="nearest")
        across = gaussian_filter(image, _SLOPE, order=(0, 1), mode="nearest")
        # A quarter of the pixels tells the spread as well as all.
        some = np.abs(np.concatenate([down[::2, ::2].ravel(), across[::2, ::2].ravel()]))
        spread = np.float32(1.4826 * np.median(some) or 1.0)
        return cls(np.stack([down, across]) / spread, float(spread))


@dataclass(frozen=True, slots=True, eq=False)
class Traced:
    """Outlines of some candidates, in pixels of the level.

    Parameters
    ----------
    place : numpy.ndarray
        Centre of the area, (row, column), shape (n, 2).
    radius : numpy.ndarray
        Of the disc of the same area, shape (n,).
    reach : numpy.ndarray
        From `middle` to the outline along each ray, shape (n, RAYS).
    middle, unit : numpy.ndarray
        What the rays go out from, shape (n, 2), and the unit of their ladder, shape (n,).
    slope : numpy.ndarray
        Outwards along every ray, shape (n, RAYS, distances), and `path`: which distance the
        outline takes on each, shape (n, RAYS).
    sign : numpy.ndarray
        1 where it gets brighter outwards, else -1; shape (n,).
    """

    place: Array
    radius: Array
    reach: Array
    middle: Array
    unit: Array
    slope: Array
    path: Array
    sign: Array


def trace(slopes: Slopes, place: Array, radius: Array, sign: Array) -> Traced:
    """Draw the outline of candidates.

    Middle and radius are renewed from the outline a few times, so that they need not be right.

    Parameters
    ----------
    slopes : Slopes
        Of the level.
    place, radius : numpy.ndarray
        Where they are and how large, shapes (n, 2) and (n,), in pixels of the level.
    sign : numpy.ndarray
        1 to follow where it gets brighter outwards, -1 where darker, shape (n,).
    """
    slope = np.empty((len(place), RAYS, len(LADDER)), np.float32)
    path = np.zeros((len(place), RAYS), np.int64)
    for number in range(_ROUNDS):
        rays(slopes.both, place, radius, LADDER, slope)
        gain = gains(slope, sign)
        closed_paths(np.where(_MAY, gain, np.float32(_NEVER)), BEND, path)
        reach = radius[:, None] * (LADDER[0] + _STEP * _refined(gain, path))
        shift, equal = _moments(reach)
        if number + 1 < _ROUNDS:
            place, radius = place + shift, np.clip(equal, 0.7 * radius, 1.5 * radius)
    return Traced(place + shift, equal, reach, place, radius, slope, path, sign)


def gains(slope: Array, sign: Array) -> Array:
    """Return what a path gathers at each place: slopes of one sign, large ones bent down."""
    turned = sign[:, None, None].astype(np.float32) * slope
    found: Array = turned / (1 + np.abs(turned) * np.float32(1 / _MOST))
    return found


def _refined(gain: Array, path: Array) -> Array:
    """Return paths between the steps of the ladder, shape (n, RAYS): tops of parabolas."""
    last = gain.shape[2] - 2
    middle = np.clip(path, 1, last)
    three = [gathered(gain, middle + way) for way in (-1, 0, 1)]
    # Neighbouring rays tell the same edge.
    low, top, high = (one + np.roll(one, 1, axis=1) + np.roll(one, -1, axis=1) for one in three)
    bend = low - 2 * top + high
    shift = np.divide(0.5 * (low - high), bend, out=np.zeros_like(bend), where=bend < 0)
    found: Array = np.where(path == middle, middle + np.clip(shift, -0.5, 0.5), path)
    return found


def gathered(gain: Array, path: Array) -> Array:
    """Return what lies along paths, shape (n, RAYS)."""
    found: Array = np.take_along_axis(gain, path[:, :, None], axis=2)[:, :, 0]
    return found


def _moments(reach: Array) -> tuple[Array, Array]:
    """Return the way from the middle to the centre of area, (row, column), and the radius."""
    angle = 2 * np.pi * np.arange(RAYS) / RAYS
    # A sector of angle w and reach d has the area w d²/2 and its centre at 2 d/3.
    area = (reach**2).sum(axis=1) * (np.pi / RAYS)
    moment = (reach**3) * (2 * np.pi / RAYS / 3)
    down = (moment * np.sin(angle)).sum(axis=1) / area
    across = (moment * np.cos(angle)).sum(axis=1) / area
    return np.stack([down, across], axis=1), np.sqrt(area / np.pi)


def polygon(middle: Array, reach: Array) -> Array:
    """Return the corners of one outline as (x, y) in pixels, shape (RAYS, 2)."""
    angle = 2 * np.pi * np.arange(len(reach)) / len(reach)
    return np.stack([middle[1] + reach * np.cos(angle), middle[0] + reach * np.sin(angle)], axis=1)
