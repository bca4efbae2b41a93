"""One item of a series: what it has of its own, and the hash of all that it means."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from nanopilot.core.errors import SignalError
from nanopilot.core.signals import SignalSet, check_set
from nanopilot.io.chunks import Array, little_endian
from nanopilot.io.template import Attrs, Channel, Template


def item_text(template: Template, signals: SignalSet) -> str:
    """Return what this item has of its own, as JSON: numbers such as its position, attributes.

    Raises
    ------
    SignalError
        The measurement does not fit the template.
    """
    _check_fits(template, signals)
    numbers = {
        name: _number(signals.variables[name].to_numpy().item())
        for name, coordinate in template.coordinates.items()
        if coordinate.values is None
    }
    own = {
        name: changed
        for name, channel in template.channels.items()
        if (changed := _changed(channel.attrs, signals.variables[name].attrs))
    }
    shared = _changed(template.attrs, signals.attrs)
    return json.dumps({"numbers": numbers, "attrs": own, "set": shared}, sort_keys=True)


def item_set(template: Template, text: str, values: Mapping[str, Array]) -> SignalSet:
    """Return the measurement: what it shares with others, what it has of its own, and values."""
    own = json.loads(text)
    coords: dict[str, Any] = {}
    for name, coordinate in template.coordinates.items():
        kept = coordinate.values
        if kept is None:
            kept = np.asarray(own["numbers"][name]).astype(coordinate.dtype)
        coords[name] = (coordinate.dims, kept, dict(coordinate.attrs))
    data = {
        name: (channel.dims, values[name], _restored(channel.attrs, own["attrs"].get(name, {})))
        for name, channel in template.channels.items()
    }
    return check_set(xr.Dataset(data, coords, _restored(template.attrs, own["set"])))


def item_digest(template: Template, text: str, channel: str, values: Array) -> str:
    """Return the hash of one channel of one item: its values and all that gives them meaning."""
    digest = hashlib.sha256(f"{template.digest}\n{channel}\n{text}\n".encode())
    digest.update(little_endian(values).data)
    return digest.hexdigest()


def _check_fits(template: Template, signals: SignalSet) -> None:
    check_set(signals)
    if set(signals.data_vars) != set(template.channels) or set(signals.coords) != set(
        template.coordinates
    ):
        raise SignalError(
            f"`signals` has {sorted(map(str, signals.variables))}; the series was made for "
            f"{sorted([*template.channels, *template.coordinates])}; create another one."
        )
    for name, channel in template.channels.items():
        found = signals.variables[name]  # not the array, which costs a search for coordinates
        is_like = Channel(tuple(map(str, found.dims)), found.shape, found.dtype, channel.attrs)
        if is_like.form != channel.form:
            raise SignalError(
                f"`{name}` is {is_like.form}; the series was made for {channel.form}; "
                "create another one."
            )
        _check_labels(name, channel.attrs, found.attrs)
    for name, coordinate in template.coordinates.items():
        found = signals.variables[name]
        _check_labels(name, coordinate.attrs, found.attrs)
        if coordinate.values is not None and not np.array_equal(
            coordinate.values, found.to_numpy(), equal_nan=coordinate.dtype.kind in "fc"
        ):
            raise SignalError(
                f"`{name}` differs from the one the series was made with; create another series."
            )


def _check_labels(name: str, expected: Attrs, found: Mapping[Any, Any]) -> None:
    for key in ("units", "quantity"):
        if expected[key] != found[key]:
            raise SignalError(
                f"`{name}` has {key} {found[key]!r}; the series was made with "
                f"{expected[key]!r}; create another one."
            )


def _number(value: complex | bool) -> float | int | bool | str:
    if isinstance(value, bool | int):
        return value
    return value if isinstance(value, float) and np.isfinite(value) else str(value)


def _changed(expected: Attrs, found: Mapping[Any, Any]) -> Attrs:
    """Return what differs; None stands for an attribute that is not there."""
    told = {str(key): value for key, value in found.items()}
    keys = expected.keys() | told.keys()
    return {key: told.get(key) for key in sorted(keys) if expected.get(key) != told.get(key)}


def _restored(expected: Attrs, changed: Attrs) -> Attrs:
    return {key: value for key, value in {**expected, **changed}.items() if value is not None}
