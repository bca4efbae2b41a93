"""Atomic columns of a frame, as a table of signals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from nanopilot.analysis.atoms.refining import Refined
from nanopilot.analysis.atoms.search import search
from nanopilot.analysis.atoms.stamps import COLUMN, HEIGHT, ROW
from nanopilot.analysis.tiling import Tile, gather
from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.core.signals import Signal, SignalSet

Array = np.ndarray[Any, np.dtype[Any]]

#: Rows and columns of a frame that is taken in one piece, and what pieces of larger ones share.
_PIECE, _SHARED = 2048, 192
#: Least rows and columns of a frame.
_LEAST = 16
#: Columns of the table: name, quantity, and what its unit is that of.
_NAMES = {
    "x": ("position", "x"),
    "y": ("position", "y"),
    "x_error": ("standard error of position", "x"),
    "y_error": ("standard error of position", "y"),
    "height": ("height of column", "frame"),
    "height_error": ("standard error of height", "frame"),
    "background": ("background at column", "frame"),
    "significance": ("evidence in standard deviations", "1"),
    "width_major": ("larger width of column, standard deviation", "x"),
    "width_minor": ("smaller width of column, standard deviation", "x"),
    "angle": ("direction of larger width from x towards y", "rad"),
}


def find_columns(
    frame: Signal, *, width: float | None = None, least_height: float = 0.1
) -> SignalSet:
    """Return the atomic columns of a frame.

    Columns are elliptical Gaussians of one shape, each on a background of its own. They are looked
    for by a matched filter, fitted together by their likelihood, and looked for again in what is
    left: where the neighbours of a place expect a column, less evidence is enough, and elsewhere
    more. Gain and noise of the detector are taken from the frame. Errors are Cramér-Rao bounds.

    Parameters
    ----------
    frame : Signal
        Dims (y, x) in metres, brighter columns on a darker background. A frame of more than 2048
        rows or columns is taken piece by piece.
    width : float, optional
        Width of a column, a standard deviation in metres; otherwise found.
    least_height : float
        Lower than this share of the middling column is none, 0 to 1.

    Returns
    -------
    SignalSet
        Dim ``point``, row by row of the frame: ``x, y, x_error, y_error`` and the widths in
        metres; ``height, height_error, background`` in the unit of the frame; ``significance``
        (standard deviations); ``angle`` in radians.

    Raises
    ------
    SignalError
        No frame, NaN in it, fewer than 16 rows or columns, or an axis that is not even.
    OutOfRange
        A width that is not positive or wider than an eighth of the frame, or a height outside
        0 to 1.

    Examples
    --------
    >>> from nanopilot.core.signals import Axis, make_signal
    >>> axis = Axis(np.arange(64) * 2e-11, "m", "position")
    >>> y, x = np.indices((64, 64))
    >>> bump = 90 * np.exp(-((y - 30.3) ** 2 + (x - 20.6) ** 2) / 8)
    >>> counts = np.random.default_rng(0).poisson(10 + bump).astype(float)
    >>> frame = make_signal(counts, {"y": axis, "x": axis}, quantity="counts", units="1")
    >>> found = find_columns(frame)
    >>> bool(abs(found["x"] - 20.6 * 2e-11) < 4 * found["x_error"])
    True
    """
    y, x = (_axis(frame, dim) for dim in ("y", "x"))
    pitch = 0.5 * (abs(y[1]) + abs(x[1]))
    if not 0 <= least_height <= 1:
        raise OutOfRange(f"`least_height` is {least_height}; it is a share, 0 to 1.")
    limit = pitch * min(frame.sizes["y"], frame.sizes["x"]) / 8
    if width is not None and not 0 < width <= limit:
        raise OutOfRange(
            f"`width` is {width} m; it is more than 0 and at most {limit:.3g} m in this frame."
        )
    image = frame.transpose("y", "x").data
    rows = list(_found(image, None if width is None else width / pitch, least_height))
    rows.sort()
    # Places of pieces are told by their rows and columns in the frame.
    lines = [(column, row, *numbers) for row, column, numbers in rows]
    values = np.array(lines).reshape(-1, len(_NAMES))
    return _table(frame, values, y, x)


def _found(
    image: Any, width: float | None, least_height: float
) -> Iterator[tuple[float, float, tuple[float, ...]]]:
    def look(piece: Array, tile: Tile) -> list[tuple[float, float, tuple[float, ...]]]:
        values = np.ascontiguousarray(piece, dtype=np.float64)
        if not np.isfinite(values).all():
            at = np.argwhere(~np.isfinite(values))[0] + (tile.rows.start, tile.columns.start)
            raise SignalError(
                f"`frame` is not finite at row {at[0]}, column {at[1]}; fill gaps before columns "
                f"are looked for."
            )
        return _listed(search(values, width, least_height), values.shape)

    return gather(image, look, size=_PIECE, overlap=_SHARED)


def _listed(now: Refined, shape: tuple[int, ...]) -> list[tuple[float, float, tuple[float, ...]]]:
    """Return row and column, and all other numbers, of every column that lies inside; in pixels."""
    place = now.table[:, :2]
    inside = ((place >= -0.5) & (place < np.array(shape) - 0.5)).all(axis=1)
    now = now.keep(np.asarray(inside))
    spread = np.sqrt(np.maximum(now.covariance[:, range(4), range(4)], 0.0))
    size, axes = np.linalg.eigh(now.shape)
    angle = float(np.arctan2(axes[0, 1], axes[1, 1])) % np.pi
    n = len(now.table)
    shapes = np.broadcast_to([np.sqrt(size[1]), np.sqrt(size[0]), angle], (n, 3))
    parts = [
        spread[:, COLUMN], spread[:, ROW],
        now.table[:, HEIGHT], spread[:, HEIGHT], now.ground, now.significance,
    ]  # fmt: skip
    numbers = np.column_stack([*parts, shapes])
    return [
        (float(row), float(column), tuple(line))
        for row, column, line in zip(
            now.table[:, ROW], now.table[:, COLUMN], numbers.tolist(), strict=True
        )
    ]


def _axis(frame: Signal, dim: str) -> tuple[float, float]:
    """Return where an even axis of a frame begins and its step, in metres."""
    if set(frame.dims) != {"y", "x"}:
        raise SignalError(f"`frame` has dims {frame.dims}; a frame has ('y', 'x').")
    if frame.sizes[dim] < _LEAST:
        raise SignalError(f"`{dim}` has {frame.sizes[dim]} pixels; columns need at least {_LEAST}.")
    values = frame[dim].to_numpy()
    steps = np.diff(values)
    pitch = float(steps.mean())
    if pitch == 0 or np.abs(steps - pitch).max() > 1e-3 * abs(pitch):
        raise SignalError(f"`{dim}` is not even; resample the frame before columns are looked for.")
    return float(values[0]), pitch


def _table(
    frame: Signal, values: Array, y: tuple[float, float], x: tuple[float, float]
) -> SignalSet:
    numbers = dict(zip(_NAMES, values.T, strict=True))
    pitch = 0.5 * (abs(y[1]) + abs(x[1]))
    scale = {"x": x, "y": y}
    for name, (start, step) in scale.items():
        numbers[name] = start + step * numbers[name]
        numbers[f"{name}_error"] = abs(step) * numbers[f"{name}_error"]
    for name in ("width_major", "width_minor"):
        numbers[name] = pitch * numbers[name]
    units = {"x": "m", "y": "m", "frame": frame.attrs["units"]}
    table = {
        name: xr.DataArray(
            column, dims="point", attrs={"quantity": quantity, "units": units.get(of, of)}
        )
        for (name, (quantity, of)), column in zip(_NAMES.items(), numbers.values(), strict=True)
    }
    return xr.Dataset(table)


@dataclass(frozen=True, slots=True)
class AtomColumns:
    """Find the atomic columns of a frame: `find_columns` with its settings kept.

    Parameters
    ----------
    width : float, optional
        As of `find_columns`, in metres.
    least_height : float
        As of `find_columns`.
    """

    width: float | None = None
    least_height: float = 0.1

    def __call__(self, frame: Signal) -> SignalSet:
        """Return the table of columns, dim ``point``."""
        return find_columns(frame, width=self.width, least_height=self.least_height)
