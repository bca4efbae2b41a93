"""Where a resonance fit begins: a matched filter over a grid of frequencies and widths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nanopilot.core.history import FloatArray

ComplexArray = np.ndarray[Any, np.dtype[np.complex128]]
#: Neighbouring widths of the grid differ by this factor, neighbouring centres by this share
#: of the width: the best of them has lost little of the energy of any peak between them.
GROWTH, PITCH = 1.7, 0.35


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """Resonances to compare spectra with.

    A start read off the largest bin follows the largest spike of the noise; this one
    weighs all bins of a peak, as the most powerful test for a shape in white noise does
    (Turin, IRE Trans. Inf. Theory 6, 311, 1960).

    Parameters
    ----------
    grid : numpy.ndarray
        f0 and width in Hz, shape (candidates, 2).
    shapes : numpy.ndarray
        Of energy 1, conjugated, shape (bins, candidates), complex64.
    """

    grid: FloatArray
    shapes: np.ndarray[Any, np.dtype[np.complex64]]

    @classmethod
    def over(cls, frequency: FloatArray, widths: tuple[float, float], *, flat: bool) -> Start:
        """Cover a band.

        Parameters
        ----------
        frequency : numpy.ndarray
            Shape (bins,), in Hz, rising.
        widths : (float, float)
            Least and largest width in Hz.
        flat : bool
            Take a constant out of every shape.
        """
        low, high = frequency[0], frequency[-1]
        steps = 1 + int(np.ceil(np.log(widths[1] / widths[0]) / np.log(GROWTH)))
        grid = [
            (f0, width)
            for width in np.geomspace(*widths, steps)
            for f0 in np.linspace(low, high, 2 + int((high - low) / (PITCH * width)))
        ]
        f0, width = np.array(grid).T
        f = frequency[:, None]
        shapes = f0 * width / ((f - f0) * (f + f0) - 1j * f * width)
        if flat:
            shapes -= shapes.mean(axis=0)
        shapes /= np.linalg.norm(shapes, axis=0)
        return cls(np.array(grid), shapes.conj().astype(np.complex64))

    def __call__(self, spectra: ComplexArray) -> FloatArray:
        """Return f0 and width of the candidate most like each spectrum, shape (n, 2).

        Parameters
        ----------
        spectra : numpy.ndarray
            Shape (n, bins); of mean zero each if the shapes are.
        """
        # Single precision is enough to choose, once no square can leave its range.
        size = np.abs(spectra).max(axis=1, keepdims=True)
        scaled = (spectra / np.where(size > 0, size, 1.0)).astype(np.complex64)
        match = scaled @ self.shapes
        return np.asarray(self.grid[np.argmax(match.real**2 + match.imag**2, axis=1)])
