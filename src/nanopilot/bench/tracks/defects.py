"""`defects`: unusual sites ranked in frames of crystals, with and without a graph."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from scipy.spatial import cKDTree

from nanopilot.analysis.atom_graphs import BASELINES, CLASSES, rank_sites
from nanopilot.analysis.atom_graphs.learned import NAME
from nanopilot.analysis.atoms import find_columns
from nanopilot.bench import lattice_defects as planted
from nanopilot.bench.lattice_defects import Plan, Scene, draw_scene
from nanopilot.bench.track import Bar
from nanopilot.core.errors import SignalError
from nanopilot.core.history import FloatArray
from nanopilot.core.signals import Signal, SignalSet
from nanopilot.models.weights import FOLDER

IntArray = np.ndarray[Any, np.dtype[np.int64]]

_HAS_TORCH = all(importlib.util.find_spec(one) for one in ("torch", "safetensors"))
#: Classes that scores are judged by, and whether only sites with something left in them count.
JUDGED = {
    "vacancy": (planted.VACANCY, False), "part_vacancy": (planted.VACANCY, True),
    "heavier": (planted.HEAVIER, False), "lighter": (planted.LIGHTER, False),
    "antisite": (planted.ANTISITE, False), "strain": (planted.STRAIN, False),
    "wall": (planted.WALL, False),
}  # fmt: skip
#: A site is found within so much of the distance of neighbours.
_NEAR = 0.35
#: By how much a graph has to be better than the best that does without, to be of help.
MARGIN = 0.05
#: Columns dimmer than this share of the middling one are not asked for.
_DIM = 0.12
#: Classes that say a site is a defect.
_DEFECTS = range(1, CLASSES.index("boundary"))
_LOWER: dict[str, Any] = {"better": "lower"}


class Question:
    """A frame, and its columns as `find_columns` tells them; every method gets the same.

    Parameters
    ----------
    frame : Signal
        Counts, dims (y, x).
    """

    def __init__(self, frame: Signal) -> None:
        self.frame = frame

    @cached_property
    def columns(self) -> SignalSet:
        """The columns found in the frame."""
        return find_columns(self.frame)


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """Sites and their scores.

    Parameters
    ----------
    place : numpy.ndarray
        (x, y) in metres, shape (n, 2).
    score : numpy.ndarray
        Larger is odder, shape (n,).
    kind, sublattice : numpy.ndarray, optional
        Class, a number of `CLASSES`, and sublattice, -1 where none is named, shape (n,).
    columns : numpy.ndarray, optional
        (x, y) of columns in metres, shape (m, 2).
    """

    place: FloatArray
    score: FloatArray
    kind: IntArray | None = None
    sublattice: IntArray | None = None
    columns: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class Case:
    """Frames and their truth."""

    visible: tuple[Question, ...]
    scenes: tuple[Scene, ...]

    @cached_property
    def without(self) -> dict[str, float]:
        """The best AUROC of the methods without a graph, class by class."""
        found: dict[str, float] = {}
        for name in BASELINES:
            for metric, value in aurocs(self.scenes, _baseline(name)(self.visible)).items():
                found[metric] = max(found.get(metric, 0.0), value)
        return found


def _graph(method: Any) -> Callable[[Sequence[Question]], list[Answer]]:
    def answer(questions: Sequence[Question]) -> list[Answer]:
        found = []
        for one in questions:
            place = np.stack([one.columns["x"], one.columns["y"]], axis=1)
            try:
                ranked = rank_sites(one.columns, one.frame, method=method)
            except SignalError:
                # Refused as unlike anything it knows: nothing is ranked.
                found.append(Answer(place, np.zeros(len(place))))
                continue
            found.append(
                Answer(ranked.crystal.place, ranked.score, ranked.kind, ranked.sublattice, place)
            )
        return found

    return answer


def _baseline(name: str) -> Callable[[Sequence[Question]], list[Answer]]:
    def answer(questions: Sequence[Question]) -> list[Answer]:
        scored = [BASELINES[name](one.columns, one.frame) for one in questions]
        return [Answer(one.place, one.score) for one in scored]

    return answer


class Defects:
    """4 frames by seed: perovskite with a polar wall, one with an edge, a disulphide, one more.

    In each, three of a hundred sites are vacancies (half of them whole columns, the others 30 % to
    70 % of one), others heavier or lighter, antisites where there are two sublattices; an inclusion
    strains the lattice by 4.5 % to 8 % at its middle, and sites strained by 3 % or more are
    anomalies. The fourth is graphene, a square or an oblique lattice with a twin wall. Signal over
    noise of the dimmest regular column is 10 to 40. Sites within 1.6 next-neighbour distances of an
    edge of the frame or the crystal do not count, but for being flagged.
    """

    name: ClassVar[str] = "defects"
    version: ClassVar[str] = "1"
    about: ClassVar[str] = "vacancies, dopants, antisites, strain and walls ranked in atomic frames"
    default: ClassVar[str] = "local lattice graph"

    @property
    def bars(self) -> tuple[Bar, ...]:
        """Lines to be reached."""
        return (
            Bar(what="columns: F1", metric="f1", bar=0.99),
            Bar(what="columns: rms error of a place, pixels", metric="rmse_px", bar=0.1, **_LOWER),
            Bar(what="sublattice accuracy", metric="sublattice", bar=0.98),
            Bar(what="vacancies: AUROC", metric="auroc_vacancy", bar=0.95),
            Bar(what="strain from 3 %: AUROC", metric="auroc_strain", bar=0.9),
            Bar(what="vacancies: above all without a graph", metric="margin_vacancy", bar=MARGIN),
            Bar(
                what="vacancies with a part left: above all without a graph",
                metric="margin_part_vacancy",
                bar=MARGIN,
            ),
            Bar(what="strain: above all without a graph", metric="margin_strain", bar=MARGIN),
            Bar(what="regular edge sites flagged", metric="edges_flagged", bar=0.02, **_LOWER),
        )

    @property
    def methods(self) -> Mapping[str, Callable[[Sequence[Question]], list[Answer]]]:
        """The shipped ranking, the graph autoencoder where PyTorch is there, and no graph."""
        graphs = {"local lattice graph": _graph("classical")}
        if _HAS_TORCH and (FOLDER / f"{NAME}.safetensors").exists():
            graphs["graph autoencoder"] = _graph("learned")
        return graphs | {name: _baseline(name) for name in BASELINES}

    def case(self, seed: int) -> Case:
        """Draw the frames of a seed."""
        rng = np.random.default_rng(seed)
        last: Any = ("graphene", "square", "oblique")[int(rng.integers(3))]
        plans = (
            Plan("perovskite", wall=True),
            Plan("perovskite", surface=True),
            Plan("disulphide", surface=bool(rng.integers(2))),
            Plan(last, wall=True),
        )
        scenes = tuple(draw_scene(plan, rng) for plan in plans)
        return Case(tuple(Question(one.frame) for one in scenes), scenes)

    def score(self, case: Case, answer: Sequence[Answer]) -> Mapping[str, float]:
        """Compare sites with the truth.

        Returns
        -------
        mapping
            ``auroc_CLASS``: that class against regular sites, a mean over frames; ``margin_CLASS``:
            that less the best of all methods without a graph (part_vacancy: only vacancies with a
            column left, which every method has as a node); ``helpful``: 1 if the margins of
            vacancy, part_vacancy and strain are all 0.05 or more; where an answer has them, ``f1``
            and ``rmse_px`` of columns, ``sublattice``: share of columns under their right name,
            frames of two sublattices, ``edges_flagged`` and ``false_alarms``: share of regular
            sites, at edges and inside, that are given the class of a defect, and ``named``: share
            of defects away from edges that are given their own class; ``refused``: share of frames
            that were not ranked, as unlike anything known (NaN where classes are not told).
        """
        said = aurocs(case.scenes, answer)
        for name in JUDGED:
            if f"auroc_{name}" in said:
                metric = f"auroc_{name}"
                said[f"margin_{name}"] = said[metric] - case.without[metric]
        least = min(said[f"margin_{name}"] for name in ("vacancy", "part_vacancy", "strain"))
        said["helpful"] = float(least >= MARGIN)
        ranked = [one for one in answer if one.kind is not None]
        said["refused"] = 1 - len(ranked) / len(answer) if ranked else float("nan")
        if ranked:
            said |= _columns(case.scenes, answer)
            said |= _named(case.scenes, answer)
        return said


def aurocs(scenes: Sequence[Scene], answers: Sequence[Answer]) -> dict[str, float]:
    """Return ``auroc_CLASS`` of every class that is there, the mean over frames.

    Parameters
    ----------
    scenes : sequence of Scene
        The truth.
    answers : sequence of Answer
        One for each.
    """
    found: dict[str, list[float]] = {}
    for scene, answer in zip(scenes, answers, strict=True):
        at = nearest(scene, answer.place)
        # A site that an answer does not have cannot be said to be odd.
        score = np.where(at >= 0, answer.score[at], -np.inf)
        regular = (scene.label == planted.REGULAR) & ~scene.edge
        for name, (label, part) in JUDGED.items():
            there = (scene.label == label) & ~scene.edge
            if part:
                there &= scene.height > 0
            if there.any() and regular.any():
                found.setdefault(f"auroc_{name}", []).append(auroc(score[there], score[regular]))
    return {name: float(np.mean(values)) for name, values in found.items()}


def auroc(there: FloatArray, regular: FloatArray) -> float:
    """Return how often a score of the first is above one of the second, ties counting half.

    H. B. Mann and D. R. Whitney, Ann. Math. Stat. 18 (1947) 50.

    Parameters
    ----------
    there, regular : numpy.ndarray
        Scores, shapes (n,) and (m,).
    """
    from scipy.stats import rankdata

    rank = rankdata(np.concatenate([there, regular]))[: len(there)]
    n = len(there)
    return float((rank.sum() - n * (n + 1) / 2) / (n * len(regular)))


def nearest(scene: Scene, place: FloatArray) -> IntArray:
    """Return which of some places is each site, one to one, -1 where none is near.

    Parameters
    ----------
    scene : Scene
        The truth.
    place : numpy.ndarray
        (x, y) in metres, shape (n, 2).
    """
    found = np.full(len(scene.place), -1, dtype=np.int64)
    if len(place):
        pixels = place[:, ::-1] / scene.pixel
        near = cKDTree(scene.place).sparse_distance_matrix(
            cKDTree(pixels), _NEAR * scene.spacing, output_type="ndarray"
        )
        taken = np.zeros(len(place), dtype=bool)
        for site, at, _ in near[np.argsort(near["v"], kind="stable")]:
            if found[site] < 0 and not taken[at]:
                found[site], taken[at] = at, True
    return found


def _columns(scenes: Sequence[Scene], answers: Sequence[Answer]) -> dict[str, float]:
    """Return how well columns are found, placed and named."""
    f1, squares, named = [], [], []
    for scene, answer in zip(scenes, answers, strict=True):
        if answer.columns is None or answer.sublattice is None:
            continue
        at = nearest(scene, answer.columns)
        bright = scene.height > _DIM * np.median(scene.height)
        pixels = answer.columns[:, ::-1] / scene.pixel
        whole = _whole(scene, scene.place)
        hit = at >= 0
        spare = np.ones(len(pixels), dtype=bool)
        spare[at[hit]] = False
        false = int((spare & _whole(scene, pixels)).sum())
        right, missed = int((hit & bright & whole).sum()), int((~hit & bright & whole).sum())
        f1.append(2 * right / max(2 * right + false + missed, 1))
        good = hit & bright & whole
        squares.append(((pixels[at[good]] - scene.place[good]) ** 2).mean())
        if scene.crystal in planted.TWO:
            site = nearest(scene, answer.place)
            # Numbered from the dimmest, and the second one is drawn dimmer.
            same = answer.sublattice[site] == 1 - scene.sublattice
            named.append(float((same & (site >= 0))[good].mean()))
    return {
        "f1": float(np.mean(f1)),
        "rmse_px": float(np.sqrt(np.mean(squares))),
        "sublattice": float(np.mean(named)) if named else float("nan"),
    }


def _whole(scene: Scene, pixels: FloatArray) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return which places are two widths or more inside the frame."""
    last = np.array(scene.frame.shape) - 1 - 2 * scene.width
    return np.asarray(((pixels > 2 * scene.width) & (pixels < last)).all(axis=1))


def _named(scenes: Sequence[Scene], answers: Sequence[Answer]) -> dict[str, float]:
    """Return how often regular sites are flagged, and defects are called what they are."""
    edges, inner, right, defects = [], [], 0, 0
    for scene, answer in zip(scenes, answers, strict=True):
        if answer.kind is None:
            continue
        at = nearest(scene, answer.place)
        kind = np.where(at >= 0, answer.kind[at], 0)
        odd = np.isin(kind, list(_DEFECTS))
        regular = scene.label == planted.REGULAR
        edges.append(float(odd[regular & scene.edge].mean()))
        inner.append(float(odd[regular & ~scene.edge].mean()))
        planted_here = (scene.label > 0) & ~scene.edge
        right += int((kind == scene.label)[planted_here].sum())
        defects += int(planted_here.sum())
    return {
        "edges_flagged": float(np.mean(edges)),
        "false_alarms": float(np.mean(inner)),
        "named": right / max(defects, 1),
    }
