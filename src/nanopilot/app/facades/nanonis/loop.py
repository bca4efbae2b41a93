"""Commands about feedback and approach."""

from __future__ import annotations

import math
from typing import Any

from nanopilot.app.facades.nanonis.session import Handlers, Session
from nanopilot.core.adjustables import Approach, Feedback
from nanopilot.core.errors import NotInCommand, OutOfRange, Unsupported

_OFF, _ON = 1, 2


def z_on_off_set(session: Session, on: int) -> list[Any]:
    """Switch the loop."""
    session.set(Feedback, enabled=float(on != 0))
    return []


def z_on_off_get(session: Session) -> list[Any]:
    """Tell whether the loop is on."""
    return [session.reads(Feedback).get("enabled") != 0]


def setpoint_set(session: Session, setpoint: float) -> list[Any]:
    """Set what the loop holds."""
    session.set(Feedback, setpoint=setpoint)
    return []


def setpoint_get(session: Session) -> list[Any]:
    """Read what the loop holds."""
    return [session.reads(Feedback).get("setpoint")]


def gain_set(session: Session, gain: float, seconds: float, integral: float) -> list[Any]:
    """Set both gains: the integral one is gain over time constant."""
    implied = gain / seconds if seconds else integral
    if not math.isclose(implied, integral, rel_tol=1e-5):
        integral = implied  # a client that leaves it out, or contradicts itself
    if not math.isfinite(integral):
        raise OutOfRange(f"`I-gain` is {integral:g}; it must be a number.")
    session.set(Feedback, proportional=gain, integral=integral)
    return []


def gain_get(session: Session) -> list[Any]:
    """Read both gains, and the time constant they make."""
    loop = session.reads(Feedback)
    gain, integral = loop.get("proportional"), loop.get("integral")
    return [gain, gain / integral if integral else math.inf, integral]


def controllers(session: Session) -> list[Any]:
    """Name the one loop there is by what it holds."""
    for parameter in session.panel.described.parameters:
        if parameter.key == "Feedback.setpoint":
            return [[f"{parameter.quantity} ({parameter.unit})"], 0]
    raise Unsupported(f"`{session.panel.described.name}` has no feedback.")


def z_get(session: Session) -> list[Any]:
    """Read the height; that of a retracted tip is the upper end of the range."""
    if _retracted(session):
        return [session.panel.limits("Feedback.z").high]
    return [session.reads(Feedback).get("z")]


def z_set(session: Session, z: float) -> list[Any]:
    """Set the height, where the instrument allows it."""
    session.set(Feedback, z=z)
    return []


def z_limits(session: Session) -> list[Any]:
    """Tell the range of the height, upper end first."""
    limits = session.panel.limits("Feedback.z")
    return [limits.high, limits.low]


def z_status(session: Session) -> list[Any]:
    """Tell whether the loop is at work."""
    on = session.reads(Feedback).get("enabled") and not _retracted(session)
    return [_ON if on else _OFF]


def withdraw(session: Session, wait: int, milliseconds: int) -> list[Any]:
    """Retract; the reply comes when it is done, asked for or not.

    Nobody is refused this: for a client that is not in command everything is made safe, which
    stops what is being measured as well.
    """
    del wait, milliseconds
    try:
        session.held().capability(Approach).set(engaged=0.0)
    except NotInCommand:
        session.reads(Approach)
        session.panel.scope.make_safe(f"{session.holder} withdraws the tip")
        if not _retracted(session):
            raise
    return []


def approach_set(session: Session, on: int) -> list[Any]:
    """Approach; the reply comes when it is done, so there is never anything to stop."""
    if on:
        session.set(Approach, engaged=1.0)
    return []


def approach_get(session: Session) -> list[Any]:
    """Tell that no approach is running."""
    session.reads(Approach)
    return [0]


def approach_open(session: Session) -> list[Any]:
    """Open the module, if there is an approach at all."""
    session.reads(Approach)
    return []


def _retracted(session: Session) -> bool:
    return session.panel.scope.state().get("Approach.engaged") == 0


HANDLERS: Handlers = {
    "ZCtrl.OnOffSet": z_on_off_set, "ZCtrl.OnOffGet": z_on_off_get,
    "ZCtrl.SetpntSet": setpoint_set, "ZCtrl.SetpntGet": setpoint_get,
    "ZCtrl.GainSet": gain_set, "ZCtrl.GainGet": gain_get, "ZCtrl.CtrlListGet": controllers,
    "ZCtrl.ZPosSet": z_set, "ZCtrl.ZPosGet": z_get, "ZCtrl.LimitsGet": z_limits,
    "ZCtrl.StatusGet": z_status, "ZCtrl.Withdraw": withdraw,
    "AutoApproach.Open": approach_open, "AutoApproach.OnOffSet": approach_set,
    "AutoApproach.OnOffGet": approach_get,
}  # fmt: skip
