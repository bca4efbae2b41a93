"""What a frame would show without its particles: background and noise, from the frame itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from scipy.ndimage import gaussian_filter

from nanopilot.analysis.frame_arrays import NORMAL_MAD

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
Image = np.ndarray[Any, np.dtype[np.float32]]
Array = np.ndarray[Any, np.dtype[Any]]
Shade = Literal["auto", "dark", "bright"]

#: Cells along the shorter side of a frame, over which the background is followed.
_CELLS = 64
#: Degree of the polynomial that the background begins as, and cells over which it is then smoothed.
_DEGREE, _FOLLOW = 3, 5.0
#: Where the ground is darker than this share of its mean no light falls, and nothing dark is seen.
_DARKEST = 0.1
#: Levels of the ground that scatter is told for.
_LEVELS = 16
#: Widths in pixels of the smoothing, the least of which is taken that leaves noise low enough.
_WIDTHS = (0.7, 1.0, 1.4, 2.0)
#: Noise is low enough at so much of the contrast of particles.
_QUIET = 0.07
#: Pixels along a side of the part that the smoothing is chosen on.
_PART = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """The background of a frame as coefficients over its cells, and which way particles differ.

    Parameters
    ----------
    level : numpy.ndarray
        Background in counts, one number a cell, shape (m, n).
    cell : (float, float)
        Rows and columns of a cell in pixels.
    dark : bool
        Particles are darker than it.
    width : float
        Smoothing in pixels, a standard deviation.
    noise : float
        Standard deviation of the contrast where nothing is, smoothed.
    unrest : numpy.ndarray
        How much more the contrast scatters where the ground is as bright as there than elsewhere, 1
        or more, shape (m, n): counts do where many come, their share does where few come.
    """

    level: FloatArray
    cell: tuple[float, float]
    dark: bool
    width: float
    noise: float
    unrest: FloatArray

    def contrast(self, values: FloatArray, corner: tuple[int, int] = (0, 0)) -> Image:
        """Return how far a piece of the frame differs from its background, particles positive.

        Dark particles: the share of the electrons that is lost. Bright ones: counts above the
        background over the background's mean.

        Parameters
        ----------
        values : numpy.ndarray
            Shape (rows, columns).
        corner : (int, int)
            Row and column of the frame where the piece begins.
        """
        smooth = gaussian_filter(np.asarray(values, dtype=np.float32), self.width, truncate=3.0)
        level = self._spread(self.level, smooth.shape, corner)
        return np.asarray(_contrast(smooth, level, self.dark, float(self.level.mean())))

    def unrest_of(self, shape: tuple[int, ...], corner: tuple[int, int] = (0, 0)) -> Image:
        """Return `unrest` at each pixel of a piece of the frame of a shape; `corner`: its first."""
        return self._spread(self.unrest, shape, corner)

    def _spread(self, cells: FloatArray, shape: tuple[int, ...], corner: tuple[int, int]) -> Image:
        """Interpolate the cells linearly: one matrix for each axis."""
        down, across = (
            _between(np.arange(n) + start, size, count)
            for n, start, size, count in zip(shape, corner, self.cell, cells.shape, strict=True)
        )
        return np.asarray(down @ cells.astype(np.float32) @ across.T)


def _between(at: Any, size: float, count: int) -> Image:
    """Return the weights of cell middles at places along one axis, shape (places, cells)."""
    place = np.clip((at + 0.5) / size - 0.5, 0, count - 1)
    low = np.minimum(place.astype(int), max(count - 2, 0))
    weights = np.zeros((len(at), count), dtype=np.float32)
    share = place - low
    rows = np.arange(len(at))
    weights[rows, low] = 1 - share
    if count > 1:
        weights[rows, low + 1] += share
    return weights


def _contrast(smooth: Array, level: Array, dark: bool, mean: float) -> Array:
    if dark:
        lit = np.float32(max(_DARKEST * mean, 1e-9))
        return np.where(level > lit, 1 - smooth / np.maximum(level, lit), np.float32(0))
    over: Array = (smooth - level) / np.float32(max(abs(mean), 1e-9))
    return over


def _unrest(seen: FloatArray, level: FloatArray) -> FloatArray:
    """Return how much more cells scatter than elsewhere; particles are positive in `seen`.

    By the level of the ground alone, so that what differs the other way in one place is no unrest.
    """
    middles, scatter = [], []
    for part in np.array_split(np.argsort(level, axis=None), _LEVELS):
        below = -seen.ravel()[part]
        middles.append(float(np.median(level.ravel()[part])))
        scatter.append(float(np.median(below[below > 0])) if (below > 0).any() else 0.0)
    rest = max(float(np.median(scatter)), 1e-12)
    found: FloatArray = np.maximum(np.interp(level, middles, np.array(scatter) / rest), 1.0)
    return found


def find_ground(values: FloatArray, shade: Shade = "auto") -> Ground:
    """Estimate background, noise, smoothing, and whether particles are dark or bright.

    The background is the surface that most cells of the frame agree on: a polynomial fitted with
    weights that fall to nothing for cells off it (S. Geman, D. E. McClure, Bull. Int. Stat. Inst.
    52 (1987) 5), the scale lowered in steps, and then what is left of the cells on it, smoothed.
    Particles may cover nearly half of the frame.

    Parameters
    ----------
    values : numpy.ndarray
        Finite, shape (rows, columns).
    shade : {"auto", "dark", "bright"}
        Which way particles differ; auto: the side to which more of the frame leaves the background.
    """
    size = max(2, min(values.shape) // _CELLS)
    cells = _cells(values, size)
    level, spread = _surface(cells)
    away = cells - level
    on = np.abs(away) < 2.5 * spread
    weight = gaussian_filter(on.astype(float), _FOLLOW)
    left = gaussian_filter(np.where(on, away, 0.0), _FOLLOW)
    level = level + np.where(weight > 0.02, left / np.maximum(weight, 0.02), 0.0)
    away = cells - level
    outer = np.clip(np.abs(away) - 4 * spread, 0, None) * np.sign(away)
    dark = bool(outer.sum() <= 0) if shade == "auto" else shade == "dark"
    cell = (values.shape[0] / cells.shape[0], values.shape[1] / cells.shape[1])
    unrest = _unrest(_contrast(cells, level, dark, float(level.mean())), level)
    first = Ground(level, cell, dark, 1.0, 0.0, unrest)
    width, noise = _smoothing(values, first)
    return replace(first, width=width, noise=noise)


def _cells(values: FloatArray, size: int) -> FloatArray:
    """Return the means of nearly square cells."""
    edges = [np.linspace(0, n, max(n // size, 1) + 1).round().astype(int) for n in values.shape]
    sums = np.add.reduceat(np.add.reduceat(values, edges[0][:-1], 0), edges[1][:-1], 1)
    found: FloatArray = sums / np.outer(np.diff(edges[0]), np.diff(edges[1]))
    return found


def _surface(cells: FloatArray) -> tuple[FloatArray, float]:
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in cells.shape), indexing="ij")
    terms = [
        y**i * x**j for i in range(_DEGREE + 1) for j in range(_DEGREE + 1 - i)
        if i < cells.shape[0] and j < cells.shape[1]
    ]  # fmt: skip
    basis = np.stack([term.ravel() for term in terms], axis=-1)
    flat = cells.ravel()
    level = np.full(flat.shape, np.median(flat))
    least = 1e-9 * float(np.abs(flat).max() or 1.0)
    scale = max(2.0 * float(NORMAL_MAD * np.median(np.abs(flat - level))), least)
    for _ in range(25):
        weight = 1 / (1 + ((flat - level) / scale) ** 2) ** 2
        pulled = basis * weight[:, None]
        solved = np.linalg.lstsq(pulled.T @ basis, pulled.T @ flat, rcond=None)[0]
        level = basis @ solved
        near = np.abs(flat - level)
        inner = near[near < 3 * scale]
        # Of the cells near the surface: more and more of them are nothing but background.
        scale = max(0.85 * scale, 1.5 * float(NORMAL_MAD * np.median(inner)), least)
    near = np.abs(flat - level)
    spread = float(NORMAL_MAD * np.median(near[near < 2.5 * scale]))
    return level.reshape(cells.shape), max(spread, least)


def _smoothing(values: FloatArray, ground: Ground) -> tuple[float, float]:
    """Return the least smoothing that leaves little noise, and that noise."""
    start = tuple(max(0, (n - _PART) // 2) for n in values.shape)
    part = values[start[0] : start[0] + _PART, start[1] : start[1] + _PART]
    width, noise = _WIDTHS[0], 0.0
    for width in _WIDTHS:
        seen = replace(ground, width=width).contrast(part, (start[0], start[1]))
        below = seen[seen < 0]
        noise = float(NORMAL_MAD * np.median(-below)) if below.size else 0.0
        inside = seen[seen > 6 * noise]
        if inside.size and noise <= _QUIET * float(np.median(inside)):
            break
    return width, noise
