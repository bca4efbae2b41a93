"""What readers of frames share: how large a pixel is, which way is up, and units."""

from __future__ import annotations

import logging
import math
import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nanopilot.core.errors import InvalidRequest, NanopilotError, ReadError, SignalError, UnitError
from nanopilot.core.signals import Axis, Signal, make_signal
from nanopilot.core.units import to_si

Array = np.ndarray[Any, np.dtype[Any]]
FirstRow = Literal["top", "bottom"]

#: A size told beside the file may differ by this part from the one in the file: rounding.
AGREES = 0.01
_SPELT = {"micron": "um", "microns": "um", "micrometer": "um", "nanometer": "nm", "å": "angstrom"}


class NoPixelSize(ReadError):
    """Neither the file nor the user says how large a pixel is; `pixel_size` is the way out."""


@dataclass(frozen=True, slots=True)
class Pixel:
    """Distance from one pixel to the next.

    Parameters
    ----------
    x, y : float
        Along a row and from row to row, in metres.
    source : str
        Who says so, for the notes and for messages.
    """

    x: float
    y: float
    source: str

    def __post_init__(self) -> None:
        if not all(math.isfinite(size) and size > 0 for size in (self.x, self.y)):
            raise ReadError(f"{self.source} says that a pixel is {self.x} m x {self.y} m.")


def pixel_of(file: Path, known: Pixel | None, pixel_size: float | None) -> Pixel:
    """Return the size of a pixel from what the file and the user say.

    Parameters
    ----------
    file : pathlib.Path
        For the messages.
    known : Pixel or None
        What the file says.
    pixel_size : float or None
        What the user says, in metres.

    Raises
    ------
    InvalidRequest
        `pixel_size` is no length.
    NoPixelSize
        Nobody says it.
    ReadError
        File and user contradict each other by more than 1 %.
    """
    if pixel_size is None:
        if known is None:
            raise NoPixelSize(
                f"`{file}` does not say how large a pixel is; say it in metres with "
                "`pixel_size=1e-9` (on the command line `--pixel-size '1 nm'`)."
            )
        return known
    if not (math.isfinite(pixel_size) and pixel_size > 0):
        raise InvalidRequest(f"`pixel_size` is {pixel_size} m; it is a length above zero.")
    if known is None:
        return Pixel(float(pixel_size), float(pixel_size), "`pixel_size`")
    if any(abs(pixel_size - size) > AGREES * size for size in (known.x, known.y)):
        raise ReadError(
            f"`pixel_size` is {pixel_size:.6g} m, but {known.source} of `{file}` says "
            f"{known.x:.6g} m x {known.y:.6g} m; leave `pixel_size` out, or save the frame in a "
            "file that does not say it if it is wrong there."
        )
    return known


def check_agrees(file: Path, signals: list[Signal], pixel_size: float | None) -> None:
    """Compare the frames of a file that knows its positions with what the user says.

    Raises
    ------
    ReadError
        They contradict each other by more than 1 %.
    """
    for signal in signals if pixel_size is not None else ():
        steps = [
            float(np.diff(signal[dim].to_numpy()).mean())
            for dim in ("x", "y")
            if dim in signal.dims and signal.sizes[dim] > 1
        ]
        if len(steps) == 2 and all(step > 0 for step in steps):
            pixel_of(file, Pixel(steps[0], steps[1], f"the channel {signal.name!r}"), pixel_size)


def check_finite(file: Path, signals: list[Signal]) -> None:
    """Refuse values that are missing.

    Raises
    ------
    ReadError
        Some are NaN or infinite.
    """
    for signal in signals:
        values = signal.to_numpy()
        bad = int((~np.isfinite(values)).sum()) if values.dtype.kind in "fc" else 0
        if bad:
            raise ReadError(
                f"`{file}`: of `{signal.name}`, {bad} of {values.size} values are NaN or infinite; "
                'read them as they are with `missing="keep"` (on the command line '
                "`--missing keep`)."
            )


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A frame or a stack of frames as a file has it.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (rows, columns) or (frames, rows, columns).
    name, quantity, units : str
        What it is called, what was measured, and its SI unit.
    about : mapping
        Notes of this frame alone.
    """

    values: Array
    name: str
    quantity: str
    units: str
    about: Mapping[str, Any]

    def to_signal(
        self, file: Path, pixel: Pixel, first_row: FirstRow, shared: Mapping[str, Any]
    ) -> Signal:
        """Return it with positions, x to the right and y upwards, both from zero.

        Raises
        ------
        ReadError
            There is nothing in it.
        """
        values = self.values
        if values.ndim not in (2, 3) or 0 in values.shape:
            raise ReadError(f"`{file}`: `{self.name}` has shape {values.shape}, which is no frame.")
        if first_row == "top":
            values = values[..., ::-1, :]
        rows, columns = values.shape[-2:]
        axes = {
            "y": Axis(np.arange(rows) * pixel.y, "m", "position"),
            "x": Axis(np.arange(columns) * pixel.x, "m", "position"),
        }
        if values.ndim == 3:
            axes = {"frame": Axis(np.arange(float(len(values))), "1", "frame"), **axes}
        about = {"pixel_size_from": pixel.source, "first_row": first_row, **shared, **self.about}
        try:
            signal = make_signal(
                np.ascontiguousarray(values.astype(values.dtype.newbyteorder("="), copy=False)),
                axes, quantity=self.quantity, units=self.units, metadata=about,
            )  # fmt: skip
        except SignalError as cause:
            raise ReadError(f"`{file}`: `{self.name}` is no signal: {cause}") from cause
        return signal.rename(self.name)


def check_first_row(first_row: str) -> None:
    """Refuse what is no side of a frame.

    Raises
    ------
    InvalidRequest
        It is neither top nor bottom.
    """
    if first_row not in ("top", "bottom"):
        raise InvalidRequest(f"`first_row` is {first_row!r}; it is 'top' or 'bottom'.")


def in_si(values: Array, units: str) -> tuple[Array, str, dict[str, str]]:
    """Return values in SI, their unit, and a note where the unit of the file has no factor.

    Such values stay as they are and are called arbitrary: degrees Celsius, decibel, no unit.
    """
    plain = units.strip(" \0")
    try:
        factor, unit = to_si(plain)
    except UnitError:
        return values, "a.u.", {"units_in_file": plain}
    return (values if factor == 1.0 else values * factor), unit, {}


def length_unit(text: str) -> float | None:
    r"""Return how many metres a unit of length is, however it is spelt, or None.

    Examples
    --------
    >>> length_unit("nm"), length_unit("\\u00B5m") == length_unit("micron") == 1e-6
    (1e-09, True)
    >>> print(length_unit("V"), length_unit(""))
    None None
    """
    plain = text.replace("\\u00B5", "u").replace("µ", "u").replace("μ", "u").strip(" \0")
    try:
        factor, unit = to_si(_SPELT.get(plain.lower(), plain))
    except UnitError:
        return None
    return factor if unit == "m" else None


@contextmanager
def guarded(file: Path, what: str) -> Iterator[None]:
    """Turn whatever a library raises over a damaged file into a `ReadError` of one line.

    Libraries also warn and log about files; who reads a file is told by an error or not at all.

    Parameters
    ----------
    file : pathlib.Path
        The file.
    what : str
        What it should be, such as ``"TIFF image"``.

    Raises
    ------
    ReadError
        The library gave up.
    """
    for name in ("tifffile", "rsciio", "PIL"):
        logger = logging.getLogger(name)
        if not logger.handlers:  # otherwise Python prints to standard error
            logger.addHandler(logging.NullHandler())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except NanopilotError:
            raise
        except Exception as cause:  # libraries raise anything over a damaged file
            told = " ".join(str(cause).split())[:200] or type(cause).__name__
            traceback.clear_frames(cause.__traceback__)  # closes what a library left open
            raise ReadError(
                f"`{file}` cannot be read as a {what} ({told}); it may be damaged or cut off: "
                "copy it again from where it was recorded."
            ) from cause
