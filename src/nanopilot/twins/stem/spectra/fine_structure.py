"""Near-edge structure: white lines of 3d metals and of cerium, and how they tell the valence.

A spectrum of mixed valence is the mixture of the spectra of its whole valences, which is how
valences are measured (H. Tan, J. Verbeeck, A. Abakumov and G. Van Tendeloo, Ultramicroscopy 116
(2012) 24). Places and ratios are representative of oxides with octahedral oxygen, rounded from
that paper, from H. K. Schmid and W. Mader, Micron 37 (2006) 426 (manganese), P. A. van Aken and B.
Liebscher, Phys. Chem. Minerals 29 (2002) 188 (iron), Z. L. Wang, J. S. Yin and Y. D. Jiang, Micron
31 (2000) 571 (cobalt), L. A. J. Garvie and P. R. Buseck, J. Phys. Chem. Solids 60 (1999) 1943
(cerium); compounds scatter about them by some 0.3 eV and 10 %.

White lines take the electron to an empty d or f state, so their area is proportional to the holes
(B. T. Thole and G. van der Laan, Phys. Rev. B 38 (1988) 3158). How large a hole's share is, is
ours: `PER_HOLE` eV of the step of L3 and L2, and `PER_F_HOLE` for cerium.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nanopilot.core.errors import OutOfRange, UnknownName
from nanopilot.twins.stem.spectra.columns import FloatArray

#: Area of the white lines per hole in the d shell, in eV times the step of both edges.
PER_HOLE = 7.0
#: Oscillator strength of the white lines per hole in the f shell.
PER_F_HOLE = 0.035
_SLACK = 0.05  # a field of valences may be interpolated


@dataclass(frozen=True, slots=True)
class WhiteLines:
    """A pair of white lines at a whole valence.

    Parameters
    ----------
    first, second : float
        Energy of L3 and L2, or of M5 and M4, in eV.
    ratio : float
        Area of the first over area of the second.
    holes : int
        Empty states in the shell they lead to.
    split : float
        Distance in eV between the two parts of each line in the field of its neighbours; 0: one.
    widths : (float, float)
        Standard deviations of the lines in eV.
    """

    first: float
    second: float
    ratio: float
    holes: int
    split: float = 0.0
    widths: tuple[float, float] = (0.7, 0.95)

    def peaks(self, area: float) -> tuple[tuple[float, float, float], ...]:
        """Return energy, area and standard deviation of each peak; `area` is that of them all."""
        share = self.ratio / (1 + self.ratio)
        found = []
        pair = ((self.first, share), (self.second, 1 - share))
        for (energy, part), width in zip(pair, self.widths, strict=True):
            if self.split:
                low, high = energy - self.split / 2, energy + self.split / 2
                found += [(low, 0.4 * area * part, 0.6 * width), (high, 0.6 * area * part, width)]
            else:
                found.append((energy, area * part, width))
        return tuple(found)


#: By element and valence.
WHITE_LINES: Mapping[str, Mapping[int, WhiteLines]] = {
    "Ti": {3: WhiteLines(457.6, 463.0, 0.95, 9, 1.6), 4: WhiteLines(459.1, 464.5, 0.82, 10, 2.2)},
    "Mn": {
        2: WhiteLines(640.0, 651.0, 3.9, 5), 3: WhiteLines(641.8, 652.8, 2.6, 6),
        4: WhiteLines(643.4, 654.3, 2.0, 7),
    },
    "Fe": {2: WhiteLines(708.0, 721.0, 4.0, 4), 3: WhiteLines(709.7, 722.9, 5.5, 5)},
    "Co": {2: WhiteLines(779.0, 794.0, 4.8, 3), 3: WhiteLines(780.5, 795.5, 2.4, 4)},
    "Ni": {2: WhiteLines(853.5, 870.8, 3.3, 2)},
    "Ce": {
        3: WhiteLines(882.4, 900.2, 1.2, 13, widths=(1.1, 1.1)),
        4: WhiteLines(884.2, 902.1, 0.9, 14, widths=(1.1, 1.1)),
    },
}  # fmt: skip
#: What an element has where nothing is said.
USUAL: Mapping[str, int] = {"Ti": 4, "Mn": 2, "Fe": 3, "Co": 2, "Ni": 2, "Ce": 4}
#: Peaks at K edges that do not tell a valence: energy, area, standard deviation; pi* and sigma* of
#: carbon, P. E. Batson, Phys. Rev. B 48 (1993) 2608.
NEAR_K: Mapping[str, tuple[tuple[float, float, float], ...]] = {
    "C": ((285.4, 0.008, 0.7), (292.5, 0.012, 1.8)),
}  # fmt: skip


def mixture(element: str, valence: FloatArray | None, count: int) -> FloatArray:
    """Return the shares of the whole valences of an element at places, shape (valences, n).

    Parameters
    ----------
    element : str
        Symbol.
    valence : numpy.ndarray, optional
        Shape (n,); None: the usual one.
    count : int
        How many places there are.

    Raises
    ------
    UnknownName
        A valence is given for an element whose spectrum does not tell it.
    OutOfRange
        A valence lies outside those that are known.

    Examples
    --------
    >>> mixture("Mn", np.array([2.0, 3.25]), 2).T
    array([[1.  , 0.  , 0.  ],
           [0.  , 0.75, 0.25]])
    """
    if element not in WHITE_LINES:
        if valence is not None:
            raise UnknownName("valence of element", element, tuple(WHITE_LINES))
        return np.ones((1, count))
    known = np.array(sorted(WHITE_LINES[element]), float)
    there = np.full(count, float(USUAL[element])) if valence is None else np.asarray(valence)
    if there.size and not known[0] - _SLACK <= there.min() <= there.max() <= known[-1] + _SLACK:
        raise OutOfRange(
            f"`valence` of {element} goes from {there.min():g} to {there.max():g}; its spectra are "
            f"known from {known[0]:g} to {known[-1]:g}."
        )
    return np.array([np.interp(there, known, row) for row in np.eye(len(known))])
