"""One's own told from others of which some have been seen: a kernel machine of numpy alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
Float32 = np.ndarray[Any, np.dtype[np.float32]]

#: Examples of each side that the answer is built of, at most.
CENTRES = 600
#: How much smoothness counts against being right.
_SMOOTH = 1e-4
#: Width of the kernel, squared, in units of the median squared distance.
_WIDTH = 1.0
#: Centres that the median distance is taken over.
_SOME = 300
#: Examples that are compared with all centres at once.
_ROWS = 2048


@dataclass(frozen=True, slots=True, eq=False)
class Exposure:
    """A function that is about -1 for one's own and 1 for others, and 0 far from both.

    Parameters
    ----------
    centres : numpy.ndarray
        Standardised features of examples, float32, shape (centres, features).
    weights : numpy.ndarray
        How much each centre adds, and at the end the width of all, float32, shape (centres + 1,).
    """

    centres: Float32
    weights: Float32

    @classmethod
    def learn(cls, own: FloatArray, others: FloatArray, rng: np.random.Generator) -> Exposure:
        """Learn to tell both apart; each side counts the same.

        Regularised least squares (R. Rifkin, G. Yeo and T. Poggio, in Advances in Learning Theory,
        2003, p. 131) with a Gaussian kernel round a part of the examples (A. J. Smola and
        B. Schölkopf, Proc. ICML (2000) 911).

        Parameters
        ----------
        own, others : numpy.ndarray
            Standardised features, shape (examples, features).
        rng : numpy.random.Generator
            Which examples are centres.
        """
        sides = [
            side[np.sort(rng.choice(len(side), min(CENTRES, len(side)), replace=False))]
            for side in (own, others)
        ]
        centres = np.concatenate(sides).astype(np.float32)
        some = centres[rng.choice(len(centres), min(_SOME, len(centres)), replace=False)]
        middle = float(np.median(_square(some.astype(np.float64), centres.astype(np.float64))))
        width = np.float32(_WIDTH * max(middle, 1e-6))
        shell = cls(centres, np.append(np.zeros(len(centres)), width).astype(np.float32))
        left = np.zeros((len(centres), len(centres)))
        right = np.zeros(len(centres))
        for side, answer in ((own, -1.0), (others, 1.0)):
            for at in range(0, len(side), _ROWS):
                near = shell.near(side[at : at + _ROWS])
                left += near.T @ near / len(side)
                right += answer * near.sum(axis=0) / len(side)
        smooth = _SMOOTH * shell.near(centres.astype(np.float64))
        left += smooth + 1e-9 * np.eye(len(centres))
        weights = np.append(np.linalg.solve(left, right), width).astype(np.float32)
        return cls(centres, weights)

    def near(self, standard: FloatArray) -> FloatArray:
        """Return the kernel between examples and centres, shape (examples, centres)."""
        square = _square(standard, self.centres.astype(np.float64))
        return np.asarray(np.exp(-square / float(self.weights[-1])))

    def margin(self, standard: FloatArray) -> FloatArray:
        """Return the function at standardised features, shape (examples,)."""
        weights = self.weights[:-1].astype(np.float64)
        parts = [
            self.near(standard[at : at + _ROWS]) @ weights for at in range(0, len(standard), _ROWS)
        ]
        return np.concatenate([np.zeros(0), *parts])


def _square(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return squared distances, shape (of the first, of the second)."""
    found = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1) - 2 * first @ second.T
    return np.asarray(np.maximum(found, 0.0))
