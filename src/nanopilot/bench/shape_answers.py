"""What the track `particle-shapes` asks, and how each method answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from nanopilot.analysis.instances import describe_instances
from nanopilot.analysis.particle_shapes import OutlineParticles, ShapeStream
from nanopilot.bench.shape_peers import Measured, k_means, otsu_watershed, separability
from nanopilot.core.history import IntArray
from nanopilot.core.signals import Signal, SignalSet


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """Frames, dims (y, x), and a sheet of analytic shapes as labels."""

    shapes: Signal
    isolated: Signal
    overlapped: Signal
    three: tuple[Signal, ...]
    other: tuple[Signal, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Sorted:
    """Particles of every frame of a stream, the class of each, and how many classes there are."""

    frames: tuple[Measured, ...]
    labels: tuple[IntArray, ...]
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """Descriptors of the analytic shapes, outlines of two frames, classes of two streams.

    ``repeat_change`` is the largest change of a class's fraction when frames are shown again.
    """

    described: SignalSet
    isolated: Measured
    overlapped: Measured
    three: Sorted
    other: Sorted
    repeat_change: float


def shipped(question: Question) -> Answer:
    """Answer by `OutlineParticles` and `ShapeStream`."""
    seen = _outlined(question)
    three, change = _streamed(question.three)
    other, _ = _streamed(question.other)
    return Answer(seen.described, seen.isolated, seen.overlapped, three, other, change)


def _streamed(frames: Sequence[Signal]) -> tuple[Sorted, float]:
    """Sort a stream frame by frame, then show some of it again."""
    stream = ShapeStream(np.random.default_rng(0))
    updates = [stream.add(frame, f"frame {n}") for n, frame in enumerate(frames)]
    before = stream.settle()
    stream.add(frames[0], "frame 0")
    stream.add(frames[-1], "another name")
    after = stream.settle() if stream.standing != before else stream.standing
    change = [abs(a - b) for a, b in zip(before.fractions, after.fractions, strict=True)]
    told = [one.outlined for one in updates]
    measured = tuple(Measured(one.instances, one.table) for one in told if one is not None)
    # By the classes as they stand at the end; those told on the way were of fewer particles.
    labels = tuple(stream.classes_of(one.table) for one in measured)
    return Sorted(measured, labels, len(before.classes)), max(change, default=0.0)


@lru_cache(maxsize=1)
def _outlined(question: Question) -> Answer:
    """Outline all frames once for all methods that sort the same particles."""
    operate = OutlineParticles()

    def one(frame: Signal) -> Measured:
        found = operate(frame)
        return Measured(found.instances, found.table)

    return _plain(question, one, lambda tables: np.zeros(_total(tables), dtype=np.int64))


def _total(tables: Sequence[SignalSet]) -> int:
    return sum(int(table.sizes["point"]) for table in tables)


def _plain(
    question: Question,
    outline: Callable[[Signal], Measured],
    sort: Callable[[Sequence[SignalSet]], IntArray],
) -> Answer:
    streams = []
    for frames in (question.three, question.other):
        found = tuple(outline(frame) for frame in frames)
        streams.append(_sorted(found, sort))
    described = describe_instances(question.shapes)
    single = (outline(question.isolated), outline(question.overlapped))
    return Answer(described, *single, streams[0], streams[1], _counted_twice(streams[0]))


def _sorted(found: Sequence[Measured], sort: Callable[[Sequence[SignalSet]], IntArray]) -> Sorted:
    labels = sort([one.table for one in found])
    ends = np.cumsum([one.table.sizes["point"] for one in found])[:-1]
    return Sorted(tuple(found), tuple(np.split(labels, ends)), len(np.unique(labels)))


def _counted_twice(answer: Sorted) -> float:
    """Return the largest change of a fraction where nothing remembers the first frame."""
    plain, again = (
        np.bincount(np.concatenate(labels), minlength=answer.count)
        for labels in (answer.labels, (*answer.labels, answer.labels[0]))
    )
    return float(np.abs(plain / plain.sum() - again / again.sum()).max())


def _resorted(question: Question, sort: Callable[[Sequence[SignalSet]], IntArray]) -> Answer:
    """Sort the particles of the shipped outlines in another way."""
    seen = _outlined(question)
    streams = [_sorted(one.frames, sort) for one in (seen.three, seen.other)]
    three, other = streams
    change = _counted_twice(three)
    return Answer(seen.described, seen.isolated, seen.overlapped, three, other, change)


def _k_means(tables: Sequence[SignalSet]) -> IntArray:
    return k_means(tables, np.random.default_rng(0))


def _separability(tables: Sequence[SignalSet]) -> IntArray:
    return separability(tables, np.random.default_rng(0))


#: The shipped method; other outlines with k-means; the shipped outlines sorted otherwise.
METHODS: Mapping[str, Callable[[Question], Answer]] = {
    "outline and sort": shipped,
    "otsu, watershed, k-means": lambda question: _plain(question, otsu_watershed, _k_means),
    "k-means of 3": lambda question: _resorted(question, _k_means),
    "separability": lambda question: _resorted(question, _separability),
    "single class": _outlined,
}
