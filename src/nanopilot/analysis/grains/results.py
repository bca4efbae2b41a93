"""What is found in one frame of grains, and what is counted of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from nanopilot.analysis.grains.boundaries import BoundaryGraph
from nanopilot.core.signals import Signal, SignalSet, metadata

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True, eq=False)
class Grains:
    """Grains of one frame.

    Parameters
    ----------
    labels : Signal
        1, 2, ... for grains, 0 for substrate and for what was not measured; dims (y, x).
    table : SignalSet
        One row a grain, ascending labels: as of
        `nanopilot.analysis.instances.describe_instances`, ``mean`` the mean levelled height; and
        ``certainty``: how clear its least clear boundary is, 1 just enough.
    boundaries : BoundaryGraph
        Which touch, and along what length.
    method : str
        How they were told apart.
    diameter : float
        About that of a grain, in pixels of the frame, before any was found.
    strangeness : float
        How unlike its own pictures the frame is to the network; NaN where it was not asked.
    doubts : tuple of str
        Why a person should look.
    """

    labels: Signal
    table: SignalSet
    boundaries: BoundaryGraph
    method: str
    diameter: float
    strangeness: float = math.nan
    doubts: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many there are, those that the edge cuts included."""
        return int(self.table.sizes["point"])

    @property
    def whole(self) -> BoolArray:
        """Which rows of the table lie whole in the frame; only their sizes are sizes."""
        return np.asarray(self.table["border"].to_numpy() == 0)

    @property
    def diameters(self) -> FloatArray:
        """Equivalent diameters in metres of grains that lie whole in the frame."""
        return np.asarray(self.table["equivalent_diameter"].to_numpy()[self.whole])


def axial_mean(angles: FloatArray, weights: FloatArray | None = None) -> tuple[float, float]:
    """Return mean direction of axes, -pi/2 to pi/2, and how much they agree, 0 to 1.

    Angles are doubled, since an axis turned by pi is the same: K. V. Mardia and P. E. Jupp,
    Directional Statistics, 2000, section 9.1.

    Parameters
    ----------
    angles : numpy.ndarray
        Radians, shape (n,).
    weights : numpy.ndarray, optional
        How much each counts, shape (n,).
    """
    if not len(angles):
        return math.nan, math.nan
    mean = np.average(np.exp(2j * np.asarray(angles)), weights=weights)
    return float(np.angle(mean) / 2), float(abs(mean))


def evenness(places: FloatArray) -> float:
    """Return how evenly grains are spread, 0 to 1; it has no unit.

    1 / (1 + v), v the squared coefficient of variation, over grains, of the mean distance to the
    four nearest. NaN for fewer than five places.

    Parameters
    ----------
    places : numpy.ndarray
        In any unit of length, shape (n, 2).
    """
    if len(places) < 5:
        return math.nan
    distances, _ = cKDTree(places).query(places, k=5)
    mean = np.asarray(distances)[:, 1:].mean(axis=1)
    return float(1 / (1 + mean.var() / mean.mean() ** 2))


def to_stage(points: FloatArray, frame: Signal) -> FloatArray:
    """Return places in the frame of the stage, of such in the frame's own coordinates.

    A rotated frame has the axes it would have unrotated, and tells origin and rotation beside.

    Parameters
    ----------
    points : numpy.ndarray
        x and y in metres, shape (n, 2).
    frame : Signal
        With ``origin`` and ``rotation`` where it was rotated, as frames of instruments have them.

    Returns
    -------
    numpy.ndarray
        x and y in metres, float64, shape (n, 2).
    """
    facts = metadata(frame)
    points = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    turn = float(facts.get("rotation") or 0.0)
    if not turn:
        return points
    origin = np.asarray(facts["origin"], dtype=np.float64)
    cos, sin = math.cos(turn), math.sin(turn)
    return np.asarray((points - origin) @ np.array([[cos, sin], [-sin, cos]]) + origin)
