"""`atoms`: atomic columns found, and their places told, in frames of known lattices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.spatial import cKDTree

from nanopilot.bench.atom_frames import KINDS, PIXEL, Layout, Scene, draw_scene, table_scene
from nanopilot.bench.atom_peers import (
    HAS_TRACKPY,
    Places,
    Question,
    blobs,
    brightest,
    shipped,
    trackpy,
)
from nanopilot.bench.track import Bar
from nanopilot.core.history import FloatArray

#: Electrons per pixel at the top of a full column.
DOSES = (1, 3, 10, 100, 1000)
#: From this dose on errors are held against their bound.
_MEASURED = 10
#: A column is found within so much of the distance of neighbours.
_NEAR = 0.25
#: Amplitude of the displacement wave in pixels, and parts of it that are averaged over.
_WAVE, _PARTS = 0.5, 4
_TEN: dict[str, Any] = {"better": "lower"}


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """Frames and their truth; the last two are the wave, and the hard frame of the bar."""

    visible: tuple[Question, ...]
    scenes: tuple[Scene, ...]
    layouts: tuple[Layout, ...]


class AtomsTrack:
    """12 frames by seed: five doses, each plain and hard; a displacement wave; one frame more.

    Square, hexagonal and two-sublattice lattices, elliptical columns 1.3 to 2.5 pixels wide, 8 to
    14 pixels apart, three of a hundred missing; half of the frames through a detector with gain,
    offset and read noise. Hard: a step as high as a column in the background, and three of ten
    columns of half the height. The frame beyond these is the hard one that the goal was set on:
    round columns 1.8 pixels wide, 10.9 apart, dose 10, no read noise.

    Columns within two widths of an edge neither count as found nor as missed.
    """

    name: ClassVar[str] = "atoms"
    version: ClassVar[str] = "1"
    about: ClassVar[str] = "atomic columns found, and placed with an error, against the bound"
    default: ClassVar[str] = "find-columns"

    @property
    def bars(self) -> tuple[Bar, ...]:
        """Lines to be reached; the one against trackpy only where that is installed."""
        lines = [
            Bar(what="plain, dose 100: F1", metric="f1_plain_100", bar=1.0),
            Bar(what="hard, dose 10, frame of the goal: F1", metric="f1_goal", bar=0.99),
            Bar(what="error over its bound", metric="over_bound", bar=1.05, **_TEN),
            Bar(what="pulls: not too small", metric="pull", bar=0.95),
            Bar(what="pulls: not too large", metric="pull", bar=1.05, **_TEN),
            Bar(what="bias of displacements, pm, dose 1000", metric="bias_pm", bar=1.0, **_TEN),
        ]
        if HAS_TRACKPY:
            lines.append(Bar(what="F1 above trackpy, goal frame", metric="above_trackpy", bar=1e-9))
        return tuple(lines)

    @property
    def methods(self) -> Mapping[str, Callable[[Sequence[Question]], list[Places]]]:
        """The shipped search, bright pixels, scikit-image, and trackpy where it is installed."""
        peers = {"brightest pixels": brightest, "blob_log": blobs}
        return {"find-columns": shipped, **peers, **({"trackpy": trackpy} if HAS_TRACKPY else {})}

    def case(self, seed: int) -> Case:
        """Draw the frames of a seed."""
        rng = np.random.default_rng(seed)
        drawn = [
            Layout(KINDS[int(rng.integers(len(KINDS)))], dose, hard)
            for dose in DOSES
            for hard in (False, True)
        ]
        drawn.append(Layout(KINDS[int(rng.integers(len(KINDS)))], 1000, wave=_WAVE))
        scenes = [draw_scene(layout, rng) for layout in drawn]
        scenes.append(table_scene(rng))
        drawn.append(Layout("square", 10, hard=True))
        return Case(tuple(_question(one) for one in scenes), tuple(scenes), tuple(drawn))

    def score(self, case: Case, answer: Sequence[Places]) -> Mapping[str, float]:
        """Compare places with the truth.

        Returns
        -------
        mapping
            ``f1_plain_D`` and ``f1_hard_D`` for every dose D, ``f1_goal``; ``over_bound``: rms of
            error over Cramér-Rao bound, plain frames, dose 10 and up, columns with all neighbours;
            ``over_bound_hard``; ``pull``: standard deviation of error over stated error, the same
            columns; ``vacancies_filled``: share of empty sites where a column is claimed, all
            frames; ``bias_pm``: largest mean error of displacement over a quarter of the wave's
            phase, in picometres; ``above_trackpy``: F1 on the goal's frame less that of trackpy.
        """
        said: dict[str, float] = {}
        errors: dict[bool, list[FloatArray]] = {False: [], True: []}
        pulls, filled, empty = [], 0, 0
        for layout, scene, places in zip(case.layouts, case.scenes, answer, strict=True):
            matched = max((match(scene, one) for one in places.choices), key=lambda one: one.f1)
            filled, empty = filled + matched.filled, empty + len(scene.vacant)
            away, bound, stated = matched.errors(scene, places)
            if layout.wave:
                said["bias_pm"] = _bias(scene, matched)
                continue
            if scene is case.scenes[-1]:
                said["f1_goal"] = matched.f1
                continue
            said[f"f1_{'hard' if layout.hard else 'plain'}_{layout.dose:g}"] = matched.f1
            if layout.dose >= _MEASURED:
                errors[layout.hard].append(away / bound)
                pulls.append(away / stated if not layout.hard else np.zeros((0, 2)))
        for hard, name in ((False, "over_bound"), (True, "over_bound_hard")):
            said[name] = float(np.sqrt(np.mean(np.concatenate(errors[hard]) ** 2)))
        said["pull"] = float(np.concatenate(pulls).std())
        said["vacancies_filled"] = filled / max(empty, 1)
        if HAS_TRACKPY:
            rival = trackpy(case.visible[-1:])[0].choices
            best = max(match(case.scenes[-1], one).f1 for one in rival)
            said["above_trackpy"] = said["f1_goal"] - best
        return said


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """Columns found, paired with columns there: pairs (found, there), shape (n, 2)."""

    place: FloatArray
    pairs: np.ndarray[Any, np.dtype[np.int64]]
    f1: float
    filled: int

    def errors(self, scene: Scene, places: Places) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return error, bound and stated error of columns that have all their neighbours."""
        inner: Any = _inside(scene, scene.place[self.pairs[:, 1]], 1.5 * scene.spacing)
        found, there = self.pairs[inner].T
        # An error is stated for the first choice; the others state none.
        stated = np.full(self.place.shape, np.nan)
        if places.choices[0] is self.place:
            stated = places.error
        return self.place[found] - scene.place[there], scene.bound[there], stated[found]


def match(scene: Scene, place: FloatArray) -> Match:
    """Pair columns one to one, nearest first, within a quarter of the distance of neighbours.

    Parameters
    ----------
    scene : Scene
        The truth.
    place : numpy.ndarray
        Rows and columns in pixels, shape (n, 2).
    """
    near = cKDTree(place.reshape(-1, 2)).sparse_distance_matrix(
        cKDTree(scene.place), _NEAR * scene.spacing, output_type="ndarray"
    )
    taken, hit = np.zeros(len(place), dtype=bool), np.zeros(len(scene.place), dtype=bool)
    pairs = []
    for found, there, _ in near[np.argsort(near["v"], kind="stable")]:
        if not taken[found] and not hit[there]:
            taken[found] = hit[there] = True
            pairs.append((int(found), int(there)))
    edge = 2 * float(np.sqrt(np.linalg.eigvalsh(scene.shape)[-1]))
    false = int((~taken & _inside(scene, place, edge)).sum())
    missed = int((~hit & _inside(scene, scene.place, edge)).sum())
    f1 = 2 * len(pairs) / max(2 * len(pairs) + false + missed, 1)
    filled = 0
    if len(scene.vacant) and not taken.all():
        away, _ = cKDTree(place[~taken]).query(scene.vacant)
        filled = int(np.count_nonzero(np.asarray(away) < _NEAR * scene.spacing))
    return Match(place, np.array(pairs, dtype=np.int64).reshape(-1, 2), f1, filled)


def _inside(scene: Scene, place: FloatArray, edge: float) -> np.ndarray[Any, np.dtype[np.bool_]]:
    last = np.array(scene.frame.shape) - 1
    return np.asarray(((place > edge) & (place < last - edge)).all(axis=1))


def _bias(scene: Scene, matched: Match) -> float:
    """Return the largest mean error of displacement over a part of the wave, in picometres."""
    found, there = matched.pairs.T
    away = matched.place[found] - scene.place[there]
    part = np.floor(scene.phase[there] / (2 * np.pi) * _PARTS).astype(int) % _PARTS
    means = [away[part == one].mean(axis=0) for one in range(_PARTS) if (part == one).any()]
    return float(np.abs(means).max() * PIXEL * 1e12) if means else float("nan")


def _question(scene: Scene) -> Question:
    width = float(np.linalg.det(scene.shape) ** 0.25)
    return Question(scene.frame, len(scene.place), width, scene.spacing)
