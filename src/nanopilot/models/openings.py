"""What a scan loses if a parabola is rolled over it from below, and from above, in few numbers.

A tip leaves no peak that is sharper than itself, but valleys as sharp as can be: what it has imaged
stays as it is if it is opened with any sharper tip (J. Serra, Image Analysis and Mathematical
Morphology, 1982, chapter 2). A picture that no tip has made loses as much upside down. How much is
lost at which size: P. Maragos, IEEE Trans. Pattern Anal. Mach. Intell. 11 (1989) 701.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nanopilot.models.frame_features import AnyArray, FloatArray, halved, standard_windows

Float32 = np.ndarray[Any, np.dtype[np.float32]]

#: Pixels from the apex at which a parabola is as high as the heights are spread.
WIDTHS = (1.0, 2.0, 4.0)
#: How often the window is halved.
_LEVELS = 3
#: What is lost less than this, in units of the spread, is not lost.
_LEAST = 3e-3

OPENINGS: tuple[str, ...] = tuple(
    f"{what} by {width:g} pixels, level {level}"
    for level in range(_LEVELS)
    for width in WIDTHS
    for what in ("peaks for valleys lost", "peaks and valleys lost")
)


def openings(image: AnyArray) -> FloatArray:
    """Return how much of a frame is lost in openings and closings, in the order of `OPENINGS`.

    Logarithms of the mean loss: that of the opening less that of the closing, then their sum.
    Offset, gain, quarter turns and mirrors change nothing, as in `frame_features`.

    Parameters
    ----------
    image : numpy.ndarray
        Shape (rows, columns); what is not finite takes the median.

    Raises
    ------
    OutOfRange
        It is no picture, too small, or has no finite pixel.
    """
    level, found = standard_windows(image), []
    for _ in range(_LEVELS):
        for width in WIDTHS:
            peaks, valleys = (
                np.log10((side - opened(side, width)).mean(axis=(1, 2)) + _LEAST)
                for side in (level, -level)
            )
            found += [peaks - valleys, peaks + valleys]
        level = np.asarray(halved(level), dtype=np.float32)
    return np.asarray(np.stack(found, axis=1).mean(axis=0), dtype=np.float64)


def opened(windows: Float32, width: float) -> Float32:
    """Return windows opened with the parabola (d / width)^2 out to twice its width.

    Along rows, then along columns: a parabola is the sum of both (R. van den Boomgaard and A. W. M.
    Smeulders, IEEE Trans. Pattern Anal. Mach. Intell. 16 (1994) 1101). Beyond the edge lies what
    is at the edge.

    Parameters
    ----------
    windows : numpy.ndarray
        Shape (windows, rows, columns).
    width : float
        Pixels.
    """
    for lower in (True, False):
        for axis in (1, 2):
            windows = _slid(windows, width, axis, lower)
    return windows


def _slid(windows: Float32, width: float, axis: int, lower: bool) -> Float32:
    """Return the erosion of every line by a parabola, or its dilation."""
    reach = int(np.ceil(2 * width))
    size = windows.shape[axis]
    pads = [(reach, reach) if one == axis else (0, 0) for one in range(3)]
    padded = np.pad(windows, pads, mode="edge")
    found = windows.copy()
    for step in range(1, reach + 1):
        rise = np.float32((step / width) ** 2)
        for start in (reach - step, reach + step):
            part = np.take(padded, np.arange(start, start + size), axis=axis)
            if lower:
                np.minimum(found, part + rise, out=found)
            else:
                np.maximum(found, part - rise, out=found)
    return found
