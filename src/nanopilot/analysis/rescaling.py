"""Frames brought to the pixel size that a network or a method wants, and what was found, back.

Each pixel holds the mean over its area. Between the pixels a parabola is drawn that has the right
mean in each, and goes through the mean of both neighbours at each edge; new pixels are its means
over new areas (P. Colella and P. R. Woodward, J. Comput. Phys. 54 (1984) 174, equations 1.4 to 1.6,
without the limiter and with the simplest edges). So sums over area are kept to rounding, shrinking
is antialiased, and growing is smooth. What is made is linear in the frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.core.signals import Axis, Signal, make_signal, metadata

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
AnyArray = np.ndarray[Any, np.dtype[Any]]

#: Times by which a pixel may grow or shrink, pixels that may come of it, and rows or columns.
MOST_TIMES, MOST_PIXELS, LEAST = 64.0, 2**28, 8
#: Pixels of the frame that are worked on at once.
_AT_ONCE = 2**22
#: Steps between pixels may differ by so much of their mean.
_EVEN = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Rescaled:
    """A frame at another pixel size, and the way back.

    Parameters
    ----------
    frame : Signal
        Dims (y, x), over the same area in metres.
    shape : (int, int)
        Rows and columns of the frame that it was made of.
    """

    frame: Signal
    shape: tuple[int, int]

    @property
    def factors(self) -> tuple[float, float]:
        """Pixels of the first frame per pixel of this one, along rows and along columns."""
        rows, columns = self.frame.shape
        return self.shape[0] / rows, self.shape[1] / columns

    def labels_back(self, labels: AnyArray) -> AnyArray:
        """Return labels on the pixels of the first frame: those of the pixel they lie in.

        Parameters
        ----------
        labels : numpy.ndarray
            Whole numbers or truth values, shape of `frame`.

        Raises
        ------
        OutOfRange
            They have another shape.
        """
        if np.shape(labels) != self.frame.shape:
            raise OutOfRange(
                f"`labels` has shape {np.shape(labels)}; the rescaled frame has "
                f"{self.frame.shape}. Give labels of its pixels."
            )
        rows, columns = (
            np.minimum(((np.arange(was) + 0.5) * now / was).astype(int), now - 1)
            for was, now in zip(self.shape, self.frame.shape, strict=True)
        )
        return np.asarray(labels[np.ix_(rows, columns)])

    def points_back(self, points: AnyArray) -> FloatArray:
        """Return places on the pixels of the first frame.

        Parameters
        ----------
        points : numpy.ndarray
            Row and column in pixels of `frame`, centres of pixels at whole numbers, shape (n, 2).
        """
        return np.asarray((np.reshape(points, (-1, 2)) + 0.5) * self.factors - 0.5)

    def points_there(self, points: AnyArray) -> FloatArray:
        """Return places on the pixels of `frame`, of such on those of the first frame."""
        return np.asarray((np.reshape(points, (-1, 2)) + 0.5) / self.factors - 0.5)


def pixel_sizes(frame: Signal) -> tuple[float, float]:
    """Return how far rows and columns are apart, in metres.

    Raises
    ------
    SignalError
        The frame has other dims than y and x, one line only, or lines that are not evenly apart.
    """
    if set(frame.dims) != {"y", "x"}:
        raise SignalError(f"`frame` has dims {frame.dims}; it must have (y, x). Take one frame.")
    return _step(frame, "y"), _step(frame, "x")


def _step(frame: Signal, dim: str) -> float:
    places = frame[dim].to_numpy().astype(np.float64)
    if places.size < 2:
        raise SignalError(f"`{dim}` has {places.size} pixels; 2 are needed to know their size.")
    steps = np.diff(places)
    mean = float(steps.mean())
    if not np.isfinite(mean) or mean == 0 or np.abs(steps - mean).max() > _EVEN * abs(mean):
        raise SignalError(
            f"`{dim}` is not evenly sampled: steps of {steps.min():.3g} m to {steps.max():.3g} m. "
            "Undistort the frame first."
        )
    return abs(mean)


def rescale(frame: Signal, pixel_size: float) -> Rescaled:
    """Return a frame with square pixels of about this size, over the same area.

    The area is cut into whole pixels, so they come out larger or smaller by up to half a pixel
    in all rows or columns together. Beyond the result, memory for some 4 million pixels is used.

    Parameters
    ----------
    frame : Signal
        Dims y and x, each evenly sampled. A pixel that is not finite makes all not finite that it
        has a part in.
    pixel_size : float
        Metres.

    Raises
    ------
    SignalError
        It is no frame, or it is not evenly sampled.
    OutOfRange
        The pixel size is none, or so far from the frame's that nothing sensible would be left.
    """
    sizes = pixel_sizes(frame)
    turned = frame.transpose("y", "x")
    shape = (turned.shape[0], turned.shape[1])
    wanted = _wanted(shape, sizes, pixel_size)
    values = turned.data
    kind = np.float32 if values.dtype == np.float32 else np.float64
    result = np.array(values, dtype=kind) if wanted == shape else _remade(values, wanted, kind)
    axes = {
        dim: Axis(_centres(turned[dim].to_numpy(), count), "m", turned[dim].attrs["quantity"])
        for dim, count in zip(("y", "x"), wanted, strict=True)
    }
    made = make_signal(
        result,
        axes,
        quantity=turned.attrs["quantity"],
        units=turned.attrs["units"],
        metadata=metadata(turned),
    )
    return Rescaled(made.rename(frame.name), shape)


def _wanted(
    shape: tuple[int, int], sizes: tuple[float, float], pixel_size: float
) -> tuple[int, int]:
    """Return rows and columns, or say why not."""
    if not (math.isfinite(pixel_size) and pixel_size > 0):
        raise OutOfRange(f"`pixel_size` is {pixel_size} m; it has to be more than 0.")
    area = f"a frame of {shape[0]} x {shape[1]} pixels of {sizes[0]:.3g} m x {sizes[1]:.3g} m"
    way_out = "Check that the frame's coordinates are in metres, and the pixel size that is asked."
    times = [max(pixel_size / size, size / pixel_size) for size in sizes]
    if max(times) > MOST_TIMES:
        raise OutOfRange(
            f"`pixel_size` is {pixel_size:.3g} m for {area}: {max(times):.3g} times another size; "
            f"at most {MOST_TIMES:g} times is allowed. {way_out}"
        )
    rows, columns = (
        max(1, round(count * size / pixel_size)) for count, size in zip(shape, sizes, strict=True)
    )
    if min(rows, columns) < min(LEAST, *shape) or rows * columns > MOST_PIXELS:
        raise OutOfRange(
            f"`pixel_size` is {pixel_size:.3g} m: {rows} x {columns} pixels would come of {area}; "
            f"{LEAST} rows and columns to {MOST_PIXELS} pixels are allowed. {way_out} Or take a "
            "larger or smaller part of the frame."
        )
    return rows, columns


def _centres(places: AnyArray, count: int) -> FloatArray:
    """Return centres of so many pixels over the area of these."""
    was = places.size
    step = (float(places[-1]) - float(places[0])) / (was - 1)
    if count == was:
        return np.asarray(places, dtype=np.float64)
    edge = float(places[0]) - step / 2
    return np.asarray(edge + (np.arange(count) + 0.5) * step * was / count)


def _remade(values: Any, wanted: tuple[int, int], kind: type) -> AnyArray:
    """Return the means over new pixels, a band of rows at a time."""
    down, across = (_weights(was, now) for was, now in zip(values.shape, wanted, strict=True))
    result: AnyArray = np.empty(wanted, dtype=kind)
    band = max(1, int(_AT_ONCE / max(values.shape[1], wanted[1]) * wanted[0] / values.shape[0]))
    band = min(band, max(1, _AT_ONCE // max(values.shape[1], wanted[1])))
    for start in range(0, wanted[0], band):
        part = down[start : start + band]
        low, high = int(part.indices.min()), int(part.indices.max()) + 1
        rows = np.asarray(values[low:high], dtype=np.float64)
        # Along columns first where that makes less of them.
        if wanted[1] < values.shape[1]:
            result[start : start + band] = part[:, low:high] @ (across @ rows.T).T
        else:
            result[start : start + band] = (across @ (part[:, low:high] @ rows).T).T
    return result


def _weights(was: int, now: int) -> Any:
    """Return what each old pixel adds to each new one, a sparse matrix of shape (now, was)."""
    from scipy.sparse import csr_array

    # Old pixels in units of which new edges lie; whole numbers are computed, not added up.
    edges = np.arange(now + 1) * was / now
    pixel = np.minimum(edges.astype(int), was - 1)
    part = edges - pixel
    # Integral of the parabola from the pixel's edge on, by what both edges and the mean add.
    left = part - 2 * part**2 + part**3
    right = part**3 - part**2
    mean = 3 * part**2 - 2 * part**3
    columns = [np.maximum(pixel - 1, 0), pixel, np.minimum(pixel + 1, was - 1)]
    adds = [left / 2, left / 2 + right / 2 + mean, right / 2]
    index = np.arange(now + 1)
    within = csr_array(
        (np.concatenate(adds), (np.tile(index, 3), np.concatenate(columns))), shape=(now + 1, was)
    )
    # Whole pixels between two edges.
    rows = np.repeat(np.arange(now), np.diff(pixel))
    between = np.arange(pixel[0], pixel[-1])
    whole = csr_array((np.ones(between.size), (rows, between)), shape=(now, was))
    found = csr_array((within[1:] - within[:-1] + whole) * (now / was))
    # What cancels must not spread pixels that are not finite.
    found.data[np.abs(found.data) < 1e-12] = 0.0
    found.eliminate_zeros()
    return found
