"""The tip from an image of anything: blind estimation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from nanopilot.analysis.despike import NORMAL_MAD
from nanopilot.analysis.tip.certainty import checked
from nanopilot.analysis.tip.kernels import FloatArray, sharpen
from nanopilot.core.errors import OutOfRange
from nanopilot.models.tip_imaging import dilate, erode

#: Thresholds tried, in standard deviations of the noise.
TRIED = (2.0, 3.0, 4.0, 6.0)
#: Passes at most; each but the last has found something.
_PASSES = 60


@dataclass(frozen=True, slots=True, eq=False)
class BlindTip:
    """What an image proves about the tip that made it.

    Parameters
    ----------
    shape : numpy.ndarray
        Flanks in metres that the tip's are at least as high as, apex in the middle: nowhere is
        the tip blunter. Where the image proves nothing, 0.
    threshold : float
        Metres that were put down to noise.
    noise : float
        Standard deviation in metres, estimated from the image.
    """

    shape: FloatArray
    threshold: float
    noise: float


def estimate_noise(image: FloatArray) -> float:
    """Return the standard deviation of white noise of an image, in metres.

    Of the second difference along both axes, whose median absolute value structure hardly
    moves while it covers less than half of the image. J. Immerkaer, Comput. Vis. Image Underst. 64
    (1996) 300, with a median in place of the mean.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> bool(abs(estimate_noise(rng.normal(0.0, 2e-10, (256, 256))) / 2e-10 - 1) < 0.05)
    True
    """
    twice = np.diff(np.diff(np.asarray(image, dtype=np.float64), n=2, axis=0), n=2, axis=1)
    # The mask (1, -2, 1) x (1, -2, 1) has weights of squared sum 36.
    return float(NORMAL_MAD * np.median(np.abs(twice)) / 6.0) if twice.size else 0.0


def blind_tip(image: FloatArray, half: int = 10, threshold: float | None = None) -> BlindTip:
    """Estimate the tip from the image alone.

    Starting from a tip that is flat, flanks are raised to what the image proves until it proves
    no more. J. S. Villarrubia, J. Res. Natl. Inst. Stand. Technol. 102 (1997) 425, section 6.

    Parameters
    ----------
    image : numpy.ndarray
        Heights in metres, shape (rows, columns).
    half : int
        Pixels from the apex to the edge of the estimate.
    threshold : float, optional
        Height in metres that noise alone makes. More makes the estimate blunter, less lets
        noise sharpen it. If not given, it is chosen by `choose_threshold`.

    Raises
    ------
    SignalError
        The image is no array of finite heights.
    OutOfRange
        The image is too small for the estimate, or the threshold negative.
    """
    heights, _ = checked(image, np.zeros((1, 1)))
    if half < 1 or min(heights.shape) < 4 * half + 1:
        raise OutOfRange(
            f"`half` is {half} pixels; an image of {heights.shape[0]} x {heights.shape[1]} "
            f"allows 1 to {(min(heights.shape) - 1) // 4}. Take a larger image or a smaller tip."
        )
    if threshold is not None and not threshold >= 0:
        raise OutOfRange(f"`threshold` is {threshold} m; it has to be 0 or more.")
    noise = estimate_noise(heights)
    chosen = choose_threshold(heights, half, noise) if threshold is None else threshold
    return BlindTip(_converge(heights, half, chosen), chosen, noise)


def choose_threshold(image: FloatArray, half: int, noise: float) -> float:
    """Return the threshold at which the tip of one half of a scan suits the other half best.

    Too low a threshold lets noise sharpen the estimate, and the noise of the other half says
    otherwise: opened with a tip as sharp as that it keeps its noise. Too high a threshold makes
    the tip blunt, and the other half loses structure. The candidate is taken for which the
    opened other half is nearest to its own smooth version.

    Parameters
    ----------
    image : numpy.ndarray
        Heights in metres.
    half : int
        Pixels from the apex to the edge of the tip.
    noise : float
        Standard deviation of the noise in metres.
    """
    rounding = 1e-9 * float(np.ptp(image))
    if noise <= rounding:
        return rounding
    parts = _halves(image, half)
    if parts is None:
        return 4.0 * noise
    errors = [_disagreement(parts, half, factor * noise) for factor in TRIED]
    return float(TRIED[int(np.argmin(errors))] * noise)


def _halves(image: FloatArray, half: int) -> tuple[FloatArray, FloatArray] | None:
    """Cut along the longer side, if both parts are large enough for the tip."""
    long = image if image.shape[0] >= image.shape[1] else image.T
    cut = long.shape[0] // 2
    if min(cut, long.shape[1]) < 4 * half + 1:
        return None
    first, second = long[:cut], long[cut:]
    if image.shape[0] < image.shape[1]:
        first, second = first.T, second.T
    return np.ascontiguousarray(first), np.ascontiguousarray(second)


def _disagreement(parts: tuple[FloatArray, FloatArray], half: int, threshold: float) -> float:
    """Return how badly the tip of each half makes the other half, noise taken out of it."""
    total = 0.0
    for learned, other in (parts, parts[::-1]):
        tip = _converge(learned, half, threshold)
        # Smoothed, the other half is nearer to what any tip can have made.
        smooth = gaussian_filter(other, 1.0)
        made = dilate(erode(other, tip), tip)
        inner = (slice(half, -half),) * 2
        # An opening lowers everything by about the noise, which says nothing about the tip.
        total += float(np.var((made - smooth)[inner]))
    return total


def _converge(image: FloatArray, half: int, threshold: float) -> FloatArray:
    tip = np.zeros((2 * half + 1, 2 * half + 1))
    least = max(threshold, 1e-12 * float(np.ptp(image)))
    for _ in range(_PASSES):
        if not sharpen(image, tip, least):
            break
    return tip
