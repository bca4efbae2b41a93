"""Axes of NSID data sets: which dim of the vocabulary each one is, and where its samples lie."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nanopilot.core.signals import DIMS

Floats = np.ndarray[Any, np.dtype[np.float64]]

#: Dims along which the order of the samples means nothing: they are made to ascend.
REORDERED = frozenset({"x", "y", "kx", "ky", "energy", "frequency"})
_SPATIAL = frozenset({"x", "y"})
_BY_UNITS = {"V": "bias", "eV": "energy", "Hz": "frequency", "s": "time"}
_BY_WORD = (
    ("bias", "bias"), ("voltage", "bias"), ("energy", "energy"), ("frequency", "frequency"),
    ("time", "time"),
)  # fmt: skip
_RECIPROCAL = {"u": "kx", "kx": "kx", "qx": "kx", "v": "ky", "ky": "ky", "qy": "ky"}
_INDEX_UNITS = frozenset({"1", "a.u.", "counts", "s"})


class NotInVocabulary(Exception):
    """The data set has an axis that no signal can have; the message says which and why."""


@dataclass(frozen=True, slots=True, eq=False)
class RawAxis:
    """An axis as the file has it.

    Parameters
    ----------
    label, quantity, kind : str
        Its name, its quantity, and its ``dimension_type`` in capitals.
    values : numpy.ndarray
        Positions of the samples in `units`.
    units : str
        As written; empty where missing.
    """

    label: str
    quantity: str
    kind: str
    values: Floats
    units: str

    @property
    def is_spatial(self) -> bool:
        """Whether it is a position on the sample."""
        return self.kind == "SPATIAL" or (
            self.kind in ("", "UNKNOWN") and self.label.lower() in _SPATIAL
        )


def dims_of(axes: Sequence[RawAxis], si: Sequence[str]) -> list[str]:
    """Return the dim of each axis, in the order of the file.

    Parameters
    ----------
    axes : sequence of RawAxis
        Of one data set.
    si : sequence of str
        Their units after conversion.

    Raises
    ------
    NotInVocabulary
        An axis is none of the vocabulary's dims, or two are the same.
    """
    frames = sum(axis.is_spatial for axis in axes) == 2
    dims = [_dim(axis, unit, frames) for axis, unit in zip(axes, si, strict=True)]
    free = [dim for dim in ("x", "y") if dim not in dims]
    for place, axis in enumerate(axes):
        if dims[place] == "" and axis.is_spatial and free:
            dims[place] = free.pop(0)  # the file's convention: x before y
    for dim, axis, unit in zip(dims, axes, si, strict=True):
        if not dim:
            kind = axis.kind.lower() or "unknown"
            raise NotInVocabulary(
                f"axis `{axis.label}` ({kind}, {unit}) is none of {', '.join(DIMS)}"
            )
        if dims.count(dim) > 1:
            raise NotInVocabulary(f"two axes are `{dim}`")
    return dims


def _dim(axis: RawAxis, unit: str, frames: bool) -> str:
    """Return the dim, or an empty text: no dim, or a spatial one without a name of its own."""
    label = re.sub(r"\W.*", "", axis.label.strip().lower())
    if axis.is_spatial:
        return label if label in _SPATIAL else ""
    if axis.kind == "RECIPROCAL":
        return _RECIPROCAL.get(label, "")
    if axis.kind == "POINT_CLOUD":
        return "point"
    if axis.kind == "TEMPORAL":
        return ("frame" if frames else "time") if unit in _INDEX_UNITS else ""
    if axis.kind in ("SPECTRAL", "UNKNOWN", ""):
        words = f"{axis.quantity} {axis.label}".lower()
        named = next((dim for word, dim in _BY_WORD if word in words and unit in ("1", "a.u.")), "")
        return _BY_UNITS.get(unit, named)
    return ""
