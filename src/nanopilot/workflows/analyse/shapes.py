"""Shape classes of particles: for frames, and for tables that another analysis made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nanopilot.analysis.particle_shapes import (
    Outlined,
    OutlineParticles,
    ShapeClasses,
    SortShapes,
    assigned,
    class_words,
    shape_features,
    shaped,
    sureness,
    whole,
)
from nanopilot.core.errors import InvalidRequest
from nanopilot.core.history import FloatArray
from nanopilot.core.signals import Signal, SignalSet
from nanopilot.workflows.analyse.findings import Findings, Mark

#: What a particle of no class is called.
UNSORTED = "unsorted"


@dataclass(frozen=True, slots=True, eq=False)
class Classified:
    """Particles of several frames, sorted together.

    Parameters
    ----------
    tables : dict
        By frame; each with ``shape_class`` (number from 0, the commonest first; -1: of none, as
        whatever the edge of the frame cuts) and ``class_probability`` added.
    classes : ShapeClasses
        Of the whole particles of all frames; ``classes.refused`` says why there are none.
    words : tuple of str
        What each class looks like.
    outlined : dict
        Particles by frame, where frames were given; otherwise empty.
    """

    tables: Mapping[str, SignalSet]
    classes: ShapeClasses
    words: tuple[str, ...]
    outlined: Mapping[str, Outlined]

    def word(self, number: int) -> str:
        """Return what a class is called, ``"unsorted"`` for -1."""
        return self.words[number] if number >= 0 else UNSORTED

    def findings(self, frame_id: str) -> Findings:
        """Return one frame as `nanopilot analyse` shows it: outlines by class, shares, doubts.

        Raises
        ------
        InvalidRequest
            There are no outlines of a frame of this name.
        """
        if frame_id not in self.outlined:
            raise InvalidRequest(
                f"`frame_id` is {frame_id!r}; outlines are there of "
                f"{', '.join(self.outlined) or 'no frame: sort frames instead of tables'}."
            )
        table = self.tables[frame_id]
        numbers = [int(one) for one in table["shape_class"].to_numpy()]
        lines = self.outlined[frame_id].outlines.values()
        marks = tuple(
            Mark(self.word(number), line) for number, line in zip(numbers, lines, strict=True)
        )
        summary: dict[str, float | int | str] = {"particles": len(numbers)}
        for number, word in enumerate(self.words):
            summary[f"{word} (%)"] = 100 * float(self.classes.fractions[number])
        doubts = (self.classes.refused,) if self.classes.refused else ()
        return Findings(table, marks, summary, doubts)


def classify_shapes(
    frames: Mapping[str, Signal],
    rng: np.random.Generator,
    *,
    outline: OutlineParticles | None = None,
    sort: SortShapes | None = None,
) -> Classified:
    """Outline the particles of frames and sort them by shape, all frames together.

    Parameters
    ----------
    frames : mapping of str to Signal
        By name; dims (y, x) in metres.
    rng : numpy.random.Generator
        Draws starts and resampled particles.
    outline : OutlineParticles, optional
        How particles are found.
    sort : SortShapes, optional
        How they are sorted.

    Raises
    ------
    SignalError
        As of `OutlineParticles`.
    """
    operate = outline or OutlineParticles()
    outlined = {name: operate(frame, name) for name, frame in frames.items()}
    tables = {name: one.table for name, one in outlined.items()}
    return classify_tables(tables, rng, sort=sort, outlined=outlined)


def classify_tables(
    tables: Mapping[str, SignalSet],
    rng: np.random.Generator,
    *,
    sort: SortShapes | None = None,
    outlined: Mapping[str, Outlined] | None = None,
) -> Classified:
    """Sort the particles of tables of `describe_instances` by shape, all tables together.

    Parameters
    ----------
    tables : mapping of str to SignalSet
        By frame.
    rng : numpy.random.Generator
        Draws starts and resampled particles.
    sort : SortShapes, optional
        How particles are sorted.
    outlined : mapping of str to Outlined, optional
        Handed on.
    """
    features = {name: shape_features(table) for name, table in tables.items()}
    learned = [features[name][whole(table)] for name, table in tables.items()]
    values = np.concatenate(learned) if learned else np.zeros((0, 2))
    classes = (sort or SortShapes())(values, rng)
    words = class_words(classes.mixture) if classes.mixture else ()
    told = {name: _with_classes(tables[name], features[name], classes) for name in tables}
    return Classified(told, classes, words, outlined or {})


def _with_classes(table: SignalSet, features: FloatArray, classes: ShapeClasses) -> SignalSet:
    labels = np.full(len(features), -1, dtype=np.int64)
    probability = np.zeros(len(features))
    if classes.mixture is not None and len(features):
        # What the edge of the frame cuts in half has the shape of the edge.
        labels = np.where(shaped(table), assigned(classes.mixture, features), -1)
        probability = sureness(classes.mixture, features, labels)
    return table.assign(
        shape_class=("point", labels, {"quantity": "shape class", "units": "1"}),
        class_probability=("point", probability, {"quantity": "probability", "units": "1"}),
    )
