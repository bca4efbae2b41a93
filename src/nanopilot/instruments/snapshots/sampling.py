"""From the picture that came to the pixels that were asked for, inventing nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nanopilot.core.geometry import FloatArray, places
from nanopilot.core.requests import ScanRequest


@dataclass(frozen=True, slots=True)
class Picture:
    """One whole image as an instrument gives it, centred on the axis.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (rows, columns), the row of smallest y first.
    pitch : (float, float)
        Distance of neighbouring pixels along x and y, in metres at the sample.
    rotation : float
        Of its axes against those of the requests, counter-clockwise, in radians.
    details : mapping
        What else the instrument has to say, as JSON.
    """

    values: np.ndarray[Any, np.dtype[Any]]
    pitch: tuple[float, float]
    rotation: float = 0.0
    details: Mapping[str, Any] = field(default_factory=dict)


def sample(request: ScanRequest, picture: Picture) -> tuple[FloatArray, FloatArray | None]:
    """Return the pixels a request asks for, each the nearest one of the picture.

    Nothing is interpolated: a value is one that was measured, and it says where.

    Parameters
    ----------
    request : ScanRequest
        One frame of it is looked at.
    picture : Picture
        What was measured.

    Returns
    -------
    values : numpy.ndarray
        Shape as requested; NaN outside the picture.
    measured : numpy.ndarray or None
        Where each of them was measured, (x, y) in metres, shape (n, 2); None where that is
        exactly the place asked for.
    """
    size = np.array(picture.values.shape[::-1])
    pitch = np.array(picture.pitch)
    cos, sin = np.cos(picture.rotation), np.sin(picture.rotation)
    turn = np.array([[cos, -sin], [sin, cos]])
    asked = places(request)
    exact = (asked @ turn) / pitch + (size - 1) / 2
    nearest = np.rint(exact).astype(int)
    inside = ((nearest >= 0) & (nearest < size)).all(axis=1)
    columns, rows = np.clip(nearest, 0, size - 1).T
    values = np.where(inside, picture.values[rows, columns].astype(float), np.nan)
    if np.abs(exact - nearest).max() < 1e-3:
        return values.reshape(request.shape), None
    measured = ((nearest - (size - 1) / 2) * pitch) @ turn.T
    return values.reshape(request.shape), measured
