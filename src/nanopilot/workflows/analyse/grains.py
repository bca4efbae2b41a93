"""Grains of one height frame, for a person: table, outlines, targets and doubts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from nanopilot.analysis.grains import (
    BoundaryDensity,
    Chooser,
    Cluster,
    Grains,
    HeightOutlier,
    Largest,
    SegmentGrains,
    Smallest,
    axial_mean,
    evenness,
    stability,
)
from nanopilot.analysis.instances import outlines
from nanopilot.core.errors import OutOfRange
from nanopilot.core.signals import Signal
from nanopilot.workflows.analyse.findings import Findings, Mark

Choose = Literal["none", "largest", "smallest", "boundaries", "height", "clusters"]
Method = Literal["classical", "learned", "auto"]


@dataclass(frozen=True, slots=True)
class AnalyseGrains:
    """Tell the grains of a height frame apart, measure them, and say where to go.

    Parameters
    ----------
    method : {"auto", "classical", "learned"}
        As of `nanopilot.analysis.grains.SegmentGrains`.
    choose : {"none", "largest", "smallest", "boundaries", "height", "clusters"}
        Targets that are marked.
    count : int
        How many targets.
    repeats : int
        How often grains are counted again, the frame turned and noise added, before the count is
        believed; 0: not at all.
    seed : int
        Of that noise.

    Raises
    ------
    OutOfRange
        A parameter is no good.
    """

    method: Method = "auto"
    choose: Choose = "none"
    count: int = 10
    repeats: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        SegmentGrains(self.method)
        if self.choose not in get_args(Choose):
            raise OutOfRange(
                f"`choose` is {self.choose!r}; it is one of {', '.join(get_args(Choose))}."
            )
        if self.repeats != 0 and self.repeats < 2:
            raise OutOfRange(f"`repeats` is {self.repeats}; it is 2 or more, or 0 for none.")
        if self.count < 1:
            raise OutOfRange(f"`count` is {self.count}; ask for 1 or more.")

    def __call__(self, frame: Signal) -> Findings:
        """Return the grains of a frame.

        Parameters
        ----------
        frame : Signal
            Heights in metres, dims y and x in metres.

        Raises
        ------
        SignalError, OutOfRange, MissingExtra
            As of `nanopilot.analysis.grains.SegmentGrains`.
        """
        grains = SegmentGrains(self.method)(frame)
        summary = _summary(grains)
        doubts = list(grains.doubts)
        if self.repeats:
            again = stability(
                frame, np.random.default_rng(self.seed), method=grains.method, times=self.repeats
            )
            summary["count when turned and noisier"] = (
                f"{again.counts.min():.0f} to {again.counts.max():.0f}"
            )
            if not again.stable:
                doubts.append(
                    f"The count is not stable: {again.counts.min():.0f} to "
                    f"{again.counts.max():.0f} when the frame is turned and noise is added. "
                    "Average more frames, or scan with smaller pixels."
                )
        table = grains.table.copy()
        return Findings(table, (*_outlined(grains), *self._targets(grains)), summary, tuple(doubts))

    def _targets(self, grains: Grains) -> list[Mark]:
        chooser = self._chooser()
        if chooser is None:
            return []
        # Marks are in the frame's own coordinates, targets in those of the stage.
        own = grains.labels.copy()
        own.attrs = {key: one for key, one in own.attrs.items() if key != "rotation"}
        flat = Grains(own, grains.table, grains.boundaries, grains.method, grains.diameter)
        return [
            Mark(f"target: {self.choose}", place[None], "dot") for place in chooser(flat).places
        ]

    def _chooser(self) -> Chooser | None:
        rules: dict[str, Chooser | None] = {
            "none": None,
            "largest": Largest(self.count),
            "smallest": Smallest(self.count),
            "boundaries": BoundaryDensity(self.count),
            "height": HeightOutlier(self.count),
            "clusters": Cluster(self.count),
        }
        return rules[self.choose]


def _outlined(grains: Grains) -> list[Mark]:
    drawn = outlines(grains.labels)
    cut = grains.table["border"].to_numpy() > 0
    return [
        Mark("grain cut by the edge" if at_edge else "grain", drawn[int(label)])
        for label, at_edge in zip(grains.table["label"].to_numpy(), cut, strict=True)
        if len(drawn[int(label)])
    ]


def _summary(grains: Grains) -> dict[str, float | int | str]:
    table, whole = grains.table, grains.whole
    sizes = grains.diameters * 1e9
    found: dict[str, float | int | str] = {
        "grains": grains.count,
        "whole grains": int(whole.sum()),
        "method": grains.method,
    }
    if sizes.size:
        found |= {
            "median diameter (nm)": float(np.median(sizes)),
            "mean diameter (nm)": float(sizes.mean()),
            "spread of diameters (1)": float(sizes.std() / sizes.mean()),
        }
    area = float(table["area"].sum())
    found["boundary per area (1/µm)"] = float(grains.boundaries.lengths.sum()) / area * 1e-6
    angles, aspect = (table[name].to_numpy()[whole] for name in ("orientation", "aspect_ratio"))
    direction, agree = axial_mean(angles, np.minimum(aspect, 10.0) - 1)
    if math.isfinite(direction):
        found |= {"orientation (deg)": math.degrees(direction), "alignment (1)": agree}
    places: Any = np.stack([table[dim].to_numpy() for dim in ("x", "y")], axis=-1)
    even = evenness(places)
    return found | ({"evenness (1)": even} if math.isfinite(even) else {})
