"""Particles sorted by shape: how many classes, how sure that is, and when to say nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from nanopilot.analysis.particle_shapes.alignment import align_labels, relabelled
from nanopilot.analysis.particle_shapes.mixture import (
    Covariance,
    Mixture,
    fit_mixture,
    merged,
)
from nanopilot.core.errors import OutOfRange
from nanopilot.models.threads import one_thread

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: Rounds in which groups too small for a class are set aside.
_ASIDE = 4
#: Times that the labels of each refit are drawn again for the interval of the fractions.
_DRAWS = 10
#: Gaussians for each class that may be; and how many more are tried after the best number.
_GAUSSIANS, _PATIENCE = 2, 2
#: Of the interval of the fractions.
_TAILS = (2.5, 97.5)
#: Squared Mahalanobis distance from every class beyond which a particle is of none: particles cut
#: from a neighbour lie far out and are still nearer to their own class than to any other.
_STRANGE = 400.0


@dataclass(frozen=True, slots=True, eq=False)
class ShapeClasses:
    """Classes of a set of particles.

    Parameters
    ----------
    mixture : Mixture or None
        The classes; None where none are reported.
    labels : numpy.ndarray
        Class of each particle from 0, the commonest first, shape (n,); -1: of none.
    probability : numpy.ndarray
        Of that class, shape (n,); 0 where of none.
    fractions, low, high : numpy.ndarray
        Share of each class among the sorted, and its 95 % bootstrap interval, shape (classes,).
    stability : float
        Mean adjusted Rand index of refits to resampled particles; 1: always the same classes.
    scores : dict
        For each number of Gaussians tried (BIC, ICL), the lower the better.
    refused : str
        Why no classes are reported; empty where they are.
    """

    mixture: Mixture | None
    labels: IntArray
    probability: FloatArray
    fractions: FloatArray
    low: FloatArray
    high: FloatArray
    stability: float
    scores: dict[int, tuple[float, float]] = field(default_factory=dict)
    refused: str = ""

    @property
    def count(self) -> int:
        """Number of classes, 0 where none are reported."""
        return self.mixture.count if self.mixture else 0


@dataclass(frozen=True, slots=True)
class SortShapes:
    """Sort particles into classes by a mixture of Gaussians.

    A mixture is fitted for each number of Gaussians and the lowest criterion wins. Gaussians that
    are told apart badly are joined to one class, as by `merged`: aspect ratios of rods are not
    normal, and several Gaussians describe one class of them. The classes are believed only if
    refits to resampled particles (B. Efron, Ann. Stat. 7 (1979) 1) give the same ones by the
    adjusted Rand index (L. Hubert, P. Arabie, J. Classif. 2 (1985) 193). Groups smaller than
    `least_share` are set aside as outliers, and the rest is sorted anew.

    Parameters
    ----------
    most : int
        Classes at most, 1 or more.
    criterion : {"bic", "icl"}
        What chooses the number of Gaussians.
    confused : float
        Classes are joined if a larger share of one would be taken for the other, 0 to 1.
    covariance : {"diag", "full"}
        Whether features of a class may be correlated.
    least : int
        Fewer particles are not sorted.
    least_share : float
        A smaller share of the particles is no class.
    stable : float
        Least mean adjusted Rand index of the refits.
    refits : int
        How many.
    """

    most: int = 6
    criterion: Literal["bic", "icl"] = "bic"
    confused: float = 0.01
    covariance: Covariance = "full"
    least: int = 30
    least_share: float = 0.03
    stable: float = 0.8
    refits: int = 16

    def __post_init__(self) -> None:
        if self.most < 1 or self.least < 2 or self.refits < 2:
            raise OutOfRange(
                f"`most` is {self.most}, `least` {self.least}, `refits` {self.refits}; at least 1 "
                f"class, 2 particles and 2 refits are needed."
            )
        shares = (self.least_share, self.stable, self.confused)
        if not all(0 <= one <= 1 for one in shares):
            raise OutOfRange(
                f"`least_share`, `stable` and `confused` are {shares}; all are shares, 0 to 1."
            )

    def __call__(self, values: FloatArray, rng: np.random.Generator) -> ShapeClasses:
        """Return the classes of particles.

        Parameters
        ----------
        values : numpy.ndarray
            Features, shape (n, d); particles with one that is not finite are of no class.
        rng : numpy.random.Generator
            Draws starts and resampled particles.
        """
        with one_thread():
            return self._sorted(values, rng)

    def _sorted(self, values: FloatArray, rng: np.random.Generator) -> ShapeClasses:
        taking = np.asarray(np.isfinite(values).all(axis=1))
        if taking.sum() < self.least:
            return _nothing(
                len(values),
                f"{int(taking.sum())} whole particles; classes need {self.least} or more.",
            )
        for _ in range(_ASIDE):
            mixture, scores = self._chosen(values[taking], rng)
            small = self._too_small(mixture, values, taking)
            if not small.any():
                break
            taking = taking & ~small
            if taking.sum() < self.least:
                return _nothing(len(values), "too few particles are alike; collect more.")
        mixture = _ordered(mixture, values[taking])
        return self._judged(mixture, scores, (values, taking), rng)

    def _chosen(
        self, values: FloatArray, rng: np.random.Generator
    ) -> tuple[Mixture, dict[int, tuple[float, float]]]:
        scores: dict[int, tuple[float, float]] = {}
        best: tuple[float, Mixture] | None = None
        since = 0
        for count in range(1, min(_GAUSSIANS * self.most, len(values) // 4) + 1):
            tried = fit_mixture(values, count, rng, covariance=self.covariance)
            scores[count] = (tried.bic(values), tried.icl(values))
            score = scores[count][0 if self.criterion == "bic" else 1]
            since += 1
            if best is None or score < best[0]:
                best, since = (score, tried), 0
            if since == _PATIENCE:
                break
        assert best is not None  # noqa: S101 - one Gaussian is always tried
        return merged(best[1], values, self.confused, self.most), scores

    def _too_small(self, mixture: Mixture, values: FloatArray, taking: BoolArray) -> BoolArray:
        """Return the members of groups that are too small for a class."""
        found = np.zeros(len(values), dtype=bool)
        labels = mixture.labels(values[taking])
        sizes = np.bincount(labels, minlength=mixture.count)
        small = sizes < max(self.least_share * taking.sum(), 3)
        found[taking] = small[labels] if mixture.count > 1 else False
        return found

    def _judged(
        self,
        mixture: Mixture,
        scores: dict[int, tuple[float, float]],
        seen: tuple[FloatArray, BoolArray],
        rng: np.random.Generator,
    ) -> ShapeClasses:
        values, taking = seen
        used = values[taking]
        stability, shares = self._refitted(mixture, used, rng)
        if stability < self.stable:
            return _nothing(
                len(values),
                f"refits agree by {stability:.2f} only, {self.stable} is asked for; collect more "
                f"particles.",
                stability,
                scores,
            )
        fractions = np.bincount(mixture.labels(used), minlength=mixture.count) / len(used)
        low, high = np.percentile(shares, _TAILS, axis=0)
        labels = assigned(mixture, values)
        return ShapeClasses(
            mixture,
            labels,
            sureness(mixture, values, labels),
            fractions,
            np.minimum(low, fractions),
            np.maximum(high, fractions),
            stability,
            scores,
        )

    def _refitted(
        self, mixture: Mixture, used: FloatArray, rng: np.random.Generator
    ) -> tuple[float, list[FloatArray]]:
        """Return how well refits to resampled particles agree, and fractions by them."""
        from sklearn.metrics import adjusted_rand_score

        mine = mixture.labels(used)
        agreed, shares = [], []
        for _ in range(self.refits):
            drawn = used[rng.integers(len(used), size=len(used))]
            count = len(mixture.groups)
            again = fit_mixture(drawn, count, rng, covariance=self.covariance, starts=2)
            # As many classes as there are, or fewer: it is their members that must come again.
            theirs = merged(again, drawn, self.confused, mixture.count).labels(used)
            agreed.append(adjusted_rand_score(mine, theirs))
            named = relabelled(theirs, align_labels(theirs, mine))
            for _ in range(_DRAWS):
                some = named[rng.integers(len(used), size=len(used))]
                shares.append(np.bincount(some[some >= 0], minlength=mixture.count) / len(used))
        return float(np.mean(agreed)), shares


def assigned(mixture: Mixture, values: FloatArray) -> IntArray:
    """Return the class of each particle, -1 for one that is far from every class.

    Parameters
    ----------
    mixture : Mixture
        The classes.
    values : numpy.ndarray
        Features, shape (n, d).
    """
    sound = np.isfinite(values).all(axis=1)
    labels = np.full(len(values), -1, dtype=np.int64)
    if sound.any():
        near = mixture.far(values[sound]).min(axis=1) < _STRANGE
        labels[sound] = np.where(near, mixture.labels(values[sound]), -1)
    return labels


def sureness(mixture: Mixture, values: FloatArray, labels: IntArray) -> FloatArray:
    """Return the probability of the class that each particle is of, 0 where of none, shape (n,).

    Parameters
    ----------
    mixture : Mixture
        The classes.
    values : numpy.ndarray
        Features, shape (n, d).
    labels : numpy.ndarray
        As of `assigned`.
    """
    found = np.zeros(len(values))
    kept = labels >= 0
    if kept.any():
        found[kept] = mixture.probability(values[kept]).max(axis=1)
    return found


def _ordered(mixture: Mixture, values: FloatArray) -> Mixture:
    """Return the mixture with its commonest class first."""
    order = np.argsort(-np.bincount(mixture.labels(values), minlength=mixture.count), kind="stable")
    rank = np.argsort(order)
    return mixture.model_copy(update={"groups": tuple(int(rank[one]) for one in mixture.groups)})


def _nothing(
    count: int,
    why: str,
    stability: float = float("nan"),
    scores: dict[int, tuple[float, float]] | None = None,
) -> ShapeClasses:
    none = np.zeros(0)
    return ShapeClasses(
        None, np.full(count, -1, dtype=np.int64), np.zeros(count), none, none, none, stability,
        scores or {}, why,
    )  # fmt: skip
