"""Measured topographies from files, as samples of a twin take them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nanopilot.core.errors import InvalidRequest, ReadError
from nanopilot.core.signals import Signal
from nanopilot.io.readers import read

_TABLES = frozenset((".npy", ".txt", ".csv"))


def read_topography(path: str | Path, *, channel: str | int | None = None) -> dict[str, Any]:
    """Return what a file says of a surface: `height`, and where known `pitch` and more.

    Parameters
    ----------
    path : str or Path
        A table of numbers (``.npy``, ``.txt``, ``.csv``), which knows no units, or any file that a
        reader knows.
    channel : str or int, optional
        Which channel is the topography: its name, or its place in a stack. Without it the first
        of a stack, or the channel whose quantity is height.

    Raises
    ------
    ReadError
        The file cannot be read.
    InvalidRequest
        It has no such channel, none that is a topography, or pixels that are not square.
    """
    file = Path(path)
    if file.suffix.lower() in _TABLES:
        return {"height": _table(file, channel)}
    images = [one for one in read(file) if one.dims == ("y", "x")]
    chosen = _chosen(file, images, channel)
    pitch = _pitch(file, chosen)
    others = [one for one in images if one is not chosen and one.shape == chosen.shape]
    return {
        "height": chosen.to_numpy(),
        "pitch": pitch,
        "layers": {str(one.name): one.to_numpy() for one in others},
        "meaning": {str(one.name): (one.attrs["quantity"], one.attrs["units"]) for one in others},
    }


def _table(file: Path, channel: str | int | None) -> np.ndarray[Any, Any]:
    try:
        if file.suffix.lower() == ".npy":
            values = np.load(file, allow_pickle=False)
        else:
            values = np.loadtxt(file, delimiter="," if file.suffix.lower() == ".csv" else None)
        values = np.asarray(values, dtype=np.float64)
    except (OSError, ValueError) as cause:
        raise ReadError(f"`{file}` is no table of numbers: {cause}.") from cause
    if values.ndim == 3:
        index = 0 if channel is None else channel
        if not isinstance(index, int) or not -len(values) <= index < len(values):
            raise InvalidRequest(
                f"`channel` is {channel!r}; `{file.name}` is a stack of {len(values)}, "
                f"0 to {len(values) - 1}."
            )
        values = np.asarray(values[index])
    return values


def _chosen(file: Path, images: list[Signal], channel: str | int | None) -> Signal:
    names = ", ".join(f"{one.name} ({one.attrs['units']})" for one in images) or "no image"
    if isinstance(channel, int):
        raise InvalidRequest(f"`channel` is {channel}; of `{file.name}` give a name: {names}.")
    for one in images:
        wanted = one.attrs["quantity"] == "height" if channel is None else one.name == channel
        if wanted and one.attrs["units"] == "m":
            return one
    asked = "no topography" if channel is None else f"no topography {channel!r}"
    raise InvalidRequest(f"`{file.name}` has {asked} in metres; it has {names}.")


def _pitch(file: Path, image: Signal) -> float:
    steps = [float(np.mean(np.diff(image[dim].to_numpy()))) for dim in ("x", "y")]
    if abs(steps[0] / steps[1] - 1) > 1e-3:
        raise InvalidRequest(
            f"`{file.name}` has pixels of {steps[0]:.4g} m x {steps[1]:.4g} m; a sample has square "
            "ones: resample it first."
        )
    return steps[0]
