"""How fast the sample drifts under the tip, from pairs of frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf, nan

import numpy as np

from nanopilot.analysis.levelling import SubtractPolynomial
from nanopilot.analysis.registration import register
from nanopilot.analysis.scan_times import ScanTimes
from nanopilot.analysis.undistort import CorrectDrift
from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.core.history import FloatArray
from nanopilot.core.signals import Signal

#: Pixels by which two frames may be bent against each other before they are straightened first.
_BENT = 0.1
_ROUNDS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Drift:
    """A velocity with its error.

    A commanded place is, after a time t, by velocity * t further along on the sample; what is
    seen in frames goes the other way.

    Parameters
    ----------
    velocity : (float, float)
        (x, y) in metres per second, along the axes of the instrument; NaN: not known.
    covariance : numpy.ndarray
        Of `velocity`, shape (2, 2), m^2/s^2.
    matched : bool
        Whether the frames show the same place at all.
    """

    velocity: tuple[float, float]
    covariance: FloatArray
    matched: bool = True

    @property
    def std(self) -> tuple[float, float]:
        """Standard deviations of (x, y) in metres per second."""
        x, y = np.sqrt(np.diag(self.covariance))
        return float(x), float(y)

    def offset(self, seconds: float) -> tuple[float, float]:
        """Return by how far to move the scan, (x, y) in metres, to stay for a time on one place."""
        return -self.velocity[0] * seconds, -self.velocity[1] * seconds


@dataclass(frozen=True, slots=True)
class DriftFromFrames:
    """Measure drift from two frames of one place, one after the other.

    Both frames are sheared and stretched by the drift while they were scanned. With t the time at
    which a feature was passed, its place p in a frame obeys p + v t = constant, so that
    v = -(p2 - p1) / (t2 - t1), with t2 - t1 the time between the two passes over one feature and
    not that between two frames. The frames may be scanned upwards and downwards, or have
    different centres.

    Parameters
    ----------
    level : bool
        Take tilt and bow out first: what belongs to the scanner does not drift.
    """

    level: bool = True

    def __call__(self, first: Signal, second: Signal) -> Drift:
        """Return the drift; not matched, NaN, where both have nothing in common.

        Parameters
        ----------
        first, second : Signal
            Dims (y, x), with the coordinate ``time``; same shape, pitch and rotation.

        Raises
        ------
        SignalError
            The frames cannot be compared, or do not say when they were scanned.
        """
        scans = ScanTimes.of(first), ScanTimes.of(second)
        scans[0].comparable(scans[1])
        seen = [self._heights(one) for one in (first, second)]
        found = _drift(seen, scans)
        for _ in range(_ROUNDS):
            if not found.matched or _bend(found, scans) < _BENT:
                break
            found = self._straightened((first, second), scans, found)
        return found

    def _heights(self, frame: Signal) -> FloatArray:
        if self.level:
            frame = SubtractPolynomial(2, 2, exclude=None)(frame)
        return frame.transpose("y", "x").to_numpy()

    def _straightened(
        self, frames: tuple[Signal, Signal], scans: tuple[ScanTimes, ScanTimes], drift: Drift
    ) -> Drift:
        """Measure once more what is left of the drift after each frame was straightened."""
        seen = [
            self._heights(CorrectDrift(drift.velocity, at=scan.middle)(frame))
            for frame, scan in zip(frames, scans, strict=True)
        ]
        still = tuple(scan.frozen() for scan in scans)
        return _drift(seen, (still[0], still[1]))


@dataclass(frozen=True, slots=True)
class DriftLock:
    """Know the drift from the last frames, to keep an experiment on one place.

    Pairs of neighbouring frames are averaged by their errors; where they disagree by more than
    those (the drift changes) the error grows accordingly. Pairs share frames, so that the error
    is rather too large.

    Parameters
    ----------
    keep : int
        How many frames back count.

    Raises
    ------
    OutOfRange
        Fewer than two.
    """

    keep: int = 5

    def __post_init__(self) -> None:
        if self.keep < 2:
            raise OutOfRange(f"`keep` is {self.keep}; drift needs at least 2 frames.")

    def __call__(self, frames: Sequence[Signal]) -> Drift:
        """Return the drift; not matched, NaN, if no two neighbours show the same place.

        Parameters
        ----------
        frames : sequence of Signal
            In the order in which they were scanned, as of `DriftFromFrames`; a signal with dim
            ``frame`` is such a sequence.

        Raises
        ------
        SignalError
            There are fewer than two, or they cannot be compared.
        """
        last = list(frames)[-self.keep :]
        if len(last) < 2:
            raise SignalError(f"`frames` has {len(last)}; drift needs at least 2.")
        measure = DriftFromFrames()
        pairs = [measure(one, other) for one, other in pairwise(last)]
        return _joined([pair for pair in pairs if pair.matched])


def _unknown() -> Drift:
    return Drift((nan, nan), np.full((2, 2), inf), matched=False)


def _drift(seen: Sequence[FloatArray], scans: tuple[ScanTimes, ScanTimes]) -> Drift:
    shift = register(seen[0], seen[1])
    if not shift.matched:
        return _unknown()
    one, other = scans
    inside = shift.pixels[::-1] * one.pitch
    between = other.at(inside / 2) - one.at(-inside / 2)
    if abs(between) <= 1e-3 * float(np.abs(one.slope * one.size).sum()):
        raise SignalError("`time` is the same in both frames; give two that follow each other.")
    turn = one.turn
    gone = turn @ inside + other.centre - one.centre
    to_metres = turn @ np.diag(one.pitch) @ np.array([[0.0, 1.0], [1.0, 0.0]])
    covariance = to_metres @ shift.covariance @ to_metres.T / between**2
    x, y = -gone / between
    return Drift((float(x), float(y)), covariance)


def _bend(drift: Drift, scans: tuple[ScanTimes, ScanTimes]) -> float:
    """Return by how many pixels both frames are bent differently, from middle to corner."""
    one, other = scans
    seconds = float(np.abs((other.slope - one.slope) * one.size / 2).sum())
    return float(np.max(np.abs(np.array(drift.velocity)) * seconds / one.pitch))


def _joined(pairs: Sequence[Drift]) -> Drift:
    if not pairs:
        return _unknown()
    weights = [np.linalg.inv(pair.covariance) for pair in pairs]
    covariance = np.linalg.inv(np.sum(weights, axis=0))
    values = np.array([pair.velocity for pair in pairs])
    mean = covariance @ np.sum([w @ v for w, v in zip(weights, values, strict=True)], axis=0)
    spare = 2 * len(pairs) - 2
    if spare:
        chi = sum(float((v - mean) @ w @ (v - mean)) for w, v in zip(weights, values, strict=True))
        covariance = covariance * max(1.0, chi / spare)
    return Drift((float(mean[0]), float(mean[1])), covariance)
