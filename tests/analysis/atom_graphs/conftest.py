"""Lattices and frames whose every column is known, drawn without any of the code under test."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

from nanopilot.core.signals import Axis, Signal, SignalSet, make_signal

Array = np.ndarray[Any, np.dtype[Any]]
PITCH = 2e-11


def _lattice(
    kind: str, spacing: float = 12.0, size: float = 192.0, turn: float = 0.3
) -> tuple[Array, Array]:
    """Return places (x, y) inside a square and the number of the motif's atom, both by hand."""
    root = np.sqrt(3.0)
    cells = {
        "square": ([[1, 0], [0, 1]], [[0, 0]]),
        "hexagonal": ([[1, 0], [0.5, root / 2]], [[0, 0]]),
        "honeycomb": ([[root, 0], [root / 2, 1.5]], [[0, 0], [1 / 3, 1 / 3]]),
        "perovskite": ([[2**0.5, 0], [0, 2**0.5]], [[0, 0], [0.5, 0.5]]),
        "oblique": ([[1, 0], [0.35, 1.15]], [[0, 0]]),
    }
    cell, motif = (np.array(part, dtype=float) for part in cells[kind])
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    index = np.stack(np.meshgrid(*2 * [np.arange(-60, 61)]), axis=-1).reshape(-1, 2)
    parts = [(index + one) @ cell * spacing @ rotation + size / 2 + 1.3 for one in motif]
    place, atom = np.concatenate(parts), np.repeat(np.arange(len(motif)), len(index))
    inside = ((place > 3) & (place < size - 4)).all(axis=1)
    order = np.lexsort((place[inside][:, 0], place[inside][:, 1]))
    return place[inside][order], atom[inside][order]


def _table(place: Array, height: Array | float, scale: float = PITCH) -> SignalSet:
    """Write columns as `find_columns` would."""
    n = len(place)
    height = np.broadcast_to(np.asarray(height, dtype=float), (n,)).copy()
    numbers = {
        "x": (scale * place[:, 0], "position", "m"),
        "y": (scale * place[:, 1], "position", "m"),
        "x_error": (np.full(n, 0.03 * scale), "error", "m"),
        "y_error": (np.full(n, 0.03 * scale), "error", "m"),
        "height": (height, "height", "1"),
        "height_error": (np.full(n, 0.02 * float(np.median(height))), "error", "1"),
        "background": (np.full(n, 1.0), "background", "1"),
        "significance": (np.full(n, 50.0), "evidence", "1"),
        "width_major": (np.full(n, 2.0 * scale), "width", "m"),
        "width_minor": (np.full(n, 2.0 * scale), "width", "m"),
        "angle": (np.zeros(n), "angle", "rad"),
    }
    return xr.Dataset(
        {
            name: xr.DataArray(values, dims="point", attrs={"quantity": quantity, "units": units})
            for name, (values, quantity, units) in numbers.items()
        }
    )


def _picture(
    place: Array, height: Array, seed: int = 0, size: int = 192, pitch: float = PITCH
) -> Signal:
    """Count electrons on Gaussian columns 2 pixels wide."""
    rows, columns = np.indices((size, size))
    mean = np.full((size, size), 40.0)
    for (x, y), tall in zip(place, np.broadcast_to(height, len(place)), strict=True):
        mean += tall * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 8)
    counts = np.random.default_rng(seed).poisson(mean).astype(float)
    axis = Axis(np.arange(size) * pitch, "m", "position")
    return make_signal(counts, {"y": axis, "x": axis}, quantity="counts", units="1")


def _inner(place: Array, size: float = 192.0, margin: float = 45.0) -> Array:
    """Return which places are well inside."""
    return np.flatnonzero(((place > margin) & (place < size - margin)).all(axis=1))


@pytest.fixture(scope="session")
def lattice() -> Any:
    return _lattice


@pytest.fixture(scope="session")
def table() -> Any:
    return _table


@pytest.fixture(scope="session")
def picture() -> Any:
    return _picture


@pytest.fixture(scope="session")
def inner() -> Any:
    return _inner
