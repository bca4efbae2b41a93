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
SpectrumKind = Literal["bias", "force", "energy", "frequency", "time", "xray"]
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
        Path over the pixels: rows one way, rows back and forth, outwards from the centre;
        ``lines`` visits the rows `lines` only, ``points`` visits `points` only.
    points : tuple of (float, float)
        Positions of a sparse scan, (x, y) in metres.
    lines : tuple of int
        Rows of a sparse scan; the others stay NaN.
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
    lines: tuple[int, ...] = ()
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
        if (self.order == "lines") != bool(self.lines):
            raise ValueError("`lines` goes with order 'lines', and only with it")
        if any(not 0 <= row < self.shape[0] for row in self.lines):
            raise ValueError(f"`lines` must be rows, 0 to {self.shape[0] - 1}")
        if list(self.lines) != sorted(set(self.lines)):
            raise ValueError("`lines` must ascend, each row once")
        return self


class SpectrumRequest(Value):
    """One spectrum at one place, or one at every place of a grid.

    Parameters
    ----------
    position : (float, float)
        Where, (x, y) in metres; of a grid, its centre.
    kind : {"bias", "force", "energy", "frequency", "time", "xray"}
        What is swept: the bias, the height of the tip, nothing (all energy losses at once), the
        frequency of the drive, the time after a pulse, or nothing again (all X-rays at once).
    channels : tuple of str
        Detectors to record; empty: all the instrument has.
    bias : tuple of float
        Sweep of the bias in volts; empty: the instrument's own sweep.
    parameters : dict of str to float
        Further settings the instrument declares for this kind (`SpectrumMode.parameters`), by
        name and in the units declared there.
    shape, field_of_view, rotation : (int, int), (float, float), float
        Of the grid, as in a `ScanRequest`; shape (1, 1) is a single spectrum.
    """

    position: Position
    kind: SpectrumKind = "bias"
    channels: tuple[str, ...] = ()
    bias: tuple[Bias, ...] = ()
    parameters: dict[str, float] = {}
    shape: tuple[int, int] = (1, 1)
    field_of_view: Position = (0.0, 0.0)
    rotation: Angle = 0.0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if min(self.shape) < 1:
            raise ValueError(f"`shape` is {self.shape}; both numbers must be at least 1")
        if min(self.field_of_view) < 0:
            raise ValueError(f"`field_of_view` is {self.field_of_view}; it cannot be negative")
        if self.bias and self.kind != "bias":
            raise ValueError("`bias` goes with kind 'bias', and only with it")
        return self

    @property
    def grid(self) -> ScanRequest:
        """The places of the spectra as the pixels of a scan."""
        return ScanRequest(
            centre=self.position,
            field_of_view=self.field_of_view,
            shape=self.shape,
            rotation=self.rotation,
        )


class CameraRequest(Value):
    """One or more patterns (or images) of a camera: at rest, or one at every place of a grid.

    Parameters
    ----------
    exposure : float, optional
        Seconds per frame; None: as the camera is set.
    channels : tuple of str
        Cameras to read; empty: all the instrument has.
    binning : int
        Pixels joined along each axis.
    frames : int
        How many frames to record one after the other; of a grid just one.
    position : (float, float), optional
        Where, (x, y) in metres; of a grid, its centre. None: where the beam rests.
    shape, field_of_view, rotation : (int, int), (float, float), float
        Of the grid, as in a `ScanRequest`; an instrument that has `camera_grids` takes them.
    """

    exposure: Duration | None = Field(default=None, gt=0)
    channels: tuple[str, ...] = ()
    binning: int = Field(default=1, ge=1)
    frames: int = Field(default=1, ge=1)
    position: Position | None = None
    shape: tuple[int, int] = (1, 1)
    field_of_view: Position = (0.0, 0.0)
    rotation: Angle = 0.0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if min(self.shape) < 1:
            raise ValueError(f"`shape` is {self.shape}; both numbers must be at least 1")
        if min(self.field_of_view) < 0:
            raise ValueError(f"`field_of_view` is {self.field_of_view}; it cannot be negative")
        if self.shape != (1, 1) and (self.position is None or self.frames > 1):
            raise ValueError("a grid of patterns wants a `position` and one frame")
        if self.position is None and (any(self.field_of_view) or self.rotation):
            raise ValueError("`field_of_view` and `rotation` go with a `position`")
        return self

    @property
    def grid(self) -> ScanRequest | None:
        """The places of the patterns as the pixels of a scan; None: where the beam rests."""
        if self.position is None:
            return None
        return ScanRequest(
            centre=self.position,
            field_of_view=self.field_of_view,
            shape=self.shape,
            rotation=self.rotation,
        )


class WriteRequest(Value):
    """Bias pulses, or lines drawn under bias; the sample remembers them.

    Parameters
    ----------
    points : tuple of (float, float)
        Where, (x, y) in metres.
    bias : tuple of float
        Volts at each point, or one for all of them.
    duration : float
        Seconds under bias: of each pulse, or of each stretch between two points of a path.
    mode : {"pulses", "path"}
        Travel without bias and pulse at the points, or draw from point to point.
    """

    points: tuple[Position, ...] = Field(min_length=1)
    bias: tuple[Bias, ...] = Field(min_length=1)
    duration: Duration = Field(gt=0)
    mode: Literal["pulses", "path"] = "pulses"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.bias) not in (1, len(self.points)):
            raise ValueError(f"`bias` has {len(self.bias)} values for {len(self.points)} `points`")
        if self.mode == "path" and len(self.points) < 2:
            raise ValueError("`points` of a path must be two or more")
        return self

    @property
    def bias_at_points(self) -> tuple[float, ...]:
        """Volts at every point."""
        return self.bias if len(self.bias) == len(self.points) else self.bias * len(self.points)


class SetRequest(Value):
    """Parameters of one capability to be set together.

    Parameters
    ----------
    capability : str
        Such as ``"Focus"``.
    values : dict of str to float
        By parameter name, in its SI unit.
    """

    capability: str
    values: dict[str, float] = Field(min_length=1)


#: What a measurement can be asked for with.
Request = ScanRequest | SpectrumRequest | CameraRequest | WriteRequest
#: Whatever moves or measures anything.
Command = Request | SetRequest


def from_outside(kind: type[ValueT], /, **settings: Any) -> ValueT:
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
