"""The bluntest tip of a few numbers that can have made an image."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.optimize import minimize_scalar

from nanopilot.analysis.tip.blind import estimate_noise
from nanopilot.analysis.tip.kernels import FloatArray
from nanopilot.analysis.tip.shape import TipShape
from nanopilot.models.recipes.tip_state import REACH, companions
from nanopilot.models.tip_imaging import dilate, erode

#: Share of the image's range that its noise is at least brought to.
_FLOOR = 3e-3
#: How much of the height by which a parabola rises over half a pixel may be lost besides: no apex
#: stands between two pixels.
_GRID = 1.5
#: How much more may be lost than noise alone loses.
_EXCESS = 1.2
_STEPS = 7
#: Pixels by which a second end may be off the place where it is expected.
_NEAR = 3.0
#: Excess that is let pass there: the first end, which it is fitted with, is not known exactly.
_LOOSE = 4.0
#: Shares of the relief by which its height is varied.
_STEP = 0.025
#: Cones that are made, half angles in radians; no tip is taken for a sharper one.
_CONES = (math.radians(10), math.radians(60))


@dataclass(frozen=True, slots=True, eq=False)
class Consistency:
    """Tells whether a tip can have made an image.

    An image made by a tip is left alone by an opening (erosion, then dilation) with this tip;
    what a blunter one takes away is more than noise does to an image that the blunter one did
    make. A blunt tip is a union of sharper ones, but not of such whose apexes are on pixels: what a
    parabola rises over half a pixel, pitch^2 / 8 R, may be missing.

    Parameters
    ----------
    image : numpy.ndarray
        Heights in metres, shape (rows, columns).
    pitch : float
        Metres per pixel.
    noise : numpy.ndarray
        Noise as strong as that of the image, of the same shape.
    """

    image: FloatArray
    pitch: float
    noise: FloatArray
    _smooth: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_smooth", gaussian_filter(self.image, 1.0))

    @classmethod
    def of(cls, image: FloatArray, pitch: float, rng: np.random.Generator) -> Consistency:
        """Return the test for an image; a very quiet one is given some noise first."""
        noise = estimate_noise(image)
        floor = _FLOOR * float(np.ptp(image))
        missing = math.sqrt(max(floor**2 - noise**2, 0.0))
        first, second = rng.normal(size=(2, *image.shape))
        return cls(image + missing * first, pitch, max(noise, floor) * second)

    def __call__(self, tip: TipShape) -> bool:
        """Return whether it can."""
        return self.excess(tip) <= 1

    def excess(self, tip: TipShape) -> float:
        """Return what an opening takes away over what it may, both squared: at most 1 if it can."""
        shape = self.raster(tip)
        made = np.asarray(dilate(erode(self._smooth, shape), shape))
        expected = _lost(made + self.noise, shape)
        rise = self.pitch**2 / (8 * tip.radius)
        return _lost(self.image, shape) / (_EXCESS * expected + (_GRID * rise) ** 2)

    def raster(self, tip: TipShape) -> FloatArray:
        """Return the tip on pixels, as far out as it can touch, or as the image allows."""
        relief, most = float(np.ptp(self.image)), min(self.image.shape) // 4
        shape = tip.raster(self.pitch, most, relief)
        used = np.flatnonzero(np.isfinite(shape).any(axis=0) | np.isfinite(shape).any(axis=1))
        half = max(1, int(np.abs(used - most).max(initial=0)))
        kept = slice(most - half, most + half + 1)
        return np.ascontiguousarray(shape[kept, kept])


def _lost(image: FloatArray, shape: FloatArray) -> float:
    opened = np.asarray(dilate(erode(image, shape), shape))
    # Near the edge the tip may have rested on what lies beyond.
    half = shape.shape[0] // 2
    lost = (image - opened)[half:-half, half:-half]
    return float(np.mean(lost**2))


def bluntest(
    make: Callable[[float], TipShape], possible: Consistency, low: float, high: float
) -> float:
    """Return the largest number whose tip can have made the image, `low` if none can.

    Tips have to become blunter with it. Bisection in the logarithm.

    Parameters
    ----------
    make : callable
        Tip of a number.
    possible : Consistency
        The test.
    low, high : float
        Where to look.
    """
    if possible(make(high)):
        return high
    below, above = math.log(low), math.log(high)
    for _ in range(_STEPS):
        middle = (below + above) / 2
        if possible(make(math.exp(middle))):
            below = middle
        else:
            above = middle
    return math.exp((below + above) / 2)


def fit_single(possible: Consistency) -> TipShape:
    """Return the bluntest tip with one end that can have made an image.

    First the radius of a round parabola without a cone, then the axis along which it can be
    blunter still, then the cone.

    Parameters
    ----------
    possible : Consistency
        The test, and with it the image.
    """
    pitch = possible.pitch
    steep = math.radians(2)
    radius = bluntest(lambda r: TipShape(r, half_angle=steep), possible, 0.5 * pitch, 200 * pitch)
    if radius < 2 * pitch:
        radius = _from_above(possible, radius, steep)
    tip = TipShape(radius, half_angle=steep)
    axes = [replace(tip, rotation=angle) for angle in np.linspace(0, np.pi, 4, endpoint=False)]
    stretched = [_stretched(one, possible) for one in axes]
    tip = max(stretched, key=lambda one: one.aspect)
    # So much the tolerance lets through.
    if tip.aspect < 1.25:
        tip = replace(tip, aspect=1.0, rotation=0.0)
    angle = bluntest(lambda a: replace(tip, half_angle=a), possible, *_CONES)
    return replace(tip, half_angle=angle)


def _stretched(tip: TipShape, possible: Consistency) -> TipShape:
    return replace(tip, aspect=bluntest(lambda a: replace(tip, aspect=a), possible, 1.0, 4.0))


def _from_above(possible: Consistency, radius: float, steep: float) -> float:
    """Look again for a larger radius, from above.

    On a grid of pixels a tip much sharper than the true one fails too, which leads bisection
    astray.
    """
    for tried in np.geomspace(40 * possible.pitch, 2 * possible.pitch, 14):
        if possible(TipShape(float(tried), half_angle=steep)):
            return float(tried)
    return radius


def fit_second(possible: Consistency, tip: TipShape, near: tuple[float, float]) -> TipShape:
    """Return a tip with the lowest second end that the scan allows next to a place, if it does one.

    The place is where the fewest prominent pixels contradict a second end, against what is usual
    for its height. Of the heights at which openings take least away, the least is taken whose tip
    can have made the image; if there is none, the tip is returned as it is.

    Parameters
    ----------
    possible : Consistency
        The test, and with it the image.
    tip : TipShape
        The first end.
    near : (float, float)
        Where a second end is looked for, (x, y) in pixels from the first.
    """
    broken = companions(possible.image)[0].broken
    usual = broken.mean(axis=(1, 2), keepdims=True)
    gain = np.log((usual + 0.02) / (broken + 0.02))
    v, u = np.mgrid[-REACH : REACH + 1, -REACH : REACH + 1]
    gain[:, np.hypot(u - near[0], v - near[1]) > _NEAR] = -np.inf
    _, row, column = np.unravel_index(int(np.argmax(gain)), gain.shape)
    place = (int(column) - REACH, int(row) - REACH)
    offset = (place[0] * possible.pitch, place[1] * possible.pitch)
    relief = float(np.ptp(possible.image))

    def lifted(height: float) -> TipShape:
        return replace(tip, offset=offset, height=max(height, 0.0))

    tried = relief * np.arange(0.0, 1.0, _STEP)
    off = [possible.excess(lifted(height)) for height in tried]
    for number, height in enumerate(tried):
        if off[number] > min(off[max(number - 1, 0) : number + 2]):
            continue
        # Only at its height does a second end suit: a little lower or higher ones do not.
        around = (height - _STEP * relief, height + _STEP * relief)
        found = minimize_scalar(
            lambda h: possible.excess(lifted(h)), bounds=around, method="bounded",
            options={"maxiter": 8},
        )  # fmt: skip
        best = lifted(min((float(found.x), height), key=lambda h: possible.excess(lifted(h))))
        if possible.excess(best) <= _LOOSE:
            return best
    return tip
