"""Free ends of plates to a fraction of a pixel, with standard errors; forked ends among them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.ndimage import map_coordinates
from scipy.special import ndtr

from nanopilot.analysis.electrodes.ends import Line, contrast, find_ends, fit_line
from nanopilot.analysis.electrodes.stack import Stack
from nanopilot.analysis.electrodes.steady import steady
from nanopilot.analysis.electrodes.straighten import Strip
from nanopilot.analysis.electrodes.unmix import Bars, around, bar, fit_bars, ground, heights, slope

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: Half the rows that a tip is fitted in, and the steps it is looked for with.
_WINDOW, _STEP = 10, 0.2
#: Widths of the edge in pixels (standard deviations) that are tried.
_WIDTHS = np.geomspace(0.35, 4.5, 12)
#: A tip so many pixels, and so many times the scatter, short of its line may be a forked one.
_SHORT, _ODD = 2.0, 2.0
#: Errors of noise alone are multiplied by the first and have the second added, in quadrature.
_SCALE, _FLOOR = 1.2, 0.05
#: Rows below the tip that its place across is taken from.
_NEAR = 16


@dataclass(frozen=True, slots=True, eq=False)
class Tips:
    """Free ends of the plates of a stack, in rows and columns of its strip.

    Parameters
    ----------
    row, column : numpy.ndarray
        Shape (n,), the plates that are there.
    row_error, column_error : numpy.ndarray
        Standard errors.
    level : numpy.ndarray
        Height of every plate over the ground, in the unit of the image.
    forked : numpy.ndarray of bool
        Ends that are split in two.
    line : Line
        Where ends are expected.
    blur : float
        Width of the edge at the tips, a standard deviation in pixels.
    bars : Bars
        Shape of the plates.
    strip : Strip
        The strip they lie in, straightened once more.
    """

    row: FloatArray
    column: FloatArray
    row_error: FloatArray
    column_error: FloatArray
    level: FloatArray
    forked: BoolArray
    line: Line
    blur: float
    bars: Bars
    strip: Strip


@dataclass(frozen=True, slots=True, eq=False)
class Edge:
    """A step along a row of numbers.

    Parameters
    ----------
    at, error : float
        Where it is, between pixels, and its standard error.
    height : float
        After less before.
    rest : float
        Sum of squares that is left, over that of a constant.
    """

    at: float
    error: float
    height: float
    rest: float


def fit_edge(values: FloatArray, first: float, width: float) -> Edge | None:
    """Fit a blurred step up.

    Least squares over all places; the error is that of Fisher's information of place, height and
    ground, with the noise that is left.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (n,), at least 6, one a row.
    first : float
        Row of the first.
    width : float
        Standard deviation of the blur.

    Returns
    -------
    Edge or None
        None where no step up is found inside.
    """
    n = len(values)
    if n < 6:
        return None
    rows = np.arange(n, dtype=float)
    places = np.arange(1.0, n - 2.0 + 1e-9, _STEP)
    shapes = ndtr((rows - places[:, None]) / width)
    shapes -= shapes.mean(axis=1, keepdims=True)
    seen = values - values.mean()
    along, power = shapes @ seen, np.sum(shapes**2, axis=1)
    gain = np.where(along > 0, along**2 / power, 0.0)
    best = int(np.argmax(gain))
    if not 0 < best < len(places) - 1 or gain[best] <= 0:
        return None
    a, b, c = gain[best - 1 : best + 2]
    bend = a - 2 * b + c
    at = places[best] + (_STEP * 0.5 * (a - c) / bend if bend < 0 else 0.0)
    height = float(along[best] / power[best])
    rest = max(float(seen @ seen - gain[best]), 0.0)
    sigma = np.sqrt(rest / max(n - 3, 1))
    z = (rows - at) / width
    rise = -height * np.exp(-0.5 * z**2) / (width * np.sqrt(2 * np.pi))
    basis = np.stack([np.ones(n), ndtr(z), rise], axis=1)
    cover = np.linalg.pinv(basis.T @ basis)
    error = float(sigma * np.sqrt(max(cover[2, 2], 0.0)))
    return Edge(first + float(at), error, height, rest / max(float(seen @ seen), 1e-30))


def find_tips(stack: Stack) -> Tips | None:
    """Return the free ends of all plates of a stack.

    Returns
    -------
    Tips or None
        None where the plates cannot be told apart well enough.
    """
    present = stack.present
    even, start = stack.even[present], stack.slots.place[present]
    spacing = stack.slots.spacing
    top = stack.tips.rows(start, even)
    deepest = int(np.ceil(top.max())) + 4
    end = stack.bottom if stack.bottom is not None else float(len(stack.darkness))
    rows = slice(min(deepest, int(end) - 8), max(int(end) - 4, deepest + 6))
    block = stack.darkness[max(rows.start, 0) : rows.stop]
    if len(block) < 4:
        return None
    noise = np.std(np.diff(block, axis=0), axis=0) / np.sqrt(2 * len(block))
    bars = fit_bars(block.mean(axis=0), noise, start, even, spacing)
    stack = steady(stack, bars, slice(int(top.min()), int(end)))
    high = heights(stack.darkness, bars, spacing)
    level = high[max(rows.start, 0) : rows.stop].mean(axis=0)
    near, first = (stack.ends.top[present], top), stack.tips
    if not stack.tips.staggered:
        # Taken apart, plates may have the ends that their contrast did not show.
        apart = find_ends(high, stack.strip.body).top
        first = fit_line(start, even, apart, np.ones(len(start), dtype=bool)) or first
        near = (apart, first.rows(start, even))
    # Heights are less noisy; contrast with the nearest gaps sees nothing of a shadow's edge.
    own = contrast(stack.darkness, replace(stack.slots, place=bars.place))
    ways = [_measured(signal, near, (bars.place, even), first) for signal in (high, own)]
    row, error, line, width = min(ways, key=lambda way: way[2].scatter + 3 * _lost(way[1]))
    # Noise is not all: shapes of plates are not quite those of the model.
    error = np.hypot(_SCALE * error, _FLOOR)
    row, error, forked = _open_forks(stack, bars, (line, even, width), (row, error))
    column, spread = _across(stack.darkness, bars, row, spacing)
    spread = np.hypot(_SCALE * spread, _FLOOR)
    return Tips(row, column, error, spread, level, forked, line, width, bars, stack.strip)


def _measured(
    signal: FloatArray, near: tuple[FloatArray, FloatArray], where: tuple[FloatArray, BoolArray],
    first: Line,
) -> tuple[FloatArray, FloatArray, Line, float]:  # fmt: skip
    """Fit the tips of all plates; those that strayed from their line are fitted again near it."""
    place, even = where
    rough, top = near
    rough = np.where(np.abs(rough - top) < 0.6 * _WINDOW, rough, top)
    half = _half(first)
    width = _edge_width(signal, rough, half)
    edges = [_edge(signal[:, k], rough[k], half, width) for k in range(len(place))]
    row, error = _numbers(edges, rough)
    line = fit_line(place, even, row, np.isfinite(error)) or first
    expected = line.rows(place, even)
    for k in np.flatnonzero(np.abs(row - expected) > max(_SHORT, _ODD * line.scatter)):
        again = _edge(signal[:, k], expected[k], max(half // 2 + 1, 4), width)
        late = row[k] > expected[k]
        # A tip that is short may be so; one that is long is the edge of something else.
        if again is not None and not (late and again.rest > 0.9 * _rest(edges[k])):
            row[k], error[k] = again.at, float(np.hypot(again.error, 0.3))
    line = fit_line(place, even, row, np.isfinite(error)) or line
    return row, error, line, width


def _rest(edge: Edge | None) -> float:
    return np.inf if edge is None else edge.rest


def _lost(error: FloatArray) -> float:
    return float(np.mean(~np.isfinite(error)))


def _numbers(edges: list[Edge | None], rough: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return rows and errors; the rough row and NaN where nothing was found."""
    row = np.array([rough[k] if edge is None else edge.at for k, edge in enumerate(edges)])
    return row, np.array([np.nan if edge is None else edge.error for edge in edges])


def _half(line: Line) -> int:
    """Return half the rows of a fit: no further than where the other kind ends."""
    return int(np.clip(0.8 * abs(line.step), 5, _WINDOW))


def _edge(values: FloatArray, rough: float, half: int, width: float) -> Edge | None:
    """Fit a tip twice: about its rough place, and about what that gave."""
    at, edge = rough, None
    for _ in range(2):
        first = max(round(float(at)) - half, 0)
        found = fit_edge(values[first : round(float(at)) + half + 1], first, width)
        if found is None:
            return edge
        edge, at = found, found.at
    return edge


def _edge_width(high: FloatArray, rough: FloatArray, half: int) -> float:
    """Return the one width of edge that leaves the least of all tips."""
    totals = []
    for width in _WIDTHS:
        edges = [_edge(high[:, k], rough[k], half, float(width)) for k in range(len(rough))]
        known = [edge.rest for edge in edges if edge is not None]
        totals.append(float(np.median(known)) if known else np.inf)
    return float(_WIDTHS[int(np.argmin(totals))])


def _open_forks(
    stack: Stack, bars: Bars, shape: tuple[Line, BoolArray, float],
    tips: tuple[FloatArray, FloatArray],
) -> tuple[FloatArray, FloatArray, BoolArray]:  # fmt: skip
    """Look again at tips that seem too short: a forked end is empty in its middle.

    What lies within the reach of both prongs is put together, so it does not matter where in it
    the plate is.
    """
    line, even, width = shape
    row, error = tips[0].copy(), tips[1].copy()
    forked = np.zeros(len(row), dtype=bool)
    expected = line.rows(bars.place, even)
    short = row - expected > max(_SHORT, _ODD * line.scatter)
    for k in np.flatnonzero(short | ~np.isfinite(error)):
        whole = _gathered(stack, bars.place[k])
        half = _half(line)
        first = max(round(float(expected[k])) - half, 0)
        edge = fit_edge(whole[first : round(float(expected[k])) + half + 1], first, width)
        if edge is None or edge.height <= 0 or edge.error > 2.0:
            continue
        if abs(edge.at - expected[k]) < max(2 * _SHORT, 4 * line.scatter) and (
            not np.isfinite(error[k]) or row[k] - edge.at > 0.7 * _SHORT
        ):
            forked[k] = True
            row[k], error[k] = edge.at, float(np.hypot(edge.error, 0.3))
    return row, error, forked


def _gathered(stack: Stack, place: float) -> FloatArray:
    """Return the mean darkness near a plate, less that of the next places, in every row."""
    height = len(stack.darkness)
    spacing = stack.slots.spacing

    def mean(offsets: FloatArray) -> FloatArray:
        rows, columns = np.broadcast_arrays(
            np.arange(height, dtype=float)[:, None], place + spacing * offsets
        )
        found = map_coordinates(stack.darkness, [rows, columns], order=1, mode="nearest")
        return np.asarray(found.mean(axis=1))

    beside = np.array([-1.1, -1.0, -0.9, 0.9, 1.0, 1.1])
    return mean(np.linspace(-0.6, 0.6, 13)) - mean(beside)


def _across(
    darkness: FloatArray, bars: Bars, row: FloatArray, spacing: float
) -> tuple[FloatArray, FloatArray]:
    """Return where plates are just below their tips, and the standard error of that.

    Straightening leaves a little: a shift common to neighbours, and one of each plate. The first
    is a line across the stack; the second counts for as much as it exceeds its error.
    """
    columns = around(bars.place, spacing, darkness.shape[1])
    flat = ground(columns, spacing)
    shapes = bar(columns, bars.place, bars.width, bars.blur)
    moved = np.zeros(len(row))
    error = np.full(len(row), spacing)
    for k, tip in enumerate(row):
        start = max(int(np.ceil(tip)) + 2, 0)
        block = darkness[start : start + _NEAR][:, columns.astype(int)]
        if len(block) < 4:
            continue
        seen = block.mean(axis=0)
        noise = np.std(np.diff(block, axis=0)) / np.sqrt(2 * len(block))
        both = np.concatenate([shapes, flat], axis=1)
        height = np.linalg.lstsq(both, seen, rcond=1e-8)[0][: len(row)]
        if height[k] <= 0:
            continue
        near = np.abs(columns - bars.place[k]) < 0.5 * spacing
        rise = height[k] * slope(columns, bars.place, bars.width, bars.blur)[:, k]
        left = seen - both @ np.linalg.lstsq(both, seen, rcond=1e-8)[0]
        power = float(np.sum(rise[near] ** 2))
        moved[k] = float(np.sum(rise[near] * left[near]) / power)
        error[k] = noise / np.sqrt(power)
    good = error < 0.5 * spacing
    if good.sum() < 4:
        return bars.place, np.hypot(bars.error, 0.2 * spacing)
    weight = np.where(good, 1 / np.hypot(error, 0.1), 0.0)
    trend = np.polyval(np.polyfit(bars.place, moved, 1, w=weight), bars.place)
    own = moved - trend
    spread = max(float(np.median(np.abs(own[good])) * 1.4826) ** 2
                 - float(np.median(error[good])) ** 2, 0.0)  # fmt: skip
    share = spread / (spread + error**2)
    left = np.sqrt(share * error**2 + np.median(error[good]) ** 2 / good.sum() * 4)
    return bars.place + trend + share * own, np.hypot(bars.error, left)


def without(tips: Tips, dropped: BoolArray) -> Tips:
    """Return tips without some of the plates."""
    keep = ~dropped
    bars = Bars(tips.bars.place[keep], tips.bars.error[keep], tips.bars.width[keep], tips.bars.blur)
    names = ("row", "column", "row_error", "column_error", "level", "forked")
    return replace(tips, bars=bars, **{name: getattr(tips, name)[keep] for name in names})
