"""What neighbours say of a place: whether a column is to be expected there.

No lattice is assumed. The differences between columns that are certain make a picture, the pair
correlation; its spots are where neighbours lie, whatever the crystal, and their size is how well
the crystal keeps to them. A place on which all neighbours agree needs less evidence than one where
none expects anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

#: Evidence in standard deviations that a place needs of which nobody says anything; what no place
#: goes below and above, whatever its neighbours say.
PLAIN, LEAST, MOST = 3.7, 2.6, 6.0
#: How far neighbours are asked, in distances of next neighbours, and how many at least.
_REACH, _FEWEST = 2.3, 3
#: Bins per distance of next neighbours; spots are blurred by so many bins.
_BINS, _BLUR = 24, 0.8
#: Density that is granted everywhere, as a share of the mean: neighbours may be wrong.
_GRANTED = 0.03
#: Columns that make a pair correlation, at least.
_ENOUGH = 12


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """Pair correlation of columns that are certain.

    Parameters
    ----------
    place : numpy.ndarray
        Rows and columns in pixels, shape (n, 2).
    spacing : float
        Distance of next neighbours in pixels: the median.
    density : numpy.ndarray
        Columns per mean density at a difference (row, column), the middle at difference 0; shape
        (bins, bins). Empty where there are too few columns.
    """

    place: Array
    spacing: float
    density: Array

    @classmethod
    def of(cls, place: Array) -> Neighbours:
        """Gather the differences between columns.

        Parameters
        ----------
        place : numpy.ndarray
            Rows and columns in pixels, shape (n, 2).
        """
        from scipy.ndimage import gaussian_filter
        from scipy.spatial import cKDTree

        if len(place) < _ENOUGH:
            return cls(place, 0.0, np.zeros((0, 0)))
        tree: Any = cKDTree(place)
        spacing = float(np.median(tree.query(place, k=2)[0][:, 1]))
        reach = _REACH * spacing
        pairs = tree.query_pairs(reach, output_type="ndarray")
        away = place[pairs[:, 1]] - place[pairs[:, 0]]
        away = np.concatenate([away, -away])
        edges = np.linspace(-reach, reach, 2 * round(_REACH * _BINS) + 2)
        counts = np.histogram2d(away[:, 0], away[:, 1], bins=(edges, edges))[0]
        smooth = gaussian_filter(counts, _BLUR)
        return cls(place, spacing, smooth / max(float(smooth.mean()), 1e-12))

    def needed(self, asked: Array) -> Array:
        """Return the evidence that each place needs, in standard deviations, shape (n,).

        The prior odds are the geometric mean of what its neighbours expect there.

        Parameters
        ----------
        asked : numpy.ndarray
            Rows and columns in pixels, shape (n, 2).
        """
        from scipy.spatial import cKDTree

        needed = np.full(len(asked), PLAIN)
        if not len(self.density) or not len(asked):
            return needed
        pairs = cKDTree(asked).sparse_distance_matrix(
            cKDTree(self.place), 0.98 * _REACH * self.spacing, output_type="ndarray"
        )
        # A place does not vouch for itself.
        pairs = pairs[pairs["v"] > 0.35 * self.spacing]
        away = asked[pairs["i"]] - self.place[pairs["j"]]
        bins = len(self.density)
        index = np.floor((away / (_REACH * self.spacing) + 1) * bins / 2).astype(int)
        votes = np.log(np.maximum(self.density[index[:, 0], index[:, 1]], _GRANTED))
        count = np.bincount(pairs["i"], minlength=len(asked))
        mean = np.bincount(pairs["i"], votes, minlength=len(asked)) / np.maximum(count, 1)
        found = np.sqrt(np.clip(PLAIN**2 - 2 * mean, LEAST**2, MOST**2))
        return np.where(count >= _FEWEST, found, needed)
