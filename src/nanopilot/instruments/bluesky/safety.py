"""A plan that leaves the instrument safe when it does not come to its end."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from nanopilot.instruments.guard import Guard

Plan = Generator[Any, Any, Any]


def secured(plan: Plan, scope: Guard) -> Plan:
    """Carry out a plan; if it fails, is aborted, stopped or halted, make the instrument safe.

    The measurement in progress is dropped, the beam blanked, the tip retracted: what
    `Guard.make_safe` does. A RunEngine by itself stops devices in the same way after success
    and after failure, and so leaves tip and beam where they are.

    Parameters
    ----------
    plan : generator
        Of bluesky messages.
    scope : Guard
        The instrument.

    Examples
    --------
    ``RE(secured(grid_scan([spectrum], x, 0, 1e-6, 5), scope))``
    """
    try:
        return (yield from plan)
    except BaseException as cause:
        scope.stop()
        scope.make_safe(f"the plan ended early: {type(cause).__name__} {cause}")
        raise
