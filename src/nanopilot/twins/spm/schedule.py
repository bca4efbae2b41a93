"""What is to go wrong on a scanning-probe twin, and when: as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from nanopilot.twins.mishaps import Mishap, Mishaps


class Fault(Mishap):
    """Something that goes wrong on a scanning-probe twin.

    Beside what any twin suffers: ``tip-crash`` (``push`` in metres), ``tip-change``, ``double-tip``
    (``offset`` and ``height`` in metres), ``drift-jump`` (``x, y, z`` in metres).
    """

    known: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "tip-crash": ("push",),
        "tip-change": (),
        "double-tip": ("offset", "height"),
        "drift-jump": ("x", "y", "z"),
    } | dict(Mishap.known)


class FaultSchedule(Mishaps):
    """Faults in the order of their times.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> drawn = FaultSchedule.drawn(rng, seconds=3600, per_hour={"tip-change": 5})
    >>> {fault.name for fault in drawn.faults}
    {'tip-change'}
    """

    kind: ClassVar[type[Mishap]] = Fault
    sensor: ClassVar[str] = "Positioner.x"

    faults: tuple[Fault, ...] = Field(default=())
