"""Grains of a height frame, by name."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.ndimage import binary_dilation

from nanopilot.analysis.grains.boundaries import boundary_graph
from nanopilot.analysis.grains.classical import Parts
from nanopilot.analysis.grains.learned import GrainNet, load_grain_net
from nanopilot.analysis.grains.preparing import Prepared, prepare
from nanopilot.analysis.grains.results import Grains
from nanopilot.analysis.grains.scale import LEAST_DIAMETER
from nanopilot.analysis.grains.segmenters import Segmenter, by_curvature, by_network, by_segmenter
from nanopilot.analysis.instances import describe_instances
from nanopilot.analysis.rescaling import pixel_sizes
from nanopilot.core.errors import MissingExtra, OutOfRange, SignalError, UnknownName
from nanopilot.core.signals import Signal, SignalSet
from nanopilot.models.recipes import grains as recipe

Method = Literal["classical", "learned", "auto"]
_METHODS = ("classical", "learned", "auto")
#: Whole grains below which sizes say little, and decibels below which noise rules.
_FEW, _DROWNED = 8, 6.0


@dataclass(frozen=True, slots=True)
class SegmentGrains:
    """Tell the grains of a height frame apart; sizes in metres, boundaries, and doubts.

    Tilt, bow and offsets of lines are taken off first. Turned by a quarter or mirrored, a frame
    gives the same grains.

    Parameters
    ----------
    method : {"classical", "learned", "auto"}
        "classical": curvature of the surface. "learned": a network; frames unlike its own are
        refused. "auto": the network where PyTorch and weights are there and the frame is
        familiar, else the curvature; the result says which.
    strict : bool
        Refuse frames whose answer would carry a doubt.

    Raises
    ------
    OutOfRange
        There is no such method.
    """

    method: Method = "auto"
    strict: bool = False

    def __post_init__(self) -> None:
        if self.method not in _METHODS:
            raise OutOfRange(f"`method` is {self.method!r}; it is one of {', '.join(_METHODS)}.")

    def __call__(self, frame: Signal) -> Grains:
        """Return the grains of a frame.

        Parameters
        ----------
        frame : Signal
            Heights in metres, dims y and x in metres; NaN where nothing was measured.

        Raises
        ------
        SignalError
            It is no frame, flat, nothing but noise, or less than half measured; or, with
            "learned", unlike the network's own; or, if strict, there is a doubt.
        OutOfRange
            It has fewer than 24 rows or columns.
        MissingExtra
            "learned", and PyTorch or safetensors is not installed.
        """
        ready = prepare(frame)
        _check_length(ready)
        parts, method, strange, said = self._told_apart(ready)
        found = assemble(ready, parts, method, strange, said)
        if self.strict and found.doubts:
            raise SignalError(
                f"`frame` leaves doubts: {' '.join(found.doubts)} Scan again, or do not ask for "
                "`strict`."
            )
        return found

    def _told_apart(self, ready: Prepared) -> tuple[Parts, str, float, tuple[str, ...]]:
        if self.method == "classical":
            return by_curvature(ready), "classical", math.nan, ()
        try:
            network = load_grain_net()
        except (MissingExtra, UnknownName):
            if self.method == "learned":
                raise
            return by_curvature(ready), "classical", math.nan, ()
        strange = _strangeness(ready, network)
        if strange <= 1:
            return by_network(ready, network), "learned", strange, ()
        said = f"The network does not know this kind of picture (strangeness {strange:.1f})"
        if self.method == "learned":
            raise SignalError(f"`frame`: {said[0].lower()}{said[1:]}. Take `method='classical'`.")
        return by_curvature(ready), "classical", strange, (f"{said}; the curvature was used.",)


def segment_with(frame: Signal, segmenter: Segmenter) -> Grains:
    """Tell grains apart by a program that the user brings.

    Parameters
    ----------
    frame : Signal
        As of `SegmentGrains`.
    segmenter : Segmenter
        The program.

    Raises
    ------
    SignalError
        As of `SegmentGrains`, or it returned no labels.
    """
    ready = prepare(frame)
    _check_length(ready)
    return assemble(ready, by_segmenter(ready, segmenter), segmenter.name, math.nan, ())


def from_mask(labels: Signal, heights: Signal) -> Grains:
    """Return sizes, boundaries and what choosers need of a mask that a user brings.

    Parameters
    ----------
    labels : Signal
        Whole numbers, 0 where no grain is, dims (y, x) in metres.
    heights : Signal
        Of the same frame.

    Raises
    ------
    SignalError
        They do not belong together, or there is no grain.
    """
    if not (labels.to_numpy() > 0).any():
        raise SignalError("`labels` has no grain: all of it is 0.")
    table = describe_instances(labels, heights)
    names = np.full(table.sizes["point"], np.nan)
    table["certainty"] = ("point", names, {"quantity": "clarity of boundary", "units": "1"})
    usual = float(np.median(table["equivalent_diameter"])) / math.sqrt(
        math.prod(pixel_sizes(labels))
    )
    return Grains(labels, table, boundary_graph(labels), "given", usual)


def strangeness(frame: Signal) -> float:
    """Return how unlike the network's own pictures a frame is; above 1: of no known kind.

    Parameters
    ----------
    frame : Signal
        As of `SegmentGrains`.

    Raises
    ------
    MissingExtra
        PyTorch or safetensors is not installed.
    """
    return _strangeness(prepare(frame), load_grain_net())


def _strangeness(ready: Prepared, network: GrainNet) -> float:
    if not math.isfinite(ready.length):
        return math.inf
    try:
        level = ready.at_diameter(recipe.USUAL).frame.to_numpy()
        return network.strangeness(level)
    except OutOfRange:
        # Too few grains across to make a picture of the network's size.
        return math.inf


def _check_length(ready: Prepared) -> None:
    if math.isfinite(ready.length):
        return
    raise SignalError(
        "`frame` is nothing but noise: neighbouring heights are not correlated, so no grain is "
        "resolved. Scan slower, or with smaller pixels."
    )


def assemble(
    ready: Prepared, parts: Parts, method: str, strange: float, said: tuple[str, ...]
) -> Grains:
    """Return all that is known of grains told apart.

    Parameters
    ----------
    ready : Prepared
        The frame.
    parts : Parts
        Labels on the pixels of ``ready.level``.
    method : str
        How they were told apart.
    strange : float
        Strangeness of the frame, NaN if not asked.
    said : tuple of str
        Doubts there are already.

    Raises
    ------
    SignalError
        There is no grain.
    """
    labels, names = ready.labels_back(parts.labels)
    if not len(names):
        raise SignalError("`frame` shows no grain: all of it was taken for substrate.")
    table = _table(ready, labels, parts.certainty[names - 1])
    found = Grains(labels, table, boundary_graph(labels), method, ready.diameter, strange)
    return Grains(
        labels, table, found.boundaries, method, ready.diameter, strange,
        (*said, *_doubts(ready, found)),
    )  # fmt: skip


def _table(ready: Prepared, labels: Signal, certainty: Any) -> SignalSet:
    table = describe_instances(labels, ready.frame.copy(data=ready.level_back()))
    if not ready.measured.all():
        # What lies beside a gap goes on in it, as what lies at the edge goes on beyond.
        gap = ~ready.measured
        cut = np.unique(labels.to_numpy()[binary_dilation(gap) & ~gap])
        table["border"] = table["border"].where(~np.isin(table["label"], cut), 1.0)
        table["border"].attrs = {"quantity": "touches the edge of what was measured", "units": "1"}
    table["certainty"] = ("point", certainty, {"quantity": "clarity of boundary", "units": "1"})
    return table


def _doubts(ready: Prepared, found: Grains) -> tuple[str, ...]:
    said = []
    pixel = math.sqrt(math.prod(pixel_sizes(found.labels)))
    usual = float(np.median(found.table["equivalent_diameter"])) / pixel
    if usual < LEAST_DIAMETER or ready.diameter < LEAST_DIAMETER:
        said.append(
            f"Grains are about {min(usual, ready.diameter):.1f} pixels wide; below "
            f"{LEAST_DIAMETER:.0f} they are not told from their boundaries. Scan with smaller "
            "pixels."
        )
    if found.whole.sum() < _FEW:
        said.append(
            f"Only {int(found.whole.sum())} grains lie whole in the frame; sizes say little."
        )
    if ready.signal_to_noise < _DROWNED:
        said.append(f"The surface is only {ready.signal_to_noise:.0f} dB above the noise.")
    if not ready.measured.all():
        said.append(f"{1 - ready.measured.mean():.0%} of the pixels were not measured.")
    return tuple(said)
