"""Splits of examples by sample, scan or family: what is tested is of no group that was learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nanopilot.core.errors import OutOfRange

IntArray = np.ndarray[Any, np.dtype[np.intp]]

#: Orders of the groups that are tried; the one that comes nearest to the shares is taken.
_TRIES = 200


@dataclass(frozen=True, slots=True)
class Split:
    """Names of the groups on each side; no name is on two.

    Parameters
    ----------
    train, validation, test : tuple of str
        Learned from; ends the learning and sets borders; looked at once, at the end.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def rows(self, groups: Sequence[str]) -> tuple[IntArray, IntArray, IntArray]:
        """Return the rows of the examples on each side, in order."""
        names = np.asarray(groups)
        first, second, third = (
            np.flatnonzero(np.isin(names, side))
            for side in (self.train, self.validation, self.test)
        )
        return first, second, third


def group_split(groups: Sequence[str], rng: np.random.Generator, share: float) -> tuple[str, ...]:
    """Return names of groups to be held out, which together have about this share of examples.

    Parameters
    ----------
    groups : sequence of str
        Group of each example.
    rng : numpy.random.Generator
        Which groups.
    share : float
        Of the examples, more than 0 and less than 1.

    Returns
    -------
    tuple of str
        In alphabetical order; for `nanopilot.models.training.Examples.split`.

    Raises
    ------
    OutOfRange
        There are fewer than two groups, or the share is none.

    Examples
    --------
    >>> group_split(["a", "a", "b", "c"], np.random.default_rng(0), 0.5)
    ('a',)
    """
    return _sides(groups, rng, (1 - share, share))[1]


def three_way_split(
    groups: Sequence[str],
    rng: np.random.Generator,
    shares: tuple[float, float, float] = (0.7, 0.15, 0.15),
) -> Split:
    """Return groups to learn from, to hold out meanwhile, and to test on in the end.

    Parameters
    ----------
    groups : sequence of str
        Group of each example.
    rng : numpy.random.Generator
        Which groups.
    shares : (float, float, float)
        Of the examples on each side; their sum is 1. As near as whole groups allow.

    Raises
    ------
    OutOfRange
        There are fewer than three groups, or the shares are none.
    """
    return Split(*_sides(groups, rng, shares))


def _sides(
    groups: Sequence[str], rng: np.random.Generator, shares: Sequence[float]
) -> tuple[tuple[str, ...], ...]:
    names, counts = np.unique(np.asarray(groups, dtype=str), return_counts=True)
    sides = len(shares)
    if not all(0 < one < 1 for one in shares) or abs(sum(shares) - 1) > 1e-6:
        raise OutOfRange(
            f"shares are {tuple(shares)}; each has to be more than 0 and less than 1, their sum 1."
        )
    if len(names) < sides:
        raise OutOfRange(
            f"`groups` names {len(names)} groups ({', '.join(names) or 'none'}); {sides} sides "
            f"need {sides} at least. Name samples or scans more finely, or draw more of them."
        )
    wanted = np.asarray(shares) * counts.sum()
    best: tuple[float, list[IntArray]] = (np.inf, [])
    for _ in range(_TRIES):
        order = rng.permutation(len(names))
        cuts = _cuts(np.cumsum(counts[order]), wanted)
        parts = np.split(order, cuts)
        off = sum(
            abs(float(counts[part].sum()) - want) for part, want in zip(parts, wanted, strict=True)
        )
        # A hair, so that rounding does not choose.
        if off < best[0] - 1e-9:
            best = (off, parts)
    return tuple(tuple(str(name) for name in sorted(names[part])) for part in best[1])


def _cuts(filled: IntArray, wanted: np.ndarray[Any, np.dtype[np.float64]]) -> list[int]:
    """Return where to cut an order of groups; every part keeps one group at least."""
    cuts: list[int] = []
    last = 0
    for number, want in enumerate(np.cumsum(wanted)[:-1]):
        sides_left = len(wanted) - 1 - number
        cut = 1 + int(np.argmin(np.abs(filled - want)))
        last = min(max(cut, last + 1), len(filled) - sides_left)
        cuts.append(last)
    return cuts
