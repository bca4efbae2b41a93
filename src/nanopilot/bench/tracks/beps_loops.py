"""`beps-loops`: find the largest hysteresis loops of a real PbTiO3 film, measuring 10 %."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np
from scipy.ndimage import median_filter

from nanopilot.bench.closed_loop import Answer, Case, Visible, behind_guard, discover_with, score
from nanopilot.bench.track import Bar
from nanopilot.core.history import FloatArray
from nanopilot.core.signals import Signal
from nanopilot.io.readers import read
from nanopilot.workflows.connect import find_sample


class BepsLoops:
    """2,500 recorded loops; known beforehand is the response at the first bias point.

    The truth of a site is log10 of the area its loop encloses after a cyclic median filter
    over 5 bias points, computed here and not with the operator that the method uses.
    """

    name: ClassVar[str] = "beps-loops"
    version: ClassVar[str] = "1"
    about: ClassVar[str] = "largest hysteresis loops of a real film, 10 % of 2,500 measured"
    default: ClassVar[str] = "ucb"
    bars: ClassVar[tuple[Bar, ...]] = (
        Bar(what="UCB finds the best 2 % of the loops", metric="recall", bar=0.45),
        Bar(what="at most 10 % are measured", metric="fraction", bar=0.1, better="lower"),
    )

    def __init__(self) -> None:
        self._signals = tuple(read(find_sample("beps-pto")))
        self._truth = np.log10(enclosed_area(self._signals[0])).ravel()

    @property
    def methods(self) -> Mapping[str, Callable[[Visible], Answer]]:
        """The shipped method, other utilities, and the trivial baseline."""
        names = ("ucb", "ei", "two-goal", "max-variance", "random")
        methods = {name: discover_with(policy=name) for name in names}
        return methods | {"ucb, structure shuffled": discover_with(policy="ucb", shuffled=True)}

    def case(self, seed: int) -> Case:
        """Return the film; the seed decides where a run begins."""
        visible = Visible(behind_guard(self._signals), seed, budget=0.1)
        return Case(visible, self._truth, best=round(0.02 * self._truth.size))

    def score(self, case: Case, answer: Answer) -> Mapping[str, float]:
        """Return recall, map quality and control."""
        return score(case, answer)


def enclosed_area(loops: Signal) -> FloatArray:
    """Return the area of closed loops, dims (y, x, bias), with the shoelace formula."""
    response = median_filter(loops.to_numpy(), size=(1, 1, 5), mode="wrap")
    bias = loops["bias"].to_numpy()
    ahead, bias_ahead = np.roll(response, -1, axis=-1), np.roll(bias, -1)
    area: FloatArray = np.abs((bias * ahead - bias_ahead * response).sum(axis=-1)) / 2
    return area
