"""A frame made ready: every pixel a number, square pixels, one way to lie, level."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt

from nanopilot.analysis.frame_arrays import rows_of
from nanopilot.analysis.grains.flattening import flatten, noise_of
from nanopilot.analysis.grains.poses import canonical, posed, unposed
from nanopilot.analysis.grains.scale import DIAMETERS, correlation_length
from nanopilot.analysis.rescaling import Rescaled, pixel_sizes, rescale
from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.core.signals import Axis, Signal, make_signal

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: Rows and columns that a frame needs, and the share of pixels that have to be measured.
LEAST, _MEASURED = 24, 0.5
#: Pixels oblong by more than this are made square.
_OBLONG = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A frame as methods want it, and the way back.

    Parameters
    ----------
    frame : Signal
        As it came, dims (y, x), both ascending.
    level : numpy.ndarray
        Levelled heights in metres on square pixels, laid as `pose` says.
    pose : (int, bool)
        One of `nanopilot.analysis.grains.poses.POSES`.
    measured : numpy.ndarray of bool
        Of the frame as it came.
    length, noise : float
        Correlation length in pixels of `level`, NaN if all is noise; standard deviation of white
        noise in metres.
    square : Rescaled or None
        How its pixels were made square.
    """

    frame: Signal
    level: FloatArray
    pose: tuple[int, bool]
    measured: BoolArray
    length: float
    noise: float
    square: Rescaled | None

    @property
    def diameter(self) -> float:
        """About that of a grain, in pixels of `level`."""
        return DIAMETERS * self.length

    @property
    def signal_to_noise(self) -> float:
        """Variance of the surface over that of white noise, in decibels."""
        if not self.noise > 0:
            return math.inf
        surface = float(self.level.var()) - self.noise**2
        return 10 * math.log10(max(surface, 1e-300) / self.noise**2)

    def at_diameter(self, wanted: float) -> Rescaled:
        """Return the level at a pixel size at which a grain is about so many pixels wide."""
        y, x = (Axis(np.arange(size) + 0.0, "m", "position") for size in self.level.shape)
        signal = make_signal(self.level, {"y": y, "x": x}, quantity="height", units="m")
        return rescale(signal, self.diameter / wanted)

    def labels_back(self, labels: IntArray) -> tuple[Signal, IntArray]:
        """Return labels of the pixels of `level` as a signal over the frame as it came.

        They are 1, 2, ... without gaps; beside them what each was before: one that has lost all
        its pixels on the way is gone.
        """
        turned = unposed(labels, self.pose)
        if self.square is not None:
            turned = self.square.labels_back(turned)
        turned = np.where(self.measured, turned, 0)
        names, dense = np.unique(turned, return_inverse=True)
        first = 0 if names[0] == 0 else 1
        made = self.frame.copy(data=dense.reshape(turned.shape).astype(np.int64) + first)
        made.attrs = self.frame.attrs | {"quantity": "label", "units": "1"}
        return made.rename("grain"), names[names > 0].astype(np.int64)

    def level_back(self) -> FloatArray:
        """Return levelled heights over the frame as it came, shape (rows, columns)."""
        level = unposed(self.level, self.pose)
        if self.square is None:
            return level
        rows, columns = (
            np.minimum(((np.arange(was) + 0.5) * now / was).astype(int), now - 1)
            for was, now in zip(self.frame.shape, level.shape, strict=True)
        )
        return np.asarray(level[np.ix_(rows, columns)])


def prepare(frame: Signal, *, pose: tuple[int, bool] | None = None) -> Prepared:
    """Check a frame of heights and make it ready.

    Parameters
    ----------
    frame : Signal
        Heights, dims y and x in metres, evenly sampled; NaN where nothing was measured.
    pose : (int, bool), optional
        How it is laid while it is worked on; None: in the way that is the same however the frame
        was stored, so that the result turns and flips with the frame.

    Raises
    ------
    SignalError
        It is no frame, flat, not evenly sampled, less than half measured, or of another quantity
        than height in metres.
    OutOfRange
        It has fewer than 24 rows or columns.
    """
    frame, values = rows_of(frame)
    frame = frame.sortby(["y", "x"])
    values = frame.to_numpy().astype(np.float64)
    if min(values.shape) < LEAST:
        raise OutOfRange(
            f"`frame` has {values.shape[0]} x {values.shape[1]} pixels; grains need {LEAST} along "
            "both axes. Scan more lines, or more pixels a line."
        )
    measured = np.isfinite(values)
    if measured.mean() < _MEASURED:
        raise SignalError(
            f"`frame` is measured in {measured.mean():.0%} of its pixels; half at least is needed. "
            "Crop it to the lines that were scanned."
        )
    sizes = pixel_sizes(frame)
    square = None
    filled = values if measured.all() else _filled(values, measured)
    if abs(sizes[0] / sizes[1] - 1) > _OBLONG:
        square = rescale(frame.copy(data=filled), math.sqrt(sizes[0] * sizes[1]))
        filled = square.frame.to_numpy()
    scale = float(np.ptp(filled))
    if not scale > 1e-12 * float(np.abs(filled).max()):
        raise SignalError("`frame` is flat; there is no surface in it. Check the channel.")
    # The smallest numbers of a height in metres would underflow where they are squared.
    unit = (filled - float(filled.mean())) / scale
    pose = canonical(unit) if pose is None else pose
    level = flatten(posed(unit, pose))
    return Prepared(
        frame, level * scale, pose, measured, correlation_length(level),
        noise_of(level) * scale, square,
    )  # fmt: skip


def _filled(values: FloatArray, measured: BoolArray) -> FloatArray:
    """Return values with those not measured taken from the nearest that were."""
    nearest = distance_transform_edt(~measured, return_distances=False, return_indices=True)
    return np.asarray(values[tuple(np.asarray(nearest))])
