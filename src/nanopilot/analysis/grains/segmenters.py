"""Ways to tell grains apart: ours, and programs that a user brings."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Protocol

import numpy as np

from nanopilot.analysis.grains.classical import Parts, bends, certainty_of, segment
from nanopilot.analysis.grains.flattening import noise_of
from nanopilot.analysis.grains.learned import GrainMaps, GrainNet
from nanopilot.analysis.grains.merging import Evidence, merge_regions
from nanopilot.analysis.grains.preparing import Prepared
from nanopilot.analysis.grains.scale import DIAMETERS, usual_diameter
from nanopilot.core.errors import MissingExtra, SignalError
from nanopilot.models.recipes import grains as recipe

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: Wider grains are shrunk to so many pixels before their bends are looked at.
_WIDE, _SHRUNK = 40.0, 28.0
#: Evidence that a boundary needs along its length, what a bend of usual size adds to it, and the
#: probability that a grain needs at a pixel.
_BOUNDARY, _BENT, _GRAIN = 0.65, 0.45, 0.5
#: Of the grain in the middle of the sizes, taken as the diameter for the network.
_AGAIN = 0.9
#: Diameter in pixels of the network below which a region is a piece of another.
_LEAST = 4.0


class Segmenter(Protocol):
    """Anything that tells grains apart on levelled heights.

    Weights, and a licence to use them, are the user's.
    """

    @property
    def name(self) -> str:
        """What it is called in results."""

    def __call__(self, level: FloatArray, diameter: float) -> IntArray:
        """Return labels, 0 where no grain is.

        Parameters
        ----------
        level : numpy.ndarray
            Levelled heights, signed, 0 to 1 between their 1st and 99th percentile, shape
            (rows, columns).
        diameter : float
            About that of a grain, in pixels.
        """


def by_curvature(ready: Prepared) -> Parts:
    """Tell grains apart by the bends of the surface, `classical.segment`."""
    if ready.diameter <= _WIDE:
        return segment(ready.level, ready.diameter)
    small = ready.at_diameter(_SHRUNK)
    found = segment(small.frame.to_numpy(), _SHRUNK)
    return Parts(small.labels_back(found.labels), found.certainty)


def by_network(ready: Prepared, network: GrainNet) -> Parts:
    """Tell grains apart by a trained network, at the size of grains that it knows.

    That size is told by what the curvature finds first.
    """
    first = usual_diameter(by_curvature(ready).labels)
    wide = _AGAIN * first if math.isfinite(first) else ready.diameter
    small = replace(ready, length=wide / DIAMETERS).at_diameter(recipe.USUAL)
    level = small.frame.to_numpy()
    found = from_maps(network(level), level)
    return Parts(small.labels_back(found.labels), found.certainty)


def from_maps(maps: GrainMaps, level: FloatArray) -> Parts:
    """Return grains of what the network says, and of the bends of the surface.

    Basins of boundary probability less depth are the first regions; two that touch are put
    together where too little speaks for the boundary between them: the mean of its probability
    and of how shallow it is, and the curvature across it.

    Parameters
    ----------
    maps : GrainMaps
        Of one frame.
    level : numpy.ndarray
        Its heights, about `grains.USUAL` pixels a grain, shape (rows, columns).
    """
    from skimage.segmentation import watershed

    inside = maps.grain > _GRAIN
    basins = watershed(maps.boundary - maps.depth, connectivity=2, mask=inside).astype(np.int64)
    if not basins.any():
        return Parts(basins, np.zeros(0))
    said = (maps.boundary + 1 - np.clip(maps.depth, 0.0, 1.0)) / 2
    bent, size = bends(level, noise_of(level), recipe.USUAL)
    share = _BENT / size
    evidence = Evidence(said + share * bent.rows, share * bent.mixed, said + share * bent.columns)
    labels = merge_regions(basins, evidence, _BOUNDARY, math.pi / 4 * _LEAST**2)
    return Parts(labels, certainty_of(labels, evidence, _BOUNDARY))


def by_segmenter(ready: Prepared, segmenter: Segmenter) -> Parts:
    """Tell grains apart by a program that the user brings; heights may be of either sign.

    Raises
    ------
    SignalError
        It returned no whole numbers of the frame's shape.
    """
    low, high = np.quantile(ready.level, [0.01, 0.99])
    shown = (ready.level - low) / max(float(high - low), 1e-300)
    labels = np.asarray(segmenter(shown, ready.diameter))
    if labels.shape != ready.level.shape or labels.dtype.kind not in "iu" or labels.min() < 0:
        raise SignalError(
            f"`{segmenter.name}` returned {labels.dtype} of shape {labels.shape}; whole numbers "
            f"from 0 of shape {ready.level.shape} are needed."
        )
    names, dense = np.unique(labels, return_inverse=True)
    first = 0 if names[0] == 0 else 1
    whole = dense.reshape(labels.shape).astype(np.int64) + first
    return Parts(whole, np.full(int(whole.max()), np.nan))


@dataclass(frozen=True, slots=True)
class CellposeSegmenter:
    """An adapter for cellpose, or for whatever has its call, with weights that a user brings.

    Calls ``model.eval(image, diameter=...)``, whose first result are masks (C. Stringer et al.,
    Nature Methods 18 (2021) 100; pages of the program, "CellposeModel.eval"). Mind the licence of
    the weights: some forbid commercial use.

    Parameters
    ----------
    model : object, optional
        A model that is loaded; otherwise one is made of `weights` when it is first needed.
    weights : str
        Path or name, as the program's ``pretrained_model`` takes it. No default: versions are the
        user's to pin.
    """

    model: Any = None
    weights: str = ""
    name: str = "cellpose"

    def __call__(self, level: FloatArray, diameter: float) -> IntArray:
        """Return masks; see `Segmenter`.

        Raises
        ------
        MissingExtra
            No model was given, and the program or the name of weights is missing.
        """
        model = self.model if self.model is not None else _load_cellpose(self.weights)
        found = model.eval(np.clip(level, 0.0, 1.0).astype(np.float32), diameter=diameter)
        return np.asarray(found[0]).astype(np.int64)


def _load_cellpose(weights: str) -> Any:
    if not weights:
        raise MissingExtra(
            "`weights` is empty; bring a file of weights, or a `model` that is loaded."
        )
    try:
        models = import_module("cellpose.models")
    except ImportError as cause:
        raise MissingExtra(
            "`CellposeSegmenter` needs the package 'cellpose', which nanopilot does not install: "
            "install it beside, or give a `model` that is loaded."
        ) from cause
    make: Callable[..., Any] = models.CellposeModel
    return make(pretrained_model=weights)
