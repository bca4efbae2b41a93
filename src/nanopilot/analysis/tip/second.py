"""Where a second end of a tip suits a scan, and at which height.

A second end at displacement d, higher than the first by h, paints everything twice. What in a scan
contradicts it is summed over all pixels, for all displacements and heights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numba
import numpy as np
from scipy.ndimage import gaussian_filter

from nanopilot.analysis.tip.blind import estimate_noise
from nanopilot.analysis.tip.kernels import FloatArray
from nanopilot.analysis.tip.shape import TipShape

#: Pixels from the first end to the farthest and to the nearest second that is looked for.
REACH, NEAREST = 26, 4
#: Steps of height from 0 to the range of the scan.
BINS = 50
#: Pixels over which noise is taken out, and share of the range by which a height may be missed.
_SMOOTH, _SLACK = 0.7, 0.005
#: Share of the range that every second end is taken to miss: the least that matters.
FLOOR = 3e-3
#: What another's word for a place is worth, and displacements by which it may be off.
_WORD, _NEAR = 0.5, 3.0
#: Probabilities nearer to 0 and 1 are not believed.
_LEAST = 1e-4
_Y, _X = np.mgrid[-REACH : REACH + 1, -REACH : REACH + 1]
_FAR = np.hypot(_Y, _X)
_INSIDE = (_FAR >= NEAREST) & (_FAR <= REACH + 0.5)
#: Rounded distances; displacements as far away are compared with one another.
_RING = np.where((_FAR >= NEAREST - 1) & (_FAR <= REACH + 0.5), np.round(_FAR), 0).astype(int)


@numba.njit(cache=True, fastmath=True)
def contradictions(image: FloatArray, reach: int, bins: int, slack: float) -> FloatArray:
    """Return how far an image is from what two points of a tip leave alone.

    Of points {0: 0, d: h} every x has I(x - d) >= I(x) - h, or I(x + d) >= I(x) + h: the opening
    (J. S. Villarrubia, J. Res. Natl. Inst. Stand. Technol. 102 (1997) 425, section 4) written out
    for a tip of two points. What both miss at the least, less the slack, is summed over all x that
    have both neighbours, and divided by their number. Between two heights it rises and falls by
    one, so that three changes of slope for every x are enough for all heights.

    Parameters
    ----------
    image : numpy.ndarray
        Heights of 0 to 1, shape (rows, columns), both above 2 `reach`.
    reach : int
        Pixels between both points at most; nothing is said beyond.
    bins : int
        Steps of h from 0 to 1.
    slack : float
        What is no miss.

    Returns
    -------
    numpy.ndarray
        Shape (2 reach + 1, 2 reach + 1, bins + 1): d along rows, then columns, and h.
    """
    rows, columns = image.shape
    size = 2 * reach + 1
    missed = np.zeros((size, size, bins + 1))
    bends = np.zeros(2 * bins + 3)
    for a in range(size):
        for b in range(size):
            u, v = a - reach, b - reach
            if u * u + v * v > (reach + 0.5) ** 2:
                continue
            up, right = abs(u), abs(v)
            bends[:] = 0.0
            for i in range(up, rows - up):
                for j in range(right, columns - right):
                    low = image[i + u, j + v] - image[i, j] + slack
                    high = image[i, j] - image[i - u, j - v] - slack
                    if high <= 0 or high <= low:
                        continue
                    for place, change in ((low, 1.0), (high, 1.0), ((low + high) / 2, -2.0)):
                        at = (place + 1) * bins
                        k = int(at)
                        bends[k] += change * (k + 1 - at)
                        bends[k + 1] += change * (at - k)
            count = (rows - 2 * up) * (columns - 2 * right)
            slope = value = 0.0
            for k in range(2 * bins + 1):
                if k >= bins:
                    missed[a, b, k - bins] = max(value, 0.0) / (bins * count)
                slope += bends[k]
                value += slope
    return missed


@dataclass(frozen=True, slots=True, eq=False)
class SecondEnds:
    """How far a scan is from one made with a second end, displacement by displacement.

    Parameters
    ----------
    missed : numpy.ndarray
        Of `contradictions`, in units of the scan's range.
    usual : numpy.ndarray
        Mean over all displacements as far away; same shape.
    pixel : int
        Pixels of the whole scan that displacements are counted in.
    """

    missed: FloatArray
    usual: FloatArray
    pixel: int = 1

    def gain(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return how much less is missed than usual, than on the other side, and the less of both.

        Logarithms. On a perfect lattice a period suits as well as a second end would, but so does
        its opposite: a second end is known by suiting on one side. Too near or too far: -9.
        """
        missed = self.missed + FLOOR
        usual = np.log((self.usual + FLOOR) / missed)
        other = np.log((self.missed[::-1, ::-1] + FLOOR) / missed)
        both = np.minimum(usual, other)
        both[~_INSIDE] = -9.0
        return usual, other, both


def second_ends(image: FloatArray, pixel: int = 1) -> SecondEnds:
    """Weigh second ends at all displacements and heights against a scan.

    Parameters
    ----------
    image : numpy.ndarray
        Heights in any unit, shape (rows, columns), both above 2 `REACH`.
    pixel : int
        By how much a larger scan was shrunk.
    """
    relief = float(np.ptp(image)) or 1.0
    noise = estimate_noise(image) / relief
    smooth = gaussian_filter(image, _SMOOTH)
    smooth = (smooth - smooth.min()) / (float(np.ptp(smooth)) or 1.0)
    missed = contradictions(smooth, REACH, BINS, _SLACK + noise)
    count = np.maximum(np.bincount(_RING.ravel()), 1)
    rings = [np.bincount(_RING.ravel(), one.ravel()) / count for one in np.moveaxis(missed, 2, 0)]
    return SecondEnds(missed, np.stack(rings, axis=-1)[_RING], pixel)


def likeliest(ends: SecondEnds) -> tuple[float, FloatArray, FloatArray]:
    """Return how well the best second end suits, and gain and height at every displacement.

    Parameters
    ----------
    ends : SecondEnds
        Of the scan.

    Returns
    -------
    float, numpy.ndarray, numpy.ndarray
        The largest gain, all gains, and heights in units of the scan's range.
    """
    gain = ends.gain()[2]
    return float(gain.max()), gain.max(axis=2), gain.argmax(axis=2) / BINS


def with_second(
    tip: TipShape, ends: SecondEnds, lengths: tuple[float, float], near: tuple[float, float] | None
) -> TipShape:
    """Return a tip with a second end like its first, where it suits the scan best.

    Parameters
    ----------
    tip : TipShape
        With one end.
    ends : SecondEnds
        Of the scan.
    lengths : (float, float)
        Metres per pixel, and the scan's range in metres.
    near : (float, float), optional
        Where others say it is, (x, y) in pixels of the scan from the first.
    """
    _, gain, height = likeliest(ends)
    if near is not None:
        off = np.hypot(_X - near[0] / ends.pixel, _Y - near[1] / ends.pixel)
        gain = gain + _WORD * (off <= _NEAR)
    row, column = np.unravel_index(int(np.argmax(gain)), gain.shape)
    pitch, relief = ends.pixel * lengths[0], lengths[1]
    offset = (float(column - REACH) * pitch, float(row - REACH) * pitch)
    return replace(tip, offset=offset, height=float(height[row, column]) * relief)


def together(odds: float, other: float, soft: float) -> float:
    """Return the probability of a second end that two judges make together.

    Parameters
    ----------
    odds : float
        Logarithm of the odds of one.
    other : float
        Probability of the other.
    soft : float
        What the sum of both logarithms of odds is divided by: as if they knew nothing of one
        another it would be 1.
    """
    known = min(max(other, _LEAST), 1 - _LEAST)
    both = (odds + math.log(known / (1 - known))) / soft
    return 1 / (1 + math.exp(-max(min(both, 12.0), -12.0)))
