"""A measurement as the fields of a bluesky event."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nanopilot.core.signals import Signal, SignalSet
from nanopilot.instruments.bluesky.sharing import DIGITS

Document = dict[str, Any]
Features = Callable[[SignalSet], Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Field:
    """One value of an event, and its data key."""

    value: Any
    key: Document
    shown: bool = False


def means(signals: SignalSet) -> dict[str, float]:
    """Return the mean of what each channel measured; NaN where it measured nothing.

    Examples
    --------
    >>> import xarray as xr
    >>> means(xr.Dataset({"height": ("x", [1.0, np.nan, 3.0])}))
    {'height': 2.0}
    """
    return {str(name): _mean(channel.to_numpy()) for name, channel in signals.data_vars.items()}


def _mean(values: np.ndarray[Any, np.dtype[Any]]) -> float:
    there = values[np.isfinite(values)]
    return float(np.mean(there)) if there.size else math.nan


def scalars(signals: SignalSet, features: Features | None, source: str) -> dict[str, Field]:
    """Return one number per channel, or the features, and where it was measured."""
    found = (features or means)(signals)
    fields = {
        str(name): Field(
            float(value),
            _number(f"{source}/{name}", _units(signals, name) if features is None else None),
            shown=True,
        )
        for name, value in found.items()
    }
    for name in ("x", "y"):
        if name in signals.coords and not signals[name].ndim:
            fields[f"at_{name}"] = Field(float(signals[name]), _number(source, "m"))
    return fields


def arrays(signals: SignalSet, source: str) -> dict[str, Field]:
    """Return every channel and the axes they run along, as arrays."""
    fields = {f"{name}_values": _array(one, source) for name, one in signals.data_vars.items()}
    for name in signals.dims:
        if name in signals.coords:
            fields[f"axis_{name}"] = _array(signals[name], source)
    return fields


def array_key(signal: Signal, source: str) -> Document:
    """Return the data key of an array."""
    return {
        "source": f"{source}/{signal.name}",
        "dtype": "array",
        "dtype_numpy": signal.dtype.newbyteorder("<").str,
        "shape": list(signal.shape),
        "dims": [str(dim) for dim in signal.dims],
        "units": signal.attrs["units"],
    }


def _array(signal: Signal, source: str) -> Field:
    return Field(signal.to_numpy(), array_key(signal, source))


def _number(source: str, units: str | None) -> Document:
    key: Document = {"source": source, "dtype": "number", "dtype_numpy": "<f8", "shape": []}
    if units is not None:
        key["units"] = units
        key["precision"] = DIGITS.get(units, 4)
    return key


def _units(signals: SignalSet, name: str) -> str:
    return str(signals[name].attrs["units"])
