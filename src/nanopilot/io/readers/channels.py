"""Channels of vendors' files: named, in SI, each with the size of its own pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nanopilot.core.errors import ReadError
from nanopilot.core.signals import Signal
from nanopilot.io.readers.frames import Array, FirstRow, Frame, Pixel, in_si, pixel_of
from nanopilot.io.readers.nsid_labels import quantity_and_direction, unique_names
from nanopilot.io.readers.source import file_digest


@dataclass(frozen=True, slots=True, eq=False)
class Channel:
    """One channel as a file has it.

    Parameters
    ----------
    label, units : str
        As written.
    values : numpy.ndarray
        Shape (rows, columns) or (frames, rows, columns).
    pixel : Pixel or None
        What the file says.
    quantity : str
        What was measured, where the label does not say it.
    about : mapping
        Notes of this channel alone; `direction` wins over what the label says.
    """

    label: str
    values: Array
    units: str
    pixel: Pixel | None
    quantity: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)


def signals_of(
    file: Path,
    channels: Sequence[Channel],
    skipped: Sequence[Mapping[str, str]],
    given: tuple[float | None, FirstRow],
    shared: Mapping[str, Any],
) -> list[Signal]:
    """Return one signal per channel, each under a name of its own.

    Parameters
    ----------
    file : pathlib.Path
        Where they are from.
    channels : sequence of Channel
        In the order of the file.
    skipped : sequence of mapping
        What else is in the file, and why it is no frame.
    given : tuple
        `pixel_size` of the user in metres or None, and `first_row`.
    shared : mapping
        Notes for all of them, such as the format.

    Raises
    ------
    ReadError
        There is no channel, or one contradicts `pixel_size`.
    NoPixelSize
        Nobody says how large a pixel is.
    """
    if not channels:
        reasons = "; ".join(f"`{item['dataset']}`: {item['why']}" for item in skipped)
        reasons = " ".join(reasons.split())  # what a damaged file says may be of many lines
        raise ReadError(f"`{file}` holds no frame{f' ({reasons})' if reasons else ''}.")
    pixel_size, first_row = given
    told = [quantity_and_direction(channel.label or "signal") for channel in channels]
    told = [
        (quantity, channel.about.get("direction", direction))
        for channel, (quantity, direction) in zip(channels, told, strict=True)
    ]
    notes = {"file": file.name, "sha256": file_digest(file), "skipped": list(skipped), **shared}
    signals = []
    for channel, (quantity, direction), name in zip(
        channels, told, unique_names(told), strict=True
    ):
        values, units, strange = in_si(channel.values, channel.units)
        about = {"original_name": channel.label, **strange, **channel.about}
        if direction:
            about["direction"] = direction
        frame = Frame(values, name, channel.quantity or quantity or "signal", units, about)
        pixel = pixel_of(file, channel.pixel, pixel_size)
        signals.append(frame.to_signal(file, pixel, first_row, notes))
    return signals
