"""Whether a scan is of the kind that networks for tips know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nanopilot.analysis.tip.kernels import FloatArray
from nanopilot.models.familiarity import Familiarity
from nanopilot.models.frame_features import LEAST, frame_features
from nanopilot.models.openings import openings

#: What tensors of `Familiarity` begin with, among those of a network.
PREFIX = "familiarity"


def look(image: FloatArray) -> FloatArray:
    """Return the features of a scan without its plane; see `frame_features` and `openings`.

    Parameters
    ----------
    image : numpy.ndarray
        Heights in any unit, shape (rows, columns).
    """
    y, x = np.meshgrid(*(np.linspace(-1, 1, size) for size in image.shape), indexing="ij")
    slopes = [float(np.sum(image * axis) / np.sum(axis**2)) for axis in (y, x)]
    level = image - slopes[0] * y - slopes[1] * x
    return np.concatenate([frame_features(level), openings(level)])


def strangeness_of(known: Familiarity | None, image: FloatArray) -> float:
    """Return how strange a scan is; above 1: of no known kind.

    Parameters
    ----------
    known : Familiarity, optional
        None: weights that were trained before this was learned; nothing is strange to them.
    image : numpy.ndarray
        Heights in any unit, shape (rows, columns); too small a scan tells too little, and is not
        strange.
    """
    if known is None or min(image.shape) < LEAST:
        return 0.0
    return float(known.strangeness(look(image))[0])


def take_known(tensors: Mapping[str, Any]) -> tuple[dict[str, Any], Familiarity | None]:
    """Return the tensors of the network alone, and what it knows of its own pictures.

    Parameters
    ----------
    tensors : mapping of str to numpy.ndarray
        Of `nanopilot.models.weights.load_weights`.

    Raises
    ------
    ReadError
        What it knows is incomplete.
    """
    mine = {key: one for key, one in tensors.items() if not key.startswith(f"{PREFIX}.")}
    known = Familiarity.from_tensors(tensors, PREFIX) if len(mine) < len(tensors) else None
    return mine, known
