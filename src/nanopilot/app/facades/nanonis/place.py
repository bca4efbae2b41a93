"""Commands about where the tip is, and how far it reaches."""

from __future__ import annotations

import math
from typing import Any

from nanopilot.app.facades.nanonis.session import Handlers, Session
from nanopilot.core.adjustables import Positioner


def position_set(session: Session, x: float, y: float, wait: int) -> list[Any]:
    """Move the tip; the reply comes when it is there, asked for or not."""
    del wait
    session.set(Positioner, x=x, y=y)
    return []


def position_get(session: Session, newest: int) -> list[Any]:
    """Tell where the tip is."""
    del newest
    where = session.reads(Positioner)
    return [where.get("x"), where.get("y")]


def follow_speed_set(session: Session, speed: float, custom: int) -> list[Any]:
    """Keep the speed; the instrument moves at its own."""
    session.panel.kept.follow_speed = (speed, custom)
    return []


def follow_speed_get(session: Session) -> list[Any]:
    """Give the kept speed back."""
    return list(session.panel.kept.follow_speed)


def oversampling_set(session: Session, count: int) -> list[Any]:
    """Keep the number."""
    session.panel.kept.oversampling = count
    return []


def oversampling_get(session: Session) -> list[Any]:
    """Give the number back; the rate of the samples is not known."""
    return [session.panel.kept.oversampling, math.nan]


def follow_stop(session: Session) -> list[Any]:
    """Do nothing: a move is over before its reply is sent."""
    session.reads(Positioner)
    return []


def piezo_range(session: Session) -> list[Any]:
    """Tell ranges as if they lay around zero, so that no reachable place is left out."""
    area = session.panel.described.area
    z = next(
        (one.limits for one in session.panel.signals if one.key == "Feedback.z" and one.limits),
        None,
    )
    reach = [2 * max(abs(edge) for edge in edges) for edges in (area.x, area.y)]
    return [*reach, 0.0 if z is None else z.high - z.low]


def piezo_tilt(session: Session) -> list[Any]:
    """Tell that no tilt is corrected."""
    del session
    return [0.0, 0.0]


HANDLERS: Handlers = {
    "FolMe.XYPosSet": position_set, "FolMe.XYPosGet": position_get,
    "FolMe.SpeedSet": follow_speed_set, "FolMe.SpeedGet": follow_speed_get,
    "FolMe.OversamplSet": oversampling_set, "FolMe.OversamplGet": oversampling_get,
    "FolMe.Stop": follow_stop, "Scan.XYPosGet": position_get,
    "Piezo.RangeGet": piezo_range, "Piezo.TiltGet": piezo_tilt,
}  # fmt: skip
