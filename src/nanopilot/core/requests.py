"""What can be asked of an instrument, described as data."""

from __future__ import annotations

from typing import Any, Literal, Self, TypeVar

from pydantic import Field, ValidationError, model_validator

from nanopilot.core.errors import InvalidRequest
from nanopilot.core.units import Angle, Bias, Duration, Frequency, Length
from nanopilot.core.values import Value

Position = tuple[Length, Length]
Direction = Literal["trace", "retrace"]
Order = Literal["raster", "serpentine", "spiral", "lines", "points"]
ValueT = TypeVar("ValueT", bound=Value)


class ScanRequest(Value):
    """One or more frames to be scanned.

    Parameters
    ----------
    centre : (float, float)
        Centre of the frame, (x, y) in metres.
    field_of_view : (float, float)
        Extent along the fast (x) and the slow (y) axis in metres, outermost pixel
        centre to outermost pixel centre.
    shape : (int, int)
        Rows and columns.
    channels : tuple of str
        Detectors to record at once; empty: all the instrument has.
    rotation : float
        Of the scan axes, counter-clockwise, in radians.
    dwell_time, line_rate : float, optional
        Seconds per pixel or lines per second; at most one of them.
    directions : tuple of {"trace", "retrace"}
        Which way the tip or beam moves while recording; empty: as the instrument prefers.
    order : {"raster", "serpentine", "spiral", "lines", "points"}
        Path over the pixels; ``points`` visits `points` only.
    points : tuple of (float, float)
        Positions of a sparse scan, (x, y) in metres.
    frames : int
        How many frames to record one after the other.
    """

    centre: Position
    field_of_view: Position
    shape: tuple[int, int]
    channels: tuple[str, ...] = ()
    rotation: Angle = 0.0
    dwell_time: Duration | None = Field(default=None, gt=0)
    line_rate: Frequency | None = Field(default=None, gt=0)
    directions: tuple[Direction, ...] = ()
    order: Order = "raster"
    points: tuple[Position, ...] = ()
    frames: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.dwell_time is not None and self.line_rate is not None:
            raise ValueError("give `dwell_time` or `line_rate`, not both")
        if min(self.shape) < 1:
            raise ValueError(f"`shape` is {self.shape}; both numbers must be at least 1")
        if min(self.field_of_view) < 0:
            raise ValueError(f"`field_of_view` is {self.field_of_view}; it cannot be negative")
        if (self.order == "points") != bool(self.points):
            raise ValueError("`points` goes with order 'points', and only with it")
        return self


class SpectrumRequest(Value):
    """One spectrum at one place.

    Parameters
    ----------
    position : (float, float)
        Where, (x, y) in metres.
    kind : {"bias", "force", "energy"}
        What is swept.
    channels : tuple of str
        Detectors to record; empty: all the instrument has.
    bias : tuple of float
        Sweep of the bias in volts; empty: the instrument's own sweep.
    """

    position: Position
    kind: Literal["bias", "force", "energy"] = "bias"
    channels: tuple[str, ...] = ()
    bias: tuple[Bias, ...] = ()


Request = ScanRequest | SpectrumRequest


def from_outside(kind: type[ValueT], **settings: Any) -> ValueT:
    """Build a value from settings that came from a person, a file or a wire.

    Raises
    ------
    InvalidRequest
        With one line that names each offending setting and what was expected.

    Examples
    --------
    >>> from_outside(SpectrumRequest, position=("50 nm", "1 um")).position[1]
    1e-06
    """
    try:
        return kind(**settings)
    except ValidationError as cause:
        parts = []
        for problem in cause.errors():
            where = ".".join(str(part) for part in problem["loc"])
            said = problem["msg"].removeprefix("Value error, ")
            if problem["type"] == "extra_forbidden":
                known = ", ".join(kind.model_fields)
                parts.append(f"`{where}` is no setting of {kind.__name__}; there are {known}")
            else:
                parts.append(f"`{where}` is {problem['input']!r}: {said}" if where else said)
        raise InvalidRequest("; ".join(parts)) from cause
