"""The table of particles: shared descriptors, and how well each size is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nanopilot.analysis.instances import describe_instances
from nanopilot.analysis.particle_shapes.instances import Instance
from nanopilot.core.signals import Axis, SignalSet, check_set, make_signal

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Empty pixels between particles on the sheet that they are measured on, and its widest row.
_GAP, _ROW = 1, 2048


def describe(
    instances: Sequence[Instance],
    steps: tuple[float, float],
    origin: tuple[float, float],
    shape: Sequence[int],
) -> SignalSet:
    """Return the descriptors of particles that may overlap, by `describe_instances`.

    A label map cannot hold particles that share pixels, so their masks are laid out side by side
    on a sheet of their own, measured there, and sent back to their places.

    Parameters
    ----------
    instances : sequence of Instance
        In the order of the rows.
    steps, origin : (float, float)
        Pixel size and place of the first pixel, (y, x) in metres.
    shape : (int, int)
        Of the frame.
    """
    corners, size = _laid_out([one.mask.shape for one in instances])
    sheet = np.zeros(size, dtype=np.int64)
    for number, (one, (row, column)) in enumerate(zip(instances, corners, strict=True), start=1):
        rows, columns = one.mask.shape
        sheet[row : row + rows, column : column + columns][one.mask] = number
    axes = {
        dim: Axis(np.arange(float(n)) * step, "m", "position")
        for dim, n, step in zip(("y", "x"), size, steps, strict=True)
    }
    table = describe_instances(make_signal(sheet, axes, quantity="label", units="1"))
    shift = np.array([(one.row, one.column) for one in instances]).reshape(-1, 2)
    shift = shift - np.array(corners).reshape(-1, 2)
    for dim, axis in (("y", 0), ("x", 1)):
        place = table[dim].to_numpy() + shift[:, axis] * steps[axis] + origin[axis]
        table = table.assign_coords({dim: ("point", place, table[dim].attrs)})
    border = np.array([float(one.touches(shape)) for one in instances])
    hidden = np.array([float(one.overlapped) for one in instances])
    pixel = math.sqrt(steps[0] * steps[1])
    error = np.array([one.error * pixel for one in instances])
    told = {"quantity": "standard error of the equivalent diameter", "units": "m"}
    return check_set(
        table.assign(
            diameter_error=("point", error, told),
            border=("point", border, table["border"].attrs),
            overlapped=("point", hidden, {"quantity": "cut from a neighbour", "units": "1"}),
        )
    )


def _laid_out(shapes: Sequence[tuple[int, ...]]) -> tuple[list[tuple[int, int]], tuple[int, int]]:
    """Return where each mask lies on a sheet of shelves, and the sheet's size."""
    corners, row, column, high, wide = [], _GAP, _GAP, 0, 2
    limit = max(_ROW, *(shape[1] + 2 * _GAP for shape in shapes)) if shapes else _ROW
    for rows, columns in shapes:
        if column + columns + _GAP > limit:
            row, column, high = row + high + _GAP, _GAP, 0
        corners.append((row, column))
        column += columns + _GAP
        high, wide = max(high, rows), max(wide, column)
    return corners, (row + high + _GAP + 1, wide + 1)


def ellipticity(table: SignalSet) -> FloatArray:
    """Return the area over that of the ellipse of the same second moments, shape (n,).

    1 for every ellipse, 0.955 for every parallelogram, 0.827 for every triangle, however long
    (P. L. Rosin, Mach. Vis. Appl. 14 (2003) 172): what is left of a shape without its aspect.
    """
    axes = table["major_axis"].to_numpy() * table["minor_axis"].to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        found: FloatArray = table["area"].to_numpy() / (math.pi / 4 * axes)
    return found
