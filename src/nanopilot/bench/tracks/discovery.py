"""`discovery`: a property that follows the curvature of domain walls, 3.5 % measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from nanopilot.bench.closed_loop import Answer, Case, Visible, behind_guard, discover_with, score
from nanopilot.bench.track import Bar
from nanopilot.twins.samples.domain_walls import DomainWalls


class Discovery:
    """7,225 sites of a synthetic film; every seed is another film."""

    name: ClassVar[str] = "discovery"
    version: ClassVar[str] = "1"
    about: ClassVar[str] = "property follows wall curvature on a synthetic film, 3.5 % measured"
    default: ClassVar[str] = "ucb"
    bars: ClassVar[tuple[Bar, ...]] = (
        Bar(what="UCB finds the best 1 % of the sites", metric="recall", bar=0.9),
        Bar(
            what="the two-goal utility finds the best 1 %",
            metric="recall",
            bar=0.7,
            method="two-goal",
        ),
        Bar(what="and its map is right", metric="r2", bar=0.7, method="two-goal"),
        Bar(what="at most 3.5 % are measured", metric="fraction", bar=0.0351, better="lower"),
    )

    @property
    def methods(self) -> Mapping[str, Callable[[Visible], Answer]]:
        """The shipped method, other utilities, and the trivial baseline."""
        names = ("ucb", "two-goal", "ei", "max-variance", "random")
        methods = {name: discover_with(policy=name) for name in names}
        return methods | {"ucb, structure shuffled": discover_with(policy="ucb", shuffled=True)}

    def case(self, seed: int) -> Case:
        """Return a film of its own for every seed."""
        film = DomainWalls(seed=seed)
        truth = film.truth().ravel()
        visible = Visible(behind_guard(film.record()), seed, budget=0.035)
        return Case(visible, truth, best=round(0.01 * truth.size))

    def score(self, case: Case, answer: Answer) -> Mapping[str, float]:
        """Return recall, map quality and control."""
        return score(case, answer)
