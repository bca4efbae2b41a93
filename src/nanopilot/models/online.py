"""A Gaussian process over a fixed set of sites that takes in one measurement at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.linalg.blas import dtrsm

from nanopilot.core.features import FeatureTable
from nanopilot.core.history import FloatArray, IntArray
from nanopilot.models.gaussian_process import WhitenedTargets, cholesky
from nanopilot.models.kernels import GroupedPoints, covariance_between
from nanopilot.models.learning import learn
from nanopilot.models.threads import one_thread


@dataclass(frozen=True, slots=True)
class RefitSchedule:
    """At which numbers of measurements hyperparameters are learned anew.

    Early measurements change them a lot, late ones little: the pause grows with the number.

    Parameters
    ----------
    first : int
        Number of the first refit; before it, the prior stands.
    growth : float
        Pause to the next one, as a fraction of the measurements so far.

    Examples
    --------
    >>> schedule = RefitSchedule(first=3, growth=0.5)
    >>> schedule.next(3), schedule.next(10)
    (5, 15)
    """

    first: int = 3
    growth: float = 0.1

    def next(self, count: int) -> int:
        """Return the number at which the refit after that at `count` takes place."""
        return count + max(1, round(self.growth * count))


class OnlineGaussianProcess:
    """Exact predictions at every site, brought up to date by rank-one updates.

    Between refits a measurement appends one row to the Cholesky factor and to the whitened
    covariance with all N sites: n N operations. State depends on the measurements alone
    and not on how they were dealt out to `extend`.

    Parameters
    ----------
    features : FeatureTable
        One row per site, N sites.
    schedule : RefitSchedule
        When hyperparameters are learned anew.
    """

    def __init__(self, features: FeatureTable, schedule: RefitSchedule) -> None:
        self._points = GroupedPoints.split(features.values, features.groups)
        self._schedule = schedule
        self._next_fit = schedule.first
        self._sites = np.zeros(0, dtype=np.int64)
        self._targets = np.zeros(0)
        self._hyperparameters = learn(self._points.take(self._sites), self._targets)
        self._condition(0)

    def __len__(self) -> int:
        return len(self._sites)

    @property
    def noise(self) -> float:
        """Standard deviation of one measurement about the true value."""
        return float(np.sqrt(self._white.amplitude * self._hyperparameters.noise_ratio))

    @property
    def settings(self) -> Mapping[str, float]:
        """Typical length scale of every group, noise and amplitude (standard deviations)."""
        logs = np.log(self._hyperparameters.scales)
        of_group = self._points.group_of
        scales = {
            f"length_scale_{name}": float(np.exp(logs[of_group == number].mean()))
            for number, name in enumerate(self._points.names)
        }
        return scales | {
            "noise": self.noise,
            "amplitude": float(np.sqrt(self._white.amplitude)),
        }

    def extend(self, sites: IntArray, targets: FloatArray) -> None:
        """Take in more measurements.

        Parameters
        ----------
        sites : numpy.ndarray of int
            Row of each one in the features, shape (k,).
        targets : numpy.ndarray
            What was measured, shape (k,), finite.
        """
        with one_thread():
            self._extend(sites, targets)

    def _extend(self, sites: IntArray, targets: FloatArray) -> None:
        done = len(self._sites)
        self._sites = np.concatenate([self._sites, sites])
        self._targets = np.concatenate([self._targets, targets])
        refit = 0
        while self._next_fit <= len(self._sites):
            refit, self._next_fit = self._next_fit, self._schedule.next(self._next_fit)
        if refit:
            points = self._points.take(self._sites[:refit])
            self._hyperparameters = learn(points, self._targets[:refit])
            self._condition(refit)
        for number in range(refit or done, len(self._sites)):
            self._append(number)

    def predict(self) -> tuple[FloatArray, FloatArray]:
        """Return mean and standard deviation of the value at every site, each shape (N,)."""
        values, ones, explained = self._sums
        return self._white.predict(values, ones, explained)

    def covariance(self) -> Callable[[IntArray], FloatArray]:
        """Return a function from m sites to the covariance of every site with them.

        Shape (N, m), in squared units of the targets, without noise. The function keeps to
        what has been measured now, whatever is measured later.
        """
        # Rows of `_cross` are only ever added, or replaced as a whole.
        cross, ones = self._cross[: len(self)], 1.0 - self._sums[1]
        scales, amplitude = self._hyperparameters.scales, self._white.amplitude
        unknown_mean = ones / float(self._white.ones @ self._white.ones)

        def shared(sites: IntArray) -> FloatArray:
            with one_thread():
                prior = covariance_between(self._points, self._points.take(sites), scales)
                prior -= cross.T @ cross[:, sites]
                prior += np.outer(unknown_mean, ones[sites])
            prior *= amplitude
            return prior

        return shared

    def _condition(self, count: int) -> None:
        """Work out everything for the first measurements under new hyperparameters."""
        sites = self._sites[:count]
        room = max(self._schedule.first, self._schedule.next(count))
        self._cross = np.empty((room, len(self._points)))
        self._white = WhitenedTargets(np.zeros(0), np.zeros(0))
        self._sums = np.zeros((3, len(self._points)))
        if not count:
            return
        measured = self._points.take(sites)
        cross = self._cross[:count]
        cross[...] = covariance_between(measured, self._points, self._hyperparameters.scales)
        factor = cholesky(cross[:, sites], self._hyperparameters.noise_ratio)
        # In place: seen column first, the rows of `cross` are solved for from the right.
        dtrsm(1.0, factor, cross.T, side=1, lower=1, trans_a=1, overwrite_b=1)
        self._white = WhitenedTargets.of(factor, self._targets[:count])
        self._sums[0] = self._white.values @ cross
        self._sums[1] = self._white.ones @ cross
        self._sums[2] = np.einsum("ij,ij->j", cross, cross)

    def _append(self, number: int) -> None:
        """Take in one measurement under the same hyperparameters."""
        site = self._sites[number : number + 1]
        above = self._cross[:number]
        new = self._points.take(site)
        row = covariance_between(new, self._points, self._hyperparameters.scales)[0]
        left = above[:, site[0]].copy()
        pivot = float(np.sqrt(1.0 + self._hyperparameters.noise_ratio - left @ left))
        row -= left @ above
        row /= pivot
        self._cross[number] = row
        white = self._white
        value = float(self._targets[number] - left @ white.values) / pivot
        one = float(1.0 - left @ white.ones) / pivot
        self._white = WhitenedTargets(np.append(white.values, value), np.append(white.ones, one))
        self._sums[0] += value * row
        self._sums[1] += one * row
        self._sums[2] += row * row
