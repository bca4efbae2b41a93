"""Columns refined together: places, heights and backgrounds with error bars, one common shape."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nanopilot.analysis.atoms.filters import blurred, gaussian_taps
from nanopilot.analysis.atoms.likelihood import Setting, gains, step
from nanopilot.analysis.atoms.noise import NoiseModel, noise_of_residuals
from nanopilot.analysis.atoms.shapes import reshaped, sampled, shape_scores
from nanopilot.analysis.atoms.stamps import COLUMN, GROUND, HEIGHT, ROW, painted
from nanopilot.analysis.atoms.steps import below

Array = np.ndarray[Any, np.dtype[Any]]

#: Half the window in widths of a column, and how far its neighbours are painted.
_WINDOW, _PAINTED = 3.0, 4.2
#: The window in which columns are judged: their background is better known there.
_WIDER = 4.5
#: Sweeps over all columns, at most; sweeps after which the common shape takes a step.
_SWEEPS, _SHAPING = 14, range(1, 9)
#: It is enough when nearly all columns move by less than this part of their error.
_ENOUGH, _NEARLY = 0.05, 0.95
#: Relative change of the shape that is none.
_SAME = 1e-3
#: Evidence, in standard deviations and about, of columns that speak for a shape; so many, at least.
_SURE, _FEW = 6.0, 5
#: Share of the columns that has to speak.
_MOST = 0.6
#: Residuals that tilt by more (chi squared of 2) show that the background is no constant.
_TILTED = 16.0
#: Gain of a column that such a verdict may rest on.
_WORTH = 9.0
#: How far outside of the frame a column may lie, in its widths.
_OUTSIDE = 2.0
#: Columns that the noise is taken from, at most.
_SAMPLE = 1500
#: Columns closer than so many widths pull at each other: smaller steps.
_CROWDED, _SMALLER = 4.3, 0.75
_OVERLAPPING, _SMALLEST = 3.0, 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Refined:
    """Columns and their errors.

    Parameters
    ----------
    table : numpy.ndarray
        Row, column (px), height and background (counts), shape (n, 4).
    covariance : numpy.ndarray
        Of each, shape (n, 4, 4).
    gain : numpy.ndarray
        Twice the logarithm of the likelihoods with and without each column, shape (n,).
    shape : numpy.ndarray
        Covariance of a column's Gaussian in pixels squared, shape (2, 2): rows, columns.
    noise : NoiseModel
        What the errors rest on.
    stepped : numpy.ndarray of bool
        Columns whose background is no constant, shape (n,).
    under : numpy.ndarray or None
        What lies under those, in counts, shape (rows, columns).
    """

    table: Array
    covariance: Array
    gain: Array
    shape: Array
    noise: NoiseModel
    stepped: Array
    under: Array | None = None

    @property
    def significance(self) -> Array:
        """Square root of the gain, shape (n,): standard deviations, if the noise is normal."""
        found: Array = np.sqrt(np.maximum(self.gain, 0.0))
        return found

    @property
    def ground(self) -> Array:
        """Background at every column in counts, shape (n,)."""
        level = self.table[:, GROUND].copy()
        if self.under is not None:
            level[self.stepped] += at_places(self.under, self.table[self.stepped, :2])
        return level

    def keep(self, kept: Array) -> Refined:
        """Return some of the columns."""
        return replace(
            self, table=self.table[kept], covariance=self.covariance[kept],
            gain=self.gain[kept], stepped=self.stepped[kept],
        )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """Where a refinement begins.

    Parameters
    ----------
    place : numpy.ndarray
        Row and column in pixels, shape (n, 2).
    height : numpy.ndarray
        In counts, shape (n,).
    shape : numpy.ndarray
        Covariance of the common Gaussian in pixels squared, shape (2, 2).
    noise : NoiseModel
        What variances hang on.
    ground : float or numpy.ndarray
        Background in counts, shape () or (n,).
    """

    place: Array
    height: Array
    shape: Array
    noise: NoiseModel
    ground: Any = 0.0


def refine(
    image: Array, start: Start, *, free_shape: bool = True, free_noise: bool = True
) -> Refined:
    """Fit all columns of a frame by likelihood.

    Parameters
    ----------
    image : numpy.ndarray
        Counts, float64, shape (rows, columns).
    start : Start
        Where to begin.
    free_shape, free_noise : bool
        Fit the common shape, and the noise, too.
    """
    table = np.empty((len(start.place), 4))
    table[:, :2], table[:, HEIGHT] = start.place, np.maximum(start.height, 1e-6)
    table[:, GROUND] = start.ground
    nothing = np.zeros(len(table))
    now = Refined(
        table, np.zeros((len(table), 4, 4)), nothing, start.shape, start.noise, nothing > 0
    )
    if not len(table):
        return now
    now = _swept(image, now, range(_SWEEPS), free_shape)
    if free_noise:
        now = replace(now, noise=_noise(image, now))
    now, tilts = judged(image, now)
    tilted = int(np.count_nonzero((tilts > _TILTED) & (now.gain > _WORTH)))
    # Some tilt by chance.
    if tilted > 3 + 3 * len(table) * math.exp(-0.5 * _TILTED):
        now, _ = judged(image, _swept(image, _on_steps(image, now), range(_SWEEPS), False))
    return now


def _on_steps(image: Array, now: Refined) -> Refined:
    """Give columns next to a step of the background what lies under them."""
    model, width = modelled(image, now), width_of(now.shape)
    noise = now.noise.variance(blurred(image.astype(np.float32), gaussian_taps(width)))
    found = below(image - model, width, noise)
    stepped = at_places(found.uneven, now.table[:, :2])
    table = now.table.copy()
    table[stepped, GROUND] -= at_places(found.level, table[stepped, :2])
    return replace(now, table=table, stepped=stepped, under=found.level)


def at_places(values: Array, place: Array) -> Array:
    """Return the values of the pixels next to places, shape (n,)."""
    rows, columns = np.clip(np.rint(place).astype(int), 0, np.array(values.shape) - 1).T
    found: Array = values[rows, columns]
    return found


def setting_of(now: Refined, window: float = _WINDOW) -> Setting:
    """Return a window of so many widths, and the noise, as kernels take them."""
    reach = max(2, round(window * width_of(now.shape)))
    return reach, now.noise.gain, now.noise.dark, now.noise.floor


def inverse_of(shape: Array) -> Array:
    """Return the inverse of a covariance as kernels take it, shape (3,)."""
    inverse = np.linalg.inv(shape)
    return np.array([inverse[0, 0], inverse[0, 1], inverse[1, 1]])


def width_of(shape: Array) -> float:
    """Return the larger width (standard deviation) of a covariance."""
    return math.sqrt(float(np.linalg.eigvalsh(shape).max()))


def modelled(image: Array, now: Refined) -> Array:
    """Return the columns of a fit without what is under them, shape of the image."""
    far = math.ceil(_PAINTED * width_of(now.shape))
    return painted(now.table, inverse_of(now.shape), far, image.shape)


def _each(image: Array, now: Refined, kernel: Any, window: float = _WINDOW) -> tuple[Array, Array]:
    """Call a kernel on columns with a constant background, and on those with another one."""
    model, inverse = modelled(image, now), inverse_of(now.shape)
    setting = setting_of(now, window)
    if now.under is None:
        found: tuple[Array, Array] = kernel(image, now.table, model, inverse, setting)
        return found
    flat, stepped = ~now.stepped, now.stepped
    plain = kernel(image, now.table[flat], model, inverse, setting)
    other = kernel(image, now.table[stepped], model + now.under, inverse, setting)
    out = []
    for one, two in zip(plain, other, strict=True):
        both = np.empty((len(now.table), *one.shape[1:]))
        both[flat], both[stepped] = one, two
        out.append(both)
    return out[0], out[1]


def _swept(image: Array, now: Refined, sweeps: range, free: bool) -> Refined:
    """Take steps until hardly any column moves."""
    damping = _damping(now)
    for turn in sweeps:
        steps, fisher = _each(image, now, step)
        table = now.table + damping[:, None] * steps
        # A column without height has no place: it stays until it has one.
        table[:, HEIGHT] = np.maximum(table[:, HEIGHT], 1e-6)
        # The middle of a column may lie outside: its foot is seen all the same.
        out = _OUTSIDE * width_of(now.shape)
        table[:, :2] = np.clip(table[:, :2], -out, np.array(image.shape) - 1 + out)
        now = replace(now, table=table)
        moved = np.sqrt(np.maximum((steps**2 * fisher[:, range(4), range(4)])[:, :2], 0)).max(
            axis=1
        )
        settled = float(np.quantile(moved, _NEARLY)) < _ENOUGH
        if free and turn in _SHAPING:
            before = now.shape
            now = replace(now, shape=_shaped(image, now, fisher))
            if np.abs(now.shape - before).max() < _SAME * float(np.trace(before)):
                free = False
        elif settled and not free:
            break
    return now


def _damping(now: Refined) -> Array:
    from scipy.spatial import cKDTree

    if len(now.table) < 2:
        return np.ones(len(now.table))
    tree: Any = cKDTree(now.table[:, :2])
    near = tree.query(now.table[:, :2], k=2)[0][:, 1]
    width = width_of(now.shape)
    found: Array = np.where(near < _CROWDED * width, _SMALLER, 1.0)
    return np.where(near < _OVERLAPPING * width, _SMALLEST, found)


def _shaped(image: Array, now: Refined, fisher: Array) -> Array:
    """Return the common shape after a step, by columns that are surely there."""
    height = now.table[:, HEIGHT]
    tall = height > 0.3 * np.quantile(height, 0.9)
    strong = tall & (height**2 * fisher[:, HEIGHT, HEIGHT] > _SURE**2)
    # The few that noise has made strong it has made narrow too.
    if strong.sum() < _MOST * tall.sum():
        return now.shape
    chosen = sampled(now.table, strong & ~now.stepped)
    if len(chosen) < _FEW:
        return now.shape
    scores = shape_scores(
        image, now.table[chosen], modelled(image, now), inverse_of(now.shape), setting_of(now)
    )
    return reshaped(now.shape, scores)


def _noise(image: Array, now: Refined) -> NoiseModel:
    """Return the noise from what the fit leaves within its windows."""
    reach = setting_of(now)[0]
    middle = np.rint(now.table[:, :2]).astype(int)
    inside = ((middle >= reach) & (middle < np.array(image.shape) - reach)).all(axis=1)
    chosen = np.flatnonzero(inside)
    if len(chosen) < 4:
        return now.noise
    chosen = chosen[np.linspace(0, len(chosen) - 1, min(_SAMPLE, len(chosen))).astype(int)]
    around = np.arange(-reach, reach + 1)
    rows = middle[chosen, ROW, None, None] + around[:, None]
    columns = middle[chosen, COLUMN, None, None] + around
    disc = around[:, None] ** 2 + around**2 <= (reach + 0.5) ** 2
    means = modelled(image, now)[rows, columns] + now.table[chosen, GROUND, None, None]
    values = image[rows, columns]
    left = ((values - means) ** 2)[:, disc].mean(axis=1)
    usual = left <= 3 * np.median(left)
    pixels = int(disc.sum())
    return noise_of_residuals(values[usual][:, disc], means[usual][:, disc], 4 / pixels)


def judged(image: Array, now: Refined) -> tuple[Refined, Array]:
    """Put errors and gains to the columns; return the tilts of their residuals as well."""
    _, fisher = _each(image, now, step)
    gain, tilts = _each(image, now, gains, _WIDER)
    size = np.sqrt(np.maximum(fisher[:, range(4), range(4)], 1e-30))
    scaled = fisher / (size[:, :, None] * size[:, None, :]) + 1e-9 * np.eye(4)
    covariance = np.linalg.inv(scaled) / (size[:, :, None] * size[:, None, :])
    return replace(now, covariance=covariance, gain=gain), tilts
