"""NSID files as they are: main data sets with their axes and notes, nothing judged yet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from nanopilot.core.errors import ReadError
from nanopilot.io.readers.nsid_axes import NotInVocabulary, RawAxis
from nanopilot.io.readers.nsid_labels import PLACEHOLDERS

Array = np.ndarray[Any, np.dtype[Any]]
Scalar = str | int | float | bool

_MARKS = ("data_type", "main_data_name")
_NOTES = ("data_type", "modality", "source", "timestamp", "pyNSID_version", "sidpy_version")
_PROVENANCE_ENTRIES = 50

#: Of the hundreds of settings a vendor writes, those a reader of the run will ask for.
_SETTINGS = frozenset(
    """imagingmode microscopemodel date time scanrate scansize scanangle scanlines scanpoints
    scanspeed scanmode scandown fastscansize slowscansize xoffset yoffset setpoint driveamplitude
    drivefrequency phaseoffset springconstant invols ampinvols tipvoltage surfacevoltage
    integralgain proportionalgain tipserialnumber imagenote basename""".split()
)
_FEW = 40


@dataclass(frozen=True, slots=True, eq=False)
class RawChannel:
    """One main data set as the file has it.

    Parameters
    ----------
    path : str
        In the file.
    label, units : str
        What was measured, as written; `units` is empty where missing.
    values : numpy.ndarray
        In the order of the file, one axis per entry of `axes`.
    axes : tuple of RawAxis
        Its dims.
    notes : dict
        Origin, provenance and settings worth keeping.
    """

    path: str
    label: str
    units: str
    values: Array
    axes: tuple[RawAxis, ...]
    notes: dict[str, Any]


def read_channels(file: Path) -> tuple[list[RawChannel], list[dict[str, str]]]:
    """Return the main data sets of a file in order, and which were skipped and why.

    Raises
    ------
    ReadError
        The file is damaged.
    """
    channels: list[RawChannel] = []
    skipped: list[dict[str, str]] = []
    try:
        with h5py.File(file, "r") as content:
            for data in _main_datasets(content):
                try:
                    channels.append(_channel(data))
                except NotInVocabulary as reason:
                    skipped.append({"dataset": str(data.name), "why": str(reason)})
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError) as cause:
        told = str(cause).strip("'\"").splitlines()[0][:200] if str(cause) else type(cause).__name__
        raise ReadError(
            f"`{file}` is a damaged or truncated HDF5 file ({told}); "
            "copy it again from where it was recorded."
        ) from cause
    return channels, skipped


def _main_datasets(content: h5py.File) -> list[h5py.Dataset]:
    found: list[h5py.Dataset] = []

    def look(_: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset) and not item.is_scale:
            marked = any(mark in item.attrs for mark in _MARKS)
            if marked or ("quantity" in item.attrs and "DIMENSION_LIST" in item.attrs):
                found.append(item)

    content.visititems(look)
    return found


def _channel(data: h5py.Dataset) -> RawChannel:
    if data.dtype.kind not in "biufc":
        raise NotInVocabulary(f"its values are of type {data.dtype}, not numbers")
    if data.ndim == 0 or data.size == 0:
        raise NotInVocabulary(f"its shape is {data.shape}; there is nothing to read")
    axes = tuple(_axis(data, number) for number in range(data.ndim))
    values = data[()]
    return RawChannel(
        path=str(data.name),
        label=_label(data),
        units=_text(data, "units"),
        values=values.astype(values.dtype.newbyteorder("="), copy=False),
        axes=axes,
        notes=_notes(data),
    )


def _axis(data: h5py.Dataset, number: int) -> RawAxis:
    dimension = data.dims[number]
    label = str(dimension.label or "") or f"axis {number}"
    if not len(dimension):
        raise NotInVocabulary(f"`{label}` has no dimension scale")
    scale = dimension[0]
    if scale.shape != (data.shape[number],) or scale.dtype.kind not in "biuf":
        raise NotInVocabulary(f"the scale of `{label}` does not fit: {scale.shape} {scale.dtype}")
    kind = _text(scale, "dimension_type").upper().rpartition(".")[2]
    return RawAxis(
        label=_text(scale, "name") or label,
        quantity=_text(scale, "quantity"),
        kind=kind,
        values=scale[()].astype(np.float64),
        units=_text(scale, "units"),
    )


def _label(data: h5py.Dataset) -> str:
    parent = data.parent
    named = [_text(data, key) for key in ("quantity", "title", "main_data_name")]
    paths = [str(item.name).rpartition("/")[2] for item in (data, parent)]
    return next((text for text in (*named, *paths) if text.lower() not in PLACEHOLDERS), "signal")


def _notes(data: h5py.Dataset) -> dict[str, Any]:
    parent = data.parent
    notes: dict[str, Any] = {key: text for key in _NOTES if (text := _text(data, key))}
    settings = _scalars(parent.get("original_metadata"))
    if len(settings) > _FEW:
        settings = {key: value for key, value in settings.items() if key.lower() in _SETTINGS}
    provenance = parent.get("provenance")
    steps = []
    if isinstance(provenance, h5py.Group):
        steps = [{"step": str(name), **_scalars(item)} for name, item in provenance.items()]
    return notes | {"original_metadata": settings, "provenance": steps[:_PROVENANCE_ENTRIES]}


def _scalars(group: object) -> dict[str, Scalar]:
    if not isinstance(group, h5py.Group | h5py.Dataset):
        return {}
    plain = {str(key): _scalar(value) for key, value in group.attrs.items()}
    return {key: value for key, value in plain.items() if value is not None and value != ""}


def _scalar(value: Any) -> Scalar | None:
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return value[:200]
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value if isinstance(value, bool | int | float) else None


def _text(item: h5py.Dataset, key: str) -> str:
    value = _scalar(item.attrs[key]) if key in item.attrs else ""
    return value.strip() if isinstance(value, str) else ""
