"""Which places are near which: k-d trees."""

from __future__ import annotations

import math

import numpy as np

from nanopilot.twins.stem.samples.recipe import FloatArray, IntArray


def nearest(
    places: FloatArray, among: FloatArray, reach: float = math.inf
) -> tuple[FloatArray, IntArray]:
    """Return distance and index of the nearest of some places; infinite if beyond `reach`.

    Parameters
    ----------
    places : numpy.ndarray
        Metres, shape (..., dims).
    among : numpy.ndarray
        Metres, shape (m, dims).
    reach : float
        Metres.

    Returns
    -------
    tuple of numpy.ndarray
        Both of shape (...,); the index is m where nothing is within reach.
    """
    from scipy.spatial import cKDTree

    away, which = cKDTree(among).query(places, distance_upper_bound=reach)
    return np.asarray(away, dtype=float), np.asarray(which, dtype=np.int64)


def pairs_within(places: FloatArray, reach: float) -> IntArray:
    """Return all pairs of places that are closer than `reach` (m), shape (n, 2)."""
    from scipy.spatial import cKDTree

    found = cKDTree(places).query_pairs(reach, output_type="ndarray")
    return np.asarray(found, dtype=np.int64).reshape(-1, 2)
