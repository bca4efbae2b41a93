"""What all items of a series share: channels, dims, coordinates, units, attributes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from nanopilot.core.errors import SignalError
from nanopilot.core.signals import SignalSet, check_set
from nanopilot.io.chunks import Array, little_endian

Attrs = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Channel:
    """One channel of an item: dims, shape and type of its values, its attributes."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    attrs: Attrs

    @property
    def form(self) -> str:
        """Type, dims and shape in words."""
        sizes = (f"{dim}={n}" for dim, n in zip(self.dims, self.shape, strict=True))
        return f"{self.dtype.newbyteorder('=')} ({', '.join(sizes)})"


@dataclass(frozen=True, slots=True, eq=False)
class Coordinate:
    """One coordinate that all items share; `values` is None where each item has its own number."""

    dims: tuple[str, ...]
    dtype: np.dtype[Any]
    attrs: Attrs
    values: Array | None


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """The shape of every item of a series.

    Parameters
    ----------
    channels : dict of str to Channel
        In the order of the measurement.
    coordinates : dict of str to Coordinate
        With values for those along a dim, without for numbers such as a position or a time.
    attrs : dict
        Of the measurement as a whole.
    digest : str
        SHA-256 over all of that; every item's hash is built on it.
    """

    channels: dict[str, Channel]
    coordinates: dict[str, Coordinate]
    attrs: Attrs
    digest: str


def template_of(signals: SignalSet) -> Template:
    """Return the template that a measurement fits.

    Raises
    ------
    SignalError
        The measurement is no checked signal set, or something of it cannot be kept.
    """
    check_set(signals)
    channels = {
        _name(name): Channel(_dims(a), a.shape, _dtype(name, a.dtype), _attrs(name, a.attrs))
        for name, a in signals.data_vars.items()
    }
    coordinates = {
        _name(name): Coordinate(
            _dims(a), _dtype(name, a.dtype), _attrs(name, a.attrs), a.to_numpy() if a.ndim else None
        )
        for name, a in signals.coords.items()
    }
    if not channels:
        raise SignalError("`signals` has no channel; there is nothing to keep.")
    attrs = _attrs("signals", signals.attrs)
    return Template(channels, coordinates, attrs, _digest(channels, coordinates, attrs))


def build(
    channels: dict[str, Channel], coordinates: dict[str, Coordinate], attrs: Attrs
) -> Template:
    """Return a template from its parts."""
    return Template(channels, coordinates, attrs, _digest(channels, coordinates, attrs))


def _digest(
    channels: Mapping[str, Channel], coordinates: Mapping[str, Coordinate], attrs: Attrs
) -> str:
    told: dict[str, Any] = {
        "channels": {
            name: [c.dims, c.shape, c.dtype.name, c.attrs] for name, c in channels.items()
        },
        "coordinates": {
            name: [c.dims, c.dtype.name, c.attrs, None if c.values is None else _sha(c.values)]
            for name, c in coordinates.items()
        },
        "attrs": attrs,
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _sha(values: Array) -> str:
    return hashlib.sha256(little_endian(values).data).hexdigest()


def _name(name: Hashable) -> str:
    text = str(name)
    if not text or text.startswith(("_", ".")) or "/" in text or "\\" in text:
        raise SignalError(f"`{text}` cannot name an array; use letters, digits, `_` and `-`.")
    return text


def _dims(array: xr.DataArray) -> tuple[str, ...]:
    return tuple(str(dim) for dim in array.dims)


def _dtype(name: Hashable, dtype: np.dtype[Any]) -> np.dtype[Any]:
    if dtype.kind not in "biufc" or dtype.itemsize > 16:
        raise SignalError(f"`{name}` is of type {dtype}; numbers can be kept, nothing else.")
    return dtype.newbyteorder("=")


def _attrs(name: Hashable, attrs: Mapping[Any, Any]) -> Attrs:
    try:
        kept: Attrs = json.loads(json.dumps({str(key): value for key, value in attrs.items()}))
    except TypeError as cause:
        raise SignalError(f"`{name}` has attributes that are not JSON: {cause}.") from cause
    return kept
