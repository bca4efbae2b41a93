"""Hyperparameters of a Gaussian process: the most probable ones, by analytic gradient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dpotri
from scipy.optimize import minimize

from nanopilot.core.history import FloatArray
from nanopilot.models.gaussian_process import Hyperparameters, cholesky
from nanopilot.models.kernels import GroupedPoints, matern52_slope, squared_distances
from nanopilot.models.threads import one_thread


@dataclass(frozen=True, slots=True)
class Prior:
    """What is believed of the hyperparameters before any data: log-normal each.

    Distances between points of d standardised features grow as √d, and so does the length
    scale that is expected (Hvarfner et al. 2024, arXiv:2402.02229).

    Parameters
    ----------
    length_scale : float
        Median of a length scale over √d.
    length_spread : float
        Standard deviation of its logarithm.
    noise_ratio : float
        Median of noise variance over signal variance.
    noise_spread : float
        Standard deviation of its logarithm.
    """

    length_scale: float = 1.5
    length_spread: float = 1.0
    noise_ratio: float = 0.2
    noise_spread: float = 1.5

    def moments(self, points: GroupedPoints) -> tuple[FloatArray, FloatArray]:
        """Return mean and standard deviation of the logarithms, each shape (groups + 1,)."""
        widths = np.array([block.shape[1] for block in points.blocks])
        means = np.append(np.log(self.length_scale * np.sqrt(widths)), np.log(self.noise_ratio))
        spreads = np.append(np.full(len(widths), self.length_spread), self.noise_spread)
        return means, spreads


@dataclass(frozen=True, slots=True, eq=False)
class Objective:
    """Negative log posterior of the hyperparameters, and its gradient.

    Constant mean and amplitude are eliminated: each takes its most likely value, which
    leaves the gradient with respect to the others as it is (envelope theorem).

    Parameters
    ----------
    distances : tuple of numpy.ndarray
        Squared distances within every group, shape (n, n) each.
    targets : numpy.ndarray
        Standardised, shape (n,).
    means, spreads : numpy.ndarray
        Of the prior, shape (groups + 1,).
    """

    distances: tuple[FloatArray, ...]
    targets: FloatArray
    means: FloatArray
    spreads: FloatArray

    def __call__(self, logs: FloatArray) -> tuple[float, FloatArray]:
        """Return value and gradient (Rasmussen and Williams 2006, eqs. 5.8 and 5.9).

        Parameters
        ----------
        logs : numpy.ndarray
            Logarithms of the length scales and of the noise ratio, shape (groups + 1,).
        """
        count = len(self.targets)
        shrink = np.exp(-2.0 * logs[:-1])
        squared = shrink[0] * self.distances[0]
        for factor, distance in zip(shrink[1:], self.distances[1:], strict=True):
            squared += factor * distance
        covariance, slope = matern52_slope(squared)
        noise = float(np.exp(logs[-1]))
        factor = cholesky(covariance, noise)
        value = float(np.log(np.diag(factor)).sum())
        inverse = np.asarray(dpotri(factor, lower=1, overwrite_c=1)[0]).T
        trace = float(np.trace(inverse))
        weights, amplitude = self._weights(inverse)
        value += 0.5 * count * np.log(amplitude)
        # One triangle of the inverse counts twice; the slope times a distance is 0 on the diagonal.
        inverse *= 2.0
        inverse -= np.outer(weights, weights / amplitude)
        inverse *= slope
        pull = [
            0.5 * scale * float(np.vdot(inverse, distance))
            for scale, distance in zip(shrink, self.distances, strict=True)
        ]
        pull.append(0.5 * noise * (trace - float(weights @ weights) / amplitude))
        offset = (logs - self.means) / self.spreads
        return value + 0.5 * float(offset @ offset), np.array(pull) + offset / self.spreads

    def _weights(self, upper: FloatArray) -> tuple[FloatArray, float]:
        """Return inverse covariance times residuals, and the amplitude they imply."""

        def times(vector: FloatArray) -> FloatArray:
            return np.asarray(upper @ vector + vector @ upper - np.diag(upper) * vector)

        ones, values = times(np.ones(len(self.targets))), times(self.targets)
        weights = values - ones * (values.sum() / ones.sum())
        # Targets that are all alike leave no amplitude; its logarithm has to stay finite.
        return weights, max(float(self.targets @ weights) / len(weights), 1e-12)


def learn(
    points: GroupedPoints, targets: FloatArray, prior: Prior | None = None
) -> Hyperparameters:
    """Return the most probable hyperparameters.

    The same variation can be told by one group of features or by another, so there may be
    several maxima: the search begins at the median of the prior and, once per group, where
    that group varies fast and the others hardly at all. It begins nowhere else, so that the
    result depends on these data alone and on no earlier fit.

    Parameters
    ----------
    points : GroupedPoints
        n points.
    targets : numpy.ndarray
        Shape (n,), in any unit. With fewer than three the medians of the prior are returned.
    prior : Prior, optional
        The default one when not given.

    Examples
    --------
    >>> x = np.linspace(0.0, 10.0, 40)[:, None]
    >>> found = learn(GroupedPoints.split(x, ("position",)), np.sin(x[:, 0]))
    >>> found.noise_ratio < 1e-3
    True
    """
    means, spreads = (prior or Prior()).moments(points)
    if len(targets) < 3:
        return _unpacked(means)
    scale = float(targets.std()) or 1.0
    with one_thread():
        distances = tuple(squared_distances(block, block) for block in points.blocks)
        objective = Objective(distances, (targets - targets.mean()) / scale, means, spreads)
        bounds = np.stack([means - 4.0 * spreads, means + 4.0 * spreads], axis=1)
        bounds[-1] = np.log(1e-4), np.log(1e2)
        found = [_descend(objective, start, bounds) for start in _starts(means, spreads)]
    return _unpacked(min(found, key=lambda end: end[0])[1])


def _starts(means: FloatArray, spreads: FloatArray) -> list[FloatArray]:
    groups = len(means) - 1
    if groups == 1:
        return [means]
    # One spread up or down: within what the prior believes, yet a different explanation.
    sides = np.append(np.ones(groups), 0.0) - 2.0 * np.eye(groups, groups + 1)
    return [means, *(means + sides * spreads)]


def _descend(
    objective: Objective, start: FloatArray, bounds: FloatArray
) -> tuple[float, FloatArray]:
    options = {"maxiter": 50, "ftol": 1e-6, "gtol": 1e-2}
    end = minimize(
        objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options
    )
    return float(end.fun), np.asarray(end.x, dtype=float)


def _unpacked(logs: FloatArray) -> Hyperparameters:
    values = np.exp(logs).tolist()
    return Hyperparameters(tuple(values[:-1]), values[-1])
