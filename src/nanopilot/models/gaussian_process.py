"""Exact Gaussian process in float64: learn hyperparameters, condition, predict."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular
from scipy.linalg.blas import dtrsm
from scipy.linalg.lapack import dpotrf, dpotri

from nanopilot.core.history import FloatArray
from nanopilot.models.kernels import GroupedPoints, covariance_between
from nanopilot.models.threads import one_thread

#: Points predicted at a time: their covariance with 500 measured ones fits the cache.
_BLOCK = 256


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """What a Gaussian process has to learn besides its mean and its amplitude.

    Parameters
    ----------
    length_scales : tuple of float
        One per feature, in units of the feature.
    noise_ratio : float
        Variance of the noise over the variance of the signal.
    """

    length_scales: tuple[float, ...]
    noise_ratio: float

    @property
    def scales(self) -> FloatArray:
        """The length scales, shape (features,)."""
        return np.array(self.length_scales)


@dataclass(frozen=True, slots=True, eq=False)
class GaussianProcess:
    """A Gaussian process that has seen its data.

    The mean is a constant found by generalised least squares and the amplitude its
    maximum-likelihood value, so that neither needs a prior guess or a search.

    Parameters
    ----------
    points : GroupedPoints
        Where it has seen data, n points.
    targets : numpy.ndarray
        What it has seen, shape (n,).
    hyperparameters : Hyperparameters
        Length scales and noise.

    Examples
    --------
    >>> x = np.linspace(0.0, 1.0, 5)[:, None]
    >>> points = GroupedPoints.split(x, ("position",))
    >>> process = GaussianProcess(points, x[:, 0], Hyperparameters((1.0,), 1e-4))
    >>> mean, std = process.predict(GroupedPoints.split(np.array([[0.4]]), ("position",)))
    >>> bool(abs(mean[0] - 0.4) < 0.01)
    True
    """

    points: GroupedPoints
    targets: FloatArray
    hyperparameters: Hyperparameters

    @property
    def noise(self) -> float:
        """Standard deviation of one measurement about the true value."""
        with one_thread():
            state = WhitenedTargets.of(self._factor(), self.targets)
        return float(np.sqrt(state.amplitude * self.hyperparameters.noise_ratio))

    def predict(self, points: GroupedPoints) -> tuple[FloatArray, FloatArray]:
        """Return mean and standard deviation of the value, without noise, each shape (m,).

        The uncertainty of the constant mean is part of the standard deviation (Rasmussen
        and Williams 2006, eq. 2.42).
        """
        with one_thread():
            factor = self._factor()
            state = WhitenedTargets.of(factor, self.targets)
            blocks = [
                self._predict(points.take(slice(start, start + _BLOCK)), factor, state)
                for start in range(0, len(points), _BLOCK)
            ]
        mean, std = np.concatenate(blocks, axis=1)
        return mean, std

    def _predict(
        self, points: GroupedPoints, factor: FloatArray, state: WhitenedTargets
    ) -> tuple[FloatArray, FloatArray]:
        cross = covariance_between(points, self.points, self.hyperparameters.scales)
        # The transpose is what LAPACK calls columns first: solved where it stands.
        whitened = dtrsm(1.0, factor, cross.T, lower=1, overwrite_b=1)
        explained = np.einsum("ij,ij->j", whitened, whitened)
        return state.predict(state.values @ whitened, state.ones @ whitened, explained)

    def leave_one_out(self) -> tuple[FloatArray, FloatArray]:
        """Return what each target is predicted to be from all others, each shape (n,).

        The standard deviation holds the noise too, as a new measurement would show it.
        Closed form: Rasmussen and Williams 2006, eq. 5.12, with the precision matrix
        projected so that the constant mean is found anew without the target (Dubrule 1983).
        """
        with one_thread():
            precision = _inverse(self._factor())
        sums = precision.sum(axis=1)
        precision -= np.outer(sums, sums) / sums.sum()
        spread = np.diag(precision)
        residuals = precision @ self.targets
        amplitude = max(float(self.targets @ residuals), 0.0) / len(self.targets)
        return self.targets - residuals / spread, np.sqrt(amplitude / spread)

    def _factor(self) -> FloatArray:
        own = covariance_between(self.points, self.points, self.hyperparameters.scales)
        return cholesky(own, self.hyperparameters.noise_ratio)


@dataclass(frozen=True, slots=True, eq=False)
class WhitenedTargets:
    """Targets and ones after multiplication with the inverse of the Cholesky factor.

    From these two vectors follow the constant mean, the amplitude and every prediction;
    one more measurement appends one number to each.

    Parameters
    ----------
    values, ones : numpy.ndarray
        Shape (n,).
    """

    values: FloatArray
    ones: FloatArray

    @classmethod
    def of(cls, factor: FloatArray, targets: FloatArray) -> WhitenedTargets:
        """Whiten targets, shape (n,), with the lower factor, shape (n, n)."""
        both = np.stack([targets, np.ones(len(targets))], axis=1)
        solved = solve_triangular(factor, both, lower=True, check_finite=False)
        return cls(solved[:, 0].copy(), solved[:, 1].copy())

    @property
    def mean(self) -> float:
        """The constant mean: generalised least squares."""
        return float(self.ones @ self.values) / float(self.ones @ self.ones)

    @property
    def amplitude(self) -> float:
        """Variance of the signal that makes the targets most likely."""
        residuals = self.values - self.mean * self.ones
        return float(residuals @ residuals) / len(residuals)

    def predict(
        self, values: FloatArray, ones: FloatArray, explained: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return mean and standard deviation at m points, each shape (m,).

        Parameters
        ----------
        values, ones : numpy.ndarray
            Whitened targets and whitened ones times the whitened covariance with the
            points, shape (m,).
        explained : numpy.ndarray
            Sum of squares of the whitened covariance over the data, shape (m,).
        """
        mean = self.mean
        unknown_mean = (1.0 - ones) ** 2 / float(self.ones @ self.ones)
        variance = np.maximum(1.0 - explained, 0.0) + unknown_mean
        return mean + values - mean * ones, np.sqrt(self.amplitude * variance)


def cholesky(covariance: FloatArray, noise_ratio: float) -> FloatArray:
    """Return the lower Cholesky factor of a correlation matrix, shape (n, n), plus noise.

    Raises
    ------
    numpy.linalg.LinAlgError
        The matrix is not positive definite.
    """
    np.fill_diagonal(covariance, 1.0 + noise_ratio)
    # LAPACK reads columns first: the transpose of a symmetric matrix spares it a copy.
    factor, info = dpotrf(covariance.T, lower=1, clean=1, overwrite_a=1)
    if info:
        raise np.linalg.LinAlgError(f"covariance is not positive definite (row {info})")
    return np.asarray(factor, dtype=float)


def _inverse(factor: FloatArray) -> FloatArray:
    lower, _ = dpotri(factor, lower=1)
    return np.asarray(lower + np.tril(lower, -1).T, dtype=float)
