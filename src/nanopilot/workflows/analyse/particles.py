"""`analyse particles`: particles of one frame, their outlines, and when to look again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from nanopilot.analysis.particle_shapes import Outlined, OutlineParticles
from nanopilot.analysis.particles import FindParticles, ParticlesFound
from nanopilot.core.errors import OutOfRange
from nanopilot.core.signals import Signal, SignalSet
from nanopilot.workflows.analyse.doubts import out_of_range
from nanopilot.workflows.analyse.findings import Findings, Mark
from nanopilot.workflows.analyse.particle_classes import CUT, PARTICLE, sorted_together
from nanopilot.workflows.analyse.standing_out import LEAST, standing_out
from nanopilot.workflows.analyse.together import Together

Array = np.ndarray[Any, np.dtype[Any]]
#: Between these probabilities nobody knows.
_UNSURE = (0.2, 0.8)


@dataclass(frozen=True, slots=True)
class AnalyseParticles:
    """Find the particles of a frame and draw their outlines.

    Parameters
    ----------
    smallest, largest : float, optional
        Radii looked for, in metres. If nothing is said: any on an even ground; in a search from 6
        pixels to a quarter of the shorter side, at most 128 pixels.
    least_probability : float
        Less probable candidates of a search are left out, 0 to 1.
    method : {"auto", "classical", "learned"}
        With the network or without.
    approach : {"auto", "ground", "search"}
        "ground": what differs from an even ground is a particle, and is outlined as it is,
        overlapped ones too. "search": closed outlines are looked for on any background, and each
        has a probability. "auto": "ground" where particles stand out of it, see `standing_out`.
    shapes : bool
        Sort the particles of all frames by shape, once each was looked at; see `together`.
    """

    smallest: float | None = None
    largest: float | None = None
    least_probability: float = 0.5
    method: Literal["classical", "learned", "auto"] = "auto"
    approach: Literal["auto", "ground", "search"] = "auto"
    shapes: bool = True

    def __call__(self, frame: Signal) -> Findings:
        """Return the table, one outline a particle, and doubts.

        Raises
        ------
        SignalError
            It is no frame of square pixels, or has values that are not finite.
        OutOfRange
            Radii that do not fit into the frame, a probability outside 0 to 1, or an unknown
            approach.
        MissingExtra
            The network is asked for, and PyTorch is not installed.
        """
        if not 0 <= self.least_probability <= 1:
            raise OutOfRange(f"`least_probability` is {self.least_probability}; it is 0 to 1.")
        if self.approach not in {"auto", "ground", "search"}:
            raise OutOfRange(
                f"`approach` is {self.approach!r}; it is 'auto', 'ground' or 'search'."
            )
        if self.approach != "search" and self.method != "learned":
            outlined = OutlineParticles(least_diameter=2 * (self.smallest or 0.0))(frame)
            if self.approach == "ground" or standing_out(frame, outlined) >= LEAST:
                return self._on_ground(frame, outlined)
        return self._searched(frame)

    def together(
        self, tables: Mapping[str, SignalSet], rng: np.random.Generator
    ) -> Together | None:
        """Return the shape classes of the particles of all frames, unless `shapes` is false.

        Parameters
        ----------
        tables : mapping of str to SignalSet
            Of the frames, by name.
        rng : numpy.random.Generator
            Draws starts and resampled particles.
        """
        return sorted_together(tables, rng) if self.shapes else None

    def _on_ground(self, frame: Signal, outlined: Outlined) -> Findings:
        radius = outlined.table["equivalent_diameter"].to_numpy() / 2
        kept = np.flatnonzero(radius <= (self.largest or np.inf))
        outlines, table = list(outlined.outlines.values()), outlined.table.isel(point=kept)
        cut = table["border"].to_numpy().astype(bool)
        marks = tuple(
            Mark(CUT if edge else PARTICLE, outlines[one])
            for one, edge in zip(kept, cut, strict=True)
        )
        summary = _sizes(2 * radius[kept][~cut], len(kept), "ground")
        if len(kept):
            share = float(table["area"].to_numpy().sum()) / _area(frame)
            summary["covered area (%)"] = 100 * share
        doubts = _cut_doubts(len(kept), int(cut.sum())) + out_of_range(frame)
        return Findings(table, marks, summary, tuple(doubts))

    def _searched(self, frame: Signal) -> Findings:
        lowest = min(_UNSURE[0], self.least_probability)
        every = FindParticles(self.smallest, self.largest, lowest, self.method).outlined(frame)
        sure = every.table["probability"].to_numpy()
        kept = np.flatnonzero(sure >= self.least_probability)
        table = every.table.isel(point=kept)
        radius = table["radius"].to_numpy()
        summary = _sizes(2 * radius, len(kept), "search")
        if len(kept):
            summary["covered area (%)"] = 100 * float(np.pi * np.sum(radius**2)) / _area(frame)
        marks = tuple(Mark(PARTICLE, every.outlines[one]) for one in kept)
        doubts = _doubts(frame, every, kept) + out_of_range(frame)
        return Findings(table, marks, summary, tuple(doubts))


def _sizes(diameter: Array, count: int, approach: str) -> dict[str, float | int | str]:
    """Return what is said of a frame with so many particles, of which some sizes are known."""
    said: dict[str, float | int | str] = {"particles": count}
    if len(diameter):
        said |= {
            "median diameter (nm)": 1e9 * float(np.median(diameter)),
            "smallest diameter (nm)": 1e9 * float(diameter.min()),
            "largest diameter (nm)": 1e9 * float(diameter.max()),
        }
    return said | {"approach": approach}


def _cut_doubts(count: int, cut: int) -> list[str]:
    if not count:
        return ["No particle was found; `approach` 'search' looks for fainter ones."]
    if cut == count:
        return ["Every particle is cut by the edge of the frame: no size is known."]
    if 2 * cut > count:
        return [f"{cut} of {count} particles are cut by the edge; sizes are of the others."]
    return []


def _area(frame: Signal) -> float:
    sides = (abs(float(frame[dim][1] - frame[dim][0])) * frame.sizes[dim] for dim in ("y", "x"))
    return float(np.prod(list(sides)))


def _doubts(frame: Signal, every: ParticlesFound, kept: Array) -> list[str]:
    sure = every.table["probability"].to_numpy()
    doubts = []
    unsure = int(((sure >= _UNSURE[0]) & (sure < _UNSURE[1])).sum())
    if unsure:
        doubts.append(
            f"{unsure} of {len(sure)} candidates are neither sure nor unlikely "
            f"(probability {_UNSURE[0]:g} to {_UNSURE[1]:g}); look at them."
        )
    if not len(kept):
        doubts.append("No particle was found; smaller or fainter ones may be there.")
        return doubts
    cut = _at_edge(frame, [every.outlines[one] for one in kept])
    if cut:
        doubts.append(f"{cut} outlines reach the edge of the frame: their sizes are too small.")
    return doubts


def _at_edge(frame: Signal, outlines: list[Array]) -> int:
    """Count outlines that come within a pixel of the edge."""
    count = 0
    for one in outlines:
        for number, dim in enumerate(("x", "y")):
            axis = frame[dim].to_numpy()
            low, high = sorted((float(axis[0]), float(axis[-1])))
            pixel = abs(float(axis[1] - axis[0]))
            if one[:, number].min() < low + pixel or one[:, number].max() > high - pixel:
                count += 1
                break
    return count
