"""What an analysis says of one frame: a table, marks to draw over it, and its own doubts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from nanopilot.core.signals import SignalSet

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True, eq=False)
class Mark:
    """One thing drawn over the frame.

    Parameters
    ----------
    kind : str
        Its class, in words of the field: marks of one kind have one colour and one legend entry.
    points : numpy.ndarray
        Shape (n, 2): x and y in metres, in the frame's own coordinates. One point is drawn as a
        dot, several as a line, as a closed outline if `shape` says so.
    shape : {"dot", "line", "outline"}
        How it is drawn.
    """

    kind: str
    points: Array
    shape: Literal["dot", "line", "outline"] = "outline"


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """What was found in one frame.

    Parameters
    ----------
    table : SignalSet
        Dim ``point``, one row a thing, with ``x`` and ``y`` in metres; the CSV is made of it.
    marks : tuple of Mark
        What is drawn over the frame.
    summary : mapping
        Few numbers and words on the whole frame (count, medians), names with their unit,
        such as ``median diameter (nm)``.
    doubts : tuple of str
        Why a person should look: one plain sentence each. Empty where the answer is sure.
    """

    table: SignalSet
    marks: tuple[Mark, ...] = ()
    summary: Mapping[str, float | int | str] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()
