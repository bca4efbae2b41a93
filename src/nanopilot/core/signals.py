"""Signals: `xarray.DataArray` with checked dims, units and quantity.

Several channels of one measurement are an `xarray.Dataset` of such arrays. What
`check` has seen, an operator may rely on.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from nanopilot.core.errors import SignalError
from nanopilot.core.units import is_si

Signal = xr.DataArray
SignalSet = xr.Dataset

DIMS = ("frame", "y", "x", "energy", "bias", "frequency", "time", "ky", "kx", "point")


@dataclass(frozen=True, slots=True)
class Axis:
    """Calibration of one dim: where its samples lie.

    Parameters
    ----------
    values : numpy.ndarray
        Positions of the samples, shape (n,), in `units`.
    units : str
        SI unit (energies: eV).
    quantity : str
        What is varied, in words.
    """

    values: np.ndarray[Any, np.dtype[np.float64]]
    units: str
    quantity: str


def make_signal(
    values: np.ndarray[Any, np.dtype[Any]],
    axes: Mapping[str, Axis],
    *,
    quantity: str,
    units: str,
    metadata: Mapping[str, Any] | None = None,
) -> Signal:
    """Build a signal; slow axis first.

    Parameters
    ----------
    values : numpy.ndarray
        Measured values, one axis per entry of `axes`, in the same order.
    axes : mapping of str to Axis
        Dims from `DIMS` with their calibration.
    quantity, units : str
        What was measured and its SI unit.
    metadata : mapping, optional
        Origin, request, instrument state, seed: kept in ``attrs`` as JSON.

    Raises
    ------
    SignalError
        The parts do not form a signal.

    Examples
    --------
    >>> axis = Axis(np.linspace(0, 1e-6, 3), "m", "position")
    >>> height = make_signal(np.zeros((3, 3)), {"y": axis, "x": axis}, quantity="height", units="m")
    >>> height.dims
    ('y', 'x')
    """
    shape = tuple(len(axis.values) for axis in axes.values())
    if shape != np.shape(values):
        raise SignalError(f"`values` has shape {np.shape(values)}, but its axes say {shape}.")
    signal = xr.DataArray(
        values,
        dims=tuple(axes),
        coords={
            dim: (dim, axis.values, {"units": axis.units, "quantity": axis.quantity})
            for dim, axis in axes.items()
        },
        attrs={"quantity": quantity, "units": units}
        | {key: json.dumps(value) for key, value in (metadata or {}).items()},
    )
    return check(signal)


def check(signal: Signal) -> Signal:
    """Return the signal unchanged, or say what it lacks.

    Raises
    ------
    SignalError
        A dim is outside the vocabulary, or a coordinate or the signal itself lacks
        `units` (SI) or `quantity`.
    """
    unknown = [dim for dim in signal.dims if dim not in DIMS]
    if unknown:
        raise SignalError(f"`dims` has {unknown}; allowed are {', '.join(DIMS)}.")
    for dim in signal.dims:
        if dim != "point" and dim not in signal.coords:
            raise SignalError(f"`{dim}` has no coordinate; calibrate it with an `Axis`.")
    _check_labels("signal" if signal.name is None else signal.name, signal.attrs)
    for name, coordinate in signal.coords.items():
        _check_labels(name, coordinate.attrs)
    return signal


def check_set(signals: SignalSet) -> SignalSet:
    """Check every channel of a measurement; return it unchanged."""
    for channel in signals.data_vars.values():
        check(channel)
    return signals


def _check_labels(name: Hashable, attrs: Mapping[Hashable, Any]) -> None:
    for key in ("units", "quantity"):
        if not isinstance(attrs.get(key), str) or not attrs[key]:
            raise SignalError(f"`{name}` has no `{key}`; every signal and coordinate carries it.")
    if not is_si(attrs["units"]):
        raise SignalError(f"`{name}` is in {attrs['units']!r}; signals are in SI units, or eV.")


def metadata(signal: Signal | SignalSet) -> dict[str, Any]:
    """Return what travels with the signal as JSON: origin, request, state, seed."""
    plain = {"units", "quantity"}
    return {str(k): json.loads(v) for k, v in signal.attrs.items() if k not in plain}


def positions(signal: Signal) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the (x, y) of every pixel in metres, shape (rows * columns, 2), row by row."""
    y, x = np.meshgrid(signal["y"].to_numpy(), signal["x"].to_numpy(), indexing="ij")
    return np.stack([x.ravel(), y.ravel()], axis=-1)
