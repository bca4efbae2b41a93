"""Whether a picture is of the kind that a network was trained on, and when to abstain.

Two distances of features from one's own examples: from their middle in units of their spread (K.
Lee et al., Adv. Neural Inf. Process. Syst. 31 (2018) 7167, equation 2, with one class), with a
shrunk covariance, and from the k nearest of them (Y. Sun et al., Proc. Mach. Learn. Res. 162
(2022) 20827, section 3). The border of each comes from own examples that took no part in the
middle, the spread and the neighbours (V. Vovk et al., Algorithmic Learning in a Random World, 2005,
section 4.2: inductive conformal predictors; here by folds, R. F. Barber et al., Ann. Stat. 49
(2021) 486).

Where own pictures are of many kinds, distances tell little. Then some strangers have to be seen
too: `nanopilot.models.strange_pictures` draws them, `nanopilot.models.exposure` learns from them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nanopilot.core.errors import OutOfRange, ReadError
from nanopilot.models.exposure import Exposure

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
Float32 = np.ndarray[Any, np.dtype[np.float32]]
AnyArray = np.ndarray[Any, np.dtype[Any]]

#: Neighbours whose mean distance counts.
_NEIGHBOURS = 5
#: Own examples that are kept for the distance to neighbours, at most.
_KEPT = 800
_FOLDS = 5
#: How much of what is lost of one's own is lost to each distance, and to the likeness to strangers.
_SAY = (0.25, 0.25, 1.0)
_FIELDS = ("middle", "scale", "whiten", "known", "border")
_SEEN = ("centres", "weights")
#: Standard deviations beyond which a single feature does not get any stranger.
_FARTHEST = 30.0
#: The same for the comparison with strangers that have been seen.
_FAR = 8.0
#: Distances are worked out so many at once.
_ROWS = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Familiarity:
    """How far features may lie from one's own; see `learn`.

    Parameters
    ----------
    middle, scale : numpy.ndarray
        Mean and standard deviation of each feature, float32, shape (features,).
    whiten : numpy.ndarray
        Takes standardised features to uncorrelated ones of spread 1, shape (features, features).
    known : numpy.ndarray
        Own examples, whitened, shape (examples, features).
    border : numpy.ndarray
        Of the distance from the middle, of that from the neighbours, and of the likeness to
        strangers if any have been seen, shape (2,) or (3,).
    exposure : Exposure, optional
        Tells one's own from the strangers that have been seen.
    """

    middle: Float32
    scale: Float32
    whiten: Float32
    known: Float32
    border: Float32
    exposure: Exposure | None = None

    @classmethod
    def learn(
        cls,
        features: AnyArray,
        rng: np.random.Generator,
        keep: float = 0.98,
        groups: Sequence[str] | None = None,
        strangers: AnyArray | None = None,
    ) -> Familiarity:
        """Learn from features of own examples, best of such as no network has learned from.

        The border is a conformal quantile: with n examples, the ⌈(n + 1) keep⌉-th of their
        strangeness, each judged by the other folds, so that a new one of the same kind is kept
        with a probability of about `keep`.

        Parameters
        ----------
        features : numpy.ndarray
            Shape (examples, features).
        rng : numpy.random.Generator
            Folds, and which examples are kept.
        keep : float
            Share of own pictures that are not strange, 0.5 to 1.
        groups : sequence of str, optional
            Which sample, family or scan each is from: an example is never judged by others of its
            own group. None: each is its own group.
        strangers : numpy.ndarray, optional
            The same features of pictures that are not own, shape (strangers, features), best as
            many as own ones; see `nanopilot.models.strange_pictures.strange_pictures`. The share
            that is kept stays the same; more strangers are told.

        Raises
        ------
        OutOfRange
            Features are not finite numbers, `keep` is out of range, or there are too few examples
            or groups for it.
        """
        values = _checked(features, keep, groups)
        others = _others(strangers, values.shape[1])
        names = np.arange(len(values)) if groups is None else np.asarray(groups)
        fold = _folds(names, rng)
        apart = np.zeros((len(values), 2 if others is None else 3))
        for one in np.unique(fold):
            fitted = _fit(values[fold != one], others, rng)
            apart[fold == one] = fitted.distances(values[fold == one])
        border = _borders(apart, keep)
        found = _fit(values, others, rng)
        return replace(found, border=border.astype(np.float32))

    def strangeness(self, features: AnyArray) -> FloatArray:
        """Return how strange each example is, shape (examples,); above 1: of no known kind.

        Parameters
        ----------
        features : numpy.ndarray
            Shape (examples, features), or (features,) for one. What is not finite is infinitely
            strange.

        Raises
        ------
        OutOfRange
            They are not as many features as were learned.
        """
        values = np.atleast_2d(np.asarray(features, dtype=np.float64))
        if values.ndim != 2 or values.shape[1] != len(self.middle):
            raise OutOfRange(
                f"`features` has shape {np.shape(features)}; {len(self.middle)} numbers per "
                "example were learned. Give features of the same function."
            )
        found = np.full(len(values), np.inf)
        finite = np.isfinite(values).all(axis=1)
        found[finite] = (self.distances(values[finite]) / self.border).max(axis=1)
        return found

    def reasons(self, features: AnyArray, names: Sequence[str], most: int = 3) -> tuple[str, ...]:
        """Return the features of one example that lie farthest out, farthest first.

        Parameters
        ----------
        features : numpy.ndarray
            Shape (features,).
        names : sequence of str
            Of the features.
        most : int
            How many.
        """
        away = (np.asarray(features, dtype=np.float64) - self.middle) / self.scale
        order = np.argsort(-np.abs(np.nan_to_num(away, nan=np.inf)), kind="stable")[:most]
        return tuple(
            f"{names[int(at)]} {'high' if away[at] > 0 else 'low'} ({abs(away[at]):.1f} σ)"
            for at in order
        )

    def tensors(self, prefix: str = "familiarity") -> dict[str, Float32]:
        """Return what travels with the weights of a network."""
        found = {f"{prefix}.{name}": getattr(self, name) for name in _FIELDS}
        if self.exposure is not None:
            found |= {f"{prefix}.{name}": getattr(self.exposure, name) for name in _SEEN}
        return found

    @classmethod
    def from_tensors(
        cls, tensors: Mapping[str, AnyArray], prefix: str = "familiarity"
    ) -> Familiarity:
        """Rebuild from tensors of `tensors`; others in the mapping are left alone.

        Raises
        ------
        ReadError
            One is missing, or they do not fit together.
        """
        seen = f"{prefix}.{_SEEN[0]}" in tensors
        fields = (*_FIELDS, *(_SEEN if seen else ()))
        lost = [name for name in fields if f"{prefix}.{name}" not in tensors]
        if lost:
            raise ReadError(
                f"`tensors` has no {prefix}.{lost[0]}; these weights know nothing of their own "
                "pictures. Train them again."
            )
        parts = [np.asarray(tensors[f"{prefix}.{name}"], dtype=np.float32) for name in fields]
        size, borders = parts[0].size, 3 if seen else 2
        wanted = [(size,), (size,), (size, size), (len(parts[3]), size), (borders,)]
        if seen:
            wanted += [(len(parts[5]), size), (len(parts[5]) + 1,)]
        shapes = [part.shape for part in parts]
        if shapes != wanted:
            raise ReadError(f"`tensors` of {prefix} have shapes {shapes}, which do not fit.")
        middle, scale, whiten, known, border = parts[:5]
        exposure = Exposure(parts[5], parts[6]) if seen else None
        return cls(middle, scale, whiten, known, border, exposure)

    def distances(self, values: FloatArray) -> FloatArray:
        """Return distances from the middle and from the neighbours, and likeness to strangers.

        Distances are roots of means over features, about 1 for one's own; the likeness is there
        only if strangers have been seen. Shape (examples, 2) or (examples, 3).

        Parameters
        ----------
        values : numpy.ndarray
            Finite features, shape (examples, features).
        """
        standard = (values - self.middle) / self.scale
        likeness = self._exposed(standard)
        standard = np.clip(standard, -_FARTHEST, _FARTHEST)
        white = standard @ self.whiten.astype(np.float64)
        middle = np.sqrt(np.mean(white**2, axis=1))
        parts = [self._near(white[at : at + _ROWS]) for at in range(0, len(white), _ROWS)]
        return np.stack([middle, np.concatenate([np.zeros(0), *parts]), *likeness], axis=1)

    def _exposed(self, standard: FloatArray) -> list[FloatArray]:
        """Return likeness to strangers, more than 0 as distances are, if any have been seen."""
        if self.exposure is None:
            return []
        return [np.exp(self.exposure.margin(np.clip(standard, -_FAR, _FAR)))]

    def _near(self, white: FloatArray) -> FloatArray:
        known = self.known.astype(np.float64)
        square = (white**2).sum(axis=1)[:, None] + (known**2).sum(axis=1) - 2 * white @ known.T
        few = min(_NEIGHBOURS, len(known))
        nearest = np.partition(np.maximum(square, 0.0), few - 1, axis=1)[:, :few]
        return np.asarray(np.sqrt(nearest / white.shape[1]).mean(axis=1))


def shrunk_covariance(values: FloatArray) -> FloatArray:
    """Return the covariance of centred values, shrunk towards a multiple of the unit matrix.

    By the amount that makes its expected square error least: O. Ledoit and M. Wolf, J. Multivar.
    Anal. 88 (2004) 365, section 3.3.

    Parameters
    ----------
    values : numpy.ndarray
        Means of columns are 0, shape (examples, features).
    """
    count, size = values.shape
    sample = values.T @ values / count
    mean = np.trace(sample) / size
    spread = float(((sample - mean * np.eye(size)) ** 2).sum()) / size
    noise = float(((values**2).T @ values**2).sum() / count - (sample**2).sum()) / (size * count)
    share = min(noise / spread, 1.0) if spread > 0 else 1.0
    return np.asarray((1 - share) * sample + share * mean * np.eye(size))


def _fit(values: FloatArray, others: FloatArray | None, rng: np.random.Generator) -> Familiarity:
    """Return middle, spread and neighbours of examples; the border is yet to come."""
    middle = values.mean(axis=0).astype(np.float32)
    scale = values.std(axis=0)
    # A feature that never changed: any change is a large one, but not an infinite one.
    least = 1e-3 * np.maximum(np.abs(middle), 1e-3)
    scale = np.maximum(scale, least).astype(np.float32)
    standard = np.clip((values - middle) / scale, -_FARTHEST, _FARTHEST)
    covariance = shrunk_covariance(standard - standard.mean(axis=0))
    spread, ways = np.linalg.eigh(covariance)
    # What never changed must not be looked at through a microscope.
    whiten = (ways / np.sqrt(np.maximum(spread, 1e-3))).astype(np.float32)
    rows = np.arange(len(values))
    if rows.size > _KEPT:
        rows = np.sort(rng.choice(rows, _KEPT, replace=False))
    known = (standard[rows] @ whiten.astype(np.float64)).astype(np.float32)
    exposure = None
    if others is not None:
        sides = [np.clip((side - middle) / scale, -_FAR, _FAR) for side in (values, others)]
        exposure = Exposure.learn(sides[0], sides[1], rng)
    return Familiarity(middle, scale, whiten, known, np.ones(2, dtype=np.float32), exposure)


def _folds(names: AnyArray, rng: np.random.Generator) -> np.ndarray[Any, np.dtype[np.intp]]:
    """Return the fold of each example; all of a group are in one, and folds are alike in size."""
    _, group, counts = np.unique(names, return_inverse=True, return_counts=True)
    folds = min(_FOLDS, len(counts))
    order = rng.permutation(len(counts))
    order = order[np.argsort(-counts[order], kind="stable")]
    filled, of_group = np.zeros(folds), np.zeros(len(counts), dtype=np.intp)
    for one in order:
        of_group[one] = int(np.argmin(filled))
        filled[of_group[one]] += counts[one]
    return np.asarray(of_group[group.ravel()])


def _borders(apart: FloatArray, keep: float) -> FloatArray:
    """Return a border for each distance, so that a share of examples is within all of them.

    Parameters
    ----------
    apart : numpy.ndarray
        Distances of examples from the others, shape (examples, distances).
    keep : float
        The share.
    """
    count, kinds = apart.shape
    # The likeness to strangers tells most, so most of what may be lost is lost to it.
    say = np.array(_SAY[:kinds])
    order = np.sort(apart, axis=0)
    # How many are as far out at least, for each distance; then the one that says most.
    above = np.stack(
        [
            count - np.searchsorted(order[:, kind], apart[:, kind], side="left")
            for kind in range(kinds)
        ],
        axis=1,
    )
    joint = np.sort((above / say).min(axis=1))[::-1]
    rank = min(math.ceil((count + 1) * keep - 1e-9), count)
    last = joint[rank - 1]
    # The farthest that is kept: as many lie beyond as the share says, less one.
    beyond = np.clip(np.ceil(last * say - 1e-9).astype(int), 1, count)
    return np.asarray([order[count - out, kind] for kind, out in enumerate(beyond)])


def _others(strangers: AnyArray | None, size: int) -> FloatArray | None:
    if strangers is None:
        return None
    values = np.asarray(strangers, dtype=np.float64)
    shaped = values.ndim == 2 and values.shape[1] == size
    if not shaped or len(values) < 2 * _NEIGHBOURS or not np.isfinite(values).all():
        raise OutOfRange(
            f"`strangers` has shape {values.shape}, or numbers that are not finite; {size} finite "
            f"features of {2 * _NEIGHBOURS} pictures are needed at least."
        )
    return values


def _checked(features: AnyArray, keep: float, groups: Sequence[str] | None) -> FloatArray:
    values = np.asarray(features, dtype=np.float64)
    if not 0.5 <= keep < 1:
        raise OutOfRange(f"`keep` is {keep}; it has to be 0.5 or more and less than 1.")
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise OutOfRange(
            f"`features` has shape {values.shape}, or numbers that are not finite; it has to be "
            "(examples, features), all finite."
        )
    needed = math.ceil(keep / (1 - keep) - 1e-9)
    if len(values) < max(needed, 2 * _NEIGHBOURS):
        raise OutOfRange(
            f"`features` has {len(values)} examples; to keep {keep:.3g} of one's own, "
            f"{max(needed, 2 * _NEIGHBOURS)} are needed at least. Draw more, or keep fewer."
        )
    if groups is not None and (len(groups) != len(values) or len(set(groups)) < 2):
        raise OutOfRange(
            f"`groups` names {len(set(groups))} groups of {len(groups)} examples; one name for "
            f"each of {len(values)} examples, and 2 groups at least, are needed."
        )
    return values
