"""What a facility holds everybody to on an instrument, in one file."""

from __future__ import annotations

from nanopilot.core.interlocks import Interlock
from nanopilot.core.limits import Budget, Limits
from nanopilot.core.values import Value


class HouseRules(Value):
    """Limits, budgets and interlocks that are in force whoever commands, and for every run.

    Parameters
    ----------
    limits : Limits
        Absolute limits, rates and excursions.
    budget : Budget
        What may be spent in all while the instrument is connected, and what each place of the
        sample may be given; the budget of a run comes on top.
    interlocks : tuple of Interlock
        Further ones; the standard interlocks stay in force.

    Examples
    --------
    >>> rules = HouseRules.model_validate(
    ...     {"budget": {"place": {"cell": "5 nm", "dose": 1e24}}, "limits": {"max_pixels": 1048576}}
    ... )
    >>> rules.budget.place.cell
    5e-09
    """

    limits: Limits = Limits()
    budget: Budget = Budget()
    interlocks: tuple[Interlock, ...] = ()
