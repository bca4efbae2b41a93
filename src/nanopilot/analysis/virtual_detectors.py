"""Images from 4D-STEM data: what virtual detectors would have seen, without loading the data.

Patterns are read block by block and added up in double precision, every pixel at most once per
mask. Memory is two blocks, and of a memory map `KEPT_BYTES`, whatever the size of the data.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import xarray as xr

from nanopilot.analysis.pattern_blocks import BLOCK_BYTES, Part, Patterns
from nanopilot.analysis.pattern_files import FileBehind, let_go
from nanopilot.analysis.pattern_masks import CentreOfMass, Mask, Ring
from nanopilot.core.errors import InvalidRequest, OutOfRange
from nanopilot.core.requests import from_outside
from nanopilot.core.signals import Signal, SignalSet

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]
#: Called with patterns done, patterns in all, and what is being done.
Progress = Callable[[int, int, str], None]

#: So much of a memory map stays resident, for the next detector; what comes after is read past it.
KEPT_BYTES = 512 << 20
_THREADS = 2
#: Of a cache.
_LINE_BYTES = 64


def virtual_images(
    patterns: Patterns | Signal, masks: Mapping[str, Mask], *, progress: Progress | None = None
) -> SignalSet:
    """Return one image per mask, all in one pass over the patterns.

    Parameters
    ----------
    patterns : Patterns or Signal
        Dims (y, x, ky, kx), or one dim of places in place of (y, x): in memory, mapped, or in a
        file. A signal that is read only when asked (``xarray.open_zarr``) is read block by block.
    masks : mapping of str to Mask
        By name: rings, sectors, a centre of mass, or what every pixel counts, shape (ky, kx).
    progress : callable, optional
        Called as ``progress(done, total, text)`` while patterns are read.

    Returns
    -------
    SignalSet
        Images of float64 with the dims of the places. Of a `CentreOfMass` there are two,
        ``<name>_x`` and ``<name>_y``, in radians; its image is NaN where nothing was counted.
        Places that were not measured are NaN, and so are those where a pixel that the mask counts
        is; pixels that it does not count may be anything.

    Raises
    ------
    OutOfRange
        A mask holds no pixel.
    InvalidRequest
        Weights have another shape than the patterns or are no numbers, or there is no mask.
    SignalError
        What was given are no patterns.

    Examples
    --------
    >>> stack = Patterns.on_grid(np.ones((2, 3, 8, 8)), pitch=1e-10, angle_per_pixel=1e-3)
    >>> images = virtual_images(stack, {"bf": Ring(outer="2 mrad")})
    >>> images["bf"].dims, float(images["bf"][0, 0])
    (('y', 'x'), 9.0)
    """
    if not isinstance(patterns, Patterns):
        patterns = Patterns.of(patterns)
    plan = _plan(patterns, masks)
    places = patterns.values.shape[:-2]
    sums = np.full((*places, len(plan.names)), np.nan)
    total = int(np.prod(places))
    done = 0
    for part, found in _blocks(patterns, plan):
        sums[part] = found.reshape(sums[part].shape)
        done += len(found)
        if progress is not None:
            progress(done, total, "virtual detectors")
    if patterns.there is not None:
        sums[~patterns.there] = np.nan
    return _images(patterns, masks, dict(zip(plan.names, np.moveaxis(sums, -1, 0), strict=True)))


@dataclass(frozen=True, slots=True)
class VirtualDetector:
    """One virtual detector: a ring by angle.

    Parameters
    ----------
    inner, outer : float or str
        Angles in radians, or with a unit.
    centre : (float, float)
        Of the ring, (kx, ky) in radians.
    """

    inner: float | str = 0.0
    outer: float | str = float("inf")
    centre: tuple[float, float] = (0.0, 0.0)

    def __call__(self, patterns: Patterns | Signal) -> Signal:
        """Return the image, dims those of the places; see `virtual_images`.

        Raises
        ------
        InvalidRequest
            The angles are none.
        OutOfRange
            The ring holds no pixel.
        """
        ring = from_outside(Ring, inner=self.inner, outer=self.outer, centre=self.centre)
        return virtual_images(patterns, {"detector": ring})["detector"]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the kernel is told: see `virtual_detector_kernels.integrate`."""

    names: tuple[str, ...]
    runs: IntArray
    masks: IntArray
    weights: FloatArray
    lines: IntArray


def _plan(patterns: Patterns, masks: Mapping[str, Mask]) -> _Plan:
    """Cut every mask into runs of pixels."""
    ky, kx = (patterns.axes[dim].values for dim in ("ky", "kx"))
    sums: dict[str, np.ndarray[Any, Any]] = {}
    for name, mask in masks.items():
        if not isinstance(mask, Ring):
            sums[name] = _weights(name, mask, (len(ky), len(kx)))
            continue
        inside = mask.inside(ky, kx)
        if not inside.any():
            reach = float(np.hypot(np.abs(ky).max(), np.abs(kx).max()))
            raise OutOfRange(
                f"`{name}` counts no pixel from {mask.inner:g} rad to {mask.outer:g} rad; the "
                f"patterns reach {reach:.4g} rad."
            )
        sums[name] = inside
        if isinstance(mask, CentreOfMass):
            sums[f"{name}_x"] = np.where(inside, kx[None, :], 0.0)
            sums[f"{name}_y"] = np.where(inside, ky[:, None], 0.0)
    if not sums:
        raise InvalidRequest("`masks` is empty; name at least one.")
    if len(sums) != sum(3 if isinstance(one, CentreOfMass) else 1 for one in masks.values()):
        raise InvalidRequest("`masks` has a name that a centre of mass wants for its images.")
    runs: list[IntArray] = []
    rows: list[tuple[int, int, int]] = []
    weights: list[FloatArray] = []
    for values in sums.values():
        counted = values.ravel() != 0
        edges = np.flatnonzero(np.diff(np.concatenate(([False], counted, [False]))))
        before = sum(len(one) for one in runs)
        runs.append(edges.reshape(-1, 2))
        once = bool((values.ravel()[counted] == 1).all())
        rows.append((before, before + len(runs[-1]), -1 if once else len(weights)))
        if not once:
            weights.append(values.ravel().astype(float))
    table = np.array(weights) if weights else np.zeros((1, len(ky) * len(kx)))
    step = max(1, _LINE_BYTES // patterns.values.dtype.itemsize)
    read = np.flatnonzero(np.any(list(sums.values()), axis=0))
    lines = np.unique(read // step) * step
    return _Plan(tuple(sums), np.concatenate(runs), np.array(rows), table, lines)


def _weights(name: str, mask: FloatArray, shape: tuple[int, int]) -> FloatArray:
    weights = np.asarray(mask, dtype=float)
    if weights.shape != shape or not np.isfinite(weights).all() or not weights.any():
        raise InvalidRequest(
            f"`{name}` are weights of shape {weights.shape}; they must be {shape} finite numbers, "
            "not all of them 0."
        )
    return weights


def _blocks(patterns: Patterns, plan: _Plan) -> Iterator[tuple[Part, FloatArray]]:
    """Yield the sums of block after block, worked out by two threads."""
    from nanopilot.analysis.virtual_detector_kernels import integrate

    kept = KEPT_BYTES // BLOCK_BYTES
    behind = FileBehind.of(patterns.values)

    def work(number: int, part: Part) -> tuple[Part, FloatArray]:
        block = patterns.read(part, behind if number >= kept else None)
        sums = np.empty((len(block), len(plan.names)))
        integrate(block, plan.runs, plan.masks, plan.weights, plan.lines, sums)
        if number >= kept:
            let_go(block)
        return part, sums

    with behind or nullcontext(), ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        yield from pool.map(work, count(), patterns.parts())


def _images(
    patterns: Patterns, masks: Mapping[str, Mask], sums: Mapping[str, FloatArray]
) -> SignalSet:
    """Return sums as signals, and ratios of sums as angles."""
    dims = tuple(patterns.axes)[:-2]
    found: dict[str, tuple[tuple[str, ...], FloatArray, dict[str, str]]] = {}
    for name, mask in masks.items():
        told = mask.model_dump_json() if isinstance(mask, Ring) else json.dumps("weights")
        if isinstance(mask, CentreOfMass):
            label = {"quantity": "beam deflection", "units": "rad", "mask": told}
            for axis in "xy":
                with np.errstate(divide="ignore", invalid="ignore"):
                    values = sums[f"{name}_{axis}"] / sums[name]
                values[sums[name] == 0] = np.nan
                found[f"{name}_{axis}"] = (dims, values, label)
        else:
            label = {"quantity": patterns.quantity, "units": patterns.units, "mask": told}
            found[name] = (dims, np.ascontiguousarray(sums[name]), label)
    coords = {
        dim: (dim, axis.values, {"units": axis.units, "quantity": axis.quantity})
        for dim, axis in patterns.axes.items()
        if dim in dims
    }
    return xr.Dataset(found, coords, dict(patterns.metadata))
