"""Frames of regular crystals, a little disordered, from which graphs learn what is usual."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nanopilot.analysis.atom_graphs.crystal import Crystal, read_crystal
from nanopilot.analysis.atoms.columns import find_columns
from nanopilot.core.history import FloatArray
from nanopilot.core.signals import Axis, Signal, SignalSet, make_signal

IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: Lattices: rows of the cell, then fractions, of the next-neighbour distance and of the cell, and
#: least and largest height of the second column.
_HEX = ((np.sqrt(3), 0.0), (np.sqrt(0.75), 1.5))
LATTICES: dict[str, tuple[Any, Any, tuple[float, float]]] = {
    "square": (((1.0, 0.0), (0.0, 1.0)), ((0.0, 0.0),), (1.0, 1.0)),
    "hexagonal": (((1.0, 0.0), (0.5, np.sqrt(0.75))), ((0.0, 0.0),), (1.0, 1.0)),
    "honeycomb": (_HEX, ((0.0, 0.0), (1 / 3, 1 / 3)), (1.0, 1.0)),
    "two-level honeycomb": (_HEX, ((0.0, 0.0), (1 / 3, 1 / 3)), (0.3, 0.75)),
    "perovskite": (
        ((np.sqrt(2), 0.0), (0.0, np.sqrt(2))), ((0.0, 0.0), (0.5, 0.5)), (0.3, 0.6)
    ),
    "rock salt": (((np.sqrt(2), 0.0), (0.0, np.sqrt(2))), ((0.0, 0.0), (0.5, 0.5)), (0.6, 0.8)),
    "oblique": (((1.0, 0.0), (0.35, 1.15)), ((0.0, 0.0),), (1.0, 1.0)),
}  # fmt: skip
#: Lattices that stop the training early and are not learned from.
HELD_OUT = ("oblique", "two-level honeycomb")


@dataclass(frozen=True, slots=True)
class Disorder:
    """How far from perfect a frame may be.

    Parameters
    ----------
    snr : (float, float)
        Signal over noise of the dimmest column, least and largest.
    odd : float
        Share of columns that are made brighter, dimmer or left out.
    missed : float
        Share of found columns that are struck from the list, as if the search had missed them.
    cut : float
        Chance that the crystal ends inside the frame.
    """

    snr: tuple[float, float] = (7.0, 60.0)
    odd: float = 0.0
    missed: float = 0.01
    cut: float = 0.2


def draw_lattice(
    name: str, rng: np.random.Generator, disorder: Disorder | None = None, pixels: int = 224
) -> Signal:
    """Draw a frame of a turned, stretched, slightly disordered crystal.

    Parameters
    ----------
    name : str
        Of `LATTICES`.
    rng : numpy.random.Generator
        Draws everything.
    disorder : Disorder, optional
        How far from perfect.
    pixels : int
        Along a side.
    """
    disorder = disorder or Disorder()
    width = rng.uniform(1.2, 2.8)
    spacing = rng.uniform(max(7.5, 4.0 * width), 15.0)
    sites, level, dimmest = _sites(name, spacing, pixels, rng)
    moved = 0.4 * rng.uniform(0.5, 2.0) / 100 * spacing * rng.normal(size=sites.shape)
    wave = rng.normal(size=2)
    wave *= 2 * np.pi / rng.uniform(0.8, 3.0) / pixels / np.hypot(*wave)
    size = rng.uniform(0, 0.005) / np.hypot(*wave)
    moved += size * np.sin(sites @ wave)[:, None] * rng.normal(0, 0.7, 2)
    level = level * rng.normal(1.0, rng.uniform(0.0, 0.03), len(level))
    odd = rng.random(len(level)) < disorder.odd
    level[odd] *= rng.uniform(0.0, 1.7, int(odd.sum()))
    slope = sites @ rng.normal(0, 0.2, 2) / pixels
    level = level * np.clip(1 + slope - slope.mean(), 0.4, 1.8)
    if rng.random() < disorder.cut:
        normal = rng.normal(size=2)
        normal /= np.hypot(*normal)
        level[(sites - pixels / 2) @ normal > rng.uniform(0.1, 0.4) * pixels] = 0.0
    mean = rng.uniform(0.05, 0.6) + _painted((sites + moved, level), width, pixels, rng)
    snr = np.exp(rng.uniform(*np.log(disorder.snr)))
    counts = rng.poisson(mean * snr**2 * (1 + 0.3 / dimmest) / dimmest).astype(float)
    if rng.random() < 0.5:
        counts = rng.uniform(0.5, 20) * (counts + rng.normal(0, rng.uniform(0, 1), counts.shape))
    pixel = rng.uniform(0.12e-9, 0.32e-9) / spacing
    axis = Axis(np.arange(pixels, dtype=np.float64) * pixel, "m", "position")
    return make_signal(counts, {"y": axis, "x": axis}, quantity="counts", units="1")


def read_lattice(
    frame: Signal, rng: np.random.Generator, disorder: Disorder | None = None
) -> tuple[SignalSet, Crystal]:
    """Return the columns of a frame, some struck from the list, and the crystal they make.

    Parameters
    ----------
    frame : Signal
        As of `draw_lattice`.
    rng : numpy.random.Generator
        Which columns are struck.
    disorder : Disorder, optional
        How many.

    Raises
    ------
    SignalError
        No lattice is seen.
    """
    disorder = disorder or Disorder()
    columns = find_columns(frame)
    kept = rng.random(columns.sizes["point"]) >= disorder.missed
    columns = columns.isel(point=np.flatnonzero(kept))
    return columns, read_crystal(columns, frame)


def _sites(
    name: str, spacing: float, pixels: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray, float]:
    """Return sites of a turned lattice, their heights and the least of these."""
    cell, motif, heights = LATTICES[name]
    second = float(rng.uniform(*heights))
    turn = rng.uniform(0, 2 * np.pi)
    turned = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    basis = spacing * np.array(cell) @ turned @ (np.eye(2) + rng.normal(0, 0.01, (2, 2)))
    reach = int(1.5 * pixels / spacing) + 2
    index = np.stack(np.meshgrid(*2 * [np.arange(-reach, reach + 1)]), axis=-1).reshape(-1, 2)
    fractions = np.concatenate([index + np.array(one) for one in motif])
    sites = fractions @ basis + pixels / 2 + rng.uniform(-spacing, spacing, 2)
    level = np.repeat([1.0, second][: len(motif)], len(index))
    near = ((sites > -spacing) & (sites < pixels + spacing)).all(axis=1)
    return sites[near], level[near], second


def _painted(
    columns: tuple[FloatArray, FloatArray], width: float, pixels: int, rng: np.random.Generator
) -> FloatArray:
    """Return the sum of elliptical Gaussians of one shape."""
    shape = width**2 * np.diag([rng.uniform(0.85, 1.15), 1.0])
    shape[0, 1] = shape[1, 0] = width**2 * rng.uniform(-0.1, 0.1)
    inverse = np.linalg.inv(shape)
    mean = np.zeros((pixels, pixels))
    reach = int(np.ceil(5 * width))
    for site, tall in zip(*columns, strict=True):
        low = np.clip(np.rint(site).astype(int) - reach, 0, pixels)
        high = np.clip(np.rint(site).astype(int) + reach + 1, 0, pixels)
        lines = [np.arange(a, b) for a, b in zip(low, high, strict=True)]
        grid = np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1) - site
        power = np.einsum("ijk,kl,ijl->ij", grid, inverse, grid)
        mean[low[0] : high[0], low[1] : high[1]] += tall * np.exp(-0.5 * power)
    return mean
