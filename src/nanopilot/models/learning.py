"""Hyperparameters of a Gaussian process: the most probable ones, by analytic gradient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dpotri
from scipy.optimize import minimize

from nanopilot.core.history import FloatArray, IntArray
from nanopilot.models.gaussian_process import Hyperparameters, cholesky
from nanopilot.models.kernels import GroupedPoints, matern52_slope, squared_distances
from nanopilot.models.threads import one_thread

#: Noise variance over signal variance: less would make the covariance singular, more is
#: the same as no signal.
_NOISE_RATIOS = 1e-4, 1e2
#: Iterations that tell which start leads to the highest maximum, and those that reach it.
_SCOUTING, _SEARCHING = 10, 60


@dataclass(frozen=True, slots=True)
class Prior:
    """What is believed of the hyperparameters before any data: log-normal each.

    A feature's length scale is that of its group times a factor of its own, so that features
    of a group share what they can and differ where the data say so. Distances between points
    of d standardised features grow as √d, and so does the length scale that is expected
    (Hvarfner et al. 2024, arXiv:2402.02229).

    Parameters
    ----------
    length_scale : float
        Median of a group's length scale over √d.
    length_spread : float
        Standard deviation of its logarithm.
    feature_spread : float
        Standard deviation of the logarithm of a feature's own factor.
    noise_ratio : float
        Median of noise variance over signal variance.
    noise_spread : float
        Standard deviation of its logarithm.
    """

    length_scale: float = 1.5
    length_spread: float = 1.0
    feature_spread: float = 0.7
    noise_ratio: float = 0.2
    noise_spread: float = 1.5


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """The space that is searched: hyperparameters as standard normal numbers.

    Each number is the logarithm of a group's length scale, of a feature's own factor or of
    the noise ratio, less its mean and over its standard deviation under the prior: steps in
    every direction are then alike, and the prior is a sphere.

    Parameters
    ----------
    group_of : numpy.ndarray of int
        Group of every feature, shape (features,).
    means, spreads : numpy.ndarray
        Shape (groups + features + 1,).
    """

    group_of: IntArray
    means: FloatArray
    spreads: FloatArray

    @classmethod
    def of(cls, points: GroupedPoints, prior: Prior) -> Space:
        """Set up the space for points with these features."""
        group_of = points.group_of
        widths = np.bincount(group_of)
        own = np.zeros(len(group_of))
        medians = np.log(prior.length_scale * np.sqrt(widths))
        means = np.concatenate([medians, own, np.log([prior.noise_ratio])])
        spreads = np.concatenate(
            [
                np.full(len(widths), prior.length_spread),
                own + prior.feature_spread,
                [prior.noise_spread],
            ]
        )
        return cls(group_of, means, spreads)

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return len(self.means) - 1 - len(self.group_of)

    @property
    def starts(self) -> list[FloatArray]:
        """Where the search begins: the median, and each group fast while the others are slow."""
        median = np.zeros(len(self.means))
        if self.groups == 1:
            return [median]
        sides = np.ones((self.groups, self.groups)) - 2.0 * np.eye(self.groups)
        return [median, *(np.append(side, median[self.groups :]) for side in sides)]

    @property
    def bounds(self) -> list[tuple[float, float]]:
        """How far the search may go."""
        noise = (np.log(_NOISE_RATIOS) - self.means[-1]) / self.spreads[-1]
        return [(-4.0, 4.0)] * (len(self.means) - 1) + [(float(noise[0]), float(noise[1]))]

    def hyperparameters(self, place: FloatArray) -> Hyperparameters:
        """Return the hyperparameters at one place, shape (groups + features + 1,)."""
        logs = self.means + self.spreads * place
        scales = np.exp(logs[: self.groups][self.group_of] + logs[self.groups : -1])
        return Hyperparameters(tuple(scales.tolist()), float(np.exp(logs[-1])))

    def pull(self, features: FloatArray, noise: float) -> FloatArray:
        """Turn derivatives by the logarithms per feature and of the noise into ones by place."""
        by_group = np.bincount(self.group_of, features, self.groups)
        pull: FloatArray = np.concatenate([by_group, features, [noise]])
        return self.spreads * pull


@dataclass(frozen=True, slots=True, eq=False)
class Objective:
    """Negative log posterior of the hyperparameters, and its gradient.

    Constant mean and amplitude are eliminated: each takes its most likely value, which
    leaves the gradient with respect to the others as it is (envelope theorem).

    Parameters
    ----------
    values : numpy.ndarray
        Features of the n points, shape (n, features).
    targets : numpy.ndarray
        Standardised, shape (n,).
    space : Space
        What is searched.
    room : numpy.ndarray
        Working space, shape (3, n, n): asking the system for it anew takes longer than the
        arithmetic.
    """

    values: FloatArray
    targets: FloatArray
    space: Space
    room: FloatArray

    def __call__(self, place: FloatArray) -> tuple[float, FloatArray]:
        """Return value and gradient (Rasmussen and Williams 2006, eqs. 5.8 and 5.9).

        Parameters
        ----------
        place : numpy.ndarray
            In the space that is searched, shape (groups + features + 1,).
        """
        found = self.space.hyperparameters(place)
        scaled = self.values / found.scales
        squared = squared_distances(scaled, scaled, out=self.room[0])
        covariance, slope = matern52_slope(squared, self.room[1:])
        factor = cholesky(covariance, found.noise_ratio)
        value = float(np.log(np.diag(factor)).sum())
        inverse = np.asarray(dpotri(factor, lower=1, overwrite_c=1)[0]).T
        trace = float(np.trace(inverse))
        weights, amplitude = self._weights(inverse)
        value += 0.5 * len(weights) * np.log(amplitude) + 0.5 * float(place @ place)
        noise = 0.5 * found.noise_ratio * (trace - float(weights @ weights) / amplitude)
        # One triangle of the inverse counts twice; distances are 0 on the diagonal.
        inverse *= 2.0
        inverse -= np.outer(weights, weights / amplitude, out=self.room[2])
        inverse *= slope
        # The sum over pairs of W_ij (x_i - x_j)², one feature at a time, without the pairs.
        edges = inverse.sum(axis=0) + inverse.sum(axis=1)
        pairs = edges @ scaled**2 - 2.0 * np.einsum("nd,nd->d", scaled, inverse @ scaled)
        return value, self.space.pull(0.5 * pairs, noise) + place

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
    space = Space.of(points, prior or Prior())
    count = len(targets)
    if count < 3:
        return space.hyperparameters(np.zeros(len(space.means)))
    standard = (targets - targets.mean()) / (float(targets.std()) or 1.0)
    objective = Objective(points.values, standard, space, np.empty((3, count, count)))
    with one_thread():
        scouts = [_descend(objective, start, _SCOUTING) for start in space.starts]
        best = min(scouts, key=lambda end: end[0])
        return space.hyperparameters(_descend(objective, best[1], _SEARCHING)[1])


def _descend(objective: Objective, start: FloatArray, iterations: int) -> tuple[float, FloatArray]:
    end = minimize(
        objective,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=objective.space.bounds,
        # A hundredth of a unit of log probability decides nothing.
        options={"maxiter": iterations, "ftol": 1e-5, "gtol": 1e-2},
    )
    return float(end.fun), np.asarray(end.x, dtype=float)
