"""`analyse defects`: sites of an atomic frame ranked by how unusual they are."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nanopilot.analysis.atom_graphs import CLASSES, AtomGraph, Ranked, site_table
from nanopilot.analysis.atom_graphs.strangeness import strangeness_of
from nanopilot.core.errors import MissingExtra, OutOfRange, UnknownName
from nanopilot.core.signals import Signal
from nanopilot.workflows.analyse.doubts import common_doubts
from nanopilot.workflows.analyse.findings import Findings, Mark

#: Share of flagged sites from which a frame is not a crystal with a few defects.
_MANY = 0.25


@dataclass(frozen=True, slots=True)
class AnalyseDefects:
    """Rank the sites of a crystal: vacancies, dopants, antisites, strain, walls.

    Parameters
    ----------
    method : {"classical", "learned", "auto"}
        As of `AtomGraph`.
    flagged : float
        Score, in standard deviations, from which a site is marked.
    most : int
        Marks at most, the most unusual sites first; the table has all sites.
    width : float, optional
        Of a column, a standard deviation in metres; otherwise found.
    any_scale : bool
        Take columns that are nearer or farther apart than atoms are.
    """

    method: Literal["classical", "learned", "auto"] = "auto"
    flagged: float = 5.0
    most: int = 200
    width: float | None = None
    any_scale: bool = False

    def __call__(self, frame: Signal) -> Findings:
        """Return the table of sites, the most unusual first, marks and doubts.

        Raises
        ------
        SignalError
            It is no frame, or no lattice is seen in it: noise, blobs, several grains.
        OutOfRange
            A setting is impossible, or columns are not as far apart as atoms are.
        MissingExtra
            The learned method is asked for, and PyTorch is not installed.
        """
        if self.most < 0:
            raise OutOfRange(f"`most` is {self.most}; it is 0 or more.")
        graph = AtomGraph(
            method=self.method, flagged=self.flagged, width=self.width, any_scale=self.any_scale
        )
        ranked = graph.rank(frame)
        order = ranked.order()
        edges = np.setdiff1d(np.arange(len(ranked.score)), order)
        table = site_table(ranked).isel(point=np.concatenate([order, edges]))
        return Findings(
            table, _marks(ranked, self.most), _summary(ranked), tuple(_doubts(frame, ranked))
        )


def _marks(ranked: Ranked, most: int) -> tuple[Mark, ...]:
    odd = [one for one in ranked.order() if ranked.kind[one] != 0][:most]
    place = ranked.crystal.place
    return tuple(Mark(CLASSES[ranked.kind[one]], place[one][None], "dot") for one in odd)


def _summary(ranked: Ranked) -> dict[str, float | int | str]:
    crystal = ranked.crystal
    counts = Counter(CLASSES[kind] for kind in ranked.kind)
    found: dict[str, float | int | str] = {
        "sites": len(ranked.score),
        "empty sites": int((~crystal.column).sum()),
        "sublattices told apart": int(ranked.sublattice.max(initial=-1)) + 1,
        "next-neighbour distance (pm)": 1e12 * crystal.links.near,
    }
    found |= {f"{name} sites": counts[name] for name in CLASSES[1:]}
    return found | {"classes": json.dumps(CLASSES)}


def _doubts(frame: Signal, ranked: Ranked) -> list[str]:
    doubts = common_doubts(frame, ranked.columns)
    inner = ranked.kind[~ranked.crystal.edge]
    if not len(inner):
        return [*doubts, "Every site lies at an edge: nothing was judged. Scan a larger field."]
    share = float((inner != 0).mean())
    if share > _MANY:
        doubts.append(
            f"{share:.0%} of the inner sites are flagged: they are not a few defects in a crystal, "
            "so what is usual is not known."
        )
    if ranked.crystal.sublattice.max(initial=-1) >= 1 and ranked.sublattice.max(initial=-1) < 0:
        doubts.append(
            "Heights do not tell the sublattices apart: none is named, and no antisite is told."
        )
    try:
        strange = strangeness_of(ranked.columns, ranked.crystal, ranked.features)
    except (MissingExtra, UnknownName):
        # Without the package that reads weights there is nothing to compare with.
        return doubts
    if strange > 1:
        doubts.append(
            "The crystal is unlike those that the ranking was tried on (strangeness "
            f"{strange:.1f}, 1 is the border): check pixel size and zone axis before scores are "
            "believed."
        )
    return doubts
