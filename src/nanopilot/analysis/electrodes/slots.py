"""Places of plates in a straightened strip: ridges held together by a prior on their spacing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d, map_coordinates

from nanopilot.analysis.electrodes.straighten import Strip

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Steps per pixel of the search.
_FINE = 4
#: Standard deviation of a spacing, as a share of it, and how far it may be off.
_SPREAD, _FURTHEST = 0.07, 0.35
#: Weight of the spacing against the ridge.
_TIGHT = 0.5
#: Share of the middle places that must be ridges for the spacing to be halved.
_HALVES = 0.6
#: Standard deviations by which a ridge between others must rise.
_RISE = 4.0
#: Least spacing in pixels.
_LEAST = 3.5


@dataclass(frozen=True, slots=True, eq=False)
class Slots:
    """Places in the strip where a plate is or should be.

    Parameters
    ----------
    place : numpy.ndarray
        Columns of the strip, shape (n,), ascending.
    spacing : float
        Distance of neighbours in pixels.
    jitter : float
        Standard deviation of that distance.
    """

    place: FloatArray
    spacing: float
    jitter: float


def core(body: slice) -> slice:
    """Return rows of the body well away from both of its ends."""
    inset = min(24, (body.stop - body.start) // 4)
    return slice(body.start + inset, body.stop - inset)


def ridge(profile: FloatArray, lag: float) -> FloatArray:
    """Return how much a profile is a ridge at every place: minus its second derivative."""
    return np.asarray(-gaussian_filter1d(profile, _scale(lag), order=2))


def _scale(lag: float) -> float:
    return max(0.8, 0.08 * lag)


def find_slots(strip: Strip, darkness: FloatArray, columns: slice) -> Slots | None:
    """Return the places of plates over the whole width of a strip.

    A chain of places is found that sits on ridges and keeps its spacing: dynamic programming, as
    D. P. W. Ellis, J. New Music Res. 36 (2007) 51, eq. 4, follows the beats of music. A plate left
    out leaves its place in the chain.

    Parameters
    ----------
    strip : Strip
        As of `straighten`.
    darkness : numpy.ndarray
        Its values, larger where a plate is, shape (rows, columns).
    columns : slice
        Columns of the strip where something repeats.

    Returns
    -------
    Slots or None
        None where no ridges keep a spacing.
    """
    rows = core(strip.body)
    profile = darkness[rows].mean(axis=0)
    fine = np.arange(0, len(profile) - 1 + 1e-9, 1 / _FINE)
    sharp = ridge(profile, strip.lag)
    curve = map_coordinates(sharp, [fine], order=3, mode="nearest")
    inside = (fine >= columns.start) & (fine < columns.stop)
    block = darkness[rows]
    noise = float(np.median(np.std(np.diff(block, axis=0), axis=0))) / np.sqrt(2 * len(block))
    # Norm of the second derivative of a Gaussian.
    noise *= np.sqrt(3 / (8 * np.sqrt(np.pi) * _scale(strip.lag) ** 5))
    spacing = _spacing(curve, inside, strip.lag, noise)
    if spacing is None:
        return None
    place = np.zeros(0)
    for _ in range(2):
        tops = _tops(curve) & inside
        usual = float(np.median(curve[tops])) if tops.any() else 0.0
        if usual <= 0:
            return None
        place = fine[_chain(np.clip(curve / usual, -0.5, 1.0), spacing * _FINE)]
        middle = place[(place >= columns.start) & (place < columns.stop)]
        if len(middle) < 4:
            return None
        spacing = float(np.polyfit(np.arange(len(middle)), middle, 1)[0])
    line = np.polyval(np.polyfit(np.arange(len(middle)), middle, 1), np.arange(len(middle)))
    return Slots(place, spacing, float(np.std(middle - line)))


def _tops(curve: FloatArray) -> Any:
    tops = np.zeros(len(curve), dtype=bool)
    tops[1:-1] = (curve[1:-1] >= curve[:-2]) & (curve[1:-1] > curve[2:]) & (curve[1:-1] > 0)
    return tops


def _spacing(curve: FloatArray, inside: Any, lag: float, noise: float) -> float | None:
    """Return the distance of neighbours: the lag of repetition, or a whole part of it."""
    part = curve[inside]
    best = _exact(part, lag * _FINE)
    if best is None:
        return None
    strong = _chain(np.clip(part / (np.median(part[_tops(part)]) + 1e-30), -0.5, 1.0), best)
    if len(strong) < 3:
        return None
    for parts in (4, 3, 2):
        reach = round(0.34 * best / parts)
        if best / parts < _LEAST * _FINE:
            continue
        shares = [k / parts for k in range(1, parts)]
        between = [np.round(strong[:-1] + k * np.diff(strong)).astype(int) for k in shares]
        if (
            min(np.mean([_has_top(part, at, reach, noise) for at in one]) for one in between)
            >= _HALVES
        ):
            return best / parts / _FINE
    return best / _FINE


def _has_top(part: FloatArray, at: int, reach: int, noise: float) -> bool:
    """Tell whether there is a ridge near a place: it need not be strong, but beyond the noise."""
    window = part[max(at - reach, 0) : at + reach + 1]
    if len(window) < 3:
        return False
    inner = len(window) // 4
    top = inner + int(np.argmax(window[inner : len(window) - inner]))
    rise = window[top] - max(window[: top + 1].min(), window[top:].min())
    return bool(0 < top < len(window) - 1 and rise > _RISE * noise)


def _exact(part: FloatArray, lag: float) -> float | None:
    """Return the lag near a rough one where the curve repeats best."""
    reach = np.arange(max(int(0.85 * lag), 4), int(1.15 * lag) + 2)
    reach = reach[reach < len(part) - 8]
    if not len(reach):
        return None
    like = [float(np.mean(part[k:] * part[:-k])) for k in reach]
    return float(reach[int(np.argmax(like))])


def _chain(gain: FloatArray, spacing: float) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return indices, about `spacing` apart, that gain the most from end to end."""
    low, high = round((1 - _FURTHEST) * spacing), round((1 + _FURTHEST) * spacing)
    steps = np.arange(max(low, 1), high + 1)
    cost = _TIGHT * ((steps - spacing) / (_SPREAD * spacing)) ** 2 / 2
    total, before = gain.copy(), np.full(len(gain), -1)
    for now in range(len(gain)):
        back = now - steps
        back = back[back >= 0]
        if not len(back) or now < spacing:
            continue
        ways = total[back] - cost[: len(back)]
        best = int(np.argmax(ways))
        total[now], before[now] = ways[best] + gain[now], back[best]
    tail = np.arange(max(len(gain) - round(spacing), 0), len(gain))
    at = int(tail[np.argmax(total[tail])])
    found = []
    while at >= 0:
        found.append(at)
        at = int(before[at])
    return np.array(found[::-1], dtype=np.int64)
