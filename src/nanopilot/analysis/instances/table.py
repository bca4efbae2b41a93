"""A table of things: one row for each label of a mask, sizes in metres."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from scipy.ndimage import find_objects

from nanopilot.analysis.instances.outlines import Extent, extent, outline
from nanopilot.core.errors import SignalError
from nanopilot.core.signals import Signal, SignalSet, check_set

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: Column: quantity, unit.
COLUMNS = {
    "area": ("area", "m^2"),
    "equivalent_diameter": ("diameter of the disc of the same area", "m"),
    "perimeter": ("perimeter", "m"),
    "feret": ("largest Feret diameter", "m"),
    "feret_min": ("smallest Feret diameter", "m"),
    "major_axis": ("major axis of the ellipse of the same moments", "m"),
    "minor_axis": ("minor axis of the ellipse of the same moments", "m"),
    "aspect_ratio": ("major over minor axis", "1"),
    "eccentricity": ("eccentricity of that ellipse", "1"),
    "orientation": ("direction of the major axis, axial", "rad"),
    "solidity": ("area over that of the convex hull", "1"),
    "convexity": ("perimeter of the convex hull over perimeter", "1"),
    "circularity": ("4 pi area over perimeter squared", "1"),
    "inverse_hu": ("inverse first Hu moment", "1"),
    "border": ("touches the edge of the frame", "1"),
}


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    """One thing: its label, its mask, and where in the frame the mask lies."""

    label: int
    mask: np.ndarray[Any, np.dtype[np.bool_]]
    row: int
    column: int


def describe_instances(labels: Signal, intensity: Signal | None = None) -> SignalSet:
    """Return the descriptors of every label of a mask.

    Parameters
    ----------
    labels : Signal
        Whole numbers, dims (y, x) in metres, 0 where nothing is. Pixels may be oblong.
    intensity : Signal, optional
        Same shape: its mean and standard deviation over each thing are added.

    Returns
    -------
    SignalSet
        Dim ``point``, in the order of the labels; coordinates ``x, y`` (m, middle of the pixels)
        and ``label``; variables of `COLUMNS`. ``orientation`` is the angle of the major axis to
        the x axis, counter-clockwise, from -pi/2 to pi/2: axial, so average it by doubling.
        ``inverse_hu`` is 2 pi for a disc and less for anything else: ``m00^2 / (mu20 + mu02)``
        with the moments of M. K. Hu, IRE Trans. Inf. Theory 8 (1962) 179. ``to_dataframe()``
        makes a pandas table of it.

    Raises
    ------
    SignalError
        The mask is no whole numbers, or has no calibration, or the intensity another shape.
    """
    values, dy, dx = _checked(labels, intensity)
    rows = []
    shades = None if intensity is None else intensity.transpose("y", "x").to_numpy()
    for cut in _cuts(values):
        found = _measured(cut, values.shape, (dy, dx))
        if shades is not None:
            inside = _part(shades, cut)[cut.mask]
            found |= {"mean": float(np.mean(inside)), "std": float(np.std(inside))}
        rows.append(found)
    return _table(rows, labels, intensity)


def outlines(labels: Signal) -> dict[int, FloatArray]:
    """Return the outline of every label in metres, shape (n, 2), columns (x, y)."""
    values, dy, dx = _checked(labels, None)
    x0, y0 = float(labels["x"][0]), float(labels["y"][0])
    found = {}
    for cut in _cuts(values):
        points = outline(cut.mask) + np.array([cut.column, cut.row])
        found[cut.label] = points * np.array([dx, dy]) + np.array([x0, y0])
    return found


def _checked(labels: Signal, intensity: Signal | None) -> tuple[IntArray, float, float]:
    if set(labels.dims) != {"y", "x"} or labels.dtype.kind not in "iub":
        raise SignalError(
            f"`labels` has dims {labels.dims} of {labels.dtype}; it is whole numbers over (y, x)."
        )
    if intensity is not None and dict(intensity.sizes) != dict(labels.sizes):
        raise SignalError(f"`intensity` has {dict(intensity.sizes)}, not {dict(labels.sizes)}.")
    values = labels.transpose("y", "x").to_numpy().astype(np.int64)
    if values.min(initial=0) < 0:
        raise SignalError("`labels` has negative numbers; things count from 1.")
    steps = []
    for dim in ("y", "x"):
        axis = labels[dim].to_numpy()
        if axis.size < 2 or not axis[-1] > axis[0]:
            raise SignalError(f"`{dim}` of `labels` needs two ascending pixels or more.")
        steps.append(float((axis[-1] - axis[0]) / (axis.size - 1)))
    return values, steps[0], steps[1]


def _cuts(values: IntArray) -> Iterator[_Cut]:
    """Yield every label that there is; labels may be wide and far apart."""
    present, dense = np.unique(values, return_inverse=True)
    dense = dense.reshape(values.shape) + (0 if present[0] == 0 else 1)
    names = present if present[0] == 0 else np.concatenate([[0], present])
    for number, where in enumerate(find_objects(dense), start=1):
        mask = dense[where] == number
        yield _Cut(int(names[number]), mask, where[0].start, where[1].start)


def _part(values: np.ndarray[Any, Any], cut: _Cut) -> np.ndarray[Any, Any]:
    rows, columns = cut.mask.shape
    return values[cut.row : cut.row + rows, cut.column : cut.column + columns]


def _measured(cut: _Cut, frame: tuple[int, ...], pixel: tuple[float, float]) -> dict[str, float]:
    dy, dx = pixel
    row, column = np.nonzero(cut.mask)
    y, x = row * dy, column * dx
    area = len(row) * dy * dx
    # A pixel is a rectangle and not a point: its own moments are a twelfth of its sides squared.
    mxx, myy = float(np.var(x)) + dx**2 / 12, float(np.var(y)) + dy**2 / 12
    mxy = float(np.mean((x - x.mean()) * (y - y.mean())))
    spread = math.hypot((mxx - myy) / 2, mxy)
    large, small = (mxx + myy) / 2 + spread, max((mxx + myy) / 2 - spread, 0.0)
    drawn = extent(outline(cut.mask) * np.array([dx, dy]))
    rows, columns = cut.mask.shape
    at_edge = (
        cut.row == 0 or cut.column == 0
        or cut.row + rows == frame[0] or cut.column + columns == frame[1]
    )  # fmt: skip
    return {
        "label": cut.label,
        "x": float(x.mean()) + cut.column * dx,
        "y": float(y.mean()) + cut.row * dy,
        "area": area,
        "equivalent_diameter": 2 * math.sqrt(area / math.pi),
        "major_axis": 4 * math.sqrt(large),
        "minor_axis": 4 * math.sqrt(small),
        "aspect_ratio": math.sqrt(large / small) if small > 0 else math.inf,
        "eccentricity": math.sqrt(max(0.0, 1 - small / large)),
        "orientation": 0.5 * math.atan2(2 * mxy, mxx - myy),
        "inverse_hu": area / (mxx + myy),
        "border": float(at_edge),
    } | _along(drawn)


def _along(drawn: Extent) -> dict[str, float]:
    """Return what is measured along the outline."""
    round_ = 4 * math.pi * drawn.area / drawn.perimeter**2 if drawn.perimeter else math.nan
    return {
        "perimeter": drawn.perimeter,
        "feret": drawn.longest,
        "feret_min": drawn.shortest,
        "solidity": drawn.area / drawn.hull_area,
        "convexity": drawn.hull_perimeter / drawn.perimeter if drawn.perimeter else math.nan,
        "circularity": round_,
    }


def _table(rows: list[dict[str, float]], labels: Signal, intensity: Signal | None) -> SignalSet:
    columns = dict(COLUMNS)
    if intensity is not None:
        said = (str(intensity.attrs["quantity"]), str(intensity.attrs["units"]))
        columns |= {"mean": (f"mean {said[0]}", said[1]), "std": (f"std of {said[0]}", said[1])}
    data = {
        name: ("point", np.array([row[name] for row in rows]), {"quantity": what, "units": unit})
        for name, (what, unit) in columns.items()
    }
    origin = {"x": float(labels["x"][0]), "y": float(labels["y"][0])}
    where = {"quantity": "position", "units": "m"}
    coords: dict[str, Any] = {
        name: ("point", np.array([row[name] + origin[name] for row in rows]), where)
        for name in ("x", "y")
    }
    numbers = np.array([row["label"] for row in rows], dtype=np.int64)
    coords["label"] = ("point", numbers, {"quantity": "label", "units": "1"})
    return check_set(xr.Dataset(data, coords))
