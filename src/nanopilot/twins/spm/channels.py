"""What is recorded along the tip's real way, pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from nanopilot.core.requests import Direction
from nanopilot.twins.spm.sample import bilinear
from nanopilot.twins.spm.settings import SpmSettings
from nanopilot.twins.spm.world import World

FloatArray = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Pass:
    """One way over a line, averaged to pixels; every array has shape (columns,).

    Parameters
    ----------
    x, y : numpy.ndarray
        Where on the sample the tip really was, in metres.
    time : numpy.ndarray
        Seconds.
    height : numpy.ndarray
        Of the piezo as the sensor reads it, noise included, in metres.
    error : numpy.ndarray
        Of the loop, in metres.
    gap : numpy.ndarray
        Between apex and contact; negative: pressed in; in metres.
    direction : {"trace", "retrace"}
        Which way.
    """

    x: FloatArray
    y: FloatArray
    time: FloatArray
    height: FloatArray
    error: FloatArray
    gap: FloatArray
    direction: Direction

    def layer(self, world: World, name: str) -> FloatArray:
        """Return a layer of the sample as it is now under the tip."""
        return bilinear(world.layers[name], *world.sample.pixels(self.x, self.y))


class Detector(Protocol):
    """One channel of the twin."""

    @property
    def quantity(self) -> str:
        """What it records, in words."""

    @property
    def unit(self) -> str:
        """SI unit."""

    def there(self, world: World) -> bool:
        """Tell whether this instrument on this sample has it."""

    def record(self, world: World, line: Pass, rng: np.random.Generator) -> FloatArray:
        """Return what it reads along a line, shape (columns,)."""


@dataclass(frozen=True, slots=True)
class Height:
    """The topography as the loop has it."""

    quantity: str = "height"
    unit: str = "m"

    def there(self, world: World) -> bool:
        """Every instrument has it."""
        return True

    def record(self, world: World, line: Pass, rng: np.random.Generator) -> FloatArray:
        """Return the height of the piezo."""
        return line.height


@dataclass(frozen=True, slots=True)
class Held:
    """The signal that the loop holds: deflection, amplitude or current.

    Parameters
    ----------
    mode : str
        For which the channel is there.
    quantity, unit : str
        Of the signal.
    """

    mode: str
    quantity: str
    unit: str

    def there(self, world: World) -> bool:
        """Tell whether the instrument works in this mode."""
        return world.settings.loop.mode == self.mode

    def record(self, world: World, line: Pass, rng: np.random.Generator) -> FloatArray:
        """Return the signal with its detector's noise."""
        held = signal_of(world.settings, line.error)
        scale = world.settings.noise.detector * world.settings.loop.setpoint
        return held + scale * rng.normal(size=held.size)


def signal_of(settings: SpmSettings, error: FloatArray) -> FloatArray:
    """Return deflection (m), amplitude (m) or current (A) that belongs to an error of the loop."""
    setpoint = settings.loop.setpoint
    if settings.loop.mode == "contact":
        return setpoint - error
    if settings.loop.mode == "tapping":
        return setpoint + error
    # Far away the amplifier reads nothing; close by it saturates at a million set-points.
    exponent = np.clip(-2 * settings.lever.decay * error, -50.0, np.log(1e6))
    current: FloatArray = setpoint * np.exp(exponent)
    return current


#: Channels of topography; those of function are added where they are defined.
TOPOGRAPHIC: dict[str, Detector] = {
    "height": Height(),
    "deflection": Held("contact", "deflection", "m"),
    "amplitude": Held("tapping", "amplitude", "m"),
    "current": Held("stm", "current", "A"),
}
