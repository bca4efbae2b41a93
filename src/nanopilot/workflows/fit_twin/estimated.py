"""A number of an instrument, and how well it is known."""

from __future__ import annotations

from typing import Literal

from nanopilot.core.values import Value

Status = Literal["measured", "bound", "file", "not identifiable"]

#: A drift, a hum, a gain of fewer standard errors is none that was seen.
SEEN = 3.0


class Estimate(Value):
    """One number of the instrument, and how well it is known.

    Parameters
    ----------
    value : float, optional
        Best guess; of a bound, the bound. None: nothing can be said.
    std : float, optional
        Standard error where it was measured.
    unit : str
        SI.
    status : {"measured", "bound", "file", "not identifiable"}
        A bound is an upper one; "file": the file says so.
    how : str
        From what, or why not.
    """

    value: float | None
    std: float | None = None
    unit: str
    status: Status
    how: str


Estimates = dict[str, Estimate]


def lost(unit: str, why: str) -> Estimate:
    """Return that nothing can be said, and why."""
    return Estimate(value=None, unit=unit, status="not identifiable", how=why)
