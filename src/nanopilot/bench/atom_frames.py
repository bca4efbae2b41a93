"""Frames of atomic columns whose every place is known, and how well places can be known at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.sparse import csr_matrix

from nanopilot.core.history import FloatArray
from nanopilot.core.signals import Axis, Signal, make_signal

Kind = Literal["square", "hexagonal", "two sublattices"]
KINDS: tuple[Kind, ...] = ("square", "hexagonal", "two sublattices")
#: Pixels along a side, and the size of one in metres.
PIXELS, PIXEL = 192, 20e-12
#: Columns are spaced by at least so many of their widths.
_LEAST_APART = 4.0
#: Widths of a column to which it is drawn.
_DRAWN = 6.0
#: Share of sites without a column; share of half columns in a hard frame; height of its step.
_MISSING, _HALF, _STEP = 0.03, 0.3, 1.0


@dataclass(frozen=True, slots=True)
class Layout:
    """What a frame shows.

    Parameters
    ----------
    kind : {"square", "hexagonal", "two sublattices"}
        Lattice.
    dose : float
        Electrons per pixel at the top of a full column.
    hard : bool
        A step as high as a column in the background, and columns of half the height.
    wave : float
        Amplitude in pixels of a displacement wave.
    """

    kind: Kind
    dose: float
    hard: bool = False
    wave: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A frame and its truth; places are (row, column) in pixels.

    Parameters
    ----------
    frame : Signal
        Counts, dims (y, x) in metres.
    place, height : numpy.ndarray
        Of the columns inside the frame, shapes (n, 2) and (n,); height in electrons.
    vacant : numpy.ndarray
        Places of the sites inside it that hold no column, shape (m, 2).
    bound : numpy.ndarray
        Cramér-Rao bound of each place (row, column), a standard deviation in pixels, shape (n, 2).
    phase : numpy.ndarray
        Of the displacement wave at each column, shape (n,).
    shape : numpy.ndarray
        Covariance of a column in pixels squared, shape (2, 2).
    spacing : float
        Distance of next neighbours in pixels.
    """

    frame: Signal
    place: FloatArray
    height: FloatArray
    vacant: FloatArray
    bound: FloatArray
    phase: FloatArray
    shape: FloatArray
    spacing: float


def draw_scene(layout: Layout, rng: np.random.Generator, pixels: int = PIXELS) -> Scene:
    """Draw a lattice and count electrons on it.

    Widths are 1.3 to 2.5 pixels, distances 8 to 14 pixels and at least four widths; half of the
    frames come as electrons, half through a detector with gain, offset and read noise.

    Parameters
    ----------
    layout : Layout
        What to show.
    rng : numpy.random.Generator
        Draws everything.
    pixels : int
        Along a side.
    """
    width = rng.uniform(1.3, 2.5)
    spacing = rng.uniform(max(8.0, _LEAST_APART * width), 14.0)
    shape = _ellipse(width, rng.uniform(1.0, 1.3), rng.uniform(0, np.pi))
    sites, full = _sites(layout.kind, spacing, pixels, rng)
    phase = 2 * np.pi * sites @ rng.normal(0, 1, 2) / (6 * spacing)
    sites = sites + layout.wave * np.sin(phase)[:, None] * np.array([0.6, 0.8])
    sites += rng.normal(0, 0.02 * spacing, sites.shape) * (layout.wave == 0)
    there = rng.random(len(sites)) >= _MISSING
    height = layout.dose * full
    if layout.hard:
        height = np.where(rng.random(len(sites)) < _HALF, 0.5, 1.0) * height
    ground = np.full((pixels, pixels), rng.uniform(0.1, 0.3) * layout.dose)
    if layout.hard:
        turn, middle = rng.uniform(0, 2 * np.pi), pixels / 2 + rng.uniform(-20, 20, 2)
        rows, columns = np.indices(ground.shape)
        side = np.cos(turn) * (rows - middle[0]) + np.sin(turn) * (columns - middle[1])
        ground = ground + _STEP * layout.dose * (side > 0)
    plan = _Plan(sites, there, height, shape, spacing, phase)
    return _scene(plan, ground, _detector(rng), rng)


def table_scene(rng: np.random.Generator, pixels: int = 2 * PIXELS) -> Scene:
    """Draw the hard frame that the goal at dose 10 was set on, a part of it.

    Round columns 1.8 pixels wide on a square lattice of 10.9 pixels, displaced by 0.3 pixels at
    random; backgrounds 0.2 and 1.0 of a column on two sides of a step; three of ten columns of half
    height; none missing; electrons without read noise.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws everything.
    pixels : int
        Along a side.
    """
    dose, spacing = 10.0, 10.9
    line = np.arange(8.0, pixels - 8, spacing)
    sites = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    sites = sites + rng.normal(0, 0.3, sites.shape)
    height = dose * np.where(rng.random(len(sites)) < _HALF, 0.5, 1.0)
    ground = np.where(np.arange(pixels) < pixels // 2, 0.2, 1.0) * np.full((pixels, 1), dose)
    everywhere = np.ones(len(sites), dtype=bool)
    plan = _Plan(sites, everywhere, height, 1.8**2 * np.eye(2), spacing, np.zeros(len(sites)))
    return _scene(plan, ground, (1.0, 0.0, 0.0), rng)


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """Sites of a lattice, which of them hold a column, and how columns look."""

    sites: FloatArray
    there: np.ndarray[Any, np.dtype[np.bool_]]
    height: FloatArray
    shape: FloatArray
    spacing: float
    phase: FloatArray


def _scene(
    plan: _Plan, ground: FloatArray, detector: tuple[float, float, float], rng: np.random.Generator
) -> Scene:
    """Count electrons and gather the truth; the detector has gain, offset and read noise."""
    pixels = len(ground)
    sites, there, height = plan.sites, plan.there, plan.height[plan.there]
    stamps = _stamps(sites[there], plan.shape, pixels)
    mean = ground + (stamps[0].T @ height).reshape(ground.shape)
    gain, offset, read = detector
    counts = offset + gain * rng.poisson(mean) + read * rng.normal(size=mean.shape)
    bound = _bounds(stamps, height, mean.ravel() + (read / gain) ** 2)
    inside = np.asarray(((sites >= 0) & (sites <= pixels - 1)).all(axis=1))
    axis = Axis(np.arange(pixels, dtype=np.float64) * PIXEL, "m", "position")
    frame = make_signal(counts, {"y": axis, "x": axis}, quantity="counts", units="1")
    kept = inside[there]
    return Scene(
        frame, sites[there][kept], height[kept], sites[~there & inside], bound[kept],
        plan.phase[there][kept], plan.shape, plan.spacing,
    )  # fmt: skip


def _detector(rng: np.random.Generator) -> tuple[float, float, float]:
    """Draw gain, offset and read noise in counts; every other detector counts electrons."""
    if rng.random() < 0.5:
        return 1.0, 0.0, 0.0
    gain = float(np.exp(rng.uniform(np.log(0.5), np.log(20))))
    return gain, rng.uniform(10, 200), gain * rng.uniform(0.1, 0.7)


def _ellipse(width: float, aspect: float, turn: float) -> FloatArray:
    axes = np.diag([width**2 * aspect, width**2 / aspect])
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    found: FloatArray = turned @ axes @ turned.T
    return found


def _sites(
    kind: Kind, spacing: float, pixels: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Return the sites of a turned lattice that covers the frame, and their heights."""
    cell = spacing * np.eye(2)
    if kind == "hexagonal":
        cell = spacing * np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]])
    elif kind == "two sublattices":
        cell = spacing * np.array([[np.sqrt(2), 0.0], [0.0, np.sqrt(2)]])
    reach = int(1.5 * pixels / spacing) + 2
    index = np.stack(np.meshgrid(*2 * [np.arange(-reach, reach + 1)], indexing="ij"), axis=-1)
    sites = index.reshape(-1, 2) @ cell
    full = np.ones(len(sites))
    if kind == "two sublattices":
        second = rng.uniform(0.5, 0.7)
        sites = np.concatenate([sites, sites + cell.sum(axis=0) / 2])
        full = np.concatenate([full, np.full(len(full), second)])
    turn = rng.uniform(0, 2 * np.pi)
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    sites = sites @ turned.T + pixels / 2 + rng.uniform(-spacing, spacing, 2)
    near = ((sites > -spacing) & (sites < pixels + spacing)).all(axis=1)
    return sites[near], full[near]


def _stamps(place: FloatArray, shape: FloatArray, pixels: int) -> list[csr_matrix]:
    """Return columns of height 1 and their slopes down and across, each (n, pixels²)."""
    reach = int(np.ceil(_DRAWN * np.sqrt(np.linalg.eigvalsh(shape)[-1])))
    around = np.arange(-reach, reach + 1)
    middle = np.rint(place).astype(int)
    rows = middle[:, 0, None, None] + around[:, None] + 0 * around
    columns = middle[:, 1, None, None] + around + 0 * around[:, None]
    away = np.stack([rows - place[:, 0, None, None], columns - place[:, 1, None, None]], axis=-1)
    pull = away @ np.linalg.inv(shape)
    value = np.exp(-0.5 * (pull * away).sum(axis=-1))
    seen = (rows >= 0) & (rows < pixels) & (columns >= 0) & (columns < pixels)
    which = np.broadcast_to(np.arange(len(place))[:, None, None], rows.shape)[seen]
    at = (which, (rows * pixels + columns)[seen])
    size = (len(place), pixels**2)
    parts = (value, value * pull[..., 0], value * pull[..., 1])
    return [csr_matrix((part[seen], at), shape=size) for part in parts]


def _bounds(stamps: list[csr_matrix], height: FloatArray, variance: FloatArray) -> FloatArray:
    """Return the Cramér-Rao bounds of all places: heights and the background are free too.

    Every column of the frame takes part at once, so that what neighbours hide counts. Their common
    shape is known; H. Cramér, Mathematical Methods of Statistics (1946), section 32.3.
    """
    from scipy.sparse import diags, vstack

    n = len(height)
    level = csr_matrix(np.ones((1, len(variance))))
    tall = diags(height)
    slopes = vstack([tall @ stamps[1], tall @ stamps[2], stamps[0], level]).tocsr()
    fisher = (slopes @ diags(1 / variance) @ slopes.T).toarray()
    # Columns outside the frame are hardly seen: their own numbers are not asked for.
    fisher += 1e-9 * np.diag(np.diag(fisher).mean() + 0 * np.diag(fisher))
    spread = np.sqrt(np.diag(np.linalg.inv(fisher)))
    return np.stack([spread[:n], spread[n : 2 * n]], axis=1)
