"""A film of amorphous carbon whose thickness varies, with holes or without."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import Field

from nanopilot.core.errors import OutOfRange
from nanopilot.core.units import Length
from nanopilot.core.values import Value
from nanopilot.twins.stem.samples.noise import Smooth, smooth
from nanopilot.twins.stem.samples.recipe import BoolArray, FloatArray

#: Part of its thickness that a film nowhere goes below.
_THINNEST = 0.2
#: More holes than this take too long to look through.
_MOST = 5000
#: Lobes of a hole's rim, and how far they deviate from round (of the radius).
_LOBES, _RAGGED = 5, 0.06


class FilmSettings(Value):
    """What a film is like.

    Parameters
    ----------
    thickness : float
        Mean, in metres.
    fluctuation : float
        Standard deviation of the thickness over its mean.
    length : float
        Over which it varies, in metres.
    holes : float
        Part of the area that they would take if none overlapped.
    hole_size : float
        Mean radius of a hole in metres.
    """

    thickness: Length = Field(default=10e-9, gt=0, le=1e-6)
    fluctuation: float = Field(default=0.1, ge=0, le=0.5)
    length: Length = Field(default=30e-9, gt=0, le=1e-5)
    holes: float = Field(default=0.0, ge=0, le=1)
    hole_size: Length = Field(default=200e-9, gt=0, le=1e-5)


@dataclass(frozen=True, slots=True, eq=False)
class Film:
    """The film.

    Parameters
    ----------
    settings : FilmSettings
        What it is like.
    uneven : Smooth
        Its thickness, as noise.
    places, radii, phases : numpy.ndarray
        Of the holes: metres, shape (n, 2); metres, shape (n,); radians, shape (n, lobes).
    """

    settings: FilmSettings
    uneven: Smooth
    places: FloatArray
    radii: FloatArray
    phases: FloatArray

    def hole(self, x: FloatArray, y: FloatArray) -> BoolArray:
        """Tell whether there is a hole at places in metres, shape as x."""
        found = np.zeros(np.shape(x), dtype=bool)
        if not len(self.radii) or not found.size:
            return found
        reach = self.radii * (1 + 2 * _RAGGED)
        near = (self.places[:, 0] + reach >= np.min(x)) & (self.places[:, 0] - reach <= np.max(x))
        near &= (self.places[:, 1] + reach >= np.min(y)) & (self.places[:, 1] - reach <= np.max(y))
        for number in np.flatnonzero(near):
            dx, dy = x - self.places[number, 0], y - self.places[number, 1]
            angle = np.arctan2(dy, dx)
            rim = np.ones(np.shape(x))
            for lobe, phase in enumerate(self.phases[number], start=2):
                rim += _RAGGED / _LOBES * 2 * np.cos(lobe * angle + phase)
            found |= np.hypot(dx, dy) < self.radii[number] * rim
        return found

    def __call__(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return the thickness in metres at places in metres, shape as x."""
        mean = self.settings.thickness
        factor = np.maximum(1 + self.settings.fluctuation * self.uneven(x, y), _THINNEST)
        return np.where(self.hole(x, y), 0.0, mean * factor)

    def facts(self) -> list[dict[str, float]]:
        """Return place and radius of every hole in metres."""
        return [
            {"x": float(x), "y": float(y), "radius": float(radius)}
            for (x, y), radius in zip(self.places, self.radii, strict=True)
        ]


def film(rng: np.random.Generator, settings: FilmSettings, size: float) -> Film:
    """Return a film over a square of this edge (m).

    Raises
    ------
    OutOfRange
        It would have too many holes.
    """
    uneven, where = rng.spawn(2)
    count = round(settings.holes * size**2 / (np.pi * settings.hole_size**2))
    if count > _MOST:
        raise OutOfRange(
            f"`hole_size` is {settings.hole_size:g} m, which makes {count} holes; at most {_MOST} "
            "are made; take larger or fewer ones, or a smaller `size_m`."
        )
    return Film(
        settings,
        smooth(uneven, settings.length),
        where.uniform(-size / 2, size / 2, (count, 2)),
        settings.hole_size * where.uniform(0.6, 1.4, count),
        where.uniform(0, 2 * np.pi, (count, _LOBES)),
    )
