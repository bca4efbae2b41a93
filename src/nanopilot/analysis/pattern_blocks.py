"""Stacks of patterns that may be far larger than memory, read block by block."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import numpy as np

from nanopilot.analysis.pattern_files import FileBehind, let_go
from nanopilot.core.errors import SignalError
from nanopilot.core.signals import Axis, Signal, check

Array = np.ndarray[Any, np.dtype[Any]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]
Part = tuple[slice, ...]

#: Bytes of one block, where the chunks of a file do not ask for more; a cache holds a few of them.
BLOCK_BYTES = 4 << 20


class Values(Protocol):
    """What holds patterns: an array, a memory map, a data set of HDF5 or Zarr."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of all of it."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of one pixel."""

    def __getitem__(self, part: Any, /) -> Any:
        """Return a part of it, which is then read."""


@dataclass(frozen=True, slots=True, eq=False)
class Patterns:
    """Patterns, and the axes of their places and pixels.

    Parameters
    ----------
    values : Values
        Anything that is cut as an array is: a numpy array, a memory map (``np.load(path,
        mmap_mode="r")``, `numpy.memmap`), an h5py or Zarr data set; dims those of `axes`.
    axes : mapping of str to Axis
        Such as ``y, x, ky, kx``: one or two dims of places, then rows and columns of a pattern in
        radians.
    quantity, units : str
        Of a pixel.
    metadata : mapping
        Of the whole, JSON texts by name.
    there : numpy.ndarray of bool, optional
        Which places have been measured, shape that of the places; None: all.

    Raises
    ------
    SignalError
        Values and axes do not go together.
    """

    values: Values
    axes: Mapping[str, Axis]
    quantity: str = "intensity"
    units: str = "counts"
    metadata: Mapping[str, str] = field(default_factory=dict)
    there: BoolArray | None = None

    def __post_init__(self) -> None:
        dims, shape = tuple(self.axes), tuple(self.values.shape)
        told = tuple(len(axis.values) for axis in self.axes.values())
        if dims[-2:] != ("ky", "kx") or len(dims) not in (3, 4):
            raise SignalError(
                f"`dims` is {dims}; patterns have one or two dims of places, then ky and kx."
            )
        if shape != told:
            raise SignalError(f"`values` has shape {shape}, but its axes say {told}.")
        for dim in ("ky", "kx"):
            if self.axes[dim].units != "rad":
                raise SignalError(f"`{dim}` is in {self.axes[dim].units!r}; it must be in rad.")
        if self.values.dtype.kind not in "buif" or self.values.dtype.itemsize > 8:
            raise SignalError(f"`values` are {self.values.dtype}; a pattern has real numbers.")
        if self.there is not None and self.there.shape != shape[:-2]:
            raise SignalError(f"`there` has shape {self.there.shape}; there are {shape[:-2]}.")

    @classmethod
    def on_grid(cls, values: Values, pitch: float, angle_per_pixel: float) -> Self:
        """Return patterns of shape (y, x, ky, kx) on a square grid, the beam on the middle pixel.

        Parameters
        ----------
        values : Values
            See `Patterns`.
        pitch : float
            From place to place, in metres.
        angle_per_pixel : float
            In radians; angle 0 is pixel ``size // 2``.
        """
        if len(values.shape) != 4:
            raise SignalError(f"`values` has shape {values.shape}; it must have (y, x, ky, kx).")
        places = [Axis(pitch * np.arange(float(n)), "m", "position") for n in values.shape[:2]]
        angles = [
            Axis(angle_per_pixel * (np.arange(float(n)) - n // 2), "rad", "scattering angle")
            for n in values.shape[2:]
        ]
        return cls(values, dict(zip(("y", "x", "ky", "kx"), (*places, *angles), strict=True)))

    @classmethod
    def of(cls, signal: Signal) -> Self:
        """Return the patterns of a signal; what it reads only when asked stays unread.

        Raises
        ------
        SignalError
            Its last dims are not ky and kx, or it is no signal.
        """
        dims = [dim for dim in signal.dims if dim not in ("ky", "kx")]
        axes = {}
        for dim in (*map(str, dims), "ky", "kx"):
            if dim not in signal.dims:
                raise SignalError(f"`dims` is {signal.dims}; patterns have ky and kx.")
            if dim in signal.coords:
                told, values = signal[dim].attrs, signal[dim].to_numpy()
            else:
                told, values = {}, np.arange(signal.sizes[dim], dtype=float)
            axes[dim] = Axis(values, told.get("units", "1"), told.get("quantity", "number"))
        ordered = check(signal).transpose(*axes)
        attrs = {str(key): value for key, value in signal.attrs.items()}
        quantity, units = attrs.pop("quantity"), attrs.pop("units")
        return cls(_Cut(ordered), axes, quantity, units, attrs)

    def parts(self) -> Iterator[Part]:
        """Yield slices of the places: blocks of about `BLOCK_BYTES`, along the chunks of a file."""
        *outer, rows, columns = self.values.shape
        pattern = rows * columns * self.values.dtype.itemsize
        count = max(1, BLOCK_BYTES // max(1, pattern))
        chunks = _chunks(self.values, len(outer))
        if len(outer) == 1:
            steps = [_aligned(count, chunks[0])]
        elif count >= outer[1] * chunks[0]:
            steps = [_aligned(count // max(1, outer[1]), chunks[0]), max(1, outer[1])]
        else:
            steps = [chunks[0], _aligned(count // chunks[0], chunks[1])]
        for place in np.ndindex(*(-(-n // step) for n, step in zip(outer, steps, strict=True))):
            yield tuple(
                slice(p * step, min(n, (p + 1) * step))
                for p, step, n in zip(place, steps, outer, strict=True)
            )

    def read(self, part: Part, behind: FileBehind | None = None) -> Array:
        """Return a block as it lies in memory, shape (places, ky * kx); without copying if it can.

        Types that numba does not know become such as hold the same numbers.

        Parameters
        ----------
        part : tuple of slice
            One of `parts`.
        behind : FileBehind, optional
            Of `values`: the block is read from there.
        """
        found = block = np.asarray(self.values[part])
        if behind is not None:
            found = block = behind.read(found)
        if block.dtype == np.float16:
            block = block.astype(np.float32)
        elif block.dtype == np.bool_:
            block = block.astype(np.uint8)
        elif not block.dtype.isnative:
            block = block.astype(block.dtype.newbyteorder("="))
        block = np.ascontiguousarray(block)
        if not np.may_share_memory(block, found):
            let_go(found)
        return block.reshape(math.prod(block.shape[:-2]), -1)


class _Cut:
    """A signal cut by position: slices of one that is not in memory are read one by one."""

    def __init__(self, signal: Signal) -> None:
        self._signal = signal
        self.shape: tuple[int, ...] = signal.shape
        self.dtype: np.dtype[Any] = signal.dtype
        self.chunks: Any = signal.encoding.get("chunks")

    def __getitem__(self, part: Part) -> Array:
        return self._signal[part].to_numpy()


def _chunks(values: Values, outer: int) -> tuple[int, ...]:
    """Return how many places lie in one chunk of a file along each dim; 1 where that is unknown."""
    told = getattr(values, "chunks", None)
    if not isinstance(told, tuple) or not all(isinstance(n, int) for n in told):
        return (1,) * outer
    return tuple(max(1, n) for n in told[:outer])


def _aligned(count: int, chunk: int) -> int:
    return max(1, chunk, count // chunk * chunk)
