"""What a person changed in the masks: a list that is kept, and done again the same way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from pydantic import TypeAdapter, ValidationError
from scipy.ndimage import label
from skimage.draw import line as pixels_of

from nanopilot.core.errors import InvalidRequest, OutOfRange
from nanopilot.core.values import Value

IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: Pixels of a piece that is too small to be a plate.
_CRUMB = 4
#: Edits hold so many points each.
_POINTS = {"cut": 2, "add": 2, "remove": 1, "merge": 2}


class Edit(Value):
    """One change made by hand.

    Parameters
    ----------
    kind : {"cut", "add", "remove", "merge"}
        Cut every plate along the line between two points; add a plate from its free end to its
        other end; remove the plate at a point; make one plate of those at two points.
    points : tuple of (float, float)
        Rows and columns in pixels of the image.
    width : float
        Of a plate that is added, and of a cut, in pixels.
    """

    kind: Literal["cut", "add", "remove", "merge"]
    points: tuple[tuple[float, float], ...]
    width: float = 3.0


_LIST = TypeAdapter(tuple[Edit, ...])


def edits_to_json(edits: Sequence[Edit]) -> str:
    """Return edits as JSON, in their order."""
    return _LIST.dump_json(tuple(edits)).decode()


def edits_from_json(text: str | bytes) -> tuple[Edit, ...]:
    """Return the edits of a JSON text.

    Raises
    ------
    InvalidRequest
        It is no list of edits.
    """
    try:
        return _LIST.validate_json(text)
    except ValidationError as cause:
        raise InvalidRequest(
            f"`edits` is no list of edits: {cause.errors()[0]['msg']}; write what `edits_to_json` "
            "returns."
        ) from cause


def apply_edits(labels: IntArray, edits: Sequence[Edit]) -> IntArray:
    """Return labels after all edits, in their order; what was given is left alone.

    New plates get the next higher number; numbers that fall away are not given again.

    Parameters
    ----------
    labels : numpy.ndarray
        Whole numbers, 0 where no plate is, shape (rows, columns).
    edits : sequence of Edit
        What is done.

    Raises
    ------
    OutOfRange
        A point lies outside the image, an edit has another number of points than it needs, or
        there is no plate where one is to be removed or merged.
    """
    now = labels.astype(np.int64)
    ways = {"cut": _cut, "add": _add, "remove": _remove, "merge": _merge}
    highest = int(now.max(initial=0))
    for number, edit in enumerate(edits, start=1):
        _check(now, edit, number)
        ways[edit.kind](now, edit, highest)
        highest = max(highest, int(now.max(initial=0)))
    return now


def _check(labels: IntArray, edit: Edit, number: int) -> None:
    if len(edit.points) != _POINTS[edit.kind]:
        raise OutOfRange(
            f"edit {number}, `{edit.kind}`, has {len(edit.points)} points; it takes "
            f"{_POINTS[edit.kind]}."
        )
    for row, column in edit.points:
        inside = 0 <= round(row) < labels.shape[0] and 0 <= round(column) < labels.shape[1]
        if not inside:
            raise OutOfRange(
                f"edit {number}, `{edit.kind}`, has the point ({row:g}, {column:g}) outside an "
                f"image of {labels.shape[0]} x {labels.shape[1]} pixels."
            )
    if edit.kind in {"remove", "merge"}:
        for row, column in edit.points:
            if not labels[round(row), round(column)]:
                raise OutOfRange(
                    f"edit {number}, `{edit.kind}`: no plate is at ({row:g}, {column:g}); name a "
                    "pixel of its mask."
                )


def _stroke(labels: IntArray, edit: Edit) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return the pixels within half a width of the line between two points."""
    (r0, c0), (r1, c1) = edit.points
    drawn = np.zeros(labels.shape, dtype=bool)
    half = max((edit.width - 1) / 2, 0.0)
    reach = int(np.ceil(half))
    rows, columns = pixels_of(round(r0), round(c0), round(r1), round(c1))
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            if down**2 + right**2 <= half**2 + 1e-9:
                r, c = rows + down, columns + right
                good = (r >= 0) & (r < labels.shape[0]) & (c >= 0) & (c < labels.shape[1])
                drawn[r[good], c[good]] = True
    return drawn


def _cut(labels: IntArray, edit: Edit, highest: int) -> None:
    stroke = _stroke(labels, edit)
    names = np.unique(labels[stroke & (labels > 0)])
    labels[stroke] = 0
    for name in names:
        pieces, count = label(labels == name, structure=np.ones((3, 3)))
        sizes = np.bincount(pieces.ravel(), minlength=count + 1)
        order = sorted(range(1, count + 1), key=lambda piece: (-sizes[piece], piece))
        # The largest piece keeps the number; crumbs of the cut are no plates.
        for piece in order[1:]:
            highest += sizes[piece] >= _CRUMB
            labels[pieces == piece] = highest if sizes[piece] >= _CRUMB else 0


def _add(labels: IntArray, edit: Edit, highest: int) -> None:
    labels[_stroke(labels, edit) & (labels == 0)] = highest + 1


def _remove(labels: IntArray, edit: Edit, highest: int) -> None:  # noqa: ARG001
    row, column = edit.points[0]
    labels[labels == labels[round(row), round(column)]] = 0


def _merge(labels: IntArray, edit: Edit, highest: int) -> None:  # noqa: ARG001
    one, other = (int(labels[round(row), round(column)]) for row, column in edit.points)
    labels[labels == max(one, other)] = min(one, other)
