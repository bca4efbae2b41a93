"""A number of an instrument, and how well it is known."""

from __future__ import annotations

from typing import Literal

from nanopilot.core.values import Value

Status = Literal["estimated", "bound", "told", "not identifiable"]

#: What is of fewer standard errors was not seen.
SEEN = 3.0


class Estimate(Value):
    """One number of the instrument, and how well it is known.

    Parameters
    ----------
    value : float, optional
        Best guess; of a bound, the bound. None: nothing can be said.
    std : float, optional
        Standard error where it was estimated.
    unit : str
        SI.
    status : {"estimated", "bound", "told", "not identifiable"}
        A bound is an upper one unless `how` says otherwise; "told": with the file or beside it.
    how : str
        From what, or why not.
    """

    value: float | None
    std: float | None = None
    unit: str
    status: Status
    how: str

    @property
    def known(self) -> float | None:
        """The value if it was estimated or told."""
        return self.value if self.status in ("estimated", "told") else None


Estimates = dict[str, Estimate]


def lost(unit: str, why: str) -> Estimate:
    """Return that nothing can be said, and why."""
    return Estimate(value=None, unit=unit, status="not identifiable", how=why)


def seen_or_bound(value: float, std: float, unit: str, how: str, least: float = SEEN) -> Estimate:
    """Return an estimate of what cannot be negative, or what it is at most.

    Parameters
    ----------
    value, std : float
        Best guess and standard error.
    unit, how : str
        As of `Estimate`.
    least : float
        Standard errors from which on it was seen.
    """
    if value >= least * std:
        return Estimate(value=value, std=std, unit=unit, status="estimated", how=how)
    most = max(value, 0.0) + 2 * std
    return Estimate(value=most, unit=unit, status="bound", how=f"not above its error; {how}")
