"""Atoms in a periodic box, and how a box is cut out of a larger sample."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nanopilot.core.errors import OutOfRange, SignalError

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: Metres. Beyond, most electrons have lost energy, of which multislice knows nothing.
THICKEST = 200e-9
#: Metres of vacuum round what is cut out: atoms do not face each other's neighbours across it.
_VACUUM = 2e-10
#: Metres above the first and below the last atom that is cut out.
_AIR = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class Specimen:
    """Atoms in a box that repeats along x and y; the beam enters at z = 0 and leaves below.

    Parameters
    ----------
    position : numpy.ndarray
        Metres from the corner of the box, shape (n, 3): x, y, z; z grows downstream and is in
        the box, x and y may be anywhere.
    number : numpy.ndarray
        Atomic numbers, shape (n,).
    rms : numpy.ndarray
        Thermal displacement along each axis in metres (root mean square), shape (n,).
    box : (float, float, float)
        Along x, along y, and the thickness, in metres.
    corner : (float, float)
        Where the corner of the box is in the coordinates of places, x and y in metres.

    Raises
    ------
    SignalError
        The arrays do not fit one another.
    OutOfRange
        The box has no size or is too thick, or an atom lies above or below it.

    Examples
    --------
    >>> one = Specimen(np.full((1, 3), 5e-10), np.array([79]), np.zeros(1), (1e-9, 1e-9, 1e-9))
    >>> len(one)
    1
    """

    position: FloatArray
    number: IntArray
    rms: FloatArray
    box: tuple[float, float, float]
    corner: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        count = len(self.number)
        if self.position.shape != (count, 3) or not np.isfinite(self.position).all():
            raise SignalError(
                f"`position` has shape {self.position.shape}; it is finite, ({count}, 3)."
            )
        if self.rms.shape != (count,) or not (self.rms >= 0).all():
            raise SignalError(f"`rms` has not one value, 0 m or more, for each of {count} atoms.")
        if not min(self.box) > 0:
            raise OutOfRange(f"`box` is {self.box} m; all three sides are above 0 m.")
        if self.box[2] > THICKEST:
            raise OutOfRange(
                f"`box` is {self.box[2]:g} m thick; multislice holds up to {THICKEST:g} m."
            )
        depth = self.position[:, 2]
        if count and not (depth.min() >= 0 and depth.max() <= self.box[2]):
            raise OutOfRange(
                f"`position` has z from {depth.min():g} to {depth.max():g} m; the box goes from "
                f"0 m to {self.box[2]:g} m."
            )

    def __len__(self) -> int:
        return len(self.number)

    def shaken(self, rng: np.random.Generator) -> Specimen:
        """Return one configuration of vibrating atoms, each by itself (Einstein).

        R. F. Loane, P. Xu and J. Silcox, Acta Cryst. A 47 (1991) 267. An atom that leaves the box
        along z is put back onto its face.
        """
        moved = self.position + rng.normal(size=self.position.shape) * self.rms[:, None]
        moved[:, 2] = np.clip(moved[:, 2], 0.0, self.box[2])
        return replace(self, position=moved)


def cut(
    position: FloatArray,
    number: IntArray,
    rms: FloatArray,
    centre: tuple[float, float],
    width: float,
) -> Specimen:
    """Take the square neighbourhood of a place out of a long list of atoms.

    The box is a little larger than what is taken: there is vacuum all round. Nothing of the beam
    may reach the edge: take `width` as of `nanopilot.models.multislice.grid.needed_width`, or more.

    Parameters
    ----------
    position, number, rms : numpy.ndarray
        Of all atoms, as of `Specimen`; z from any origin. None are needed.
    centre : (float, float)
        x and y of the place in metres.
    width : float
        Metres, both along x and along y.

    Returns
    -------
    Specimen
        Its corner is in the coordinates of `position`, so that places keep theirs.

    Raises
    ------
    OutOfRange
        `width` is not above 0 m, or the atoms reach too far along z.

    Examples
    --------
    >>> x = np.arange(100) * 1e-10
    >>> row = np.stack([x, 0 * x, 0 * x], axis=-1)
    >>> part = cut(row, np.full(100, 6), np.zeros(100), (5e-9, 0.0), 1.05e-9)
    >>> len(part), [round(side * 1e9, 2) for side in part.box]
    (11, [1.45, 1.45, 0.2])
    """
    if not width > 0:
        raise OutOfRange(f"`width` is {width:g} m; it is above 0 m.")
    away = np.abs(position[:, :2] - np.asarray(centre))
    kept = (away <= width / 2).all(axis=1)
    taken = position[kept]
    side = width + 2 * _VACUUM
    corner = (centre[0] - side / 2, centre[1] - side / 2)
    top, bottom = (taken[:, 2].min(), taken[:, 2].max()) if len(taken) else (0.0, 0.0)
    inside = taken - np.asarray([*corner, top - _AIR])
    box = (side, side, float(bottom - top) + 2 * _AIR)
    return Specimen(inside, np.asarray(number)[kept], np.asarray(rms)[kept], box, corner)
