"""Hysteresis loops fitted as most scripts do it: `scipy.optimize.curve_fit`, one at a time."""

from __future__ import annotations

import warnings
from typing import Any, Protocol

import numpy as np
from scipy.optimize import OptimizeWarning, curve_fit

from nanopilot.analysis.hysteresis import LoopFeatures
from nanopilot.analysis.loop_fit import switching_loop
from nanopilot.bench.coverage import Fits
from nanopilot.core.history import FloatArray
from nanopilot.core.signals import Signal


class Loops(Protocol):
    """What the methods look at."""

    @property
    def films(self) -> tuple[Signal, ...]:
        """Loops, dims (point, bias)."""


def fit_plainly(visible: Loops) -> tuple[Fits, ...]:
    """Begin at the coercive bias and imprint that are read off the smoothed loop."""
    return tuple(fit_each(film, feature_starts(film)) for film in visible.films)


def constant(visible: Loops) -> tuple[Fits, ...]:
    """Answer every loop with the same part of its sweep, and be very unsure."""
    answers = []
    for film in visible.films:
        reach = float(film["bias"].max())
        middle = np.array([0.0, 0.0, 1.0, *(reach * np.array([5, -5, 3, 3]) / 16)])
        values = np.tile(middle, (film.sizes["point"], 1))
        answers.append(Fits(values, np.full_like(values, reach), np.ones(len(values), dtype=bool)))
    return tuple(answers)


def feature_starts(film: Signal) -> FloatArray:
    """Return parameters guessed from the smoothed loop, shape (n, 7)."""
    values = film.to_numpy()
    middle = np.median(values, axis=1, keepdims=True)
    features = LoopFeatures()(film - middle)
    reach = float(film["bias"].max())
    up, down = features["imprint"] + features["coercive_bias"], features["imprint"]
    up = np.where(np.isfinite(up), up, reach / 4)
    down = np.where(np.isfinite(down), down - features["coercive_bias"], -reach / 4)
    ones = np.ones(len(values))
    height = features["saturation"]
    columns = [middle[:, 0], 0 * ones, height, up, down, ones * reach / 8, ones * reach / 8]
    return np.stack(columns, axis=1)


def fit_each(film: Signal, starts: FloatArray) -> Fits:
    """Fit the model of `LoopFit` loop by loop, spikes and all.

    Parameters
    ----------
    film : Signal
        Dims (point, bias).
    starts : numpy.ndarray
        Shape (n, 7).
    """
    bias = film["bias"].to_numpy()
    rows = [_fit(bias, loop, start) for loop, start in zip(film.to_numpy(), starts, strict=True)]
    values, std = (np.array(part) for part in zip(*rows, strict=True))
    return Fits(values, std, np.isfinite(values).all(axis=1) & np.isfinite(std).all(axis=1))


def _fit(bias: FloatArray, loop: FloatArray, start: FloatArray) -> Any:
    scale = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    size = np.where(scale > 0, float(np.ptp(loop)), 1.0)
    nothing = np.full(7, np.nan)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", OptimizeWarning)
        try:
            found, covariance = curve_fit(_model, bias, loop / size[0], p0=start / size)
        except RuntimeError:  # too many calls
            return nothing, nothing
        std = np.sqrt(np.diag(covariance))
    found[5:] = np.abs(found[5:])
    return found * size, std * size


def _model(bias: FloatArray, *parameters: float) -> FloatArray:
    values = np.array(parameters)
    # A width has no sign; at zero there is none.
    values[5:] = np.abs(values[5:]) + 1e-9
    return switching_loop(bias, (values[0], values[1]), values[2], values[3:])
