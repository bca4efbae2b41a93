"""Commands about bias and current."""

from __future__ import annotations

from typing import Any

from nanopilot.app.facades.nanonis.reading import value_of
from nanopilot.app.facades.nanonis.session import Handlers, Session
from nanopilot.core.adjustables import BiasSource, Positioner
from nanopilot.core.capabilities import BiasWriter
from nanopilot.core.errors import Unsupported
from nanopilot.core.requests import WriteRequest, from_outside

_RELATIVE = 1


def bias_set(session: Session, bias: float) -> list[Any]:
    """Apply a bias."""
    session.set(BiasSource, bias=bias)
    return []


def bias_get(session: Session) -> list[Any]:
    """Read the bias."""
    return [session.reads(BiasSource).get("bias")]


def bias_range(session: Session) -> list[Any]:
    """Tell the one range there is."""
    limits = session.panel.limits("BiasSource.bias")
    return [[f"{limits.low:g} V to {limits.high:g} V"], 0]


def bias_pulse(session: Session, *pulse: float) -> list[Any]:
    """Write one pulse where the tip rests; the reply comes when it is over, asked for or not.

    Whether the loop holds during a pulse is the instrument's business.
    """
    _, width, bias, _, relative = pulse
    if relative == _RELATIVE:
        bias += session.reads(BiasSource).get("bias")
    where = session.reads(Positioner)
    request = from_outside(
        WriteRequest,
        points=((where.get("x"), where.get("y")),),
        bias=(bias,),
        duration=width,
    )
    session.measure(BiasWriter, request)
    return []


def current_get(session: Session) -> list[Any]:
    """Measure the current where the tip rests."""
    for index, signal in enumerate(session.panel.signals):
        if signal.channel.lower() == "current":
            return [value_of(session, index)]
    raise Unsupported(f"`{session.panel.described.name}` measures no current.")


HANDLERS: Handlers = {
    "Bias.Set": bias_set, "Bias.Get": bias_get, "Bias.RangeGet": bias_range,
    "Bias.Pulse": bias_pulse, "Current.Get": current_get,
}  # fmt: skip
