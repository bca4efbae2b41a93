"""The frames of a file that an analysis can look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nanopilot.core.errors import InvalidRequest, ReadError
from nanopilot.core.signals import Signal
from nanopilot.io.readers import NoPixelSize, read

#: A frame of fewer rows or columns is none.
_LEAST = 8
#: Metres that stand for a pixel where lengths are told in pixels.
NOMINAL = 1e-9


@dataclass(frozen=True, slots=True)
class Look:
    """How a file is looked at.

    Parameters
    ----------
    channel : str, optional
        Name of the channel; without it the first image of quantity `prefer`, or the first one.
    pixel_size : float, optional
        Metres, for files that do not know it.
    in_pixels : bool
        Every pixel is taken as `NOMINAL` metres, whatever the file knows.
    prefer : str
        Quantity that suits the analysis.
    """

    channel: str | None = None
    pixel_size: float | None = None
    in_pixels: bool = False
    prefer: str = ""


def frames_of(path: Path, look: Look) -> list[Signal]:
    """Return the frames of a file, dims (y, x) in metres; a stack gives several.

    Raises
    ------
    ReadError
        The file cannot be read, or does not know its pixel size and none is given.
    InvalidRequest
        It has no image, or no such channel.
    """
    images = [one for one in _read(path, look) if one.dims in (("y", "x"), ("frame", "y", "x"))]
    images = [one for one in images if min(one.shape[-2:]) >= _LEAST]
    chosen = _chosen(path, images, look)
    if look.in_pixels:
        chosen = _nominal(chosen)
    if chosen.dims == ("y", "x"):
        return [chosen]
    return [chosen.isel(frame=number, drop=True) for number in range(chosen.sizes["frame"])]


def _read(path: Path, look: Look) -> Sequence[Signal]:
    given = NOMINAL if look.in_pixels else look.pixel_size
    try:
        return read(path)
    except NoPixelSize:
        if given is None:
            raise
        return read(path, pixel_size=given)


def _chosen(path: Path, images: list[Signal], look: Look) -> Signal:
    names = ", ".join(
        str(one.attrs["quantity"] if one.name is None else one.name) for one in images
    )
    if not images:
        raise InvalidRequest(
            f"`{path.name}` has no image of {_LEAST} rows and columns or more; an analysis of "
            "frames needs one."
        )
    if look.channel is not None:
        for one in images:
            if look.channel in (one.name, one.attrs["quantity"]):
                return one
        raise InvalidRequest(f"`{path.name}` has no channel {look.channel!r}; it has {names}.")
    suits = [one for one in images if look.prefer and one.attrs["quantity"] == look.prefer]
    return (suits or images)[0]


def _nominal(frame: Signal) -> Signal:
    """Return a frame with pixels of `NOMINAL` metres, square if they were."""
    shape = {dim: _pitch(frame, dim) for dim in ("y", "x")}
    unit = NOMINAL / shape["x"]
    coords: dict[str, Any] = {}
    for dim, pitch in shape.items():
        places = np.arange(frame.sizes[dim]) * pitch * unit
        coords[dim] = (dim, places, frame[dim].attrs | {"units": "m"})
    return frame.assign_coords(coords)


def _pitch(frame: Signal, dim: str) -> float:
    places = frame[dim].to_numpy()
    pitch = float(places[-1] - places[0]) / (len(places) - 1)
    if not pitch:
        raise ReadError(f"`{dim}` of {frame.name!r} does not move; its calibration is broken.")
    return pitch
