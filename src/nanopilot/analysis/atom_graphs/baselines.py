"""What a site's oddity is without any graph: three plain scores, to be shown beside every other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from nanopilot.analysis.atoms.lattice import fit_lattice
from nanopilot.analysis.atoms.sublattices import assign_sublattices
from nanopilot.analysis.frame_arrays import NORMAL_MAD
from nanopilot.core.errors import SignalError
from nanopilot.core.history import FloatArray
from nanopilot.core.signals import Signal, SignalSet

#: Columns around one that its height is held against.
_AROUND = 24
#: A site of a fitted lattice is empty without a column within this share of its vectors.
_WITHIN = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Places and how odd each is.

    Parameters
    ----------
    place : numpy.ndarray
        (x, y) in metres, shape (n, 2).
    score : numpy.ndarray
        Shape (n,); larger is odder.
    """

    place: FloatArray
    score: FloatArray


def places_of(columns: SignalSet) -> FloatArray:
    """Return (x, y) of columns in metres, shape (n, 2)."""
    return np.stack([columns["x"].to_numpy(), columns["y"].to_numpy()], axis=1).astype(float)


def intensity_score(columns: SignalSet, frame: Signal | None = None) -> Scored:
    """Return by how many robust standard deviations heights differ from the 24 columns around.

    Parameters
    ----------
    columns : SignalSet
        As of `find_columns`, two or more.
    frame : Signal, optional
        Not looked at.
    """
    del frame
    place, height = places_of(columns), columns["height"].to_numpy().astype(float)
    tree: Any = cKDTree(place)
    _, at = tree.query(place, k=min(_AROUND + 1, len(place)))
    around = height[at[:, 1:]]
    middle = np.median(around, axis=1)
    spread = NORMAL_MAD * np.median(np.abs(around - middle[:, None]), axis=1)
    return Scored(place, np.abs(height - middle) / np.maximum(spread, 1e-3 * np.abs(middle)))


def sublattice_intensity_score(columns: SignalSet, frame: Signal | None = None) -> Scored:
    """Return by how many robust standard deviations heights differ from others of their class.

    Classes are those of `assign_sublattices`; where it refuses to name them, all are one.

    Parameters
    ----------
    columns : SignalSet
        As of `find_columns`.
    frame : Signal, optional
        Not looked at.
    """
    del frame
    height = columns["height"].to_numpy().astype(float)
    named = assign_sublattices(columns)["sublattice"].to_numpy()
    score = np.zeros(len(height))
    for kind in np.unique(named):
        own = named == kind
        score[own] = _deviation(height[own])
    return Scored(places_of(columns), score)


def distance_score(columns: SignalSet, frame: Signal | None = None) -> Scored:
    """Return by how many robust standard deviations the next neighbour is too near or too far.

    Parameters
    ----------
    columns : SignalSet
        As of `find_columns`, two or more.
    frame : Signal, optional
        Not looked at.
    """
    del frame
    place = places_of(columns)
    far, _ = cKDTree(place).query(place, k=2)
    return Scored(place, _deviation(np.asarray(far)[:, 1]))


def lattice_score(columns: SignalSet, frame: Signal | None = None) -> Scored:
    """Return distances from one straight lattice through the whole frame; empty sites come first.

    A lattice is fitted to each class of `assign_sublattices`, or to all. Its sites inside the
    frame that hold no column are added, with the largest score. Columns outside it have 0.

    Parameters
    ----------
    columns : SignalSet
        As of `find_columns`.
    frame : Signal, optional
        Sites outside it are left out; without it, those beyond the columns.
    """
    named = assign_sublattices(columns)
    kinds = np.unique(named["sublattice"].to_numpy())
    place, score, empty = places_of(columns), np.zeros(columns.sizes["point"]), []
    for kind in kinds:
        try:
            lattice = fit_lattice(named, int(kind))
        except SignalError:
            continue
        left = np.hypot(*(place - lattice.ideal()).T)
        inside = lattice.inside
        score[inside] = _deviation(left[inside])
        whole = _whole(lattice.index[inside]) @ lattice.vectors + lattice.origin
        far, _ = cKDTree(place).query(whole)
        within = _WITHIN * float(np.hypot(*lattice.vectors.T).min())
        empty.append(whole[np.asarray(far) > within])
    gaps = np.concatenate([np.zeros((0, 2)), *empty])
    low, high = place.min(axis=0), place.max(axis=0)
    if frame is not None:
        axes = [frame[dim].to_numpy() for dim in ("x", "y")]
        low, high = np.array([a.min() for a in axes]), np.array([a.max() for a in axes])
    gaps = gaps[((gaps >= low) & (gaps <= high)).all(axis=1)]
    top = 1.0 + float(score.max(initial=0.0))
    return Scored(np.concatenate([place, gaps]), np.concatenate([score, np.full(len(gaps), top)]))


#: Every baseline by the name it is reported under.
BASELINES = {
    "intensity z-score": intensity_score,
    "intensity z-score by sublattice": sublattice_intensity_score,
    "next-neighbour z-score": distance_score,
    "residual from a global lattice": lattice_score,
}


def _whole(index: FloatArray) -> FloatArray:
    """Return all indices of the rectangle that indices span."""
    low, high = index.min(axis=0), index.max(axis=0)
    lines = [np.arange(a, b + 1) for a, b in zip(low, high, strict=True)]
    return np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1).reshape(-1, 2)


def _deviation(values: FloatArray) -> FloatArray:
    middle = float(np.median(values))
    spread = NORMAL_MAD * float(np.median(np.abs(values - middle)))
    return np.asarray(np.abs(values - middle) / max(spread, 1e-6 * abs(middle), 1e-300))
