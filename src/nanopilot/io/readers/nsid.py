"""NSID files (pyNSID, sidpy): HDF5 with dimension scales, several channels in one file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from nanopilot.core.errors import ReadError, SignalError
from nanopilot.core.signals import Axis, Signal, make_signal
from nanopilot.io.readers.nsid_axes import REORDERED, Floats, NotInVocabulary, RawAxis, dims_of
from nanopilot.io.readers.nsid_file import Array, RawChannel, read_channels
from nanopilot.io.readers.nsid_labels import quantity_and_direction, unique_names
from nanopilot.io.readers.nsid_units import UnitTable
from nanopilot.io.readers.source import HDF5, content_of, file_digest, source_file

__all__ = ["read"]

#: Slow axes stand before, fast ones behind the axes that keep the order of the file.
_RANK = {"frame": 0, "y": 1, "x": 2, "point": 3, "ky": 5, "kx": 6}
_KEPT_ORDER = 4


def read(
    path: str | os.PathLike[str],
    *,
    units: Mapping[str, str] = MappingProxyType({}),
    missing: Literal["refuse", "keep"] = "refuse",
) -> list[Signal]:
    """Read every channel of an NSID file as a signal in SI units, slow axis first.

    Values are converted and rearranged, never altered: spikes stay where they are.

    Parameters
    ----------
    path : path
        The file.
    units : mapping of str to str
        Units the file lacks or has wrong, by the name of a channel or an axis; they win over
        what the file says.
    missing : {"refuse", "keep"}
        Whether values that are NaN or infinite are an error or are read as they are.

    Returns
    -------
    list of Signal
        In the order of the file, each under a name of its own. `metadata` holds ``file``,
        ``sha256``, ``dataset``, ``original_name``, ``direction`` (where known), ``repairs``
        (what was wrong in the file and put right), ``skipped`` (data sets that are no signals,
        and why), ``provenance`` and ``original_metadata``.

    Raises
    ------
    ReadError
        There is no such file, it is damaged or no NSID file, units are missing, values are
        missing, or nothing in it can be a signal.
    """
    file = source_file(path)
    _check_content(file)
    channels, skipped = read_channels(file)
    table = UnitTable(file, units, channels)
    parts = []
    for channel in channels:
        try:
            parts.append(_part(file, channel, table, missing))
        except NotInVocabulary as reason:
            skipped.append({"dataset": channel.path, "why": str(reason)})
    if not parts:
        raise ReadError(_nothing_left(file, skipped))
    names = unique_names([quantity_and_direction(part.channel.label) for part in parts])
    shared = {"file": file.name, "sha256": file_digest(file), "format": "NSID", "skipped": skipped}
    return [_signal(file, part, name, shared) for part, name in zip(parts, names, strict=True)]


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    channel: RawChannel
    values: Array
    axes: dict[str, Axis]
    units: str
    repairs: list[str]


def _part(file: Path, channel: RawChannel, table: UnitTable, missing: str) -> _Part:
    repairs: list[str] = []
    found = [table.of_axis(channel, axis, repairs) for axis in channel.axes]
    dims = dims_of(channel.axes, [unit for _, unit in found])
    factor, unit = table.of_channel(channel)
    if missing != "keep":
        _check_finite(file, channel, dims)
    values, axes = channel.values, {}
    for place, (dim, axis, conversion) in enumerate(zip(dims, channel.axes, found, strict=True)):
        at, values = _ascending(dim, axis, axis.values * conversion[0], values, place)
        axes[dim] = Axis(
            at, conversion[1], "position" if dim in "xy" else axis.quantity.lower() or dim
        )
    order = sorted(range(len(dims)), key=lambda place: _RANK.get(dims[place], _KEPT_ORDER))
    values = np.ascontiguousarray(values.transpose(order))
    values = values if factor == 1.0 else values * factor
    return _Part(
        channel, values, {dims[place]: axes[dims[place]] for place in order}, unit, repairs
    )


def _signal(file: Path, part: _Part, name: str, shared: dict[str, Any]) -> Signal:
    channel = part.channel
    quantity, direction = quantity_and_direction(channel.label)
    about = {
        "original_name": channel.label,
        "dataset": channel.path,
        "repairs": part.repairs,
        **shared,
        **channel.notes,
    }
    if direction:
        about["direction"] = direction
    try:
        signal = make_signal(
            part.values, part.axes, quantity=quantity, units=part.units, metadata=about
        )
    except SignalError as cause:
        raise ReadError(f"`{file}`: `{channel.path}` is no signal: {cause}") from cause
    return signal.rename(name)


def _ascending(
    dim: str, axis: RawAxis, at: Floats, values: Array, place: int
) -> tuple[Floats, Array]:
    if not np.isfinite(at).all():
        raise NotInVocabulary(f"axis `{axis.label}` has positions that are NaN or infinite")
    if dim not in REORDERED or len(at) < 2:
        return at, values
    if (np.diff(at) < 0).all():
        return at[::-1].copy(), np.flip(values, place)
    if not (np.diff(at) > 0).all():
        raise NotInVocabulary(f"axis `{axis.label}` neither ascends nor descends")
    return at, values


def _check_finite(file: Path, channel: RawChannel, dims: list[str]) -> None:
    if channel.values.dtype.kind not in "fc":
        return
    bad = ~np.isfinite(channel.values)
    count = int(bad.sum())
    if count:
        first = np.unravel_index(int(bad.argmax()), bad.shape)
        where = ", ".join(f"{dim}[{index}]" for dim, index in zip(dims, first, strict=True))
        raise ReadError(
            f"`{file}`: of data set `{channel.path}`, {count} of {bad.size} values are NaN or "
            f'infinite, the first at {where}; read them as they are with `missing="keep"` '
            "(on the command line `--missing keep`)."
        )


def _check_content(file: Path) -> None:
    content = content_of(file)
    if content != HDF5:
        what = content or "no HDF5 file, or its beginning is lost"
        raise ReadError(f"`{file}` is {what}; an NSID file is an HDF5 file.")


def _nothing_left(file: Path, skipped: list[dict[str, str]]) -> str:
    if not skipped:
        return (
            f"`{file}` is an HDF5 file without an NSID data set (one with dimension scales, "
            "`quantity` and `data_type`); convert it with pyNSID."
        )
    reasons = "; ".join(f"`{item['dataset']}`: {item['why']}" for item in skipped)
    return f"`{file}` holds nothing that can be a signal: {reasons}."
