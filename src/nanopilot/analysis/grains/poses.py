"""The eight ways to lay a frame: a result should not depend on how a file was stored."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

AnyArray = np.ndarray[Any, np.dtype[Any]]

#: (quarter turns, mirrored afterwards), the first leaves all as it is.
POSES: tuple[tuple[int, bool], ...] = tuple(
    (quarters, mirrored) for mirrored, quarters in product((False, True), range(4))
)
#: Digits to which values are compared: rounding must not choose.
_DIGITS = 9


def posed(image: AnyArray, pose: tuple[int, bool]) -> AnyArray:
    """Turn, then mirror, the last two axes of an array.

    Parameters
    ----------
    image : numpy.ndarray
        Shape (..., rows, columns).
    pose : (int, bool)
        One of `POSES`.
    """
    turned = np.rot90(image, pose[0], axes=(-2, -1))
    return np.ascontiguousarray(turned[..., ::-1] if pose[1] else turned)


def unposed(image: AnyArray, pose: tuple[int, bool]) -> AnyArray:
    """Undo `posed`."""
    turned = image[..., ::-1] if pose[1] else image
    return np.ascontiguousarray(np.rot90(turned, -pose[0], axes=(-2, -1)))


def canonical(image: AnyArray) -> tuple[int, bool]:
    """Return the pose in which all eight ways to lay an image look the same.

    Whatever is worked out in this pose, and laid back, turns and flips with the frame: among the
    eight the one is taken whose pixels, read row by row, come first.

    Parameters
    ----------
    image : numpy.ndarray
        Finite, range about 1, shape (rows, columns).
    """
    rounded = np.round(image, _DIGITS) + 0.0
    chosen, best = POSES[0], posed(rounded, POSES[0])
    for pose in POSES[1:]:
        laid = posed(rounded, pose)
        if _before(laid, best):
            chosen, best = pose, laid
    return chosen


def _before(first: AnyArray, second: AnyArray) -> bool:
    if first.shape != second.shape:
        return bool(first.shape < second.shape)
    one, two = first.ravel(), second.ravel()
    differ = np.flatnonzero(one != two)
    return bool(differ.size and one[differ[0]] < two[differ[0]])
