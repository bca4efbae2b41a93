"""The neighbourhood of every pixel: patches of an image, and their principal components."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from nanopilot.analysis.despike import NORMAL_MAD
from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.core.features import FeatureTable
from nanopilot.core.history import FloatArray
from nanopilot.core.signals import Signal
from nanopilot.models.threads import one_thread

View = Literal["value", "magnitude"]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True)
class Window:
    """The square that is looked at round a pixel.

    Parameters
    ----------
    pixels : int
        Width and height, odd, so that the pixel is the true centre.
    metres : float, optional
        Width and height in metres instead; taken to the nearest odd number of pixels along
        each axis, at least 3.
    """

    pixels: int = 9
    metres: float | None = None

    def shape(self, image: Signal) -> tuple[int, int]:
        """Return the rows and columns of the window in one image.

        Raises
        ------
        OutOfRange
            The window is even or larger than the image.
        """
        rows, columns = self.pixels, self.pixels
        if self.metres is not None:
            rows, columns = (
                max(3, 2 * round((self.metres / _pitch(image, dim) - 1) / 2) + 1)
                for dim in ("y", "x")
            )
        if min(rows, columns) < 1 or rows % 2 == 0 or columns % 2 == 0:
            raise OutOfRange(f"`pixels` is {self.pixels}; a window with a centre is odd.")
        if rows > image.sizes["y"] or columns > image.sizes["x"]:
            raise OutOfRange(
                f"the window has {rows} x {columns} pixels, the image "
                f"{image.sizes['y']} x {image.sizes['x']}; make the window smaller."
            )
        return rows, columns


def sample_patches(values: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """Return the window round every pixel, row by row, shape (rows * columns, window pixels).

    Beyond the edge the image is continued by its reflection, the edge pixel not repeated:
    windows there hold some pixels twice.

    Parameters
    ----------
    values : numpy.ndarray
        Image, shape (rows, columns).
    shape : (int, int)
        Rows and columns of the window, both odd.

    Examples
    --------
    >>> sample_patches(np.arange(9.0).reshape(3, 3), (3, 3))[0].tolist()
    [4.0, 3.0, 4.0, 1.0, 0.0, 1.0, 4.0, 3.0, 4.0]
    """
    padded = np.pad(values, [(size // 2, size // 2) for size in shape], mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, shape)
    return windows.reshape(values.size, shape[0] * shape[1])


def robust_scale(values: FloatArray) -> FloatArray:
    """Return values brought to one scale that spikes can neither set nor leave.

    arcsinh((v - median) / σ), σ being 1.4826 times the median absolute deviation: linear
    within the noise, logarithmic beyond. NaN becomes 0, the median.

    Parameters
    ----------
    values : numpy.ndarray
        Any shape, at least one finite value.
    """
    known = values[np.isfinite(values)]
    middle = np.median(known)
    scale = NORMAL_MAD * float(np.median(np.abs(known - middle))) or float(known.std()) or 1.0
    return np.arcsinh(np.where(np.isfinite(values), (values - middle) / scale, 0.0))


@dataclass(frozen=True, slots=True)
class PatchPCA:
    """Principal components of the patch round every pixel, after robust scaling.

    Patches are seen in two views: the value, and its magnitude, because neighbourhoods that
    differ by their sign alone, such as two sides of a domain wall, are alike in one and not
    in the other. The components of all views share one scale (mean square 1 per column), so
    that distances between rows are distances between patches.

    Parameters
    ----------
    window : int
        Width of the patch in pixels, odd.
    window_metres : float, optional
        Width of the patch in metres instead.
    components : int
        How many per view.
    views : tuple of {"value", "magnitude"}
        Which views.
    """

    window: int = 9
    window_metres: float | None = None
    components: int = 16
    views: tuple[View, ...] = ("value",)

    def __call__(self, image: Signal) -> FeatureTable:
        """Return the components of every pixel, row by row, in the group ``"structure"``.

        Pixels that are NaN enter as the median of the image; `flagged` names the sites
        whose patch they touch, and the components are learned from the other ones.

        Raises
        ------
        SignalError
            The signal is no image, or has no finite pixel.
        """
        scaled = robust_scale(pixels_of(image))
        shape = Window(self.window, self.window_metres).shape(image)
        sound = ~self.flagged(image)
        parts, names = [], []
        for view in self.views:
            seen = scaled if view == "value" else np.abs(scaled)
            scores = principal_components(sample_patches(seen, shape), self.components, sound)
            parts.append(scores)
            names += [f"{view}_{number}" for number in range(scores.shape[1])]
        values = np.hstack(parts)
        size = float(np.sqrt(np.mean(values**2))) or 1.0
        return FeatureTable(values / size, tuple(names), ("structure",) * len(names))

    def flagged(self, image: Signal) -> BoolArray:
        """Tell which sites have NaN in their patch, row by row, shape (sites,)."""
        missing = ~np.isfinite(pixels_of(image))
        shape = Window(self.window, self.window_metres).shape(image)
        return np.asarray(sample_patches(missing.astype(float), shape).any(axis=1))


def principal_components(rows: FloatArray, count: int, sound: BoolArray) -> FloatArray:
    """Return the scores of every row on the first principal components.

    The sign of a component, which the decomposition leaves open, makes its loading of
    largest magnitude positive.

    Parameters
    ----------
    rows : numpy.ndarray
        Shape (n, d).
    count : int
        How many components; at most d are returned.
    sound : numpy.ndarray of bool
        Rows to learn from, shape (n,); all when there is none.

    Returns
    -------
    numpy.ndarray
        Shape (n, min(count, d)).
    """
    learned = rows[sound] if sound.any() else rows
    with one_thread():
        scatter = np.cov(learned, rowvar=False, bias=True).reshape(rows.shape[1], -1)
        _, vectors = np.linalg.eigh(scatter)
        vectors = vectors[:, ::-1][:, :count]
        strongest = np.argmax(np.abs(vectors), axis=0)
        signs = np.sign(vectors[strongest, np.arange(vectors.shape[1])])
        return np.asarray((rows - learned.mean(axis=0)) @ (vectors * signs))


def pixels_of(image: Signal) -> FloatArray:
    """Return the pixels of an image, dims (y, x), as float64.

    Raises
    ------
    SignalError
        The signal is no image, or has no finite pixel.
    """
    if set(image.dims) != {"y", "x"}:
        raise SignalError(f"`dims` is {image.dims}; an image has ('y', 'x').")
    values = image.transpose("y", "x").to_numpy().astype(float)
    if not np.isfinite(values).any():
        raise SignalError("the image has no finite pixel.")
    return values


def _pitch(image: Signal, dim: str) -> float:
    return float(abs(np.diff(image[dim].to_numpy()).mean()))
