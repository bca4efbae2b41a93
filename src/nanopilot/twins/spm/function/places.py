"""What spectra and writing have in common: going to places, and refusing those that are none."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from nanopilot.core.errors import Interlocked, NanopilotError, OutOfRange, Unsupported
from nanopilot.core.geometry import FloatArray
from nanopilot.core.limits import Area, Range, Violation
from nanopilot.core.requests import Position
from nanopilot.twins.spm.knobs import TRAVEL, Hands
from nanopilot.twins.spm.wear import abrade
from nanopilot.twins.spm.world import World

#: Of the source, in volts.
VOLTS = Range(low=-10.0, high=10.0, unit="V")
#: Seconds that the tip rests at a place before anything is measured.
SETTLING = 0.02

_ERRORS: dict[str, type[NanopilotError]] = {"unsupported": Unsupported, "interlock": Interlocked}


def travel(hands: Hands, place: Position) -> Position:
    """Go to a place and come to rest; return where on the sample the tip really is, in metres."""
    world, distance = hands.world, math.dist(place, hands.position)
    world.clock.sleep(distance / TRAVEL)
    rub(world, distance)
    hands.arrive(place)
    world.clock.sleep(SETTLING)
    world.live()
    return really(hands, place)


def rub(world: World, distance: float) -> None:
    """Let the tip wear on a way at the set-point, in metres, where it is dragged."""
    if world.settings.loop.mode == "contact":
        abrade(world, world.settings.lever.stiffness * world.settings.loop.setpoint * distance)


def really(hands: Hands, place: Position) -> Position:
    """Return where on the sample a commanded place is now, with drift and creep, in metres."""
    off = hands.path.offset(np.array([hands.world.clock.now()]))[0]
    return place[0] + float(off[0]), place[1] + float(off[1])


def way(begin: Position, places: Iterable[Position]) -> float:
    """Return how far it is from place to place, in metres."""
    total = 0.0
    for place in places:
        total += math.dist(begin, place)
        begin = place
    return total


def misplaced(places: FloatArray, area: Area) -> list[Violation]:
    """List the first place that is not on the sample; `places` has shape (n, 2), metres."""
    for x, y in places:
        if not area.holds((float(x), float(y))):
            message = (
                f"`position` reaches ({x:.4g} m, {y:.4g} m), which is off the sample: x "
                f"{area.x[0]:.4g} m to {area.x[1]:.4g} m, y {area.y[0]:.4g} m to {area.y[1]:.4g} m."
            )
            return [Violation(parameter="position", message=message)]
    return []


def too_high(bias: Iterable[float]) -> list[Violation]:
    """List the first bias that the source does not have; NaN is none."""
    return [
        Violation(
            parameter="bias",
            message=f"`bias` is {one:g} V; the source gives {VOLTS.low:g} V to {VOLTS.high:g} V.",
        )
        for one in bias
        if not VOLTS.holds(one)
    ][:1]


def withdrawn(hands: Hands) -> list[Violation]:
    """List that the tip is not at the surface."""
    if hands.engaged:
        return []
    message = "`Approach.engaged` is 0: the tip is withdrawn. Approach first."
    return [Violation(parameter="Approach.engaged", message=message, kind="interlock")]


def refuse(found: list[Violation]) -> None:
    """Raise the first violation; a guard has asked before.

    Raises
    ------
    OutOfRange, Unsupported, Interlocked
        As its kind says.
    """
    for violation in found:
        raise _ERRORS.get(violation.kind, OutOfRange)(violation.message)
