"""Frames as the fit wants them: counts in the order of time, and what was told of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from nanopilot.core.errors import InvalidRequest, ReadError, SignalError
from nanopilot.core.signals import Signal, metadata
from nanopilot.core.units import Angle, Duration, Length
from nanopilot.core.values import Value
from nanopilot.io.readers import read
from nanopilot.models.electron_optics import VOLTAGES

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
Detector = Literal["haadf", "maadf", "abf", "bf"]

#: Files of recordings, which say by their axes how they were scanned.
_NSID = (".h5", ".hdf5", ".hf5")
#: Fewest lines and columns.
SMALLEST = 64


class Conditions(Value):
    """How frames were recorded; what a file says itself need not be told.

    Parameters
    ----------
    pixel_size, dwell_time : float, optional
        Metres and seconds per pixel.
    line_time, frame_time : float, optional
        Seconds from line to line and from frame to frame; without pauses unless told otherwise.
    voltage, current, convergence_angle : float, optional
        Volts, amperes, radians.
    detector : {"haadf", "maadf", "abf", "bf"}
        Which one it was.
    focus_step : float
        By how much C1 was raised from frame to frame, in metres; 0: no focal series.
    """

    pixel_size: Length | None = Field(default=None, gt=0, le=1e-7)
    dwell_time: Duration | None = Field(default=None, gt=0, le=10)
    line_time: Duration | None = Field(default=None, gt=0)
    frame_time: Duration | None = Field(default=None, gt=0)
    voltage: float | None = Field(default=None, ge=VOLTAGES[0], le=VOLTAGES[1])
    current: float | None = Field(default=None, gt=0, le=1e-7)
    convergence_angle: Angle | None = Field(default=None, gt=0, le=0.1)
    detector: Detector = "haadf"
    focus_step: Length = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class StemFrames:
    """Frames of one place, or of several, recorded alike.

    Parameters
    ----------
    name : str
        What they are called.
    counts : numpy.ndarray
        Shape (frames, rows, columns), row 0 at the lowest y and first in time.
    pixel, dwell : float
        Metres and seconds per pixel.
    begins : numpy.ndarray
        When every frame's first line began, in seconds, shape (frames,).
    wait : float
        Seconds between lines.
    told : Conditions
        What else is known.
    one_place : bool
        Whether all show the same place.
    dark : numpy.ndarray, optional
        Counts with the beam blanked.
    """

    name: str
    counts: FloatArray
    pixel: float
    dwell: float
    begins: FloatArray
    wait: float = 0.0
    told: Conditions = Conditions()
    one_place: bool = True
    dark: FloatArray | None = None

    def __post_init__(self) -> None:
        shape = self.counts.shape
        if len(shape) != 3 or min(shape[1:]) < SMALLEST or not np.isfinite(self.counts).all():
            raise SignalError(
                f"`counts` of {self.name} has shape {shape} with "
                f"{np.count_nonzero(~np.isfinite(self.counts))} values that are no numbers; a fit "
                f"takes whole frames of {SMALLEST} x {SMALLEST} pixels or more."
            )
        for number, one in enumerate(self.counts):
            if not np.ptp(one) > 0:
                raise SignalError(f"`counts` of {self.name} is flat in frame {number}.")

    @property
    def line_seconds(self) -> float:
        """From the beginning of a line to that of the next."""
        return float(self.counts.shape[2] * self.dwell + self.wait)

    @property
    def width(self) -> tuple[float, float]:
        """From the first to the last column and row, in metres."""
        rows, columns = self.counts.shape[1:]
        return self.pixel * (columns - 1), self.pixel * (rows - 1)

    def lines_of(self, frame: int) -> FloatArray:
        """Return when the lines of a frame began, in seconds, shape (rows,)."""
        found: FloatArray = self.begins[frame] + self.line_seconds * np.arange(self.counts.shape[1])
        return found


def frames_of(signal: Signal, told: Conditions | None = None, name: str = "frames") -> StemFrames:
    """Return frames from a signal.

    Parameters
    ----------
    signal : Signal
        Dims (y, x) or (frame, y, x); with the coordinate ``time`` it says itself when every pixel
        was recorded.
    told : Conditions, optional
        Wins over what the signal says.
    name : str
        What it is called.

    Raises
    ------
    InvalidRequest
        Pixels are not square, or nobody says how long a pixel took.
    SignalError
        There are too few pixels, or none that differ.
    """
    told = told or Conditions()
    dims = ("frame", "y", "x") if "frame" in signal.dims else ("y", "x")
    if set(dims) != set(signal.dims):
        raise InvalidRequest(f"`{name}` has dims {signal.dims}; a fit takes (frame, y, x).")
    signal = signal.transpose(*dims)
    counts = np.asarray(signal.to_numpy(), dtype=float).reshape(-1, *signal.shape[-2:])
    pixel = told.pixel_size or _pixel(signal, name)
    known = _times(signal, counts.shape)
    dwell = told.dwell_time or (
        float(known[0, 0, 1] - known[0, 0, 0]) if known is not None else None
    )
    if dwell is None:
        dwell = _noted(signal)
    if dwell is None:
        raise InvalidRequest(f"`dwell_time` of {name} is not in the file; give it in seconds.")
    plain = _even(name, counts, pixel, dwell, told)
    if known is None:
        return plain
    line = told.line_time or float(known[0, 1, 0] - known[0, 0, 0])
    return replace(plain, begins=known[:, 0, 0], wait=max(line - counts.shape[2] * dwell, 0.0))


def _even(
    name: str, counts: FloatArray, pixel: float, dwell: float, told: Conditions
) -> StemFrames:
    rows, columns = counts.shape[1:]
    line = told.line_time or columns * dwell
    if line < columns * dwell * (1 - 1e-6):
        raise InvalidRequest(
            f"`line_time` is {line:g} s; {columns} pixels take {columns * dwell:g} s."
        )
    frame = told.frame_time or rows * line
    begins: FloatArray = frame * np.arange(len(counts), dtype=np.float64)
    return StemFrames(name, counts, pixel, dwell, begins, max(line - columns * dwell, 0.0), told)


def _pixel(signal: Signal, name: str) -> float:
    x, y = (abs(float(np.mean(np.diff(signal[dim].to_numpy())))) for dim in ("x", "y"))
    if not abs(x / y - 1) < 0.01:
        raise InvalidRequest(
            f"`{name}` has pixels of {x:.4g} m x {y:.4g} m; a fit takes square ones: resample it."
        )
    return x


def _times(signal: Signal, shape: tuple[int, ...]) -> FloatArray | None:
    if "time" not in signal.coords or signal["time"].ndim < 2:
        return None
    times = np.asarray(signal["time"].to_numpy(), dtype=float)
    return np.broadcast_to(times, shape) if times.ndim == 2 else times.reshape(shape)


def _noted(signal: Signal) -> float | None:
    """Return seconds per pixel from what the file says of itself."""
    noted: Any = metadata(signal).get("original_metadata", {})
    for key in ("dwell_time", "DwellTime", "pixel_time", "PixelTime"):
        if isinstance(noted, dict) and isinstance(noted.get(key), int | float):
            return float(noted[key])
    return None


def read_frames(
    paths: Sequence[str | Path],
    told: Conditions | None = None,
    *,
    dark: str | Path | None = None,
    one_place: bool = True,
) -> StemFrames:
    """Return the frames in files, in the order in which they are named.

    Parameters
    ----------
    paths : sequence of str or Path
        Files that a reader knows, or ``.npy`` arrays, (rows, columns) or (frames, rows, columns);
        of the latter `told` has pixel size and dwell time.
    told : Conditions, optional
        What the files do not say.
    dark : str or Path, optional
        A frame with the beam blanked.
    one_place : bool
        Whether all show the same place, one after the other.

    Raises
    ------
    ReadError
        A file cannot be read.
    InvalidRequest
        There is none, they are not alike, or something is not known.
    """
    told = told or Conditions()
    if not paths:
        raise InvalidRequest("`paths` is empty; give one file or more.")
    each = [_read(Path(path), told) for path in paths]
    first = each[0]
    for one in each[1:]:
        if (
            one.counts.shape[1:] != first.counts.shape[1:]
            or abs(one.pixel / first.pixel - 1) > 1e-3
        ):
            raise InvalidRequest(
                f"`{one.name}` has {one.counts.shape[1:]} pixels of {one.pixel:.4g} m and "
                f"`{first.name}` {first.counts.shape[1:]} of {first.pixel:.4g} m; fit them apart."
            )
    blank = None if dark is None else _read(Path(dark), told).counts
    joined = replace(first, one_place=one_place, dark=blank)
    if len(each) > 1:
        counts = np.concatenate([one.counts for one in each])
        step = told.frame_time or counts.shape[1] * first.line_seconds
        name = f"{first.name} and {len(each) - 1} more"
        begins: FloatArray = step * np.arange(len(counts), dtype=np.float64)
        joined = replace(joined, name=name, counts=counts, begins=begins)
    return joined


def _read(path: Path, told: Conditions) -> StemFrames:
    if path.suffix.lower() == ".npy":
        counts = _array(path)
        if told.pixel_size is None or told.dwell_time is None:
            raise InvalidRequest(
                f"`{path.name}` says neither `pixel_size` nor `dwell_time`; give both."
            )
        return _even(path.name, counts, told.pixel_size, told.dwell_time, told)
    # The line that was scanned first stays the first, whichever way up a picture is stored.
    order: dict[str, Any] = {} if path.suffix.lower() in _NSID else {"first_row": "bottom"}
    signals = read(path, pixel_size=told.pixel_size, **order)
    images = [one for one in signals if {"y", "x"} <= set(one.dims) <= {"frame", "y", "x"}]
    if not images:
        raise InvalidRequest(f"`{path.name}` has no image over x and y.")
    named = [one for one in images if told.detector in str(one.name).lower()]
    return frames_of((named or images)[0], told, path.name)


def _array(path: Path) -> FloatArray:
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as cause:
        raise ReadError(f"`{path}` cannot be read as an array: {cause}") from cause
    if found.ndim not in (2, 3) or found.dtype.kind not in "iuf":
        raise ReadError(
            f"`{path}` holds {found.dtype} of shape {found.shape}; it is numbers of shape "
            "(rows, columns) or (frames, rows, columns)."
        )
    counts: FloatArray = found.astype(float).reshape(-1, *found.shape[-2:])
    return counts
