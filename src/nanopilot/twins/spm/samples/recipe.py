"""What every family of samples has: settings, a grid, and a way from random numbers to a sample."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from nanopilot.core.errors import OutOfRange
from nanopilot.core.units import Length
from nanopilot.core.values import Value
from nanopilot.twins.spm.sample import Sample

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: Rows and columns of a sample may be so many; beyond, one sample fills the memory of a laptop.
FEWEST, MOST = 16, 8192
#: Rows and columns unless told otherwise.
PIXELS = 1024


class Grid(Value):
    """Where a sample is known: pixels at equal distances, the middle of them at (0, 0).

    Parameters
    ----------
    size : float
        Metres from the first to the last pixel centre along x.
    rows, columns : int
        Of pixels.
    """

    size: Length = Field(ge=1e-10, le=1e-3)
    rows: int = Field(default=PIXELS, ge=FEWEST, le=MOST)
    columns: int = Field(default=PIXELS, ge=FEWEST, le=MOST)

    @property
    def pitch(self) -> float:
        """Metres from pixel to pixel."""
        return self.size / (self.columns - 1)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows, self.columns

    @property
    def extent(self) -> tuple[float, float]:
        """Metres from the first to the last pixel centre, along x and along y."""
        return self.size, self.pitch * (self.rows - 1)

    @property
    def x(self) -> FloatArray:
        """Metres, shape (1, columns)."""
        x: FloatArray = self.pitch * _centred(self.columns)[None, :]
        return x

    @property
    def y(self) -> FloatArray:
        """Metres, shape (rows, 1)."""
        y: FloatArray = self.pitch * _centred(self.rows)[:, None]
        return y

    def pixels(self, places: FloatArray) -> FloatArray:
        """Return fractional (row, column) of places (x, y) in metres, shape (n, 2)."""
        middle = np.array([(self.rows - 1) / 2, (self.columns - 1) / 2])
        fractional: FloatArray = places[:, ::-1] / self.pitch + middle
        return fractional

    def check(self, name: str, length: float, *, fewest: float = 2.0, share: float = 1.0) -> None:
        """Refuse a length that these pixels cannot show.

        Parameters
        ----------
        name : str
            Of the setting.
        length : float
            Its value in metres.
        fewest : float
            Pixels it must cover.
        share : float
            Part of the shorter side of the field that it may take.

        Raises
        ------
        OutOfRange
            It covers too few pixels, or more of the field than it may.
        """
        low, high = fewest * self.pitch, share * min(self.extent)
        if not low * (1 - 1e-9) <= length <= high * (1 + 1e-9):
            raise OutOfRange(
                f"`{name}` is {length:.4g} m; {self.rows} x {self.columns} pixels over "
                f"{self.size:.4g} m show {low:.4g} m to {high:.4g} m. "
                "Take more `pixels` or another `size_m`."
            )


class Recipe(Value):
    """The settings of one family of samples; lengths may be given as text with a unit."""

    #: Metres along x, if nothing else is asked for.
    SIZE: ClassVar[float] = 1e-6

    @abstractmethod
    def make(self, rng: np.random.Generator, grid: Grid) -> Sample:
        """Return a sample; the same random numbers give the same bytes."""

    def natural(self) -> dict[str, Any]:
        """Return `size`, `rows` and `columns`, if nothing else is asked for."""
        return {"size": self.SIZE, "rows": PIXELS, "columns": PIXELS}


def _centred(count: int) -> FloatArray:
    steps: FloatArray = np.arange(count, dtype=np.float64) - (count - 1) / 2
    return steps
