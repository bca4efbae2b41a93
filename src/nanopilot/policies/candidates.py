"""The sites a run may measure: where they are and what is known of them beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.core.features import FeatureTable
from nanopilot.core.history import Action, FloatArray, History, IntArray

BoolArray = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Sites with their features, and which of them may still be measured.

    A site keeps its number for the whole run: taking sites away clears their place in
    `available` and renumbers nothing.

    Parameters
    ----------
    features : FeatureTable
        One row per site.
    positions : numpy.ndarray
        Shape (sites, 2): (x, y) in metres.
    available : numpy.ndarray of bool, optional
        Shape (sites,): which sites may be proposed; all when not given.

    Examples
    --------
    >>> table = FeatureTable(np.zeros((3, 1)), ("value",), ("structure",))
    >>> sites = Candidates(table, np.zeros((3, 2)))
    >>> sites.only([0, 2]).left.tolist()
    [0, 2]
    """

    features: FeatureTable
    positions: FloatArray
    available: BoolArray = field(default_factory=lambda: np.zeros(0, dtype=bool))

    def __post_init__(self) -> None:
        sites = len(self.features)
        if not self.available.size:
            object.__setattr__(self, "available", np.ones(sites, dtype=bool))
        if self.positions.shape != (sites, 2):
            raise SignalError(
                f"`positions` has shape {self.positions.shape}; {sites} sites need ({sites}, 2)."
            )
        if self.available.shape != (sites,):
            raise SignalError(f"`available` has shape {self.available.shape}; expected ({sites},).")

    def __len__(self) -> int:
        return len(self.features)

    @property
    def left(self) -> IntArray:
        """Numbers of the sites that may be proposed, ascending."""
        return np.flatnonzero(self.available).astype(np.int64)

    def without(self, history: History) -> Candidates:
        """Return the candidates with every site of the history taken away."""
        available = self.available.copy()
        available[history.measured] = False
        return replace(self, available=available)

    def only(self, indices: Sequence[int] | IntArray) -> Candidates:
        """Return the candidates with all but these sites taken away.

        Raises
        ------
        OutOfRange
            A number is not that of a site.
        """
        chosen = np.asarray(indices, dtype=np.int64)
        if chosen.size and (chosen.min() < 0 or chosen.max() >= len(self)):
            raise OutOfRange(
                f"`indices` runs from {chosen.min()} to {chosen.max()}; "
                f"there are {len(self)} sites, numbered from 0."
            )
        mask = np.zeros(len(self), dtype=bool)
        mask[chosen] = True
        return replace(self, available=self.available & mask)

    def action(self, index: int, why: str) -> Action:
        """Return the action of measuring one site."""
        x, y = self.positions[index]
        return Action(index=index, position=(float(x), float(y)), why=why)
