"""Where the beam really is on the sample when it has been told to be somewhere."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nanopilot.twins.stem.settings import Motion

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Seconds of one step of the drift's random walk, and steps that are drawn at once.
_STEP, _CHUNK = 0.1, 4096
_WALK, _JITTER = 1, 2


@dataclass
class Wandering:
    """A drift velocity that diffuses: the same at the same time, whoever asks and when.

    Parameters
    ----------
    strength : float
        Metres per second per square root of a second.
    seed : int
        Of the walk.
    """

    strength: float
    seed: int
    _path: FloatArray = field(default_factory=lambda: np.zeros((1, 2)))
    _velocity: FloatArray = field(default_factory=lambda: np.zeros(2))

    def at(self, times: FloatArray) -> FloatArray:
        """Return how far the sample has wandered at times in seconds, metres, shape (..., 2)."""
        if not self.strength:
            return np.zeros((*np.shape(times), 2))
        steps = np.clip(np.asarray(times, dtype=float), 0, None) / _STEP
        while len(self._path) <= float(np.max(steps, initial=0.0)) + 2:
            self._grow()
        low = np.floor(steps).astype(int)
        part = (steps - low)[..., None]
        found: FloatArray = self._path[low] * (1 - part) + self._path[low + 1] * part
        return found

    def _grow(self) -> None:
        rng = np.random.default_rng([self.seed, _WALK, len(self._path)])
        kicks = rng.normal(0.0, self.strength * math.sqrt(_STEP), (_CHUNK, 2))
        velocity = self._velocity + np.cumsum(kicks, axis=0)
        more = self._path[-1] + np.cumsum(velocity, axis=0) * _STEP
        self._path = np.concatenate([self._path, more])
        self._velocity = velocity[-1]


@dataclass
class BeamPath:
    """Scan coils, stage and drift together.

    Parameters
    ----------
    motion : Motion
        How large the deviations are.
    seed : int
        Of jitter and wandering.
    """

    motion: Motion
    seed: int = 0
    _slips: list[tuple[float, FloatArray]] = field(default_factory=list)
    _moves: list[tuple[float, FloatArray]] = field(default_factory=list)
    _stage: FloatArray = field(default_factory=lambda: np.zeros(2))
    _way: FloatArray = field(default_factory=lambda: np.zeros(2))
    _short: FloatArray = field(default_factory=lambda: np.zeros(2))

    def __post_init__(self) -> None:
        self._wandering = Wandering(self.motion.drift_noise, self.seed)

    def facts(self) -> dict[str, Any]:
        """Return where stage and sample have gone, as JSON; see `Memory.facts`."""
        return {
            "slips": [[when, *by.tolist()] for when, by in self._slips],
            "moves": [[when, *by.tolist()] for when, by in self._moves],
            "stage": self._stage.tolist(),
            "way": self._way.tolist(),
            "short": self._short.tolist(),
        }

    def recall(self, facts: Mapping[str, Any]) -> None:
        """Take over what `facts` returned."""
        self._slips = [(when, np.array([x, y])) for when, x, y in facts["slips"]]
        self._moves = [(when, np.array([x, y])) for when, x, y in facts["moves"]]
        self._stage, self._way = np.array(facts["stage"]), np.array(facts["way"])
        self._short = np.array(facts["short"])

    def slip(self, shift: tuple[float, float], now: float) -> None:
        """Let the sample slip under the beam by (x, y) in metres, at a time in seconds."""
        self._slips.append((now, np.array(shift, dtype=float)))

    def move_stage(self, target: tuple[float, float], now: float) -> None:
        """Move the stage to (x, y) in metres: it falls short after a turn, and creeps on after."""
        step = np.array(target, dtype=float) - self._stage
        turned = (np.sign(step) != 0) & (np.sign(step) != self._way) & (self._way != 0)
        self._short = np.where(turned, -np.sign(step) * self.motion.backlash, self._short)
        self._way = np.where(step != 0, np.sign(step), self._way)
        if self.motion.stage_drift and step.any():
            self._moves.append((now, step))
        self._stage = np.array(target, dtype=float)

    def stage(self, times: FloatArray) -> FloatArray:
        """Return where the stage really is at times in seconds: (x, y) in metres, (..., 2)."""
        found = np.zeros((*np.shape(times), 2)) + self._stage + self._short
        for began, step in self._moves:
            since = np.clip(np.asarray(times) - began, 0, None) / self.motion.stage_time
            found -= np.multiply.outer(self.motion.stage_drift * np.exp(-since), step)
        return found

    def drift(self, times: FloatArray) -> FloatArray:
        """Return how far the sample has drifted at times in seconds, metres, shape (..., 2)."""
        found = np.multiply.outer(np.asarray(times, dtype=float), np.array(self.motion.drift))
        found = found + self._wandering.at(times)
        for began, shift in self._slips:
            found = found + np.multiply.outer(np.asarray(times) >= began, shift)
        return np.asarray(found)

    def on_sample(self, told: FloatArray, times: FloatArray) -> FloatArray:
        """Return the places of the sample under deflections (m) at times (s), shape (..., 2).

        A stage at d brings the place s - d under the deflection s, and so does drift.
        """
        found: FloatArray = told - self.stage(times) - self.drift(times)
        return found

    def deflected(self, told: FloatArray, centre: tuple[float, float]) -> FloatArray:
        """Return the real deflection: scale and shear of the coils about the middle, (..., 2)."""
        motion = self.motion
        if not (motion.scale or motion.shear):
            return told
        away = told - np.array(centre)
        x = away[..., 0] * (1 + motion.scale) + away[..., 1] * motion.shear
        found: FloatArray = np.stack([x, away[..., 1]], axis=-1) + np.array(centre)
        return found

    def hum(self, times: FloatArray) -> FloatArray:
        """Return the displacement by the mains along x at times in seconds, in metres."""
        angle = 2 * math.pi * self.motion.mains_frequency * np.asarray(times)
        found: FloatArray = self.motion.mains * np.sin(angle)
        return found

    def jitter(self, began: FloatArray) -> FloatArray:
        """Return the shift along x of lines that began at times in seconds, in metres.

        A line keeps its shift whoever asks: the draw hangs on seed and time.
        """
        if not self.motion.jitter:
            return np.zeros(np.shape(began))
        drawn = [
            np.random.default_rng([self.seed, _JITTER, round(abs(one) * 1e9)]).normal()
            for one in np.ravel(began)
        ]
        found: FloatArray = self.motion.jitter * np.reshape(drawn, np.shape(began))
        return found

    def behind(self, since: FloatArray, flown: float) -> FloatArray:
        """Return by how much a beam lags, in metres, seconds after flying back `flown` metres."""
        if not self.motion.flyback:
            return np.zeros(np.shape(since))
        waited = np.asarray(since) + self.motion.flyback_wait
        found: FloatArray = flown * np.exp(-waited / self.motion.flyback)
        return found
