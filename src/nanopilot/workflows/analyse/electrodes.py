"""`analyse electrodes`: plates of a battery cell in an X-ray image, counted and measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from nanopilot.analysis.electrodes import Edit, ElectrodesFound, FindElectrodes
from nanopilot.analysis.instances import outlines
from nanopilot.core.errors import SignalError
from nanopilot.core.signals import Signal
from nanopilot.workflows.analyse.findings import Findings, Mark

Array = np.ndarray[Any, np.dtype[np.float64]]

#: What each flag means for who reads the answer.
_SAYS = {
    "blur": "The image is blurred against the spacing of the plates.",
    "fork": "A free end is split in two; its length is that of the prongs.",
    "shadow": "A shadow, such as the edge of a separator, lies near the free ends.",
    "tip": "A free end was not found to better than a pixel.",
    "missing": "A place between plates is empty: a plate is missing, or was not seen.",
}
_KINDS = {1: "anode", -1: "cathode", 0: "plate"}


@dataclass(frozen=True, slots=True)
class AnalyseElectrodes:
    """Count the plates of a battery cell and measure how far anodes reach beyond cathodes.

    Parameters
    ----------
    plates : {"dark", "bright"}
        How plates look in the image.
    edits : sequence of Edit or mapping
        What a person changed in the masks, in this order; as JSON holds them, too.
    """

    plates: Literal["dark", "bright"] = "dark"
    edits: Sequence[Edit | Mapping[str, Any]] = ()

    def __call__(self, frame: Signal) -> Findings:
        """Return the table of plates, marks (box, masks, ends, overhangs) and doubts.

        Raises
        ------
        SignalError
            It is no frame of square pixels in metres, is small, or has values that are not finite.
        NoStack
            The image shows no stack that can be counted.
        OutOfRange
            An edit does not fit the image.
        """
        for dim in frame.dims:
            if str(frame[dim].attrs.get("units")) != "m":
                raise SignalError(
                    f"`{dim}` of `frame` is not in metres; say what a pixel is, or use "
                    "`FindElectrodes`, which also works in pixels."
                )
        made = tuple(
            one if isinstance(one, Edit) else Edit.model_validate(one) for one in self.edits
        )
        found = FindElectrodes(self.plates, made).found(frame)
        kinds = found.table["kind"].to_numpy()
        return Findings(found.table, _marks(frame, found), _summary(found, kinds),
                        tuple(_doubts(found, kinds)))  # fmt: skip


def _marks(frame: Signal, found: ElectrodesFound) -> tuple[Mark, ...]:
    table, places = found.table, _Places(frame)
    first_row, first_column, last_row, last_column = found.box
    corners = np.array([
        (first_row, first_column), (first_row, last_column),
        (last_row, last_column), (last_row, first_column),
    ])  # fmt: skip
    marks = [Mark("region", places(corners), "outline")]
    drawn = outlines(found.labels)
    by_label = {}
    for k, name in enumerate(table["label"].to_numpy().astype(int)):
        kind = _KINDS[int(table["kind"][k])]
        by_label[int(name)] = k
        marks.append(Mark(kind, drawn[int(name)], "outline"))
        end = np.array([[float(table["x"][k]), float(table["y"][k])]])
        marks.append(Mark(f"end of {kind}", end, "dot"))
    for pair in range(found.overhangs.sizes["point"]):
        one, other = (by_label[int(found.overhangs[name][pair])] for name in ("cathode", "anode"))
        marks.append(Mark("overhang", _bar(found, one, other, places), "line"))
    return tuple(marks)


def _bar(found: ElectrodesFound, cathode: int, anode: int, places: _Places) -> Array:
    """Return the line from the end of a cathode to the level of the end of an anode beside it."""
    row, column = (found.table[name].to_numpy() for name in ("row", "column"))
    end = np.array([row[cathode], column[cathode]])
    level = end.copy()
    along = 0 if found.side in {"top", "bottom"} else 1
    level[along] = (row, column)[along][anode]
    return places(np.stack([end, level]))


@dataclass(frozen=True, slots=True, eq=False)
class _Places:
    """From rows and columns of a frame to x and y."""

    frame: Signal

    def __call__(self, pixels: Array) -> Array:
        """Return x and y in metres, shape (n, 2), of rows and columns, shape (n, 2)."""
        found = []
        for dim, values in (("x", pixels[:, 1]), ("y", pixels[:, 0])):
            axis = self.frame[dim].to_numpy().astype(float)
            found.append(axis[0] + values * (axis[-1] - axis[0]) / (len(axis) - 1))
        return np.stack(found, axis=-1)


def _summary(found: ElectrodesFound, kinds: Array) -> dict[str, float | int | str]:
    said: dict[str, float | int | str] = {
        "plates": found.count,
        "plates, 95 % interval": f"{found.interval[0]} to {found.interval[1]}",
        "anodes": int((kinds > 0).sum()),
        "cathodes": int((kinds < 0).sum()),
        "spacing (px)": round(found.spacing, 2),
        "free ends point to": found.side,
    }
    length = found.overhangs["overhang"].to_numpy()
    if len(length):
        error = found.overhangs["overhang_error"].to_numpy()
        said |= {
            "median overhang (um)": 1e6 * float(np.median(length)),
            "smallest overhang (um)": 1e6 * float(length.min()),
            "its standard error (um)": 1e6 * float(error[int(np.argmin(length))]),
        }
    return said


def _doubts(found: ElectrodesFound, kinds: Array) -> list[str]:
    doubts = [_SAYS[name] for name in found.flags.raised]
    if not kinds.any():
        doubts.append("Long and short plates are not told apart: no anodes, no cathodes.")
    elif (kinds == 0).any():
        doubts.append(f"The kind of {int((kinds == 0).sum())} plates is not told.")
    if found.interval[0] != found.interval[1]:
        doubts.append(f"There may be {found.interval[0]} to {found.interval[1]} plates.")
    length = found.overhangs["overhang"].to_numpy()
    error = found.overhangs["overhang_error"].to_numpy()
    short = int((length < 2 * error).sum())
    if short:
        doubts.append(f"{short} overhangs are not larger than twice their error.")
    return doubts
