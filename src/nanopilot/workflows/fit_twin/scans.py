"""A scan as the fit wants it: heights in the order of time, and how fast they were recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nanopilot.core.errors import InvalidRequest, SignalError
from nanopilot.core.signals import Signal, metadata
from nanopilot.io.readers import read

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Channels that a loop holds, and with what sign their excess is a height that was missed.
_HELD = {"deflection": 1.0, "amplitude": -1.0}
#: Fewest lines and columns.
SMALLEST = 32


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """One raster scan; every array has shape (lines, columns), lines in the order of time.

    Parameters
    ----------
    name : str
        Of the file.
    height : mapping of str to numpy.ndarray
        Metres, for ``"trace"``, ``"retrace"`` or both; columns from left to right.
    error : mapping of str to numpy.ndarray
        The held signal's error in metres, positive where the tip is too far away; may be empty.
    pitch : float
        Metres per pixel.
    line_rate : float
        Lines per second, there and back.
    mode : {"contact", "tapping"}
        What the loop holds.
    setpoint : float
        Mean of the held signal in metres; 0: not known.
    told : mapping
        What the file says of the instrument.
    """

    name: str
    height: Mapping[str, FloatArray]
    pitch: float
    line_rate: float
    error: Mapping[str, FloatArray] = field(default_factory=dict)
    mode: str = "contact"
    setpoint: float = 0.0
    told: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.height or not set(self.height) <= {"trace", "retrace"}:
            raise InvalidRequest(
                f"`height` of {self.name} has {', '.join(self.height) or 'nothing'}; "
                "it has 'trace', 'retrace' or both."
            )
        for one in (*self.height.values(), *self.error.values()):
            if one.shape != self.shape or min(one.shape) < SMALLEST or not np.isfinite(one).all():
                raise SignalError(
                    f"`height` of {self.name} has shape {one.shape} with "
                    f"{np.count_nonzero(~np.isfinite(one))} values that are no numbers; a fit "
                    f"takes whole frames of {SMALLEST} x {SMALLEST} or more, all of one shape."
                )
        if not self.line_rate > 0 or not self.pitch > 0:
            raise InvalidRequest(
                f"`line_rate` of {self.name} is {self.line_rate:g} Hz at {self.pitch:g} m per "
                "pixel; both are positive. Give `line_rate` if the file does not."
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Lines and columns."""
        rows, columns = next(iter(self.height.values())).shape
        return rows, columns

    @property
    def directions(self) -> tuple[str, ...]:
        """Which there are, trace first."""
        return tuple(name for name in ("trace", "retrace") if name in self.height)

    @property
    def width(self) -> tuple[float, float]:
        """From the first to the last column and line, in metres."""
        return self.pitch * (self.shape[1] - 1), self.pitch * (self.shape[0] - 1)

    @property
    def rate(self) -> float:
        """Pixels per second."""
        return 2 * self.line_rate * self.shape[1]

    def in_time(self, direction: str, what: str = "height") -> FloatArray:
        """Return heights (or ``"error"``) of one direction, columns in the order of time."""
        values = self.height[direction] if what == "height" else self.error[direction]
        return values if direction == "trace" else values[:, ::-1]


def read_scan(path: str | Path, *, line_rate: float | None = None) -> Scan:
    """Return what a file says of one scan.

    Parameters
    ----------
    path : str or Path
        Any file that a reader knows, with a channel of height over x and y.
    line_rate : float, optional
        Lines per second where the file does not say it as ``ScanRate``.

    Raises
    ------
    ReadError
        The file cannot be read.
    InvalidRequest
        It has no height, or nobody says how fast it was scanned.
    """
    images = [one for one in read(path) if one.dims == ("y", "x")]
    told = metadata(images[0]).get("original_metadata", {}) if images else {}
    rate = line_rate if line_rate is not None else told.get("ScanRate")
    if rate is None:
        raise InvalidRequest(
            f"`line_rate` of `{Path(path).name}` is not in the file (`ScanRate`); give it in hertz."
        )
    return scan_of(images, float(rate), name=Path(path).name, told=told)


def scan_of(
    channels: list[Signal],
    line_rate: float,
    *,
    name: str = "scan",
    told: Mapping[str, Any] | None = None,
) -> Scan:
    """Return a scan from its channels.

    Parameters
    ----------
    channels : list of Signal
        Dims (y, x); those of quantity height, and of deflection or amplitude if there are any.
    line_rate : float
        Lines per second.
    name : str
        What it is called.
    told : mapping, optional
        What is known of the instrument; ``ScanDown`` 1: the first line is the one with the
        highest y.

    Raises
    ------
    InvalidRequest
        There is no height, or its pixels are not square.
    """
    told = told or {}
    down = told.get("ScanDown") == 1
    height = _by_direction(channels, "height", down=down)
    if not height:
        there = ", ".join(f"{one.name} ({one.attrs['units']})" for one in channels) or "no image"
        raise InvalidRequest(f"`{name}` has no height in metres; it has {there}.")
    first = next(one for one in channels if one.attrs["quantity"] == "height")
    held, mode = _by_direction(channels, "deflection", down=down), "contact"
    # In contact modes that vibrate (piezoresponse) there is an amplitude too, but it is not held.
    if not held:
        held, mode = _by_direction(channels, "amplitude", down=down), "tapping"
    if not held:
        mode = "contact"
    sign = _HELD["deflection" if mode == "contact" else "amplitude"]
    setpoint = float(np.mean([one.mean() for one in held.values()])) if held else 0.0
    return Scan(
        name=name,
        height=height,
        pitch=_pitch(first, name),
        line_rate=line_rate,
        error={key: -sign * (one - setpoint) for key, one in held.items() if key in height},
        mode=mode,
        setpoint=max(setpoint, 0.0),
        told=told,
    )


def _pitch(height: Signal, name: str) -> float:
    x, y = (abs(float(np.mean(np.diff(height[dim].to_numpy())))) for dim in ("x", "y"))
    if not abs(x / y - 1) < 0.01:
        raise InvalidRequest(
            f"`{name}` has pixels of {x:.4g} m x {y:.4g} m; a fit takes square ones: "
            "resample it first."
        )
    return x


def _by_direction(channels: list[Signal], quantity: str, *, down: bool) -> dict[str, FloatArray]:
    found: dict[str, FloatArray] = {}
    for one in channels:
        if one.attrs["quantity"] != quantity or one.attrs["units"] != "m":
            continue
        way = str(metadata(one).get("direction") or "trace")
        values = one.transpose("y", "x").to_numpy().astype(np.float64)
        found.setdefault(way, values[::-1] if down else values)
    return found
