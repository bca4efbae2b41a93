"""The tip on its way: commanded way, real way, loop, what it does to tip and sample."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numba
import numpy as np

from nanopilot.twins.spm.events import crash
from nanopilot.twins.spm.feedback import Controller, follow
from nanopilot.twins.spm.motion import RealPath
from nanopilot.twins.spm.noise import NoiseSource, digitised
from nanopilot.twins.spm.wear import abrade
from nanopilot.twins.spm.world import World

FloatArray = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Way:
    """Where the piezos are sent, at every sample of the loop; arrays of shape (n,).

    Parameters
    ----------
    x, y : numpy.ndarray
        Metres; of a line with its hysteresis.
    time : numpy.ndarray
        Seconds.
    """

    x: FloatArray
    y: FloatArray
    time: FloatArray


@dataclass(frozen=True, slots=True)
class Gone:
    """What came of a way, at every sample of the loop; arrays of shape (n,).

    Parameters
    ----------
    x, y : numpy.ndarray
        Where on the sample the tip really was, in metres.
    sensed_x, sensed_y : numpy.ndarray
        Where the piezos were, in metres.
    time : numpy.ndarray
        Seconds.
    height, error, gap : numpy.ndarray
        As of a `Pass`.
    """

    x: FloatArray
    y: FloatArray
    sensed_x: FloatArray
    sensed_y: FloatArray
    time: FloatArray
    height: FloatArray
    error: FloatArray
    gap: FloatArray


@dataclass
class Follower:
    """Goes ways one after the other; loop and noise go on from one to the next.

    Parameters
    ----------
    world : World
        What is scanned, with what.
    path : RealPath
        How the tip really moves.
    """

    world: World
    path: RealPath
    _noise: NoiseSource = field(init=False)
    _state: FloatArray | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        settings = self.world.settings
        self._controller = Controller.of(settings, enabled=self.world.held is None)
        self._as_set = (settings, self.world.held is None)
        self._noise = NoiseSource(settings.noise, self.world.rng("noise"), settings.loop.rate)

    def _adjust(self) -> None:
        """Take over what has been set since; a loop that goes off holds the piezo where it is."""
        settings, enabled = self.world.settings, self.world.held is None
        if self._as_set[0] is settings and self._as_set[1] == enabled:
            return
        self._controller = Controller.of(settings, enabled=enabled)
        self._as_set = (settings, enabled)
        if not enabled and self._state is not None:
            self.world.held = self._state[2] = float(self._state[0])

    def settle(self) -> None:
        """Let the loop settle where the next way begins, as after going back to the start."""
        self._state = None

    def go(self, way: Way) -> Gone:
        """Go a way; what happens to tip and sample takes effect when it is over."""
        self._adjust()
        x, y, sensed_x, sensed_y = self._really(way)
        surface, current = under(self.world, self.path, Way(x, y, way.time))
        if self._state is None:
            self._state = self._controller.at_rest(float(surface[0]), float(current[0]))
            if self.world.held is not None:
                self._state[0] = self._state[2] = self.world.held
        size = way.time.size
        out = (np.empty(size), np.empty(size), np.empty(size))
        loop, noise = self.world.settings.loop, self.world.settings.noise
        added = self._noise.draw(float(way.time[0]), size)
        felt = added if noise.in_loop else None
        numbers = (self._controller.numbers, self._controller.step)
        # What the detector adds to the gap is to the loop as a surface that much lower.
        follow(surface if felt is None else surface - felt, current, numbers, self._state, out)
        if felt is not None:
            out[2][:] -= felt
            added = None
        read = digitised(out[0] if added is None else out[0] + added, loop.z_range, noise.bits)
        gone = Gone(x, y, sensed_x, sensed_y, way.time, read, out[1], out[2])
        self.world.place = (float(x[-1]), float(y[-1]))
        self._suffer(gone)
        return gone

    def _really(self, way: Way) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        sensed_x, sensed_y = way.x, way.y
        if self.path.motion.creep:
            creep = self.path.creep(way.time)
            sensed_x, sensed_y = way.x + creep[:, 0], way.y + creep[:, 1]
        if not self.path.drifts:
            return sensed_x, sensed_y, sensed_x, sensed_y
        drift = self.path.drift(way.time)
        return sensed_x + drift[:, 0], sensed_y + drift[:, 1], sensed_x, sensed_y

    def _suffer(self, gone: Gone) -> None:
        settings = self.world.settings
        mode, wear = settings.loop.mode, settings.wear
        if wear.archard and mode != "stm":
            load = settings.lever.stiffness * np.maximum(-gone.gap[1:], 0.0)
            way = np.hypot(np.diff(gone.x), np.diff(gone.y))
            abrade(self.world, float(load @ way))
        deepest = int(np.argmin(gone.gap))
        if -gone.gap[deepest] > wear.depth(mode):
            crash(
                self.world,
                (float(gone.x[deepest]), float(gone.y[deepest])),
                -float(gone.gap[deepest]),
            )


def under(world: World, path: RealPath, way: Way) -> tuple[FloatArray, FloatArray]:
    """Return height at contact (m) and current at contact (A) under the tip's real way."""
    settings = world.settings
    row, column = world.sample.pixels(way.x, way.y)
    surface = interpolate(world.apparent, row, column)
    if path.drifts:
        surface += path.height(way.time)
    if settings.loop.mode != "stm":
        return surface, surface
    volts = max(abs(settings.electrics.bias), 1e-3)
    states = world.layers.get("ldos")
    density = 1.0 if states is None else np.maximum(interpolate(states, row, column), 1e-6)
    return surface, settings.lever.conductance * volts * density * np.ones_like(surface)


@numba.njit(cache=True)
def interpolate(layer: FloatArray, row: FloatArray, column: FloatArray) -> FloatArray:
    """Return a layer along a way, bilinear; beyond the edge the edge goes on.

    A tip that drifts off the sample finds the sample's rim; what was asked for never lies there.
    """
    rows, columns = layer.shape
    values = np.empty(row.size)
    for n in range(row.size):
        r = min(max(row[n], 0.0), rows - 1.0)
        c = min(max(column[n], 0.0), columns - 1.0)
        i, j = min(int(r), rows - 2), min(int(c), columns - 2)
        u, v = r - i, c - j
        low = layer[i, j] * (1 - v) + layer[i, j + 1] * v
        high = layer[i + 1, j] * (1 - v) + layer[i + 1, j + 1] * v
        values[n] = low * (1 - u) + high * u
    return values
