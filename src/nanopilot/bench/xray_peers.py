"""Answers to X-ray images of cells: the shipped operator's, and simple ones beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter, label
from skimage.filters import threshold_local

from nanopilot.analysis.electrodes import FindElectrodes, NoStack
from nanopilot.analysis.electrodes.periodicity import Patch, find_patches
from nanopilot.bench.xray_stacks import SHAPES, draw_plates, plates_box
from nanopilot.core.history import FloatArray
from nanopilot.core.signals import Signal

IntArray = np.ndarray[Any, np.dtype[np.int64]]
Box = tuple[float, float, float, float]

#: Cells whose boxes a constant answer is made of, and their generator's seed: no case of the track.
_CELLS, _SEED = 40, 900_000


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a method says of one image; None and empty where it says nothing.

    Parameters
    ----------
    count : int or None
        Plates; None: the image is refused.
    interval : (int, int) or None
        95 % interval of the count.
    box : tuple of float or None
        First row, first column, last row, last column.
    tips, errors : numpy.ndarray
        Rows and columns of free ends and their standard errors, shape (n, 2).
    kind : numpy.ndarray
        1 anode, -1 cathode, 0 not told, shape (n,).
    overhangs, overhang_errors : dict
        Overhang and its standard error in pixels by the pair (anode, cathode) of indices of tips.
    labels : numpy.ndarray or None
        Masks.
    flags : tuple of str
        What the method warns of.
    """

    count: int | None = None
    interval: tuple[int, int] | None = None
    box: Box | None = None
    tips: FloatArray = field(default_factory=lambda: np.zeros((0, 2)))
    errors: FloatArray = field(default_factory=lambda: np.zeros((0, 2)))
    kind: FloatArray = field(default_factory=lambda: np.zeros(0))
    overhangs: dict[tuple[int, int], tuple[float, float]] = field(default_factory=dict)
    labels: IntArray | None = None
    flags: tuple[str, ...] = ()


def shipped(frames: Sequence[Signal]) -> list[Answer]:
    """Answer with `FindElectrodes` as it comes."""
    return [_shipped(frame) for frame in frames]


def _shipped(frame: Signal) -> Answer:
    try:
        found = FindElectrodes().found(frame)
    except NoStack:
        return Answer()
    table = found.table
    index = {float(name): k for k, name in enumerate(table["label"].to_numpy())}
    pairs = zip(
        *(found.overhangs[name].to_numpy() for name in
          ("anode", "cathode", "overhang_pixels", "overhang_pixels_error")), strict=True,
    )  # fmt: skip
    return Answer(
        count=found.count, interval=found.interval, box=found.box,
        tips=np.stack([table["row"], table["column"]], axis=1),
        errors=np.stack([table["row_error"], table["column_error"]], axis=1),
        kind=table["kind"].to_numpy(),
        overhangs={(index[a], index[c]): (float(o), float(e)) for a, c, o, e in pairs},
        labels=found.labels.to_numpy(), flags=found.flags.raised,
    )  # fmt: skip


@cache
def _mean_boxes() -> dict[tuple[int, int], tuple[FloatArray, float]]:
    """Return the mean box, in shares of rows and columns, and the mean count for every shape."""
    found = {}
    for number, shape in enumerate(SHAPES):
        rng = np.random.default_rng([_SEED, number])
        boxes, counts = [], []
        for _ in range(_CELLS):
            turned = bool(rng.integers(2))
            upright = shape[::-1] if turned else shape
            plates = draw_plates("clean", upright, rng)
            box = np.array(plates_box(plates)) / [*upright, *upright]
            if rng.integers(2):
                # The free ends may point either way.
                box[[0, 2]] = 1 - box[[2, 0]]
            boxes.append(box[[1, 0, 3, 2]] if turned else box)
            counts.append(len(plates.tip))
        found[shape] = (np.mean(boxes, axis=0), float(np.mean(counts)))
    return found


def constant_box(frames: Sequence[Signal]) -> list[Answer]:
    """Say the same box, in shares of rows and columns, and the same count for every image."""
    every = _mean_boxes().values()
    box = np.mean([one[0] for one in every], axis=0)
    count = round(float(np.mean([one[1] for one in every])))
    return [Answer(count=count, box=_scaled(box, frame)) for frame in frames]


def size_box(frames: Sequence[Signal]) -> list[Answer]:
    """Say the mean box of images of the same size."""
    known = _mean_boxes()
    answers = []
    for frame in frames:
        box, count = known.get((frame.shape[0], frame.shape[1]), next(iter(known.values())))
        answers.append(Answer(count=round(count), box=_scaled(box, frame)))
    return answers


def _scaled(box: FloatArray, frame: Signal) -> Box:
    rows, columns = frame.shape
    scaled = box * [rows, columns, rows, columns]
    return float(scaled[0]), float(scaled[1]), float(scaled[2]), float(scaled[3])


def _heaviest(frame: Signal) -> tuple[FloatArray, Patch, bool] | None:
    values = frame.to_numpy().astype(float)
    found = [
        (image, patch, swapped)
        for image, swapped in ((values, False), (values.T, True))
        for patch in find_patches(image)[:1]
    ]
    return max(found, key=lambda one: one[1].weight) if found else None


def _patch_box(patch: Patch, swapped: bool) -> Box:
    ways = (patch.columns, patch.rows) if swapped else (patch.rows, patch.columns)
    return ways[0].start - 0.5, ways[1].start - 0.5, ways[0].stop - 0.5, ways[1].stop - 0.5


def periodicity(frames: Sequence[Signal]) -> list[Answer]:
    """Count by width over spacing: where the image repeats, and half of its lag."""
    answers = []
    for frame in frames:
        found = _heaviest(frame)
        if found is None:
            answers.append(Answer())
            continue
        _, patch, swapped = found
        wide = patch.columns.stop - patch.columns.start
        box = _patch_box(patch, swapped)
        answers.append(Answer(count=round(wide / (patch.lag / 2)), box=box))
    return answers


def threshold(frames: Sequence[Signal]) -> list[Answer]:
    """Threshold against the neighbourhood and count what hangs together, 50 pixels at least.

    A blur of 0.75 pixels and a Gaussian neighbourhood of 29, where the image repeats. A plate's
    free end is the top of its piece.
    """
    answers = []
    for frame in frames:
        found = _heaviest(frame)
        if found is None:
            answers.append(Answer())
            continue
        image, patch, swapped = found
        part = gaussian_filter(image[patch.rows, patch.columns], 0.75)
        near = threshold_local(part, 29, method="gaussian")
        pieces, count = label(part < near - 0.02 * np.ptp(part))
        sizes = np.bincount(pieces.ravel(), minlength=count + 1)
        kept = [k for k in range(1, count + 1) if sizes[k] >= 50]
        whole = np.zeros(image.shape, dtype=np.int64)
        tips = []
        for name, k in enumerate(kept, start=1):
            rows, columns = np.nonzero(pieces == k)
            whole[rows + patch.rows.start, columns + patch.columns.start] = name
            top = rows.min()
            tips.append((top - 0.5 + patch.rows.start,
                         columns[rows == top].mean() + patch.columns.start))  # fmt: skip
        place = np.array(tips).reshape(-1, 2)
        answers.append(Answer(
            count=len(kept), box=_patch_box(patch, swapped),
            tips=place[:, ::-1] if swapped else place,
            errors=np.full(place.shape, np.nan), kind=np.zeros(len(kept)),
            labels=np.ascontiguousarray(whole.T) if swapped else whole,
        ))  # fmt: skip
    return answers
