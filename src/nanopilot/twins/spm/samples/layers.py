"""Layers that many samples have: what they mean, and how they vary from place to place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import fft

from nanopilot.twins.spm.sample import Sample
from nanopilot.twins.spm.samples.recipe import BoolArray, FloatArray, Grid

#: Quantity and unit of every layer. Labels are whole numbers; 0 is the substrate where there is
#: one, and between two labels nothing lies: read them at pixel centres.
MEANING: dict[str, tuple[str, str]] = {
    "adatom": ("number of the adatom", "1"),
    "adhesion": ("adhesion force", "N"),
    "conductivity": ("conductance of the contact", "A/V"),
    "feature": ("part of the pattern, 0 to 1", "1"),
    "filament": ("number of the filament", "1"),
    "grain": ("number of the grain", "1"),
    "ground": ("height without what moves on it", "m"),
    "in_plane": ("part polarised in the plane, 0 to 1", "1"),
    "ldos": ("local density of states, 1 on average", "1"),
    "particle": ("number of the particle", "1"),
    "polarisation": ("polarisation out of the plane, -1 to 1", "1"),
    "potential": ("surface potential", "V"),
    "relaxation_time": ("time in which strain decays", "s"),
    "stiffness": ("contact stiffness", "N/m"),
    "swelling": ("displacement of the surface by ions", "m/V"),
    "switching_negative": ("bias that switches downwards", "V"),
    "switching_positive": ("bias that switches upwards", "V"),
    "terrace": ("number of the terrace from below", "1"),
}

#: An ordinary surface: N/m, N, A/V.
STIFFNESS, ADHESION, CONDUCTIVITY = 500.0, 20e-9, 1e-9


def smooth_field(rng: np.random.Generator, grid: Grid, length: float) -> FloatArray:
    """Return a Gaussian random field of mean 0 and variance 1, shape as the grid.

    Its autocorrelation is exp(-r² / (4 length²)): white noise under a Gaussian of that standard
    deviation. Mean and variance are those of the ensemble; a field only a few lengths wide
    has its own.

    Parameters
    ----------
    rng : numpy.random.Generator
        The noise.
    grid : Grid
        Where.
    length : float
        Metres.
    """
    sigma = max(length / grid.pitch, 0.3)
    # Wide enough that opposite edges, which the transform joins, have forgotten each other.
    padding = int(min(4 * sigma, max(grid.shape))) + 1
    rows, columns = (fft.next_fast_len(n + padding, real=True) for n in grid.shape)
    along_y = np.exp(-2 * (np.pi * sigma * fft.fftfreq(rows)) ** 2)
    along_x = np.exp(-2 * (np.pi * sigma * fft.rfftfreq(columns)) ** 2)
    noise = fft.rfft2(rng.standard_normal((rows, columns)))
    field = fft.irfft2(noise * along_y[:, None] * along_x[None, :], s=(rows, columns))
    # Variance that white noise keeps under the filter, by Parseval's theorem.
    full_x = np.exp(-2 * (np.pi * sigma * fft.fftfreq(columns)) ** 2)
    kept = np.sqrt(np.mean(along_y**2) * np.mean(full_x**2))
    cut: FloatArray = field[: grid.rows, : grid.columns] / kept
    return np.ascontiguousarray(cut)


def borders(label: np.ndarray[Any, Any]) -> BoolArray:
    """Return where one of the four neighbours has another label."""
    found = np.zeros(label.shape, dtype=bool)
    for one, edge in ((label, found), (label.T, found.T)):
        change = one[1:] != one[:-1]
        edge[1:] |= change
        edge[:-1] |= change
    return found


def texture(rng: np.random.Generator, grid: Grid, mean: float, spread: float) -> FloatArray:
    """Return a positive quantity that varies over a twentieth of the field.

    Parameters
    ----------
    rng : numpy.random.Generator
        The variation.
    grid : Grid
        Where.
    mean : float
        Its median.
    spread : float
        Standard deviation of its logarithm.
    """
    return mean * np.exp(spread * smooth_field(rng, grid, grid.size / 20))


def ordinary(rng: np.random.Generator, grid: Grid) -> dict[str, FloatArray]:
    """Return stiffness, adhesion and potential of a plain surface, each with slight variation."""
    streams = rng.spawn(3)
    return {
        "stiffness": texture(streams[0], grid, STIFFNESS, 0.02),
        "adhesion": texture(streams[1], grid, ADHESION, 0.05),
        "potential": 0.01 * smooth_field(streams[2], grid, grid.size / 20),
    }


def sample_of(
    name: str,
    grid: Grid,
    height: FloatArray,
    layers: Mapping[str, FloatArray],
    facts: Mapping[str, Any],
) -> Sample:
    """Return a sample; layers that are named in `MEANING` need no meaning of their own."""
    return Sample(
        name=name,
        height=np.ascontiguousarray(height, dtype=np.float64),
        pitch=grid.pitch,
        layers={key: np.ascontiguousarray(layers[key], dtype=np.float64) for key in sorted(layers)},
        meaning={key: MEANING[key] for key in sorted(layers)},
        facts=facts,
    )
