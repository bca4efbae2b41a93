"""How a tip of finite size sees a surface, and what can be told back from what it saw.

A tip is given by its shape ``t``: the height of its flank above its apex, in metres, at a
displacement from the apex; 0 at the apex, infinite where there is no tip. At a place x it comes
to rest where it first touches, at ``max over u of s(x + u) - t(u)``: grey-scale dilation of the
surface by the reflected tip. J. S. Villarrubia, J. Res. Natl. Inst. Stand. Technol. 102 (1997) 425.

Twins image with it and analysis inverts it, so that it lives where both may import it.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from nanopilot.core.errors import SignalError

Array = np.ndarray[Any, np.dtype[np.floating[Any]]]


def dilate(surface: Array, tip: Array) -> Array:
    """Return the image that a tip makes of a surface.

    Beyond the edge of the surface there is nothing to touch.

    Parameters
    ----------
    surface : numpy.ndarray
        Heights in metres, shape (rows, columns), finite; float32 or float64.
    tip : numpy.ndarray
        Shape of the tip in metres on the same pixels, odd number of rows and columns, apex in
        the middle; infinite where there is none.

    Returns
    -------
    numpy.ndarray
        Heights of the apex at contact, same shape and type as `surface`.

    Raises
    ------
    SignalError
        A surface with NaN, or a tip that is none.

    Examples
    --------
    >>> spike = np.zeros((5, 5)); spike[2, 2] = 3.0
    >>> tip = np.full((3, 3), 1.0); tip[1, 1] = 0.0
    >>> dilate(spike, tip)[1:4, 1:4].tolist()
    [[2.0, 2.0, 2.0], [2.0, 3.0, 2.0], [2.0, 2.0, 2.0]]
    """
    checked, shape = _checked(surface, tip)
    image = np.full_like(checked, -np.inf)
    _dilate(checked, shape, image)
    return image


def erode(image: Array, tip: Array) -> Array:
    """Return the highest surface that could have made an image with this tip.

    Nowhere below the true surface, and equal to it where the tip touched; parameters, return
    and errors as of `dilate`.

    Examples
    --------
    >>> spike = np.zeros((7, 7)); spike[3, 3] = 3.0
    >>> tip = np.full((3, 3), 1.0); tip[1, 1] = 0.0
    >>> bool((erode(dilate(spike, tip), tip) >= spike).all())
    True
    """
    # min over u of I(x - u) + t(u) is -(max over v of -I(x + v) - t(-v)).
    return -dilate(-np.asarray(image), np.asarray(tip)[::-1, ::-1])


def _checked(surface: Array, tip: Array) -> tuple[Array, Array]:
    surface = np.asarray(surface)
    if surface.dtype not in (np.float32, np.float64):
        surface = surface.astype(np.float64)
    if surface.ndim != 2 or not np.isfinite(surface).all():
        raise SignalError(
            f"`surface` has shape {surface.shape} with {np.count_nonzero(~np.isfinite(surface))} "
            "values that are no numbers; it must be (rows, columns) of finite heights. "
            "Fill or crop what was not measured."
        )
    shape = np.asarray(tip)
    odd = shape.ndim == 2 and shape.shape[0] % 2 == 1 and shape.shape[1] % 2 == 1
    if not odd or np.isnan(shape).any() or not np.isfinite(shape).any():
        raise SignalError(
            f"`tip` has shape {shape.shape}; it must have an odd number of rows and columns, no "
            "NaN, and the apex in the middle."
        )
    return np.ascontiguousarray(surface), np.ascontiguousarray(shape, surface.dtype)


@numba.njit(cache=True, parallel=True, fastmath={"nsz", "contract", "nnan"})
def _dilate(surface: Array, tip: Array, image: Array) -> None:
    rows, columns = surface.shape
    up, right = tip.shape[0] // 2, tip.shape[1] // 2
    for row in numba.prange(rows):
        i = np.int64(row)  # prange counts without a sign
        out = image[i]
        for u in range(max(-up, -i), min(up, rows - 1 - i) + 1):
            line = surface[i + u]
            for v in range(max(-right, 1 - columns), min(right, columns - 1) + 1):
                height = tip[up + u, right + v]
                if height == np.inf:
                    continue
                first, last = max(0, -v), min(columns, columns - v)
                # Slices that begin at 0 let the compiler use vector instructions.
                target, source = out[first:last], line[first + v : last + v]
                for j in range(last - first):
                    target[j] = max(target[j], source[j] - height)
