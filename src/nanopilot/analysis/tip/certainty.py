"""What a scan proves about the surface: a bound everywhere, and where the bound is the surface."""

from __future__ import annotations

from typing import Any

import numpy as np

from nanopilot.analysis.tip.kernels import BoolArray, FloatArray, bound_beyond, single_contacts
from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.models.tip_imaging import dilate


def contacts(image: FloatArray, tip: FloatArray, slack: float) -> tuple[FloatArray, BoolArray]:
    """Return the erosion of an image by a tip, and where it is the surface itself.

    With the apex at a pixel of the image the tip touches the surface somewhere. No surface is
    above the erosion, so that it touches where its flank meets the erosion; if that is so at
    one place only, the surface is there. Places beyond the edge of the image count: they may
    have been touched too. J. S. Villarrubia, J. Res. Natl. Inst. Stand. Technol. 102 (1997) 425,
    section 5.

    Parameters
    ----------
    image : numpy.ndarray
        Heights in metres, shape (rows, columns), finite.
    tip : numpy.ndarray
        Shape of the tip as `nanopilot.models.tip_imaging.dilate` wants it.
    slack : float
        Metres by which flank and erosion may miss one another and still touch: what noise makes.
        More slack, fewer certain pixels.

    Returns
    -------
    numpy.ndarray, numpy.ndarray of bool
        Erosion in metres and certainty, each of the shape of `image`.

    Raises
    ------
    SignalError
        An image with NaN, or a tip that is none.
    OutOfRange
        The slack is negative.

    Examples
    --------
    >>> image = np.zeros((5, 5)); image[1:4, 1:4] = 2.0; image[2, 2] = 3.0
    >>> tip = np.full((3, 3), 1.0); tip[1, 1] = 0.0
    >>> bound, certain = contacts(image, tip, slack=0.0)
    >>> float(bound[2, 2]), float(bound[2, 3]), bool(certain[2, 2])
    (3.0, 1.0, True)
    """
    heights, shape = checked(image, tip)
    if not slack >= 0:
        raise OutOfRange(f"`slack` is {slack} m; it has to be 0 or more.")
    up, right = (size // 2 for size in shape.shape)
    beyond = bound_beyond(heights, shape)
    # Sums in another order differ by a rounding error.
    rounding = 8 * np.finfo(np.float64).eps * float(np.abs(heights).max() + np.ptp(heights))
    certain = single_contacts(heights, beyond, shape, slack + rounding)
    rows, columns = heights.shape
    bound = np.ascontiguousarray(beyond[up : up + rows, right : right + columns])
    return bound, certain


def misfit(image: FloatArray, tip: FloatArray, bound: FloatArray, slack: float) -> float:
    """Return how far an image is from what its tip makes of the bound, in shares of its range.

    What noise makes does not count: under a blunt tip it may be much of the range.

    Parameters
    ----------
    image, bound : numpy.ndarray
        Heights in metres, and their erosion by the tip; same shape.
    tip : numpy.ndarray
        Of `contacts`.
    slack : float
        Height in metres that noise may add.
    """
    up, right = (
        min(size // 2, length // 4) for size, length in zip(tip.shape, image.shape, strict=True)
    )
    rows, columns = image.shape
    # Near the edge the tip may have rested on what lies beyond.
    inner = (slice(up, rows - up), slice(right, columns - right))
    off = np.maximum((image - np.asarray(dilate(bound, tip)))[inner] - slack, 0.0)
    return float(np.sqrt(np.mean(off**2)) / (np.ptp(image) or 1.0))


def checked(image: Any, tip: Any) -> tuple[FloatArray, FloatArray]:
    """Return image and tip as the kernels want them, or say what is wrong with them."""
    heights = np.ascontiguousarray(image, dtype=np.float64)
    if heights.ndim != 2 or not heights.size or not np.isfinite(heights).all():
        raise SignalError(
            f"`image` has shape {heights.shape} with {np.count_nonzero(~np.isfinite(heights))} "
            "values that are no numbers; it must be (rows, columns) of finite heights in metres. "
            "Fill or crop what was not measured."
        )
    shape = np.ascontiguousarray(tip, dtype=np.float64)
    odd = shape.ndim == 2 and all(size % 2 == 1 for size in shape.shape)
    if not odd or np.isnan(shape).any() or shape.min() < 0 or shape[_middle(shape)] != 0:
        raise SignalError(
            f"`tip` has shape {shape.shape}; it must have an odd number of rows and columns, the "
            "apex of height 0 in the middle, and no flank below it or NaN."
        )
    return heights, shape


def _middle(shape: FloatArray) -> tuple[int, int]:
    return shape.shape[0] // 2, shape.shape[1] // 2
