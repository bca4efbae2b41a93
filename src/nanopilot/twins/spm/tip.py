"""The tip: a parabola on a cone, perhaps elliptic, double or chipped; in metres."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
from pydantic import Field, model_validator

from nanopilot.core.units import Angle, Length
from nanopilot.core.values import Value

FloatArray = np.ndarray[Any, np.dtype[np.float64]]


class Apex(Value):
    """One end of a tip.

    Parameters
    ----------
    radius : float
        Of curvature at the very end, in metres; along x if it is elliptic.
    half_angle : float
        Of the cone the parabola goes over into, in radians.
    aspect : float
        Radius along y over radius along x.
    rotation : float
        Of the long axis, counter-clockwise, in radians.
    offset : (float, float)
        From the first apex, (x, y) in metres.
    height : float
        How much higher than the first apex it sits, in metres.
    """

    radius: Length = Field(default=10e-9, gt=0, le=1e-5)
    half_angle: Angle = Field(default=math.radians(18), gt=0, lt=math.pi / 2)
    aspect: float = Field(default=1.0, gt=0.05, lt=20)
    rotation: Angle = 0.0
    offset: tuple[Length, Length] = (0.0, 0.0)
    height: Length = Field(default=0.0, ge=0)

    def flank(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return its height above the first apex at displacements x, y (metres)."""
        cos, sin = math.cos(self.rotation), math.sin(self.rotation)
        dx, dy = x - self.offset[0], y - self.offset[1]
        along, across = cos * dx + sin * dy, (cos * dy - sin * dx) / math.sqrt(self.aspect)
        distance = np.hypot(along, across)
        slope = 1 / math.tan(self.half_angle)
        # The cone begins where the parabola r^2 / 2R has become as steep as it is.
        joint = self.radius * slope
        cone = slope * (distance - joint) + joint**2 / (2 * self.radius)
        flank: FloatArray = self.height + np.where(
            distance < joint, distance**2 / (2 * self.radius), cone
        )
        return flank


class Tip(Value):
    """A tip: the lowest of its ends at each displacement.

    Parameters
    ----------
    apexes : tuple of Apex
        The first is at (0, 0) with height 0; further ones make it a double or multiple tip.
    chipped : float
        Metres that broke off the end: it is flat up to there.
    """

    apexes: tuple[Apex, ...] = Field(default=(Apex(),), min_length=1, max_length=8)
    chipped: Length = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _first_is_the_end(self) -> Self:
        first = self.apexes[0]
        if first.offset != (0.0, 0.0) or first.height != 0.0:
            raise ValueError("the first of `apexes` is the end of the tip: offset (0, 0), height 0")
        return self

    @property
    def radius(self) -> float:
        """Radius of the first apex in metres."""
        return self.apexes[0].radius

    def raster(self, pitch: float, relief: float, most: int = 301) -> FloatArray:
        """Return the shape of the tip on pixels, apex in the middle, as `dilate` wants it.

        Parameters
        ----------
        pitch : float
            Metres per pixel.
        relief : float
            Highest minus lowest place of the surface in metres: no flank above can touch.
        most : int
            Rows and columns at most.
        """
        half = most // 2
        steps = pitch * np.arange(-half, half + 1)
        x, y = np.meshgrid(steps, steps)
        shape = np.min([apex.flank(x, y) for apex in self.apexes], axis=0)
        shape = np.maximum(shape - self.chipped, 0.0)
        shape[shape > relief] = np.inf
        shape[half, half] = 0.0
        used = np.isfinite(shape)
        reach = max(
            np.abs(np.flatnonzero(used.any(axis=axis)) - half).max(initial=0) for axis in (0, 1)
        )
        kept = slice(half - int(reach), half + int(reach) + 1)
        return np.ascontiguousarray(shape[kept, kept])
