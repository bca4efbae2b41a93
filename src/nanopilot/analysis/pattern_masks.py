"""Which pixels of a pattern a virtual detector counts, by the angle they lie at."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from pydantic import Field, model_validator

from nanopilot.core.errors import OutOfRange
from nanopilot.core.units import Angle
from nanopilot.core.values import Value

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]


class Ring(Value):
    """All pixels whose middle lies from one angle up to another: annulus, disc or everything.

    Neighbouring rings share no pixel and leave none out.

    Parameters
    ----------
    inner, outer : float
        Angles in radians; `outer` itself is outside.
    centre : (float, float)
        Where the middle of the ring is, (kx, ky) in radians.

    Examples
    --------
    >>> k = np.linspace(-10e-3, 10e-3, 5)
    >>> int(Ring(inner="4 mrad", outer="8 mrad").inside(k, k).sum())
    8
    """

    inner: Angle = Field(default=0.0, ge=0)
    outer: Angle = math.inf
    centre: tuple[Angle, Angle] = (0.0, 0.0)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.outer > self.inner:
            raise ValueError(f"`outer` is {self.outer} rad; it must lie beyond `inner`")
        return self

    def inside(self, ky: FloatArray, kx: FloatArray) -> BoolArray:
        """Return which pixels count.

        Parameters
        ----------
        ky, kx : numpy.ndarray
            Angles of rows and columns in radians, shapes (rows,) and (columns,).

        Returns
        -------
        numpy.ndarray of bool
            Shape (rows, columns).
        """
        angle = np.hypot(ky[:, None] - self.centre[1], kx[None, :] - self.centre[0])
        return np.asarray((angle >= self.inner) & (angle < self.outer))


class Sector(Ring):
    """A part of a ring, as a segmented detector has them: together they are the ring.

    Parameters
    ----------
    count : int
        Into how many parts the ring is cut; 4 are quadrants.
    number : int
        Which of them, counter-clockwise from 0.
    rotation : float
        Where the first one begins, counter-clockwise from the kx axis, in radians.
    """

    count: int = Field(default=4, ge=1)
    number: int = Field(ge=0)
    rotation: Angle = 0.0

    @model_validator(mode="after")
    def _there(self) -> Self:
        if self.number >= self.count:
            raise ValueError(f"`number` is {self.number}; there are 0 to {self.count - 1}")
        return self

    def inside(self, ky: FloatArray, kx: FloatArray) -> BoolArray:
        """Return which pixels count, shape (rows, columns); see `Ring.inside`."""
        direction = np.arctan2(ky[:, None] - self.centre[1], kx[None, :] - self.centre[0])
        turns = np.mod((direction - self.rotation) / (2 * np.pi), 1.0)
        part = np.minimum(np.floor(turns * self.count), self.count - 1)
        return np.asarray(super().inside(ky, kx) & np.asarray(part == self.number))


class CentreOfMass(Ring):
    """The mean angle of what falls into a ring: how far the beam was deflected.

    Two images come of it, along kx and ky, in radians. Divided by the wavelength it is the mean
    momentum transfer (K. Müller et al., Nature Communications 5, 5653 (2014), eq. 2).
    """


#: A mask by angle, or what every pixel counts, shape (ky, kx).
Mask = Ring | FloatArray


def segments(
    inner: float | str, outer: float | str, *, count: int = 4, rotation: float | str = 0.0
) -> dict[str, Mask]:
    """Return the parts of a segmented detector by name, ``segment_0`` first.

    Parameters
    ----------
    inner, outer : float or str
        Angles of the ring in radians, or with a unit.
    count : int
        How many parts.
    rotation : float or str
        Where the first one begins, counter-clockwise from the kx axis.
    """
    ring: Mapping[str, Any] = {"inner": inner, "outer": outer, "rotation": rotation}
    return {f"segment_{n}": Sector(number=n, count=count, **ring) for n in range(count)}


def standard_masks(convergence: float) -> dict[str, Mask]:
    """Return the usual detectors of a beam with a convergence angle (rad), by name.

    ``sum``; ``bf``, the whole disc; ``abf``, its outer half (S. D. Findlay et al.,
    Ultramicroscopy 110, 903 (2010)); ``adf``, all beyond the disc; ``haadf``, from three times the
    convergence angle on, where little is coherent (P. Hartel, H. Rose and C. Dinges,
    Ultramicroscopy 63, 93 (1996)); ``com``, the deflection of the beam.

    Raises
    ------
    OutOfRange
        The angle is not positive.
    """
    if not 0 < convergence < math.inf:
        raise OutOfRange(f"`convergence` is {convergence:g} rad; it must be positive.")
    return {
        "sum": Ring(),
        "bf": Ring(outer=convergence),
        "abf": Ring(inner=convergence / 2, outer=convergence),
        "adf": Ring(inner=convergence),
        "haadf": Ring(inner=3 * convergence),
        "com": CentreOfMass(),
    }
