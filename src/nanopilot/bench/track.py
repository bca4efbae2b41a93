"""What a track is: cases from seeds, methods that answer, a score against hidden truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

from nanopilot.core.values import Value

Better = Literal["higher", "lower"]


class Bar(Value):
    """A line that a track must reach.

    Parameters
    ----------
    what : str
        The claim in words.
    metric : str
        Which number of the score.
    bar : float
        What its mean over the seeds is held against.
    better : {"higher", "lower"}
        Which side of the bar is good.
    method : str
        Whose number; empty: the default method's.
    """

    what: str
    metric: str
    bar: float
    better: Better = "higher"
    method: str = ""


class Track(Protocol):
    """A question with a known answer, asked of several methods.

    A method is given the case's visible part only: an instrument, files, a command. What
    `score` compares with stays inside the case.
    """

    @property
    def name(self) -> str:
        """What it is registered as."""

    @property
    def version(self) -> str:
        """Changes whenever numbers before and after cannot be compared."""

    @property
    def about(self) -> str:
        """One line on what is asked."""

    @property
    def default(self) -> str:
        """Name of the shipped method."""

    @property
    def bars(self) -> tuple[Bar, ...]:
        """Lines to be reached."""

    @property
    def methods(self) -> Mapping[str, Callable[[Any], Any]]:
        """The shipped method and its baselines: visible part of a case in, answer out."""

    def case(self, seed: int) -> Any:
        """Make a case; it has an attribute `visible` with what a method may see."""

    def score(self, case: Any, answer: Any) -> Mapping[str, float]:
        """Compare an answer with the truth of its case."""
