"""Hysteresis loops as two switching steps on a sloping line, with error bars."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nanopilot.analysis.despike import NORMAL_MAD, cyclic_median
from nanopilot.analysis.fit_maps import Reason, first_reason, to_maps
from nanopilot.analysis.hysteresis import Cycle, last_cycle
from nanopilot.analysis.loop_model import Projected, Sweep
from nanopilot.analysis.loop_table import CLEAR, labels, rescaled, tabulate
from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.core.history import FloatArray, IntArray
from nanopilot.core.signals import Signal, SignalSet
from nanopilot.models.threads import one_thread

#: Fitted together.
CHUNK = 512
#: A point further from the fit than this many standard deviations is a spike.
SPIKE = 4.5
#: Where fewer points are left than this share, it was no loop with spikes.
KEPT = 0.75
#: Independent loops that noise may imitate; found by simulating pure noise in 32 to 128 points
#: with the usual widths of `Sweep.usual`, which leave noise less to imitate.
LOOKS = 28.0


def switching_loop(
    bias: FloatArray, line: tuple[float, float], height: float, steps: FloatArray
) -> FloatArray:
    """Return the response of a loop that switches in two steps.

    offset + slope V + height erf((V - V_step) / width), each branch with a step of its own.
    The form is that of Jesse, Lee & Kalinin (Rev. Sci. Instrum. 77, 073702, 2006) in its
    symmetric case: their other parameters bend one end of a step more than the other, which
    few measured loops can tell.

    Parameters
    ----------
    bias : numpy.ndarray
        One cycle in V, shape (points,).
    line : (float, float)
        Offset, and slope per V.
    height : float
        Half the distance between the two states; negative where the loop is inverted.
    steps : numpy.ndarray
        Bias of the step on the way up and on the way down, then their widths, in V,
        shape (4,).
    """
    cycle = Cycle.of(bias)
    sweep = Sweep(cycle.bias, np.arange(len(bias)) > cycle.turn)
    theta = np.concatenate([steps[:2], np.log(steps[2:])])[None]
    values = line[0] + line[1] * cycle.bias + height * sweep.switched(theta)[0][0]
    return np.roll(values, cycle.start)


@dataclass(frozen=True, slots=True)
class LoopFit:
    """Fits `switching_loop` to every hysteresis loop, or says why it cannot.

    Offset, slope and height are linear and solved for exactly; the search is over the two
    steps and their widths, and begins at the best of a grid. Points that stick out of the
    fit, such as spikes, are left out and counted.

    Error bars are those of least squares with the noise found in the residual:
    ``value ± 1.645 std`` is meant to hold the truth nine times out of ten; for what is positive
    (widths) that is ``value · exp(± 1.645 std / value)``. A jump sharper than the steps of the
    bias is known to within such a step only, and its error bar says that.

    Parameters
    ----------
    median_width : int
        Bias points of the sliding median that finds the first spikes, odd; 1 does without it.
    false_alarm : float
        In pure noise this share of the loops may pass for one.

    Examples
    --------
    >>> from nanopilot.core.signals import Axis, make_signal
    >>> bias = 8.0 * np.sin(np.linspace(0, 2 * np.pi, 64, endpoint=False))
    >>> values = switching_loop(bias, (0.1, 0.0), 2.0, np.array([3.0, -2.0, 1.0, 1.0]))
    >>> axis = {"bias": Axis(bias, "V", "bias")}
    >>> fit = LoopFit()(make_signal(values, axis, quantity="response", units="a.u."))
    >>> round(float(fit["coercive_bias"]), 3), round(float(fit["imprint"]), 3)
    (2.5, 0.5)
    """

    median_width: int = 5
    false_alarm: float = 0.01

    def __post_init__(self) -> None:
        if not 0.0 < self.false_alarm < 1.0:
            raise OutOfRange(f"`false_alarm` is {self.false_alarm}; it lies between 0 and 1.")

    def __call__(self, loops: Signal) -> SignalSet:
        """Return maps of the parameters.

        Parameters
        ----------
        loops : Signal
            Dims (..., bias), one cycle; of several equal ones the last counts.

        Returns
        -------
        SignalSet
            Dims as before without ``bias``: ``offset``, ``slope``, ``height``, ``bias_up`` and
            ``bias_down`` (where it switches, V), ``width_up``, ``width_down``,
            ``coercive_bias`` (half their distance), ``imprint`` (their mean), ``loop_area``
            (height · 4 coercive biases, with its sign), each with ``_std``; ``noise``;
            ``spikes``, points left out; ``reason``, see `Reason`. Without an answer all but
            the reason are NaN.

        Raises
        ------
        SignalError
            There is no ``bias`` of at least 16 points, or it is not one cycle through zero.
        """
        if "bias" not in loops.dims:
            raise SignalError(f"`dims` is {loops.dims}; hysteresis loops need `bias`.")
        loops = last_cycle(loops.transpose(..., "bias"))
        points = loops.sizes["bias"]
        if points < 16:
            raise SignalError(f"`bias` has {points} points; a fit of 7 parameters needs 16.")
        cycle = Cycle.of(loops["bias"].to_numpy().astype(float))
        values = np.roll(loops.to_numpy().astype(float).reshape(-1, points), -cycle.start, axis=1)
        sweep = Sweep(cycle.bias, np.arange(points) > cycle.turn)
        with one_thread():
            parts = [self._fit(sweep, values[i : i + CHUNK]) for i in range(0, len(values), CHUNK)]
        rows = np.concatenate([rows for rows, _ in parts])
        reasons = np.concatenate([reasons for _, reasons in parts])
        columns = {
            name: (column, what, unit)
            for column, (name, what, unit) in zip(
                rows.T, labels(str(loops.attrs["units"])), strict=True
            )
        }
        return to_maps(loops.isel(bias=0, drop=True), columns, reasons)

    def _fit(self, sweep: Sweep, values: FloatArray) -> tuple[FloatArray, IntArray]:
        finite = np.asarray(np.isfinite(values).all(axis=1))
        values = np.where(finite[:, None], values, 0.0)
        tamed = tame(values)
        smooth = cyclic_median(tamed, self.median_width)
        middle = np.median(smooth, axis=1, keepdims=True)
        size = np.ptp(smooth, axis=1)
        scale = np.where(size > 0, size, 1.0)[:, None]
        loops, smooth = (values - middle) / scale, (smooth - middle) / scale
        weights = keep(loops - smooth, np.ones_like(loops), np.ptp(smooth, axis=1) * 0.1)
        weights *= values == tamed
        noise2 = scatter2(loops)
        theta = begin(sweep, (loops, weights, noise2), smooth)
        found = sweep.project(np.where(weights > 0, loops, 0.0), weights, theta)
        for _ in range(3):
            noise2 = doubtful(found, weights, noise2)
            theta, rested = sweep.descend(loops, weights, theta, noise2)
            found = sweep.project(np.where(weights > 0, loops, 0.0), weights, theta)
            away = loops - model(sweep, found, theta)
            again = keep(away, weights)
            if np.array_equal(again, weights):
                break
            weights = again
        theta, rested = sweep.descend(loops, weights, theta, noise2)
        found = sweep.project(loops, weights, theta)
        reasons = self._judge(sweep, (loops, weights, theta), found, (finite, rested))
        rows = tabulate(sweep, weights, theta, found)
        return rescaled(rows, scale[:, 0], middle[:, 0]), reasons

    def _judge(
        self,
        sweep: Sweep,
        fitted: tuple[FloatArray, FloatArray, FloatArray],
        found: Projected,
        fine: tuple[np.ndarray, np.ndarray],
    ) -> IntArray:
        loops, weights, theta = fitted
        kept = weights.sum(axis=1)
        line = np.stack([np.ones_like(sweep.bias), sweep.bias / sweep.span], axis=-1)
        basis, _ = np.linalg.qr(line * weights[..., None])
        plain = ((loops * weights) ** 2).sum(axis=1)
        plain -= ((basis.transpose(0, 2, 1) @ (loops * weights)[..., None]) ** 2).sum(axis=(1, 2))
        with np.errstate(divide="ignore", invalid="ignore"):
            chance = 0.5 * (kept - 3) * np.log(found.energy / plain)
            chance += np.log(LOOKS)
        low, high, wide = sweep.bias.min(), sweep.bias.max(), np.exp(theta[:, 2:])
        outside = (theta[:, :2] <= low) | (theta[:, :2] >= high)
        return first_reason(
            (Reason.NOT_FINITE, ~fine[0] | (kept < KEPT * len(sweep.bias))),
            (Reason.NOT_SIGNIFICANT, ~(chance < np.log(self.false_alarm))),
            (Reason.AT_EDGE, np.asarray(outside.any(axis=1))),
            (Reason.WIDTH, np.asarray((wide >= sweep.span).any(axis=1))),
            (Reason.NOT_CONVERGED, ~fine[1]),
        )


def tame(values: FloatArray) -> FloatArray:
    """Return loops, shape (n, points), with what is far outside of them put at their edge.

    Of clusters of spikes, which a median lets through, little is left that way. Beyond twice
    the range of the middle 70 % of a loop's points there is no loop.
    """
    low, middle, high = np.quantile(values, (0.15, 0.5, 0.85), axis=1)[..., None]
    reach = 2.0 * (high - low)
    return np.clip(values, middle - reach, middle + reach)


def begin(
    sweep: Sweep, noisy: tuple[FloatArray, FloatArray, FloatArray], smooth: FloatArray
) -> FloatArray:
    """Return the better of two local minima, shape (n, 4).

    In noise there is more than one. A median takes steps for noise where they are sharp, and
    a grid takes noise for steps where they are not: so the one begins at the smoothed loop
    and the other at the loop itself.

    Parameters
    ----------
    sweep : Sweep
        Where it was measured.
    noisy : tuple of numpy.ndarray
        Loops and weights, shape (n, points), and the variance of the noise, shape (n,).
    smooth : numpy.ndarray
        Loops without spikes, shape (n, points).
    """
    loops, weights, noise2 = noisy
    filled = np.where(weights > 0, loops, smooth)
    ends = [
        sweep.descend(filled, weights, sweep.start(seen), noise2)[0] for seen in (smooth, filled)
    ]
    first, second = (
        sweep.project(filled, weights, theta).held(sweep, theta, noise2).energy for theta in ends
    )
    return np.where((first <= second)[:, None], *ends)


def doubtful(found: Projected, weights: FloatArray, noise2: FloatArray) -> FloatArray:
    """Return the variance of the noise by which usual widths count, 0 where loops are clear."""
    left = found.energy / np.maximum(weights.sum(axis=1) - 7, 1)
    clear = found.linear[:, 2] ** 2 > CLEAR**2 * left
    return np.where(clear, 0.0, np.minimum(noise2, left))


def scatter2(loops: FloatArray) -> FloatArray:
    """Return the variance of the noise, shape (n,), by the middle of the second differences.

    Of white noise they have six times its variance; slopes are not in them, and spikes and steps
    in few.
    """
    second = loops - 0.5 * (np.roll(loops, 1, axis=1) + np.roll(loops, -1, axis=1))
    return np.asarray((NORMAL_MAD * np.median(np.abs(second), axis=1)) ** 2 / 1.5)


def keep(away: FloatArray, weights: FloatArray, least: FloatArray | float = 0.0) -> FloatArray:
    """Return weight 0 for points too far away, 1 for all others, shape (n, points).

    Parameters
    ----------
    away : numpy.ndarray
        Distances, shape (n, points).
    weights : numpy.ndarray
        Which of them tell how large noise is, shape (n, points).
    least : numpy.ndarray
        Nothing nearer is left out, shape (n,).
    """
    told = np.where(weights > 0, np.abs(away), np.nan)
    parameters = 1.0 - 7.0 / away.shape[1]
    noise = NORMAL_MAD * np.nanmedian(told, axis=1) / np.sqrt(parameters)
    limit = np.maximum(SPIKE * noise, np.maximum(least, 1e-9))
    return np.where(np.abs(away) <= limit[:, None], 1.0, 0.0)


def model(sweep: Sweep, found: Projected, theta: FloatArray) -> FloatArray:
    """Return fitted loops, shape (n, points)."""
    line = found.linear[:, :1] + found.linear[:, 1:2] * sweep.bias / sweep.span
    return np.asarray(line + found.linear[:, 2:] * sweep.switched(theta)[0])
