"""What may happen to tip and sample all at once, and what a user may do to the tip.

All of it is drawn from the streams of the world, changes the truth, and is noted in
`World.events`. The shares and spreads are ours, chosen to be of the size that the literature on
tip conditioning reports: some outcomes are better, some worse, and many change nothing.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from nanopilot.core.errors import OutOfRange
from nanopilot.twins.spm.tip import Apex, Tip
from nanopilot.twins.spm.world import World

#: Radii a tip may come to have, in metres; beyond, it would be exchanged.
RADII = (1e-9, 200e-9)
#: Deepest dent of a crash in metres.
DEEPEST = 50e-9
#: Volts and metres at which half of the pulses and indentations change the tip.
HALF = {"pulse": 4.0, "indentation": 2e-9}


def crash(world: World, place: tuple[float, float], push: float) -> None:
    """Drive the tip into the sample: the tip is blunt and chipped, the sample has a dent.

    Parameters
    ----------
    world : World
        What crashes.
    place : (float, float)
        Where, (x, y) in metres.
    push : float
        How far beyond contact, in metres.
    """
    rng = world.rng("wear")
    depth = float(rng.uniform(0.2, 0.6)) * min(push, DEEPEST)
    grown = 1.2 + abs(float(rng.normal(0.0, 0.6)))
    tip = world.tip
    blunt = _radius(tip, max(grown * tip.radius, tip.radius + depth / 4))
    blunt = blunt.model_copy(update={"chipped": tip.chipped + float(rng.uniform(0, 0.3)) * depth})
    numbers = {"push": push, "radius": blunt.radius, "chipped": blunt.chipped}
    world.change_tip(blunt, "crash", x=place[0], y=place[1], **numbers)
    dent(world, place, depth)


def dent(world: World, place: tuple[float, float], depth: float) -> None:
    """Press the shape of the tip into the sample, so many metres below where it touches."""
    sample = world.sample
    row, column = sample.pixels(np.array(place[0]), np.array(place[1]))
    i = int(np.clip(np.rint(row), 0, sample.height.shape[0] - 1))
    j = int(np.clip(np.rint(column), 0, sample.height.shape[1] - 1))
    floor = float(world.height[i, j]) - depth
    reach = _half_width(world.tip, float(world.height.max()) - floor, sample.pitch)
    rows = slice(max(0, i - reach), i + reach + 1)
    columns = slice(max(0, j - reach), j + reach + 1)
    part = world.height[rows, columns]
    y, x = np.indices(part.shape) * sample.pitch
    x += (columns.start - j) * sample.pitch
    y += (rows.start - i) * sample.pitch
    flanks = [apex.flank(x, y) for apex in world.tip.apexes]
    np.minimum(part, floor + np.min(flanks, axis=0), out=part)
    world.change_surface("dent", x=place[0], y=place[1], depth=depth)


def _half_width(tip: Tip, height: float, pitch: float) -> int:
    """Return pixels from the middle within which flanks are below a height."""
    reach = 0.0
    for apex in tip.apexes:
        slope = 1 / math.tan(apex.half_angle)
        wide = math.sqrt(max(apex.aspect, 1.0))
        parabola = math.sqrt(2 * apex.radius * height)
        cone = height / slope + apex.radius * slope / 2
        reach = max(reach, wide * max(parabola, cone) + math.hypot(*apex.offset))
    return math.ceil(reach / pitch)


def change(world: World, why: str = "tip change") -> None:
    """Let the end of the tip rearrange: another radius, perhaps another aspect."""
    rng = world.rng("tip")
    first = world.tip.apexes[0]
    radius = first.radius * math.exp(float(rng.normal(0.0, 0.5)))
    aspect = float(np.clip(first.aspect * math.exp(float(rng.normal(0.0, 0.2))), 0.2, 5.0))
    turned = Apex(
        radius=float(np.clip(radius, *RADII)),
        half_angle=first.half_angle,
        aspect=aspect,
        rotation=float(rng.uniform(0, math.pi)),
    )
    world.change_tip(Tip(apexes=(turned,)), why, radius=turned.radius, aspect=aspect)


def double(world: World, *, offset: float | None = None, height: float | None = None) -> None:
    """Let a second end grow.

    Parameters
    ----------
    world : World
        Whose tip.
    offset : float, optional
        Distance from the first end in metres; None: drawn, two to six radii.
    height : float, optional
        How much higher it sits, in metres; None: drawn, up to a tenth of the offset.
    """
    rng = world.rng("tip")
    first = world.tip.apexes[0]
    drawn_offset, way = float(rng.uniform(2, 6)) * first.radius, float(rng.uniform(0, 2 * math.pi))
    offset = drawn_offset if offset is None else offset
    drawn_height = float(rng.uniform(0, 0.1)) * offset
    height = drawn_height if height is None else height
    second = first.model_copy(
        update={"offset": (offset * math.cos(way), offset * math.sin(way)), "height": height}
    )
    tip = world.tip.model_copy(update={"apexes": (first, second)})
    world.change_tip(tip, "double tip", offset=offset, height=height, angle=way)


def condition(
    world: World, how: Literal["pulse", "indentation"], strength: float,
    place: tuple[float, float] = (0.0, 0.0),
) -> str:  # fmt: skip
    """Try to make the tip better; the outcome is uncertain.

    The stronger, the likelier something changes: with probability 1 - 2**-(strength / half)**2,
    half as in `HALF`. Of the changes half give a sharper tip, a quarter a blunter one, an eighth
    a double tip, and the rest another one of about the same radius. An indentation leaves a dent.

    Parameters
    ----------
    world : World
        Whose tip.
    how : {"pulse", "indentation"}
        A bias pulse, or a touch of the surface.
    strength : float
        Volts, or metres beyond contact.
    place : (float, float)
        Where, (x, y) in metres.

    Returns
    -------
    str
        What came of it: "unchanged", "sharper", "blunter", "double" or "changed".

    Raises
    ------
    OutOfRange
        A strength that is no positive number, or a way there is not.
    """
    if how not in HALF or not 0 < abs(strength) < math.inf:
        raise OutOfRange(
            f"`how` is {how!r} with `strength` {strength:g}; there are pulse (volts) and "
            "indentation (metres), with a strength that is not 0."
        )
    rng = world.rng("tip")
    changes, kind, size = rng.uniform(size=3)
    if how == "indentation":
        dent(world, place, min(abs(strength), DEEPEST))
    if changes >= 1 - 2.0 ** -((strength / HALF[how]) ** 2):
        outcome = "unchanged"
    elif kind < 0.75:
        outcome = "sharper" if kind < 0.5 else "blunter"
        share = 0.3 + 0.6 * size if kind < 0.5 else 1.2 + 2 * size
        tip = Tip(apexes=world.tip.apexes[:1])
        world.change_tip(_radius(tip, share * tip.radius), f"{how}: {outcome}", strength=strength)
        return outcome
    else:
        outcome = "double" if kind < 0.875 else "changed"
        if outcome == "double":
            double(world)
        else:
            change(world)
    world.note(f"{how}: {outcome}", strength=strength)
    return outcome


def _radius(tip: Tip, radius: float) -> Tip:
    most = max(RADII[1], tip.radius)
    first = tip.apexes[0].model_copy(update={"radius": float(np.clip(radius, RADII[0], most))})
    return tip.model_copy(update={"apexes": (first, *tip.apexes[1:])})
