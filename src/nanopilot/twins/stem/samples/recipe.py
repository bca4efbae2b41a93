"""What every family of samples has: settings, and a way from random numbers to a scene."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import AfterValidator, Field

from nanopilot.core.errors import OutOfRange
from nanopilot.core.limits import Area
from nanopilot.core.values import Value
from nanopilot.twins.stem.scene import Scene

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: More atoms than this make a scene that no frame of it is quick for.
MOST_ATOMS = 3_000_000


def _share(value: float) -> float:
    if value >= 1 and value != int(value):
        raise ValueError("neither a fraction below 1 nor a whole number of them")
    return value


#: Below 1 the fraction of the sites, rounded to whole ones; from 1 on how many.
Share = Annotated[float, Field(ge=0, allow_inf_nan=False), AfterValidator(_share)]


def how_many(name: str, share: float, sites: int, left: int | None = None) -> int:
    """Return how many of some sites a setting asks for.

    Parameters
    ----------
    name : str
        Of the setting.
    share : float
        Below 1 a fraction, otherwise a number.
    sites : int
        How many there are.
    left : int, optional
        How many of them may still be chosen; None: all.

    Raises
    ------
    OutOfRange
        More are asked for than are left.
    """
    count = round(share * sites) if share < 1 else int(share)
    free = sites if left is None else left
    if count > free:
        raise OutOfRange(
            f"`{name}` asks for {count} sites and {free} are left for it; ask for fewer, or take "
            "a larger `size_m`."
        )
    return count


def check_atoms(count: float, way_out: str) -> None:
    """Refuse more atoms than a scene may have.

    Raises
    ------
    OutOfRange
        There would be too many.
    """
    if count > MOST_ATOMS:
        raise OutOfRange(
            f"`size_m` and the settings ask for about {count:.3g} atoms; at most {MOST_ATOMS:.3g} "
            f"are made; {way_out}."
        )


def square(size: float) -> Area:
    """Return the square of this edge (m) round (0, 0)."""
    return Area(x=(-size / 2, size / 2), y=(-size / 2, size / 2))


class Recipe(Value):
    """The settings of one family of samples; lengths may be given as text with a unit."""

    #: Edge of the area in metres: if nothing else is asked for, at least, and at most.
    SIZE: ClassVar[float] = 20e-9
    LEAST: ClassVar[float] = 1e-9
    MOST: ClassVar[float] = 500e-9

    @abstractmethod
    def make(self, rng: np.random.Generator, size: float) -> Scene:
        """Return a sample of this edge (m); the same random numbers give the same bytes."""
