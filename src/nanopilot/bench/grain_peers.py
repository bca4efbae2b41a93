"""What the track `grains` puts beside the operator, and what its targets are held against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter
from skimage.feature import peak_local_max
from skimage.filters import threshold_otsu
from skimage.segmentation import watershed

from nanopilot.analysis.grains import BoundaryDensity, Grains, Largest, SegmentGrains, from_mask
from nanopilot.analysis.levelling import SubtractPlane
from nanopilot.core.signals import Signal

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: Targets that are asked for.
TARGETS = 10
#: Width of the smoothing, in pixels, that does for every frame in the usual script.
_FIXED = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """Frames to be told apart; and a mask that is given, of a frame of its own.

    Parameters
    ----------
    frames : tuple of Signal
        Heights.
    reach : tuple of float
        Side of the window in metres in which boundaries are to be dense, one a frame.
    given, heights : Signal
        Labels and heights of one frame more.
    given_reach : float
        Its window.
    seed : int
        For methods that guess.
    """

    frames: tuple[Signal, ...]
    reach: tuple[float, ...]
    given: Signal
    heights: Signal
    given_reach: float
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What a method says of one frame.

    Parameters
    ----------
    labels : numpy.ndarray
        Shape of the frame, 0 where no grain is.
    certainty : numpy.ndarray
        Of each label, ascending.
    largest : numpy.ndarray
        x and y in metres inside the largest grain.
    dense : numpy.ndarray
        Places in metres where boundaries are dense, shape (n, 2).
    method : str
        What told them apart.
    """

    labels: IntArray
    certainty: FloatArray
    largest: FloatArray
    dense: FloatArray
    method: str


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a method says of a question.

    Parameters
    ----------
    told : tuple of Told
        One a frame.
    given_largest : int
        Label of the largest whole grain of the mask that was given.
    given_dense : numpy.ndarray
        Places in metres, shape (n, 2).
    """

    told: tuple[Told, ...]
    given_largest: int
    given_dense: FloatArray


def shipped(method: str) -> Callable[[Question], Answer]:
    """Return the operator with one of its methods, as a method of the track."""

    def answer(question: Question) -> Answer:
        operator = SegmentGrains(method=method)  # type: ignore[arg-type]
        found = [operator(frame) for frame in question.frames]
        return _answered(question, found)

    return answer


def otsu_watershed(question: Question) -> Answer:
    """Tell grains apart as scripts do: plane, one fixed smoothing, Otsu, distances, watershed."""
    found = []
    for frame in question.frames:
        smooth = gaussian_filter(SubtractPlane()(frame).to_numpy(), _FIXED)
        above = smooth > threshold_otsu(smooth)
        depth = gaussian_filter(np.asarray(distance_transform_edt(above)), _FIXED / 2)
        markers = np.zeros(frame.shape, dtype=np.int64)
        for number, at in enumerate(peak_local_max(depth, min_distance=3, labels=above * 1), 1):
            markers[tuple(at)] = number
        labels = watershed(-depth, markers, mask=above).astype(np.int64)
        if not labels.any():
            labels = np.ones(frame.shape, dtype=np.int64)
        found.append(_masked(frame, labels))
    return _answered(question, found)


def one_grain(question: Question) -> Answer:
    """Take the whole frame for one grain, and go anywhere."""
    rng = np.random.default_rng(question.seed)
    told = []
    for frame in question.frames:
        anywhere = _anywhere(frame, rng)
        told.append(
            Told(np.ones(frame.shape, np.int64), np.ones(1), anywhere[0], anywhere, "one grain")
        )
    names = np.unique(question.given.to_numpy())
    return Answer(tuple(told), int(rng.choice(names[names > 0])), _anywhere(question.given, rng))


def _anywhere(frame: Signal, rng: np.random.Generator) -> FloatArray:
    ends = [(float(frame[dim][0]), float(frame[dim][-1])) for dim in ("x", "y")]
    return np.stack([rng.uniform(*end, TARGETS) for end in ends], axis=-1)


def _masked(frame: Signal, labels: IntArray) -> Grains:
    mask = frame.copy(data=labels)
    mask.attrs = {"quantity": "label", "units": "1"}
    return from_mask(mask, frame)


def _answered(question: Question, found: Sequence[Grains]) -> Answer:
    told = []
    for grains, reach in zip(found, question.reach, strict=True):
        largest = Largest()(grains)
        # All of them cut by the edge: then the middle is as good as any place.
        place = largest.places[0] if len(largest.ids) else np.zeros(2)
        told.append(
            Told(
                grains.labels.to_numpy(), grains.table["certainty"].to_numpy(), place,
                BoundaryDensity(TARGETS, reach)(grains).places, grains.method,
            )
        )  # fmt: skip
    given = from_mask(question.given, question.heights)
    return Answer(
        tuple(told),
        int(Largest()(given).ids[0]),
        BoundaryDensity(TARGETS, question.given_reach)(given).places,
    )


def crack_map(labels: IntArray) -> FloatArray:
    """Return boundary per pixel, in pixels: edges between two grains, pi/4 each, by halves.

    pi/4: what a staircase of edges is too long, on average over directions.
    """
    found = np.zeros(labels.shape)
    for axis in (0, 1):
        near = [slice(None)] * 2
        far = [slice(None)] * 2
        near[axis], far[axis] = slice(1, None), slice(None, -1)
        one, two = labels[tuple(near)], labels[tuple(far)]
        there = (one != two) & (one > 0) & (two > 0)
        found[tuple(near)] += there * np.pi / 8
        found[tuple(far)] += there * np.pi / 8
    return found


def captured(cracks: FloatArray, middles: FloatArray, window: int) -> float:
    """Return how much boundary windows hold, nothing counted twice.

    Parameters
    ----------
    cracks : numpy.ndarray
        Of `crack_map`.
    middles : numpy.ndarray
        Row and column of the middle of each window, shape (n, 2).
    window : int
        Side in pixels.
    """
    seen = np.zeros(cracks.shape, dtype=bool)
    for row, column in np.round(middles - (window - 1) / 2).astype(int):
        top, left = (
            int(np.clip(at, 0, max(size - window, 0)))
            for at, size in zip((row, column), cracks.shape, strict=True)
        )
        seen[top : top + window, left : left + window] = True
    return float(cracks[seen].sum())


def oracle(cracks: FloatArray, window: int, count: int = TARGETS) -> FloatArray:
    """Return the middles of windows, one after the other the one that holds most, by trying all."""
    inside = np.lib.stride_tricks.sliding_window_view(cracks, (window, window))
    sums = np.einsum("ijkl->ij", inside)
    found = []
    for _ in range(count):
        top, left = np.unravel_index(int(np.argmax(sums)), sums.shape)
        if not sums[top, left] > 0:
            break
        found.append((top + (window - 1) / 2, left + (window - 1) / 2))
        rows = slice(max(0, top - window + 1), top + window)
        sums[rows, max(0, left - window + 1) : left + window] = -1.0
    return np.array(found).reshape(-1, 2)
