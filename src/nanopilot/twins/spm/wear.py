"""How a tip grows blunt."""

from __future__ import annotations

import math

from nanopilot.twins.spm.tip import Apex, Tip
from nanopilot.twins.spm.world import World

#: A tip is taken as another one when its radius has grown by this share.
NOTICED = 0.01


def missing_volume(apex: Apex) -> float:
    """Return what a rounded end lacks to the cone's sharp end, in cubic metres.

    Notes
    -----
    A parabola of radius R goes over into a cone of slope s at the distance R s, and its end lies
    R s^2 / 2 above the cone's. Integrating the difference of the two heights over that disc
    gives pi s^4 R^3 / 12, and sqrt(aspect) times that for an elliptic end.
    """
    slope = 1 / math.tan(apex.half_angle)
    return math.pi * slope**4 * apex.radius**3 / 12 * math.sqrt(apex.aspect)


def worn(tip: Tip, volume: float) -> Tip:
    """Return a tip whose first end has lost a volume (m^3): a wider parabola in the same cone."""
    first = tip.apexes[0]
    before = missing_volume(first)
    radius = first.radius * ((before + volume) / before) ** (1 / 3)
    blunt = first.model_copy(update={"radius": min(radius, 1e-5)})
    return tip.model_copy(update={"apexes": (blunt, *tip.apexes[1:])})


def abrade(world: World, load_way: float) -> None:
    """Let the tip wear: volume = archard * load * way (`Wear.archard`).

    What has been worn off is summed up; the tip is exchanged for the blunter one whenever its
    radius has grown by one per cent, because each exchange costs an image of the whole sample.

    Parameters
    ----------
    world : World
        Whose tip.
    load_way : float
        Integral of the load over the way in contact, in newton metres.
    """
    world.worn += world.settings.wear.archard * load_way
    blunter = worn(world.tip, world.worn)
    if blunter.radius > (1 + NOTICED) * world.tip.radius:
        volume, world.worn = world.worn, 0.0
        world.change_tip(blunter, "wear", radius=blunter.radius, volume=volume)
