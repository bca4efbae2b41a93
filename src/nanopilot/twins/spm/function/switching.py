"""What bias at the tip does to the polarisation; it stays done.

A domain begins under the tip if the bias reaches the local switching bias V_s. It grows to

    r = growth (|V| - (1 - ease) V_s) log10(1 + t / onset):

linear in the bias and logarithmic in time, as Paruch, Tybell and Triscone, Appl. Phys. Lett. 79,
530 (2001), found for Pb(Zr,Ti)O3 films. V_s is that of each place, so that a domain goes round what
is hard to switch. What cannot begin can still grow: where a domain of the wanted sign lies within r
of the tip, its wall comes over, and that needs only (1 - ease) V_s. Every pulse counts by itself.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import label

from nanopilot.twins.spm.function_settings import Switching

if TYPE_CHECKING:
    from nanopilot.core.requests import Position
    from nanopilot.twins.spm.world import World

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: Layers without which nothing can be switched.
NEEDED = ("polarisation", "switching_positive", "switching_negative")


def switchable(world: World) -> bool:
    """Tell whether the sample says what bias does to it."""
    return all(name in world.layers for name in NEEDED)


def domain_radius(
    settings: Switching, bias: float, threshold: FloatArray | float, seconds: float
) -> FloatArray:
    """Return how far a pulse reaches where the switching bias is `threshold`, in metres.

    Parameters
    ----------
    settings : Switching
        Growth, onset, ease.
    bias : float
        Volts; its sign does not matter here.
    threshold : numpy.ndarray or float
        Volts, positive.
    seconds : float
        Of the pulse.
    """
    over = abs(bias) - (1 - settings.ease) * np.asarray(threshold, dtype=np.float64)
    grown = settings.growth * math.log10(1 + seconds / settings.onset)
    radius: FloatArray = grown * np.maximum(over, 0.0)
    return radius


def threshold(world: World, sign: float, window: tuple[slice, slice]) -> FloatArray:
    """Return the bias that switches places upwards (1) or downwards (-1), positive, volts."""
    layer = world.layers["switching_positive" if sign > 0 else "switching_negative"]
    return np.maximum(sign * layer[window], 0.0)


def pulse(
    world: World, place: Position, bias: float, seconds: float, rng: np.random.Generator
) -> int:
    """Apply a bias at a place for some time; return how many pixels have changed sign.

    Parameters
    ----------
    world : World
        Its layer ``polarisation`` is changed.
    place : (float, float)
        Where on the sample, (x, y) in metres.
    bias, seconds : float
        Volts and seconds.
    rng : numpy.random.Generator
        For the scatter of the switching bias from pulse to pulse.
    """
    settings = world.settings.function.switching
    scatter = max(1 + settings.scatter * float(rng.normal()), 0.0)
    if bias == 0.0:
        return 0
    sign = math.copysign(1.0, bias)
    window, distance, tip = _round(world, place, float(domain_radius(settings, bias, 0.0, seconds)))
    needed = scatter * threshold(world, sign, window)
    reached = distance <= domain_radius(settings, bias, needed, seconds)
    polarisation = world.layers["polarisation"][window]
    seeds = reached & (sign * polarisation > 0)
    if abs(bias) >= needed[tip]:
        reached[tip] = seeds[tip] = True
    if not seeds.any() or not (reached & (sign * polarisation <= 0)).any():
        return 0
    switched = _joined(reached, seeds)
    changed = int(np.count_nonzero(switched & (sign * polarisation <= 0)))
    if changed:
        polarisation[switched] = (sign * _magnitude(world, window))[switched]
    return changed


def _round(
    world: World, place: Position, radius: float
) -> tuple[tuple[slice, slice], FloatArray, tuple[int, int]]:
    """Return the window round a place, distances in it (m), and the pixel under the tip."""
    rows, columns = world.sample.height.shape
    fraction = world.sample.pixels(np.array(place[0]), np.array(place[1]))
    row, column = (float(one) for one in fraction)
    at = (min(max(round(row), 0), rows - 1), min(max(round(column), 0), columns - 1))
    half = math.ceil(radius / world.sample.pitch) + 1
    low = (max(at[0] - half, 0), max(at[1] - half, 0))
    window = (slice(low[0], at[0] + half + 1), slice(low[1], at[1] + half + 1))
    y = np.arange(rows)[window[0], None] - row
    x = np.arange(columns)[window[1]] - column
    return window, world.sample.pitch * np.hypot(y, x), (at[0] - low[0], at[1] - low[1])


def _joined(reached: BoolArray, seeds: BoolArray) -> BoolArray:
    """Return what of `reached` hangs together with a seed."""
    parts, count = label(reached)
    with_seed = np.zeros(count + 1, dtype=bool)
    with_seed[parts[seeds]] = True
    with_seed[0] = False
    joined: BoolArray = with_seed[parts]
    return joined


def _magnitude(world: World, window: tuple[slice, slice]) -> FloatArray:
    """Return how large the polarisation out of the plane can be: what lies in it does not turn."""
    if "in_plane" not in world.layers:
        return np.ones(world.layers["polarisation"][window].shape)
    return 1.0 - world.layers["in_plane"][window]


def along(
    world: World,
    ends: tuple[Position, Position],
    biases: tuple[float, float],
    seconds: float,
    rng: np.random.Generator,
) -> int:
    """Draw a straight line under bias; return how many pixels have changed sign.

    The tip stays at each place for the time it takes to go its own radius. The bias goes evenly
    from that of the first end to that of the second.

    Parameters
    ----------
    world : World
        Its layer ``polarisation`` is changed.
    ends : two (float, float)
        (x, y) in metres.
    biases : (float, float)
        Volts at the ends.
    seconds : float
        For the whole line.
    rng : numpy.random.Generator
        As of `pulse`.
    """
    length = math.dist(*ends)
    count = max(1, math.ceil(length / max(world.tip.radius, world.sample.pitch)))
    changed = 0
    for step in range(count):
        share = (step + 0.5) / count
        place = tuple((1 - share) * a + share * b for a, b in zip(*ends, strict=True))
        bias = (1 - share) * biases[0] + share * biases[1]
        changed += pulse(world, (place[0], place[1]), bias, seconds / count, rng)
    return changed
