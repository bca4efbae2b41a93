"""A mixture of Gaussians as a value: its density, its classes, and how it is fitted."""

from __future__ import annotations

import math
import warnings
from typing import Any, Literal

import numpy as np

from nanopilot.core.values import Value

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]
Covariance = Literal["diag", "full"]

#: Least standard deviation of a class over the spread of all particles.
_FLOOR = 0.03
#: Rounds of expectation and maximisation at most.
_ROUNDS = 300


class Scaling(Value):
    """Centre and spread of every feature, from quantiles: one particle far off changes neither.

    Parameters
    ----------
    centre, spread : tuple of float
        Median, and the distance of the 5 % and 95 % quantiles over that of a unit normal.
    """

    centre: tuple[float, ...]
    spread: tuple[float, ...]

    @classmethod
    def of(cls, values: FloatArray) -> Scaling:
        """Return the scaling of features, shape (n, d)."""
        low, middle, high = np.quantile(values, (0.05, 0.5, 0.95), axis=0)
        spread = (high - low) / (2 * 1.6449)
        still = spread <= 1e-12 * np.maximum(np.abs(middle), 1.0)
        return cls(
            centre=tuple(middle.tolist()), spread=tuple(np.where(still, 1.0, spread).tolist())
        )

    def __call__(self, values: FloatArray) -> FloatArray:
        """Return features scaled, shape (n, d)."""
        found: FloatArray = (values - np.array(self.centre)) / np.array(self.spread)
        return found


class Mixture(Value):
    """Classes over scaled features, each of one Gaussian or of several.

    Parameters
    ----------
    scaling : Scaling
        Applied first.
    weights : tuple of float
        Prior of each Gaussian, summing up to 1.
    means : tuple of tuple of float
        Of each Gaussian, scaled.
    covariances : tuple of tuple of tuple of float
        Of each Gaussian, scaled; variances on the diagonal.
    groups : tuple of int
        Class of each Gaussian, from 0.
    """

    scaling: Scaling
    weights: tuple[float, ...]
    means: tuple[tuple[float, ...], ...]
    covariances: tuple[tuple[tuple[float, ...], ...], ...]
    groups: tuple[int, ...]

    @property
    def count(self) -> int:
        """Number of classes."""
        return max(self.groups) + 1

    @property
    def parameters(self) -> int:
        """Free numbers of it: weights, means, and the variances that are not tied to be zero."""
        k, d = len(self.weights), len(self.scaling.centre)
        off = any(abs(c[i][j]) > 0 for c in self.covariances for i in range(d) for j in range(i))
        return k - 1 + k * d + k * (d * (d + 1) // 2 if off else d)

    def far(self, values: FloatArray) -> FloatArray:
        """Return squared Mahalanobis distances to each Gaussian, shape (n, Gaussians)."""
        scaled = self.scaling(values)
        columns = []
        for mean, covariance in zip(self.means, self.covariances, strict=True):
            root = np.linalg.cholesky(np.array(covariance))
            away = np.linalg.solve(root, (scaled - np.array(mean)).T)
            columns.append((away**2).sum(axis=0))
        return np.stack(columns, axis=-1)

    def log_density(self, values: FloatArray) -> FloatArray:
        """Return the log of weight times normal density of each Gaussian, shape (n, Gaussians).

        Densities are those of the scaled features.
        """
        d = len(self.scaling.centre)
        halves = [
            0.5 * (d * math.log(2 * math.pi) + np.linalg.slogdet(np.array(covariance))[1])
            for covariance in self.covariances
        ]
        prior = np.log(np.maximum(self.weights, 1e-300))
        found: FloatArray = prior - np.array(halves) - 0.5 * self.far(values)
        return found

    def log_likelihood(self, values: FloatArray) -> float:
        """Return the log-likelihood of all particles together."""
        return float(np.logaddexp.reduce(self.log_density(values), axis=1).sum())

    def parts(self, values: FloatArray) -> FloatArray:
        """Return the probability of each Gaussian for each particle, shape (n, Gaussians)."""
        joint = self.log_density(values)
        found: FloatArray = np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))
        return found

    def probability(self, values: FloatArray) -> FloatArray:
        """Return the probability of each class for each particle, shape (n, classes)."""
        return self.parts(values) @ np.eye(self.count)[list(self.groups)]

    def labels(self, values: FloatArray) -> IntArray:
        """Return the most probable class of each particle, shape (n,)."""
        return np.asarray(np.argmax(self.probability(values), axis=1), dtype=np.int64)

    def mean(self, number: int) -> FloatArray:
        """Return the mean of a class in the features as they came, shape (d,)."""
        mine = np.array(self.groups) == number
        weights = np.array(self.weights)[mine]
        scaled = weights @ np.array(self.means)[mine] / weights.sum()
        found: FloatArray = scaled * np.array(self.scaling.spread) + np.array(self.scaling.centre)
        return found

    def bic(self, values: FloatArray) -> float:
        """Return the Bayesian information criterion, the lower the better.

        G. Schwarz, Ann. Stat. 6 (1978) 461, of all Gaussians, whatever their class.
        """
        return self.parameters * math.log(len(values)) - 2 * self.log_likelihood(values)

    def icl(self, values: FloatArray) -> float:
        """Return the integrated completed likelihood, the lower the better.

        The BIC and twice what is uncertain about who belongs where: Gaussians that share their
        particles are one class (C. Biernacki, G. Celeux, G. Govaert, IEEE Trans. Pattern Anal.
        Mach. Intell. 22 (2000) 719).
        """
        most = np.maximum(self.parts(values).max(axis=1), 1e-300)
        return self.bic(values) - 2 * float(np.log(most).sum())


def merged(mixture: Mixture, values: FloatArray, confused: float, most: int) -> Mixture:
    """Join Gaussians that are told apart badly: a class need not be normal.

    The pair of classes of which the larger share of one would be taken for the other is joined,
    until that share is small for every pair: directly estimated misclassification probabilities
    (C. Hennig, Adv. Data Anal. Classif. 4 (2010) 3).

    Parameters
    ----------
    mixture : Mixture
        Of single Gaussians, or merged in part.
    values : numpy.ndarray
        Features that it was fitted to, shape (n, d).
    confused : float
        Share that may be taken for another class, 0 to 1; 1: nothing is joined for that.
    most : int
        Classes at most.
    """
    parts = mixture.parts(values)
    groups = np.array(mixture.groups)
    while groups.max() > 0:
        count = int(groups.max()) + 1
        shares = parts @ np.eye(count)[groups]
        taken = np.eye(count)[np.argmax(shares, axis=1)]
        # Row i, column j: of what belongs to j, the share that is taken for i.
        wrong = taken.T @ shares / np.maximum(shares.sum(axis=0), 1e-12)
        np.fill_diagonal(wrong, 0.0)
        i, j = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
        if wrong[i, j] <= confused and count <= most:
            break
        low, high = sorted((int(i), int(j)))
        groups[groups == high] = low
        groups[groups > high] -= 1
    return mixture.model_copy(update={"groups": tuple(int(one) for one in groups)})


def fit_mixture(
    values: FloatArray,
    count: int,
    rng: np.random.Generator,
    *,
    covariance: Covariance = "diag",
    starts: int = 3,
) -> Mixture:
    """Fit so many Gaussians to features by expectation and maximisation.

    A. P. Dempster, N. M. Laird, D. B. Rubin, J. R. Stat. Soc. B 39 (1977) 1.

    Parameters
    ----------
    values : numpy.ndarray
        Finite, shape (n, d); n of `count` or more.
    count : int
        Gaussians, each a class of its own.
    rng : numpy.random.Generator
        Draws where each start begins.
    covariance : {"diag", "full"}
        Whether features of a class may be correlated.
    starts : int
        The most likely of so many is kept.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    scaling = Scaling.of(values)
    model = GaussianMixture(
        count, covariance_type=covariance, n_init=starts, max_iter=_ROUNDS,
        reg_covar=_FLOOR**2, init_params="k-means++", random_state=int(rng.integers(2**31)),
    )  # fmt: skip
    with warnings.catch_warnings():
        # Of several starts the best is taken; one that crawls is no reason to stop. Fewer
        # distinct particles than classes: the criteria reject it.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(scaling(values))
    full = model.covariances_
    if covariance == "diag":
        full = np.stack([np.diag(row) for row in full])
    return Mixture(
        scaling=scaling,
        weights=tuple(model.weights_.tolist()),
        means=tuple(tuple(row) for row in model.means_.tolist()),
        covariances=tuple(tuple(tuple(row) for row in one) for one in full.tolist()),
        groups=tuple(range(count)),
    )
