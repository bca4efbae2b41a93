"""What goes wrong with the instrument: on command, or when the schedule says so."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nanopilot.twins.mishaps import Luck, Mishap
from nanopilot.twins.spm import events
from nanopilot.twins.spm.motion import RealPath
from nanopilot.twins.spm.world import World

FloatArray = np.ndarray[Any, np.dtype[np.float64]]


class Faults(Luck):
    """What is wrong now; `twin.faults`, which no guard and no wire passes on.

    Parameters
    ----------
    world : World
        Tip and sample.
    path : RealPath
        How the tip really moves.

    Examples
    --------
    ``twin.faults.inject("drift-jump", x=20e-9)`` and
    ``twin.faults.inject("stuck-sensor", of="Positioner.x", seconds=10)``.
    """

    def __init__(self, world: World, path: RealPath) -> None:
        self.world = world
        self.path = path
        super().__init__(world.settings.faults, world.clock, self._suffer, world.note)

    def sensed(self, place: tuple[FloatArray, FloatArray]) -> FloatArray:
        """Return what the position sensors say, shape (n, 2), given where the piezos are."""
        now = self.world.clock.now()
        found = []
        for key, values in zip(("Positioner.x", "Positioner.y"), place, strict=True):
            frozen, until = self._stuck.get(key, (0.0, -math.inf))
            found.append(np.full_like(values, frozen) if now < until else values)
        return np.stack(found, axis=-1)

    def _suffer(self, fault: Mishap, now: float) -> None:
        numbers = fault.numbers
        if fault.name == "tip-crash":
            push = numbers.get("push", events.DEEPEST)
            events.crash(self.world, self.world.place, push)
        elif fault.name == "tip-change":
            events.change(self.world)
        elif fault.name == "double-tip":
            events.double(self.world, **numbers)
        else:
            self.path.slip(self._jump(numbers), now)

    def _jump(self, numbers: dict[str, float]) -> tuple[float, float, float]:
        if not numbers:
            x, y = self.world.rng("fault").normal(0.0, 20e-9, 2)
            return float(x), float(y), 0.0
        return numbers.get("x", 0.0), numbers.get("y", 0.0), numbers.get("z", 0.0)
