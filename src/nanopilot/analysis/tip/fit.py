"""The bluntest tip of a few numbers that can have made an image."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter

from nanopilot.analysis.tip.blind import estimate_noise
from nanopilot.analysis.tip.kernels import FloatArray
from nanopilot.analysis.tip.shape import TipShape
from nanopilot.models.tip_imaging import dilate, erode

#: Share of pixels that may lose more than is allowed: a tip shows at few places, noise at all.
_RARE = 0.003
#: Pixels over which what is lost is smoothed.
_SMOOTH = 0.8
#: What may be lost: in standard deviations of the noise, and in units of the height by which a
#: parabola rises over half a pixel, as no apex stands between two pixels.
_NOISE, _GRID = 2.0, 0.5
#: And in shares of the image's range: what counts, and what it is compared with.
_RANGE, _LOOSE = 0.01, 0.03
#: The tip in the middle is sharper than the bluntest by this factor, and by this power of how much
#: blunter a tip the loose allowance lets pass: a tip that the surface does not pin down may as well
#: be sharp. Both from scans of the families that networks learn from, by least absolute deviation.
_MIDDLE, _UNPINNED = 0.94, 0.27
#: Factor between radii, and how much blunter than the largest they are tried.
_STEP, _BEYOND = 1.15, 3.0
#: Axes along which a tip may be blunter than across, by how much at most, how finely.
_AXES, _MOST, _HALVINGS = 6, 3.0, 5
#: Pixels from the apex to where a tip is looked at, at most.
_FAR = 28


@dataclass(frozen=True, slots=True, eq=False)
class Consistency:
    """Tells whether a tip can have made an image.

    An image made by a tip is left alone by an opening (erosion, then dilation) with this tip, and
    with every sharper one: J. S. Villarrubia, J. Res. Natl. Inst. Stand. Technol. 102 (1997) 425,
    section 4. A blunter one takes away first what is sharpest, which is at few places: what the
    most robbed pixels lose is compared with what noise and the grid of pixels take.

    Parameters
    ----------
    image : numpy.ndarray
        Heights in metres, shape (rows, columns).
    pitch : float
        Metres per pixel.
    noise : float
        Its standard deviation in metres.
    """

    image: FloatArray
    pitch: float
    noise: float

    @classmethod
    def of(cls, image: FloatArray, pitch: float) -> Consistency:
        """Return the test for an image, its noise estimated."""
        return cls(image, pitch, estimate_noise(image))

    def __call__(self, tip: TipShape) -> bool:
        """Return whether it can."""
        return self.excess(tip) <= 1

    def excess(self, tip: TipShape, share: float = _RANGE) -> float:
        """Return what an opening takes away over what it may: at most 1 if the tip can.

        Parameters
        ----------
        tip : TipShape
            The tip.
        share : float
            Of the image's range, that may be lost.
        """
        return self.lost(tip) / self.allowed(tip, share)

    def allowed(self, tip: TipShape, share: float) -> float:
        """Return the height in metres that an opening may take away, see `excess`."""
        rise = self.pitch**2 / (8 * tip.radius)
        least = _NOISE * self.noise + share * float(np.ptp(self.image)) + _GRID * rise
        return max(least, np.finfo(np.float64).tiny)

    def lost(self, tip: TipShape) -> float:
        """Return the height in metres that an opening takes away where it takes most."""
        shape = self.raster(tip)
        opened = np.asarray(dilate(erode(self.image, shape), shape))
        # Near the edge the tip may have rested on what lies beyond.
        up, right = (max(1, min(shape.shape[0] // 2, size // 8)) for size in self.image.shape)
        inner = (slice(up, -up), slice(right, -right))
        lost = gaussian_filter(self.image - opened, _SMOOTH)[inner]
        return float(np.quantile(lost, 1 - _RARE))

    def raster(self, tip: TipShape) -> FloatArray:
        """Return the tip on pixels, as far out as it can touch, or as the image allows."""
        relief, most = float(np.ptp(self.image)), min(*self.image.shape, 4 * _FAR) // 4
        shape = tip.raster(self.pitch, most, relief)
        used = np.flatnonzero(np.isfinite(shape).any(axis=0) | np.isfinite(shape).any(axis=1))
        half = max(1, int(np.abs(used - most).max(initial=0)))
        kept = slice(most - half, most + half + 1)
        return np.ascontiguousarray(shape[kept, kept])


def fit_single(possible: Consistency, radii: tuple[float, float]) -> TipShape:
    """Return the likely tip with one end: a little sharper than the bluntest that is possible.

    First the radius of a round parabola, then the axis along which it can be blunter still.

    Parameters
    ----------
    possible : Consistency
        The test, and with it the image.
    radii : (float, float)
        Least and largest radius there may be, in metres.
    """
    steep = math.radians(2)
    count = 2 + int(math.log(_BEYOND * radii[1] / radii[0]) / math.log(_STEP))
    tried = np.geomspace(radii[0], _BEYOND * radii[1], count)
    round_tips = [TipShape(float(radius), half_angle=steep) for radius in tried]
    lost = np.array([possible.lost(tip) for tip in round_tips])
    found, loose = (
        _crossing(tried, lost / [possible.allowed(tip, share) for tip in round_tips])
        for share in (_RANGE, _LOOSE)
    )
    found = min(found, radii[1])
    radius = _MIDDLE * found * (found / loose) ** _UNPINNED
    tip = TipShape(min(max(radius, radii[0]), radii[1]))
    angles = np.linspace(0, np.pi, _AXES, endpoint=False)
    axes = [replace(tip, rotation=float(angle), half_angle=steep) for angle in angles]
    best = max((_stretched(one, possible) for one in axes), key=lambda one: one.aspect)
    return replace(tip, aspect=best.aspect, rotation=best.rotation)


def _crossing(tried: FloatArray, excess: FloatArray) -> float:
    """Return the largest number whose excess is 1, between those tried; the least if none is.

    From above: on a grid of pixels a tip much sharper than the true one fails too.
    """
    last = int(np.flatnonzero(excess <= 1).max(initial=0))
    if last == len(tried) - 1 or excess[last] > 1:
        return float(tried[last])
    below, above = np.log(np.maximum(excess[last : last + 2], 1e-12))
    return float(tried[last] * (tried[last + 1] / tried[last]) ** (-below / (above - below)))


def _stretched(tip: TipShape, possible: Consistency) -> TipShape:
    """Return the tip as elongated along its axis as it can be."""
    low, high = 1.0, _MOST
    for _ in range(_HALVINGS):
        middle = math.sqrt(low * high)
        if possible(replace(tip, aspect=middle)):
            low = middle
        else:
            high = middle
    return replace(tip, aspect=low)
