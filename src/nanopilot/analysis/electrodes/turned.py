"""Images turned so that free ends point up, and answers turned back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
Side = Literal["top", "left", "bottom", "right"]
_SIDES: dict[tuple[bool, bool], Side] = {
    (False, False): "top", (False, True): "bottom", (True, False): "left", (True, True): "right",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Turned:
    """How an image was turned: rows and columns exchanged, then put upside down.

    Parameters
    ----------
    swapped, flipped : bool
        What was done, in this order.
    height : int
        Rows of the upright image.
    """

    swapped: bool
    flipped: bool
    height: int

    @property
    def side(self) -> Side:
        """Where free ends point in the image as it came."""
        return _SIDES[self.swapped, self.flipped]

    def points(self, points: FloatArray) -> FloatArray:
        """Return rows and columns, shape (n, 2), of the image as it came."""
        row, column = points.T
        row = self.height - 1 - row if self.flipped else row
        return np.stack([column, row] if self.swapped else [row, column], axis=-1)

    def box(self, box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        """Return first row, first column, last row, last column of the image as it came."""
        corners = self.points(np.array(box).reshape(2, 2))
        low, high = corners.min(axis=0), corners.max(axis=0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    def image(self, image: np.ndarray[Any, np.dtype[Any]]) -> np.ndarray[Any, np.dtype[Any]]:
        """Return an upright image as it came."""
        image = image[::-1] if self.flipped else image
        return np.ascontiguousarray(image.T if self.swapped else image)
