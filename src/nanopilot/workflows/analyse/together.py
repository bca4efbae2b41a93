"""What an analysis says of all frames of a folder together, once each of them was looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from nanopilot.core.signals import SignalSet


@dataclass(frozen=True, slots=True, eq=False)
class Together:
    """What only all frames together tell.

    Parameters
    ----------
    tables : mapping of str to SignalSet
        By frame: its table with columns added.
    kinds : mapping of str to tuple of str
        By frame: what the mark of each row is called from now on.
    order : tuple of str
        Every kind there is: a kind has the same colour in all frames.
    counts : mapping of str to mapping
        By frame: what is added to its summary.
    summary : mapping
        Few numbers and words on all frames, names with their unit.
    doubts : tuple of str
        Why a person should look, or why nothing more is told: one plain sentence each.
    """

    tables: Mapping[str, SignalSet]
    kinds: Mapping[str, tuple[str, ...]]
    order: tuple[str, ...]
    counts: Mapping[str, Mapping[str, float | int | str]]
    summary: Mapping[str, float | int | str] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()


@runtime_checkable
class LooksAtAll(Protocol):
    """An analyser that has more to say once all frames were looked at.

    Each row of its tables has one mark, an outline, in the same order.
    """

    def together(
        self, tables: Mapping[str, SignalSet], rng: np.random.Generator
    ) -> Together | None:
        """Return what all frames together tell; None: nothing was asked for.

        Parameters
        ----------
        tables : mapping of str to SignalSet
            By frame, as the analyser made them; numbers to nine digits.
        rng : numpy.random.Generator
            Draws what has to be drawn.
        """
        ...
