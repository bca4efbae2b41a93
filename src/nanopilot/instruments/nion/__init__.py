"""Nion STEMs as Nion Swift drives them; tried against Nion's own simulator only.

Nion's packages are GPL-3 and run in a process of their own (`worker`), which is the only place
where they are imported. Here is what talks to it: JSON and raw arrays over pipes.
"""

from nanopilot.instruments.nion.instrument import NionInstrument, nion
from nanopilot.instruments.nion.link import Link, WorkerLink

__all__ = ["Link", "NionInstrument", "WorkerLink", "nion"]
