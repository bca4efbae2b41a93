"""Shape classes while frames arrive: each counted once, classes that keep their names."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from nanopilot.analysis.particle_shapes.alignment import align_labels, relabelled
from nanopilot.analysis.particle_shapes.features import DEFAULT, shape_features, whole
from nanopilot.analysis.particle_shapes.mixture import Mixture
from nanopilot.analysis.particle_shapes.operator import Outlined, OutlineParticles
from nanopilot.analysis.particle_shapes.sorting import (
    ShapeClasses,
    SortShapes,
    assigned,
    sureness,
)
from nanopilot.analysis.particle_shapes.words import class_words
from nanopilot.core.errors import InvalidRequest, OutOfRange
from nanopilot.core.signals import Signal, SignalSet
from nanopilot.core.values import Value

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: Classes are fitted anew when so much more than at the last fit has been seen.
_MORE = 0.4


class Standing(Value):
    """Where a stream stands, as of its last fit.

    Parameters
    ----------
    classes : tuple of int
        Their numbers, which stay for the whole stream.
    words : tuple of str
        What they look like.
    fractions, low, high : tuple of float
        Share of each among all whole particles, and its 95 % bootstrap interval.
    stability : float or None
        As of `ShapeClasses`.
    particles : int
        Whole particles that the fit had seen.
    refused : str
        Why there are no classes, or why those of an earlier fit are kept; empty where all is well.
    """

    classes: tuple[int, ...] = ()
    words: tuple[str, ...] = ()
    fractions: tuple[float, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    stability: float | None = None
    particles: int = 0
    refused: str = "no frame yet."


class StreamState(Value):
    """All of a stream that goes into JSON and comes back."""

    outline: dict[str, Any]
    sort: dict[str, Any]
    features: tuple[str, ...]
    capacity: int
    generator: str
    kept: tuple[tuple[float, ...], ...]
    seen: int
    fitted: int
    frames: dict[str, str]
    mixture: Mixture | None
    names: tuple[int, ...]
    next_name: int
    standing: Standing


@dataclass(frozen=True, slots=True, eq=False)
class Update:
    """What one frame brought.

    Parameters
    ----------
    frame_id : str
        Which frame.
    outlined : Outlined or None
        Its particles; None where the frame was counted before.
    classes : numpy.ndarray
        Class of each particle by its lasting number, shape (n,); -1: of none.
    probability : numpy.ndarray
        Of that class, shape (n,).
    counts : dict
        Particles of each class in this frame.
    standing : Standing
        Of the stream after this frame.
    repeated : {"", "id", "content"}
        Why it was not counted again.
    """

    frame_id: str
    outlined: Outlined | None
    classes: IntArray
    probability: FloatArray
    counts: dict[int, int]
    standing: Standing
    repeated: Literal["", "id", "content"] = ""


class ShapeStream:
    """Sorts the particles of frames as they come.

    A frame whose name or whose content came before changes nothing. Of all whole particles a fair
    sample of bounded size is kept (algorithm R of J. S. Vitter, ACM Trans. Math. Softw. 11 (1985)
    37), so that time per frame does not grow with the number of frames; of frames only name and
    digest are remembered. Classes are fitted anew when 40 % more was seen, and aligned with those
    before, so that numbers and colours stay.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws the sample, starts and resampled particles.
    outline : OutlineParticles
        How particles are found.
    sort : SortShapes
        How they are sorted.
    features : sequence of str
        What they are sorted by.
    capacity : int
        Particles kept at most.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        *,
        outline: OutlineParticles | None = None,
        sort: SortShapes | None = None,
        features: tuple[str, ...] = DEFAULT,
        capacity: int = 1500,
    ) -> None:
        self._rng = rng
        self._outline = outline or OutlineParticles()
        self._sort = sort or SortShapes()
        self._features = tuple(features)
        if capacity < self._sort.least:
            raise OutOfRange(f"`capacity` is {capacity}; classes need {self._sort.least} or more.")
        self._capacity = capacity
        self._kept: list[tuple[float, ...]] = []
        self._seen = self._fitted = 0
        self._frames: dict[str, str] = {}
        self._digests: set[str] = set()
        self._mixture: Mixture | None = None
        self._names: tuple[int, ...] = ()
        self._next = 0
        self._standing = Standing()

    @property
    def standing(self) -> Standing:
        """Where the stream stands, as of its last fit."""
        return self._standing

    def add(self, frame: Signal, frame_id: str) -> Update:
        """Count a frame, unless it was counted before.

        Parameters
        ----------
        frame : Signal
            As of `OutlineParticles`.
        frame_id : str
            Its name, not empty.

        Raises
        ------
        InvalidRequest
            The name is empty.
        SignalError
            As of `OutlineParticles`; the stream is as before.
        """
        if not frame_id:
            raise InvalidRequest("`frame_id` is empty; give each frame a name of its own.")
        digest = _digest(frame)
        if frame_id in self._frames or digest in self._digests:
            why: Literal["id", "content"] = "id" if frame_id in self._frames else "content"
            none = np.zeros(0)
            return Update(frame_id, None, none.astype(np.int64), none, {}, self._standing, why)
        found = self._outline(frame, frame_id)
        features = shape_features(found.table, self._features)
        self._frames[frame_id] = digest
        self._digests.add(digest)
        usable = whole(found.table) & np.isfinite(features).all(axis=1)
        for row in features[usable].tolist():
            self._keep(tuple(row))
        if self._seen >= max((1 + _MORE) * self._fitted, self._fitted + 1):
            self.settle()
        return self._told(frame_id, found, features)

    def settle(self) -> Standing:
        """Fit the classes to all that was seen so far, now; return where the stream stands."""
        values = np.array(self._kept).reshape(-1, len(self._features))
        classes = self._sort(values, self._rng)
        self._fitted = self._seen
        if classes.mixture is None:
            self._standing = self._standing.model_copy(update={"refused": classes.refused})
            return self._standing
        self._names = self._named(classes, values)
        self._mixture = classes.mixture
        self._standing = Standing(
            classes=self._names,
            words=class_words(classes.mixture, self._features),
            fractions=tuple(classes.fractions.tolist()),
            low=tuple(classes.low.tolist()),
            high=tuple(classes.high.tolist()),
            stability=classes.stability,
            particles=self._seen,
            refused="",
        )
        return self._standing

    def _keep(self, row: tuple[float, ...]) -> None:
        self._seen += 1
        if len(self._kept) < self._capacity:
            self._kept.append(row)
            return
        place = int(self._rng.integers(self._seen))
        if place < self._capacity:
            self._kept[place] = row

    def _named(self, classes: ShapeClasses, values: FloatArray) -> tuple[int, ...]:
        """Return lasting numbers: of the class before that each continues, or new ones."""
        assert classes.mixture is not None  # noqa: S101 - asked of classes that are reported
        continued: dict[int, int] = {}
        if self._mixture is not None:
            before = relabelled(assigned(self._mixture, values), dict(enumerate(self._names)))
            continued = align_labels(classes.labels, before)
        names = []
        for number in range(classes.count):
            if number not in continued:
                continued[number] = self._next
                self._next += 1
            names.append(continued[number])
        return tuple(names)

    def classes_of(self, table: SignalSet) -> IntArray:
        """Return the class of each particle of a table by its lasting number, -1: of none.

        Parameters
        ----------
        table : SignalSet
            Of `describe_instances`.
        """
        features = shape_features(table, self._features)
        if self._mixture is None:
            return np.full(len(features), -1, dtype=np.int64)
        return relabelled(assigned(self._mixture, features), dict(enumerate(self._names)))

    def _told(self, frame_id: str, found: Outlined, features: FloatArray) -> Update:
        labels = np.full(len(features), -1, dtype=np.int64)
        probability = np.zeros(len(features))
        if self._mixture is not None and len(features):
            plain = assigned(self._mixture, features)
            labels = relabelled(plain, dict(enumerate(self._names)))
            probability = sureness(self._mixture, features, plain)
        counts = {name: int(np.count_nonzero(labels == name)) for name in self._names}
        return Update(frame_id, found, labels, probability, counts, self._standing)

    def state(self) -> StreamState:
        """Return all of the stream, for JSON: ``state().model_dump_json()``."""
        return StreamState(
            outline=asdict(self._outline),
            sort=asdict(self._sort),
            features=self._features,
            capacity=self._capacity,
            generator=json.dumps(self._rng.bit_generator.state),
            kept=tuple(self._kept),
            seen=self._seen,
            fitted=self._fitted,
            frames=dict(self._frames),
            mixture=self._mixture,
            names=self._names,
            next_name=self._next,
            standing=self._standing,
        )

    @classmethod
    def from_state(cls, state: StreamState) -> ShapeStream:
        """Return the stream that a state was taken of; it goes on as the first would have.

        Raises
        ------
        InvalidRequest
            The state names a generator that is not numpy's default one.
        """
        drawn = json.loads(state.generator)
        rng = np.random.default_rng()
        if drawn.get("bit_generator") != rng.bit_generator.state["bit_generator"]:
            raise InvalidRequest(
                f"`generator` is {drawn.get('bit_generator')!r}; a stream goes on with a PCG64, "
                f"as of numpy.random.default_rng."
            )
        rng.bit_generator.state = drawn
        stream = cls(
            rng, outline=OutlineParticles(**state.outline), sort=SortShapes(**state.sort),
            features=state.features, capacity=state.capacity,
        )  # fmt: skip
        stream._kept = list(state.kept)
        stream._seen, stream._fitted = state.seen, state.fitted
        stream._frames, stream._digests = dict(state.frames), set(state.frames.values())
        stream._mixture, stream._names = state.mixture, state.names
        stream._next, stream._standing = state.next_name, state.standing
        return stream


def _digest(frame: Signal) -> str:
    """Return a digest of the values of a frame and of their calibration."""
    turned = frame.transpose("y", "x") if set(frame.dims) == {"y", "x"} else frame
    values = np.ascontiguousarray(turned.to_numpy(), dtype=np.float64)
    told = hashlib.blake2b(values.tobytes(), digest_size=16)
    for dim in turned.dims:
        axis = turned[dim].to_numpy()
        told.update(f"{dim}{axis.size}{float(axis[-1] - axis[0]):.6e}".encode())
    return told.hexdigest()
