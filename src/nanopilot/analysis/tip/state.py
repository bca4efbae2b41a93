"""What state a tip is in: sharp, blunt, double, or nobody can tell from this image."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.ndimage import map_coordinates, median_filter

from nanopilot.analysis.tip.blind import blind_tip, estimate_noise
from nanopilot.analysis.tip.fit import Consistency, fit_single
from nanopilot.analysis.tip.kernels import FloatArray
from nanopilot.analysis.tip.shape import TipShape

State = Literal["sharp", "blunt", "double", "unknown"]
#: Prominence of a second end, in shares of the image's range, at which both answers are as likely.
_EVEN = 0.1
#: And the range over which the answer goes from one to the other.
_SOFT = 0.03


@dataclass(frozen=True, slots=True)
class TipVerdict:
    """What an image says about its tip.

    Parameters
    ----------
    state : {"sharp", "blunt", "double", "unknown"}
        In one word; unknown where the image does not tell.
    double : float
        Probability of a second end, 0 to 1.
    tip : TipShape
        The bluntest tip of few numbers that can have made the image.
    reason : str
        Why, in words.
    """

    state: State
    double: float
    tip: TipShape
    reason: str


def judge_tip(
    image: FloatArray, pitch: float, rng: np.random.Generator, *, blunt: float = 20e-9
) -> TipVerdict:
    """Estimate the tip of an image and say what state it is in.

    Parameters
    ----------
    image : numpy.ndarray
        Heights in metres, shape (rows, columns).
    pitch : float
        Metres per pixel.
    rng : numpy.random.Generator
        Noise for comparison.
    blunt : float
        Radius in metres from which a tip is called blunt.

    Raises
    ------
    SignalError
        The image is no array of finite heights.
    OutOfRange
        It has fewer than 41 rows or columns.
    """
    half = 10
    noise, relief = estimate_noise(image), float(np.ptp(image))
    quiet = np.asarray(median_filter(image, 3)) if noise > 1e-3 * relief else image
    shape = blind_tip(quiet, half, threshold=max(2.5 * noise, 1e-9 * relief)).shape
    offset, prominence = second_end(shape)
    double = 1 / (1 + math.exp(-(prominence / max(relief, 1e-30) - _EVEN) / _SOFT))
    tip = fit_single(Consistency.of(image, pitch, rng))
    if double > 0.5:
        height = float(shape[half + offset[1], half + offset[0]])
        place = (offset[0] * pitch, offset[1] * pitch)
        tip = replace(tip, offset=place, height=height)
        return _said("double", double, tip, "the blind estimate has a second end")
    if tip.radius > 150 * pitch or relief == 0:
        return _said("unknown", double, tip, "the image is too smooth to tell one tip from another")
    if double > 0.2:
        return _said("unknown", double, tip, "there may be a second end, or not")
    # A radius is known to some 15 %: nearer to the border neither word is right.
    if abs(math.log(tip.radius / blunt)) < 0.15:
        return _said("unknown", double, tip, "the radius is too near to the border of blunt")
    state: State = "blunt" if tip.radius > blunt else "sharp"
    return _said(state, double, tip, f"the radius is {tip.radius * 1e9:.1f} nm")


def second_end(shape: FloatArray) -> tuple[tuple[int, int], float]:
    """Return where a tip has a second end, (column, row) from the apex, and how prominent it is.

    Prominence is the height in metres by which the flank rises on the straight way from the
    apex and falls again, less what it does on the other side: none for a tip with one end, and
    none where an image proves nothing.

    Parameters
    ----------
    shape : numpy.ndarray
        Tip on pixels, apex in the middle.

    Examples
    --------
    >>> tip = TipShape(3.0, offset=(5.0, 0.0), height=0.5).raster(1.0, 8)
    >>> second_end(tip)[0]
    (5, 0)
    """
    half = shape.shape[0] // 2
    v, u = np.mgrid[-half : half + 1, -half : half + 1]
    way = np.linspace(0.0, 1.0, 2 * half + 1)[:, None, None]
    finite = np.where(np.isfinite(shape), shape, 0.0)
    walked = map_coordinates(finite, [half + way * v, half + way * u], order=1)
    rise = walked.max(axis=0) - np.where(np.isfinite(shape), shape, np.inf)
    # A single pixel of the edge may stand low for want of proof.
    rise[[0, -1]] = 0.0
    rise[:, [0, -1]] = 0.0
    # A second end is on one side; what is on both sides is the period of the surface.
    rise = rise - np.maximum(rise[::-1, ::-1], 0.0)
    row, column = np.unravel_index(int(np.argmax(rise)), rise.shape)
    return (int(column) - half, int(row) - half), float(rise[row, column])


def _said(state: State, double: float, tip: TipShape, reason: str) -> TipVerdict:
    return TipVerdict(state, double, tip, reason)
