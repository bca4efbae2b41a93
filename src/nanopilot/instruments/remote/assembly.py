"""A measurement put together from the blocks that arrived before the line went down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from nanopilot.core.geometry import own_axes, places
from nanopilot.core.requests import CameraRequest, Request, ScanRequest, SpectrumRequest
from nanopilot.core.signals import SignalSet

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Dims along which measurements come in blocks.
_GROWING = ("frame", "y", "x", "point")


def assemble(request: Request, blocks: Sequence[SignalSet]) -> SignalSet:
    """Return everything that was asked for, NaN where no block has it.

    Parameters
    ----------
    request : Request
        What was asked for; it tells the size of the whole.
    blocks : sequence of SignalSet
        At least one; in the order in which they came, which tells where sparse points belong.

    Returns
    -------
    SignalSet
        With the dims and attributes of the blocks. Whole numbers become floats, for they know
        no NaN.
    """
    spread = [_spread(block) for block in blocks]
    axes = _axes(request, spread)
    whole = {
        str(name): _fill(str(name), spread, axes) for name in (*blocks[0].data_vars, *_own(spread))
    }
    data = {name: whole[name] for name in map(str, blocks[0].data_vars)}
    coords = {name: one for name, one in whole.items() if name not in data}
    coords |= {dim: ((dim,), values, _labels(spread, dim)) for dim, values in axes.items()}
    return xr.Dataset(data, coords=coords, attrs=blocks[0].attrs)


def _spread(block: SignalSet) -> SignalSet:
    """Return a block in which a single frame is still a frame among others."""
    if "frame" not in block.coords or "frame" in block.dims:
        return block
    # Places are the same in every frame; only the time varies with it.
    fixed = {n: c.variable for n, c in block.coords.items() if n not in ("frame", "time")}
    grown = block.drop_vars(list(fixed)).expand_dims("frame")
    if "time" in grown.coords:
        grown = grown.assign_coords(time=grown["time"].variable.expand_dims("frame"))
    return grown.assign_coords(fixed)


def _own(blocks: Sequence[SignalSet]) -> list[str]:
    """Name the coordinates that are more than the axis of a dim."""
    first = blocks[0]
    return [str(name) for name in first.coords if name not in first.dims]


def _axes(request: Request, blocks: Sequence[SignalSet]) -> dict[str, FloatArray]:
    """Return the whole axis of every dim that the blocks have a coordinate for."""
    known = _asked(request)
    found: dict[str, FloatArray] = {}
    for dim in map(str, blocks[0].dims):
        if dim not in blocks[0].coords:
            continue
        seen = np.concatenate([np.atleast_1d(block[dim].to_numpy()) for block in blocks])
        axis = known.get(dim)
        if axis is None or not _all_in(seen, axis):
            axis = np.unique(seen) if dim in _GROWING else blocks[0][dim].to_numpy()
        found[dim] = axis
    return found


def _asked(request: Request) -> dict[str, FloatArray]:
    axes: dict[str, FloatArray] = {}
    if isinstance(request, ScanRequest | CameraRequest):
        axes["frame"] = np.arange(request.frames, dtype=float)
    if isinstance(request, ScanRequest) and not request.points:
        axes["x"], axes["y"] = own_axes(request)
    elif isinstance(request, SpectrumRequest) and request.shape != (1, 1):
        where = places(request.grid).reshape(*request.shape, 2)
        axes["x"], axes["y"] = where[0, :, 0], where[:, 0, 1]
    grid = request.grid if isinstance(request, CameraRequest) else None
    if grid is not None and grid.shape != (1, 1):
        axes["x"], axes["y"] = own_axes(grid)
    return axes


def _all_in(values: FloatArray, axis: FloatArray) -> bool:
    return bool((np.abs(axis[_nearest(values, axis)] - values) <= _slack(axis)).all())


def _nearest(values: FloatArray, axis: FloatArray) -> np.ndarray[Any, np.dtype[np.intp]]:
    apart = np.abs(values[:, None] - axis[None, :])
    return np.asarray(apart.argmin(axis=1), np.intp)


def _slack(axis: FloatArray) -> float:
    return 1e-6 * float(np.ptp(axis)) / max(1, len(axis) - 1) if len(axis) > 1 else 1e-12


def _fill(
    name: str, blocks: Sequence[SignalSet], axes: dict[str, FloatArray]
) -> tuple[tuple[str, ...], np.ndarray[Any, np.dtype[Any]], dict[str, Any]]:
    first = blocks[0][name]
    dims = tuple(map(str, first.dims))
    points = sum(block.sizes.get("point", 0) for block in blocks)
    sizes = [
        len(axes[d]) if d in axes else points if d == "point" else first.sizes[d] for d in dims
    ]
    kind = first.dtype if first.dtype.kind == "f" else np.dtype(float)
    values: np.ndarray[Any, np.dtype[Any]] = np.full(sizes, np.nan, kind)
    begin = 0
    for block in blocks:
        at: list[Any] = []
        for dim in dims:
            size = block.sizes[dim]
            if dim in axes:
                at.append(_nearest(np.atleast_1d(block[dim].to_numpy()), axes[dim]))
            else:
                at.append(
                    np.arange(begin if dim == "point" else 0, size + begin * (dim == "point"))
                )
        values[np.ix_(*at) if at else ()] = block[name].to_numpy()
        begin += block.sizes.get("point", 0)
    return dims, values, dict(first.attrs)


def _labels(blocks: Sequence[SignalSet], dim: str) -> dict[str, Any]:
    return dict(blocks[0][dim].attrs)
