"""A tip in a few numbers: a parabola on a cone, elliptic, perhaps with a second end."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nanopilot.analysis.tip.kernels import FloatArray
from nanopilot.core.errors import OutOfRange


@dataclass(frozen=True, slots=True)
class TipShape:
    """Numbers of a tip.

    Parameters
    ----------
    radius : float
        Of curvature at the end in metres; of an elliptic end the smaller one.
    half_angle : float
        Of the cone in radians.
    aspect : float
        Larger radius over smaller radius.
    rotation : float
        Of the blunter direction, counter-clockwise from x, in radians.
    offset : (float, float), optional
        Where the second end is, (x, y) in metres from the first; None: there is none.
    height : float
        How much higher the second end sits, in metres.
    """

    radius: float
    half_angle: float = math.radians(15)
    aspect: float = 1.0
    rotation: float = 0.0
    offset: tuple[float, float] | None = None
    height: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.radius < math.inf:
            raise OutOfRange(f"`radius` is {self.radius} m; it has to be above 0 and finite.")
        if not 0 < self.half_angle < math.pi / 2:
            raise OutOfRange(
                f"`half_angle` is {self.half_angle} rad; it has to be between 0 and pi / 2."
            )
        if not self.aspect >= 1:
            raise OutOfRange(
                f"`aspect` is {self.aspect}; it has to be 1 or more. Turn `rotation` instead."
            )
        if not self.height >= 0:
            raise OutOfRange(
                f"`height` is {self.height} m; the first end is the lowest, so give 0 or more."
            )

    @property
    def distance(self) -> float:
        """From the first end to the second in metres; 0 where there is none."""
        return math.hypot(*self.offset) if self.offset else 0.0

    def flank(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return the height of the tip above its apex at displacements x, y, all in metres."""
        first = self._end(x, y)
        if self.offset is None:
            return first
        second = self.height + self._end(x - self.offset[0], y - self.offset[1])
        return np.minimum(first, second)

    def raster(self, pitch: float, half: int, highest: float = math.inf) -> FloatArray:
        """Return the tip on pixels, apex in the middle, shape (2 half + 1, 2 half + 1).

        Parameters
        ----------
        pitch : float
            Metres per pixel.
        half : int
            Pixels from the apex to the edge.
        highest : float
            Metres above which no flank can touch; infinite there.
        """
        steps = pitch * np.arange(-half, half + 1)
        x, y = np.meshgrid(steps, steps)
        heights = self.flank(x, y)
        heights[heights > highest] = np.inf
        heights[half, half] = 0.0
        return heights

    def _end(self, x: FloatArray, y: FloatArray) -> FloatArray:
        cos, sin = math.cos(self.rotation), math.sin(self.rotation)
        along = (cos * x + sin * y) / math.sqrt(self.aspect)
        distance = np.hypot(along, cos * y - sin * x)
        slope = 1 / math.tan(self.half_angle)
        # The cone goes on where the parabola has become as steep.
        joint = self.radius * slope
        cone = slope * (distance - joint) + joint * slope / 2
        return np.where(distance < joint, distance**2 / (2 * self.radius), cone)
