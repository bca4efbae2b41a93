"""What is to go wrong on an electron twin, and when: as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from nanopilot.twins.mishaps import Mishap, Mishaps


class StemFault(Mishap):
    """Something that goes wrong on an electron twin.

    Beside what any twin suffers: ``drift-jump`` (``x, y`` in metres: the sample slips),
    ``focus-jump`` (``defocus`` in metres: the lens does), ``beam-trip`` (``seconds``: no
    electrons), ``burst`` (``thickness`` in metres of contamination where the beam is).
    """

    known: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "drift-jump": ("x", "y"),
        "focus-jump": ("defocus",),
        "beam-trip": ("seconds",),
        "burst": ("thickness",),
    } | dict(Mishap.known)


class StemFaultSchedule(Mishaps):
    """Faults of an electron twin in the order of their times."""

    kind: ClassVar[type[Mishap]] = StemFault

    faults: tuple[StemFault, ...] = Field(default=())
