"""From what is measured of a candidate to the probability that it is a particle."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from nanopilot.analysis.particles.candidates import Candidates
from nanopilot.analysis.particles.features import NAMES
from nanopilot.core.errors import ReadError

Array = np.ndarray[Any, np.dtype[Any]]

_FILE = Path(__file__).with_name("probability.json")
#: Candidates that share more than this part of the smaller one are the same thing.
_SHARED = 0.5
#: Inside an outline as probable as this, a smaller one round about the same middle is a part of it:
#: its middle is no further away than this part of the radius, and it is smaller by this factor.
_SURE, _CONCENTRIC, _SMALLER = 0.8, 0.35, 0.8


@dataclass(frozen=True, slots=True, eq=False)
class Judge:
    """Logistic regression on features, through one layer that bends them.

    Parameters
    ----------
    middle, scale : numpy.ndarray
        Of the features, shape (features,).
    first, first_bias : numpy.ndarray
        Of the layer, shapes (features, units) and (units,); its units are hyperbolic tangents.
    last, last_bias : numpy.ndarray
        Of the regression, shapes (units,) and (1,).
    """

    FIELDS: ClassVar = ("middle", "scale", "first", "first_bias", "last", "last_bias")

    middle: Array
    scale: Array
    first: Array
    first_bias: Array
    last: Array
    last_bias: Array

    @classmethod
    def from_json(cls, text: str) -> Judge:
        """Rebuild from JSON of `to_json`.

        Raises
        ------
        ReadError
            It does not belong to these features.
        """
        numbers = json.loads(text)
        if numbers.pop("features", None) != list(NAMES):
            raise ReadError(
                "`text` is not of these features: fit the probabilities again "
                "(`nanopilot.workflows.train_particles.fit_judge`)."
            )
        return cls(**{name: np.array(value, dtype=np.float64) for name, value in numbers.items()})

    def to_json(self) -> str:
        """Return it as JSON, numbers to five digits."""
        numbers: dict[str, Any] = {"features": list(NAMES)}
        for name in self.FIELDS:
            values = np.vectorize(lambda v: float(f"{v:.5g}"))(getattr(self, name))
            numbers[name] = values.tolist()
        return json.dumps(numbers)

    def __call__(self, features: Array) -> Array:
        """Return probabilities, shape (n,), of features of shape (n, len(NAMES))."""
        found: Array = 1 / (1 + np.exp(-self.logit(features)))
        return found

    def logit(self, features: Array) -> Array:
        """Return the logarithm of the odds, shape (n,)."""
        # Beyond what was learned from, a feature is not stranger than at its end.
        standard = np.clip((features - self.middle) / self.scale, -4, 4)
        units = np.tanh(standard @ self.first + self.first_bias)
        found: Array = np.clip(units @ self.last + self.last_bias[0], -30, 30)
        return found


@cache
def judge() -> Judge:
    """Return the one that ships."""
    return Judge.from_json(_FILE.read_text(encoding="utf-8"))


def resolve(found: Candidates, probability: Array) -> Array:
    """Return which candidates stay where several are of one thing.

    Parameters
    ----------
    found : Candidates
        All.
    probability : numpy.ndarray
        Of each, shape (n,).

    Returns
    -------
    numpy.ndarray
        Indices, shape (kept,).
    """
    from scipy.spatial import cKDTree

    order = np.argsort(-probability, kind="stable")
    if not len(order):
        return order
    place, radius = found.place[order], found.radius[order]
    tree, widest = cKDTree(place), float(radius.max())
    kept = np.ones(len(order), dtype=bool)
    for one in np.flatnonzero(probability[order] >= _SURE).tolist():
        # A core lies in its shell, and its outline may be as clear: the larger counts.
        within = np.array(tree.query_ball_point(place[one], _CONCENTRIC * radius[one]), dtype=int)
        kept[within[radius[within] < _SMALLER * radius[one]]] = False
    for one in range(len(order)):
        if not kept[one]:
            continue
        near = np.array(tree.query_ball_point(place[one], radius[one] + widest), dtype=int)
        near = near[(near > one) & kept[near]]
        shared = shared_part(np.hypot(*(place[near] - place[one]).T), radius[one], radius[near])
        kept[near[shared > _SHARED]] = False
    return order[kept]


def shared_part(apart: Array, first: float, others: Array) -> Array:
    """Return the area that two discs share over that of the smaller, shape (n,).

    Parameters
    ----------
    apart : numpy.ndarray
        Distances of their centres, shape (n,).
    first : float
        Radius of one.
    others : numpy.ndarray
        Radii of the others, shape (n,).
    """
    small, large = np.minimum(first, others), np.maximum(first, others)
    d = np.maximum(apart, 1e-9)
    a = np.arccos(np.clip((d**2 + small**2 - large**2) / (2 * d * small), -1, 1))
    b = np.arccos(np.clip((d**2 + large**2 - small**2) / (2 * d * large), -1, 1))
    lens = small**2 * (a - np.sin(2 * a) / 2) + large**2 * (b - np.sin(2 * b) / 2)
    found: Array = np.clip(lens / (np.pi * small**2), 0, 1)
    return found
