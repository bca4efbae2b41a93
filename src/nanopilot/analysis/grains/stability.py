"""Whether the same grains would be counted if the frame lay another way, or had other noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nanopilot.analysis.grains.learned import load_grain_net
from nanopilot.analysis.grains.poses import POSES
from nanopilot.analysis.grains.preparing import Prepared, prepare
from nanopilot.analysis.grains.scale import usual_diameter
from nanopilot.analysis.grains.segmenters import by_curvature, by_network
from nanopilot.core.errors import OutOfRange
from nanopilot.core.signals import Signal

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Counts may differ by so much of their median.
_ALLOWED = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Stability:
    """Counts and sizes of one frame, told apart again and again.

    Parameters
    ----------
    counts : numpy.ndarray
        Grains found each time, shape (times,).
    diameters : numpy.ndarray
        Diameter of the grain in the middle of the sizes, in pixels, shape (times,).
    """

    counts: FloatArray
    diameters: FloatArray

    @property
    def spread(self) -> float:
        """Largest distance of a count from the median, over the median."""
        middle = float(np.median(self.counts))
        return float(np.abs(self.counts - middle).max() / max(middle, 1.0))

    @property
    def stable(self) -> bool:
        """Counts agree within a tenth."""
        return self.spread <= _ALLOWED


def stability(
    frame: Signal, rng: np.random.Generator, *, method: str = "classical", times: int = 4
) -> Stability:
    """Tell grains apart in other poses and with more noise, without what makes poses agree.

    The operator itself works in one pose however a frame is stored, so that its result is the same
    from any side; here every time has a pose of its own, and white noise of the frame's own size
    on top. Noise is so twice as strong in variance: a count that holds is not made by noise.

    Parameters
    ----------
    frame : Signal
        As of `nanopilot.analysis.grains.SegmentGrains`.
    rng : numpy.random.Generator
        Poses and noise.
    method : {"classical", "learned"}
        What tells them apart.
    times : int
        How often, 2 or more.

    Raises
    ------
    OutOfRange
        Too few times.
    SignalError
        It is no frame of heights.
    """
    if times < 2:
        raise OutOfRange(f"`times` is {times}; counts are compared, so 2 or more are needed.")
    noise = prepare(frame).noise
    counts, sizes = [], []
    for number in rng.permutation(np.arange(times) % len(POSES)):
        grainy = frame.copy(data=frame.to_numpy() + noise * rng.standard_normal(frame.shape))
        ready = prepare(grainy, pose=POSES[int(number)])
        labels = _labels(ready, method)
        counts.append(float(labels.max()))
        sizes.append(usual_diameter(labels))
    return Stability(np.array(counts), np.array(sizes))


def _labels(ready: Prepared, method: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    if not np.isfinite(ready.length):
        return np.zeros(ready.level.shape, dtype=np.int64)
    parts = by_network(ready, load_grain_net()) if method == "learned" else by_curvature(ready)
    return parts.labels
