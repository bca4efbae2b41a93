"""Frames as every instrument returns them: the same dims, coordinates and metadata.

A frame says where each pixel really was measured, when, and in what state of the instrument.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import xarray as xr

from nanopilot.core.errors import SignalError
from nanopilot.core.geometry import own_axes, places
from nanopilot.core.parameters import State
from nanopilot.core.requests import Direction, ScanRequest
from nanopilot.core.signals import SignalSet, check_set

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

_POSITION = {"units": "m", "quantity": "position"}
_TIME = {"units": "s", "quantity": "time"}


@dataclass(frozen=True, slots=True)
class Channel:
    """What one detector recorded.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (rows, columns), or (n,) for sparse points; of several frames, those first.
        Pixels in their places, whichever way they were visited; NaN where not measured.
    quantity, units : str
        What it is, and its SI unit.
    direction : {"trace", "retrace"}
        Which way it was recorded.
    details : mapping
        What only this instrument has to say, as JSON.
    """

    values: np.ndarray[Any, np.dtype[Any]]
    quantity: str
    units: str
    direction: Direction = "trace"
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """When, where and in what state a frame was recorded.

    Parameters
    ----------
    instrument : str
        Its name.
    state : State
        Read when the scan began.
    times : numpy.ndarray
        Seconds on the instrument's clock, of every pixel: shape as the values of a channel.
    measured : numpy.ndarray, optional
        (x, y) in metres where each pixel really was measured, shape (n, 2), row by row; None:
        the instrument has no position sensors, and it is where it was sent.
    """

    instrument: str
    state: State
    times: FloatArray
    measured: FloatArray | None = None

    @property
    def sensed(self) -> Literal["sensed", "commanded"]:
        """How the positions are known."""
        return "commanded" if self.measured is None else "sensed"


def channel_name(name: str, direction: Direction) -> str:
    """Return what a channel is called in a frame: retrace stands beside trace.

    Examples
    --------
    >>> channel_name("height", "retrace")
    'height_retrace'
    """
    return name if direction == "trace" else f"{name}_retrace"


def frame_set(
    request: ScanRequest, channels: Mapping[str, Channel], seen: Circumstances
) -> SignalSet:
    """Return the frames of one scan as every instrument returns them.

    Dims (y, x), or (point,) for a sparse scan, with ``frame`` first if there are several.
    Coordinates ``measured_x``, ``measured_y`` and ``time`` belong to every pixel. `metadata` of
    the set has ``instrument, request, state, time``; of each channel ``origin, rotation,
    direction, positions, details``.

    Parameters
    ----------
    request : ScanRequest
        What was asked for.
    channels : mapping of str to Channel
        By name, `channel_name` where there is a retrace.
    seen : Circumstances
        When, where and in what state.

    Raises
    ------
    SignalError
        Values or times do not have the shape that was asked for.
    """
    dims = ("point",) if request.points else ("y", "x")
    shape: tuple[int, ...] = (len(request.points),) if request.points else request.shape
    if request.frames > 1:
        dims, shape = ("frame", *dims), (request.frames, *shape)
    for name, channel in channels.items():
        if np.shape(channel.values) != shape:
            raise SignalError(
                f"`{name}` has shape {np.shape(channel.values)}; asked for was {shape}."
            )
    return check_set(
        xr.Dataset(
            {
                name: (dims, one.values, _labels(request, one, seen))
                for name, one in channels.items()
            },
            coords=_coordinates(request, dims, shape, seen),
            attrs={
                "instrument": json.dumps(seen.instrument),
                "request": request.model_dump_json(),
                "state": seen.state.model_dump_json(),
                "time": json.dumps(seen.state.time),
            },
        )
    )


def _labels(request: ScanRequest, channel: Channel, seen: Circumstances) -> dict[str, str]:
    facts = {
        "origin": list(request.centre),
        "rotation": request.rotation,
        "direction": channel.direction,
        "positions": seen.sensed,
        "details": dict(channel.details),
    }
    plain = {"quantity": channel.quantity, "units": channel.units}
    return plain | {key: json.dumps(value) for key, value in facts.items()}


def _coordinates(
    request: ScanRequest, dims: tuple[str, ...], shape: tuple[int, ...], seen: Circumstances
) -> dict[str, Any]:
    if np.shape(seen.times) != shape:
        raise SignalError(f"`times` has shape {np.shape(seen.times)}; asked for was {shape}.")
    nominal = places(request)
    measured = nominal if seen.measured is None else seen.measured
    inner = shape[1:] if request.frames > 1 else shape
    pixels = dims[1:] if request.frames > 1 else dims
    found: dict[str, Any] = {
        "measured_x": (pixels, measured[:, 0].reshape(inner), _POSITION),
        "measured_y": (pixels, measured[:, 1].reshape(inner), _POSITION),
        "time": (dims, seen.times, _TIME),
    }
    if request.points:
        found["x"] = ("point", nominal[:, 0], _POSITION)
        found["y"] = ("point", nominal[:, 1], _POSITION)
    else:
        x, y = own_axes(request)
        found["x"], found["y"] = ("x", x, _POSITION), ("y", y, _POSITION)
    if request.frames > 1:
        number = {"units": "1", "quantity": "frame"}
        found["frame"] = ("frame", np.arange(request.frames, dtype=float), number)
    return found
