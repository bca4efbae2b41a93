"""Hysteresis loops in numbers: area, coercive bias, imprint, remanence, saturation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nanopilot.analysis.despike import count_spikes, cyclic_median
from nanopilot.core.errors import SignalError
from nanopilot.core.history import FloatArray, IntArray
from nanopilot.core.signals import Signal


@dataclass(frozen=True, slots=True)
class LoopFeatures:
    """Reads the numbers off hysteresis loops, spikes taken out first.

    The waveform has to be a cycle: from the largest bias down to the smallest and back up,
    beginning anywhere. The loop is closed from its last point to its first. Of several equal
    cycles the last one counts: the first ones still bring the sample into its loop.

    ``loop_area``
        Area of the closed polygon, in units of the response times V (shoelace formula).
    ``coercive_bias``, ``imprint``
        Half the distance between the two zero crossings, and their mean, in V; NaN unless
        the response changes sign on both branches. Where a branch crosses zero several
        times, the median crossing counts.
    ``remanent_response``
        Half the distance between the branches at zero bias, in units of the response.
    ``saturation``
        Half the distance between the responses at the two ends of the sweep.
    ``spikes``
        How many points the median took out.

    A loop that holds NaN has no features: all of its are NaN.

    Parameters
    ----------
    median_width : int
        Bias points of the sliding median, odd; 1 leaves the loop as it is.

    Examples
    --------
    >>> from nanopilot.core.signals import Axis, make_signal
    >>> phase = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    >>> bias = Axis(8.0 * np.sin(phase), "V", "bias")
    >>> loop = make_signal(np.sin(phase - 0.5), {"bias": bias}, quantity="response", units="a.u.")
    >>> features = LoopFeatures(median_width=1)(loop)
    >>> round(features["coercive_bias"], 2), round(abs(features["imprint"]), 2)
    (3.83, 0.0)
    """

    median_width: int = 5

    def __call__(self, loops: Signal) -> dict[str, Any]:
        """Return the features by name.

        Parameters
        ----------
        loops : Signal
            Dims (bias) or (..., bias), in any order.

        Returns
        -------
        dict of str to float or numpy.ndarray
            Floats for one loop; for more, arrays with the shape of the other dims.

        Raises
        ------
        SignalError
            There is no ``bias`` dim, or the bias is not one cycle through zero.
        """
        if "bias" not in loops.dims:
            raise SignalError(f"`dims` is {loops.dims}; hysteresis loops need `bias`.")
        loops = last_cycle(loops.transpose(..., "bias"))
        values = loops.to_numpy().astype(float)
        cycle = Cycle.of(loops["bias"].to_numpy())
        smooth = cyclic_median(values, self.median_width)
        features = cycle.measure(smooth)
        features["spikes"] = count_spikes(values, smooth).astype(float)
        broken = np.isnan(values).any(axis=-1)
        for name, feature in features.items():
            features[name] = np.where(broken, np.nan, feature)
        if values.ndim == 1:
            return {name: float(feature) for name, feature in features.items()}
        return dict(features)


def last_cycle(loops: Signal) -> Signal:
    """Return the last of several equal bias cycles; loops of one cycle as they are.

    Parameters
    ----------
    loops : Signal
        Dims (..., bias).
    """
    bias = loops["bias"].to_numpy()
    for points in range(3, len(bias) // 2 + 1):
        if len(bias) % points == 0 and np.allclose(bias.reshape(-1, points), bias[:points]):
            return loops.isel(bias=slice(-points, None))
    return loops


@dataclass(frozen=True, slots=True, eq=False)
class Cycle:
    """A bias waveform in two branches.

    Parameters
    ----------
    bias : numpy.ndarray
        In V, shape (points,), rolled so that it begins at its largest value.
    start : int
        Where that value stood.
    turn : int
        Where the smallest value stands after rolling.
    """

    bias: FloatArray
    start: int
    turn: int

    @classmethod
    def of(cls, bias: FloatArray) -> Cycle:
        """Find the branches of a waveform, shape (points,)."""
        start = int(np.argmax(bias))
        rolled = np.roll(bias, -start)
        turn = int(np.argmin(rolled))
        down, up = np.diff(rolled[: turn + 1]), np.diff(np.append(rolled[turn:], rolled[0]))
        if not (len(bias) >= 5 and rolled[turn] < 0 < rolled[0]):
            raise SignalError("`bias` has to run through zero, from one sign to the other.")
        if (down > 0).any() or (up < 0).any():
            raise SignalError("`bias` is not one cycle: down once and up once.")
        return cls(rolled, start, turn)

    def measure(self, loops: FloatArray) -> dict[str, FloatArray]:
        """Return the features of smooth loops, shape (..., points), each of shape (...)."""
        loops = np.roll(loops, -self.start, axis=-1)
        following, ahead = np.roll(self.bias, -1), np.roll(loops, -1, axis=-1)
        area = 0.5 * np.abs((self.bias * ahead - following * loops).sum(axis=-1))
        bias = np.append(self.bias, self.bias[0])
        closed = np.concatenate([loops, loops[..., :1]], axis=-1)
        down, up = np.arange(self.turn + 1), np.arange(self.turn, len(bias))
        fall, rise = (crossing(bias[branch], closed[..., branch]) for branch in (down, up))
        left, right = (at_zero(bias, closed, branch) for branch in (down, up))
        return {
            "loop_area": area,
            "coercive_bias": 0.5 * np.abs(rise - fall),
            "imprint": 0.5 * (rise + fall),
            "remanent_response": 0.5 * np.abs(left - right),
            "saturation": 0.5 * np.abs(loops[..., 0] - loops[..., self.turn]),
        }


def crossing(bias: FloatArray, response: FloatArray) -> FloatArray:
    """Return the bias at which each branch changes sign, NaN where its ends have the same.

    Parameters
    ----------
    bias : numpy.ndarray
        Shape (points,), in V.
    response : numpy.ndarray
        Shape (..., points).

    Returns
    -------
    numpy.ndarray
        Shape (...), in V: the median of all crossings, each interpolated linearly.
    """
    positive = response >= 0
    change = positive[..., 1:] != positive[..., :-1]
    step = np.where(change, response[..., :-1] - response[..., 1:], 1.0)
    where = bias[:-1] + (bias[1:] - bias[:-1]) * response[..., :-1] / step
    # Sorted with NaN last, the crossings come first; an odd number has a middle one.
    ordered = np.sort(np.where(change, where, np.nan), axis=-1)
    number = change.sum(axis=-1)
    middle = np.take_along_axis(ordered, (number[..., None] // 2).clip(max=len(bias) - 2), -1)
    return np.where(number % 2 == 1, middle[..., 0], np.nan)


def at_zero(bias: FloatArray, response: FloatArray, branch: IntArray) -> FloatArray:
    """Return the response of one branch at zero bias, interpolated linearly, shape (...).

    Parameters
    ----------
    bias : numpy.ndarray
        Shape (points,), in V.
    response : numpy.ndarray
        Shape (..., points).
    branch : numpy.ndarray of int
        Points of the branch in order.
    """
    volts = bias[branch]
    before = int(np.flatnonzero((volts[:-1] >= 0) != (volts[1:] >= 0))[0])
    weight = volts[before] / (volts[before] - volts[before + 1])
    first, second = response[..., branch[before]], response[..., branch[before + 1]]
    return np.asarray(first + weight * (second - first))
