"""Tables of plates and of overhangs."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr

from nanopilot.analysis.electrodes.reading import Reading
from nanopilot.core.signals import SignalSet, check_set

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: Standard error, in pixels, of an end that a person drew or cut.
_BY_HAND = 1.0
#: Chances between which the kind of a plate is not told.
_UNSURE = (0.1, 0.9)


def plate_table(
    columns: Mapping[str, Any], labels: IntArray, reading: Reading, side: str
) -> SignalSet:
    """Return one row for every label of a mask; those made by hand have what a mask tells.

    Parameters
    ----------
    columns : mapping
        Of the plates found: ``point`` (row, column), ``error``, ``anode``, ``slot``, ``level``,
        ``forked``, ``chance``, in the order of the labels 1 to n.
    labels : numpy.ndarray
        Mask after all edits.
    reading : Reading
        The frame.
    side : str
        Where free ends point.
    """
    names = np.unique(labels[labels > 0])
    n = len(columns["anode"])
    found = {int(k): int(k) - 1 for k in names if k <= n}
    rows = []
    for name in names:
        k = found.get(int(name))
        own = np.stack(np.nonzero(labels == name), axis=1).astype(float)
        if k is not None and _touches(own, columns["point"][k]):
            rows.append((
                *columns["point"][k], *columns["error"][k], columns["anode"][k],
                columns["slot"][k], columns["level"][k], columns["forked"][k], columns["chance"][k],
            ))  # fmt: skip
        else:
            end = _end(own, side)
            rows.append((*end, _BY_HAND, _BY_HAND, np.nan, -1, np.nan, False, 1.0))
    return _signals(names, np.array(rows, dtype=float).reshape(-1, 9), reading)


def _touches(own: FloatArray, point: FloatArray) -> bool:
    """Whether a mask still begins where its plate was found to end."""
    return bool(np.min(np.hypot(*(own - point).T)) < 4.0)


def _end(own: FloatArray, side: str) -> FloatArray:
    """Return the outermost place of a mask on one side: the middle of its last line."""
    dim, way = {"top": (0, 1), "bottom": (0, -1), "left": (1, 1), "right": (1, -1)}[side]
    last = np.min(way * own[:, dim])
    end = own[way * own[:, dim] == last].mean(axis=0)
    end[dim] -= 0.5 * way
    return np.asarray(end)


def _signals(names: IntArray, rows: FloatArray, reading: Reading) -> SignalSet:
    row, column, row_error, column_error, anode, slot, level, forked, chance = rows.T
    low, high = _UNSURE
    kind = np.where(anode > high, 1.0, np.where(anode < low, -1.0, 0.0))
    unit = reading.units
    made = {
        "x": ("position", unit, reading.position(column, "x")),
        "y": ("position", unit, reading.position(row, "y")),
        "x_error": ("standard error of position", unit, column_error * reading.step),
        "y_error": ("standard error of position", unit, row_error * reading.step),
        "row": ("row", "1", row),
        "column": ("column", "1", column),
        "row_error": ("standard error of row", "1", row_error),
        "column_error": ("standard error of column", "1", column_error),
        "anode": ("chance of an anode", "1", anode),
        "kind": ("1 anode, -1 cathode, 0 not told", "1", kind),
        "slot": ("place in the stack", "1", slot),
        "level": ("strength over the strongest value of the frame", "1", level),
        "forked": ("end split in two", "1", forked),
        "chance": ("chance of a plate", "1", chance),
        "label": ("label", "1", names.astype(float)),
    }
    return check_set(xr.Dataset({
        name: ("point", values, {"quantity": quantity, "units": units})
        for name, (quantity, units, values) in made.items()
    }))  # fmt: skip


def overhang_table(table: SignalSet, reading: Reading, side: str) -> SignalSet:
    """Return how far each anode reaches beyond the cathode next to it.

    Parameters
    ----------
    table : SignalSet
        As of `plate_table`.
    reading : Reading
        The frame.
    side : str
        Where free ends point.

    Returns
    -------
    SignalSet
        Dim ``point``, one row a pair of neighbouring places, both kinds told: ``anode`` and
        ``cathode`` (labels), ``overhang`` and ``overhang_error`` along the axis of the image that
        plates follow, in metres or, without calibration, in pixels (unit ``1``);
        ``overhang_pixels`` and its error. Positive where the anode is longer.
    """
    kind, slot = table["kind"].to_numpy(), table["slot"].to_numpy()
    order = np.argsort(slot, kind="stable")
    pairs = [
        (a, b) if kind[a] > 0 else (b, a)
        for a, b in pairwise(order)
        if slot[a] >= 0 and slot[b] - slot[a] == 1 and kind[a] * kind[b] < 0
    ]
    which = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    length, error = _overhangs(table, which, side)
    label = table["label"].to_numpy()
    made = {
        "anode": ("label of the anode", "1", label[which[:, 0]]),
        "cathode": ("label of the cathode", "1", label[which[:, 1]]),
        "overhang": ("overhang", reading.units, length * reading.step),
        "overhang_error": ("standard error of overhang", reading.units, error * reading.step),
        "overhang_pixels": ("overhang in pixels", "1", length),
        "overhang_pixels_error": ("standard error of overhang in pixels", "1", error),
    }
    return check_set(xr.Dataset({
        name: ("point", values, {"quantity": quantity, "units": units})
        for name, (quantity, units, values) in made.items()
    }))  # fmt: skip


def _overhangs(table: SignalSet, which: IntArray, side: str) -> tuple[FloatArray, FloatArray]:
    """Return lengths and errors in pixels along the plates."""
    name = "row" if side in {"top", "bottom"} else "column"
    way = 1.0 if side in {"top", "left"} else -1.0
    places, errors = table[name].to_numpy(), table[f"{name}_error"].to_numpy()
    length = way * (places[which[:, 1]] - places[which[:, 0]])
    return length, np.hypot(errors[which[:, 0]], errors[which[:, 1]])
