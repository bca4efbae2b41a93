"""Whether a frame is of the kind that sites can be ranked in."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from nanopilot.analysis.atom_graphs.crystal import Crystal, read_crystal
from nanopilot.analysis.atom_graphs.features import Features, measure_features
from nanopilot.analysis.atom_graphs.learned import NAME, RECIPE
from nanopilot.analysis.atoms.columns import find_columns
from nanopilot.analysis.frame_arrays import robust_std
from nanopilot.core.errors import SignalError
from nanopilot.core.history import FloatArray
from nanopilot.core.signals import Signal, SignalSet
from nanopilot.models.familiarity import Familiarity
from nanopilot.models.weights import load_weights

#: What is known of a frame: names of `describe`.
DESCRIBED = (
    "log next-neighbour distance", "log column width", "log distance over width",
    "log height spread", "log strain spread", "log displacement spread", "share linked",
    "share empty", "share of odd heights", "psi 4", "psi 6",
)  # fmt: skip
#: Relative heights that differ by more than this are odd.
_ODD = 0.25


def describe(columns: SignalSet, crystal: Crystal, features: Features) -> FloatArray:
    """Return few numbers on a crystal and how well it is seen, shape (11,).

    None of them depends on how much of the crystal is in the frame.

    Parameters
    ----------
    columns : SignalSet
        As of `find_columns`; distances and widths are logarithms of metres.
    crystal : Crystal
        As of `read_crystal`.
    features : Features
        As of `measure_features`.
    """
    inner, deep = ~crystal.edge, ~crystal.graph.boundary
    width = float(np.sqrt((columns["width_major"] * columns["width_minor"]).median()))
    near = crystal.links.near
    spread = [
        robust_std(features.height[inner]),
        robust_std(features.strain[inner, :2].ravel()),
        robust_std(features.displacement[inner].ravel()),
    ]
    order = features.order[inner] if inner.any() else features.order
    return np.array(
        [
            np.log10(near), np.log10(width), np.log10(near / width),
            *np.log10(np.maximum(spread, 1e-4)),
            float((crystal.links.there[deep].sum(axis=1) >= 7).mean()) if deep.any() else 0.0,
            float((~crystal.column[inner]).mean()) if inner.any() else 1.0,
            float((np.abs(features.height[inner]) > _ODD).mean()) if inner.any() else 1.0,
            *np.median(order, axis=0),
        ]
    )  # fmt: skip


@lru_cache(maxsize=2)
def load_familiarity(folder: Path | None = None) -> Familiarity:
    """Return what is known of own frames; it travels with the weights ``defects``.

    Parameters
    ----------
    folder : Path, optional
        Where the weights are, if they are one's own.

    Raises
    ------
    UnknownName
        There are no weights.
    MissingExtra
        The package safetensors is not installed.
    """
    tensors, _ = load_weights(NAME, folder, RECIPE)
    return Familiarity.from_tensors(tensors)


def strangeness(frame: Signal) -> float:
    """Return how unlike frames of single crystals along a zone axis a frame is; above 1: strange.

    Infinite where no lattice is seen at all: noise, blobs, several grains.

    Parameters
    ----------
    frame : Signal
        Dims (y, x) in metres.

    Raises
    ------
    SignalError
        It is no frame.
    MissingExtra
        The package safetensors is not installed.
    """
    columns = find_columns(frame)
    try:
        crystal = read_crystal(columns, frame)
    except SignalError:
        return float("inf")
    return strangeness_of(columns, crystal, measure_features(crystal))


def strangeness_of(columns: SignalSet, crystal: Crystal, features: Features) -> float:
    """Return `strangeness` of what has been measured already.

    Parameters
    ----------
    columns : SignalSet
        As of `find_columns`.
    crystal : Crystal
        As of `read_crystal`.
    features : Features
        As of `measure_features`.
    """
    return float(load_familiarity().strangeness(describe(columns, crystal, features))[0])
