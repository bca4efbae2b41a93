"""`particles`: particles of any size and contrast found, centred, sized and outlined."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.optimize import linear_sum_assignment

from nanopilot.bench.particle_peers import (
    HAS_NET,
    Answer,
    blobs,
    brightest,
    classical,
    learned,
    matched_ring,
    otsu,
    shipped,
)
from nanopilot.bench.particle_scenes import VARIANCES, Scene, draw_pair
from nanopilot.bench.track import Bar
from nanopilot.core.history import FloatArray
from nanopilot.core.signals import Signal

#: Pairs of frames for each variance of the noise.
_PAIRS = 2
#: A particle is found by a centre within this part of its radius, and a radius within this ratio.
_NEAR, _ALIKE = 0.5, 1.5
#: Claimed is what has at least this probability.
_SURE = 0.5
#: Candidates less probable than this do not count for the calibration, and its bins.
_FAINT, _BINS = 0.05, 10
#: Draws that tell what chance does to it.
_DRAWS = 100
_LOW: dict[str, Any] = {"better": "lower"}


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """Frames, and what they show."""

    visible: tuple[Signal, ...]
    scenes: tuple[Scene, ...]


class Particles:
    """16 frames by seed, every other of them without a particle.

    Dark-rimmed, bright and dark discs, rings, facetted polygons, cores in shells; radii 8 to 80
    pixels, one to six in a frame of 320 x 320, on clouds, speckle, streaks, terraces and fibres.
    A frame with particles and its twin without have one histogram and one radial spectrum before
    noise of variance 0.003 to 0.03 (of a scale 0 to 1) is added: mean and standard deviation tell
    nothing.
    """

    name: ClassVar[str] = "particles"
    version: ClassVar[str] = "1"
    about: ClassVar[str] = "particles of any size and contrast found and centred, how sure told"
    default: ClassVar[str] = "find-particles"

    @property
    def bars(self) -> tuple[Bar, ...]:
        """Lines to be reached."""
        return (
            Bar(what="F1, noise variance up to 0.01", metric="f1_low", bar=0.95),
            Bar(what="F1, noise variance 0.03", metric="f1_0.03", bar=0.90),
            Bar(what="median error of centres, px", metric="centre_median", bar=2.0, **_LOW),
            Bar(what="95 % of centres within, px", metric="centre_95", bar=5.0, **_LOW),
            Bar(what="expected calibration error beyond chance", metric="ece", bar=0.05, **_LOW),
            Bar(what="shortcut: AUC of the mean", metric="auc_mean", bar=0.55, **_LOW),
            Bar(what="shortcut: AUC of the deviation", metric="auc_deviation", bar=0.55, **_LOW),
        )

    @property
    def methods(self) -> Mapping[str, Callable[[Sequence[Signal]], list[Answer]]]:
        """The shipped search and its parts, and what is at hand elsewhere."""
        net = {"learned": learned} if HAS_NET else {}
        return {
            "find-particles": shipped,
            "classical": classical,
            **net,
            "brightest blob": brightest,
            "ring of fixed radius": matched_ring,
            "blob_log": blobs,
            "otsu": otsu,
        }

    def case(self, seed: int) -> Case:
        """Draw the frames of a seed."""
        rng = np.random.default_rng(seed)
        scenes = [
            scene
            for variance in VARIANCES
            for _ in range(_PAIRS)
            for scene in draw_pair(rng, variance)
        ]
        order = rng.permutation(len(scenes))
        shuffled = tuple(scenes[int(at)] for at in order)
        return Case(tuple(one.frame for one in shuffled), shuffled)

    def score(self, case: Case, answer: Sequence[Answer]) -> Mapping[str, float]:
        """Compare what was claimed with the truth.

        Returns
        -------
        mapping
            ``f1_V`` for every variance V, ``f1_low`` over those up to 0.01, ``precision`` and
            ``recall`` over all; ``centre_median``, ``centre_95`` (pixels) and ``radius_error``
            (median of the relative error) of what was found; ``outline_iou``: median intersection
            over union of outlines, NaN where a method draws none; ``ece_raw``: expected calibration
            error (M. P. Naeini et al., Proc. AAAI 29 (2015) 2901), and ``ece`` less what exact
            probabilities would show by chance: a case has some 25 candidates, for which that alone
            is 0.1 (J. Bröcker, Clim. Dyn. 39 (2012) 655, section 3); ``empty_claims``: particles
            claimed in a frame that has none, per frame; ``auc_mean``, ``auc_deviation``: how well
            mean or standard deviation of a frame tell whether it has particles, the better side.
        """
        pairs = [
            match(scene, one.place, one.radius, one.probability)
            for scene, one in zip(case.scenes, answer, strict=True)
        ]
        both = list(zip(case.scenes, answer, pairs, strict=True))
        said = {f"f1_{v:g}": _f1([p for s, _, p in both if s.variance == v]) for v in VARIANCES}
        said["f1_low"] = _f1([p for s, _, p in both if s.variance <= 0.01])
        said |= _rates(pairs) | _errors(both)
        sure = np.concatenate([one.probability for one in answer])
        hit = np.concatenate([pair.hit for pair in pairs])
        said["ece_raw"] = calibration_error(sure, hit)
        said["ece"] = said["ece_raw"] - error_by_chance(sure)
        none = [
            pair for scene, pair in zip(case.scenes, pairs, strict=True) if not len(scene.radius)
        ]
        said["empty_claims"] = float(np.mean([one.claimed for one in none]))
        full = np.array([len(scene.radius) > 0 for scene in case.scenes])
        for name, of in (("mean", np.mean), ("deviation", np.std)):
            # A frame's own gain and offset say nothing, so they are taken off.
            values = np.array([float(of(_plain(scene))) for scene in case.scenes])
            said[f"auc_{name}"] = shortcut(values, full)
        return said


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """Claims paired with particles: pairs (claim, particle); `hit` of every candidate."""

    pairs: np.ndarray[Any, np.dtype[np.int64]]
    claimed: int
    there: int
    hit: np.ndarray[Any, np.dtype[np.bool_]]


def match(scene: Scene, place: FloatArray, radius: FloatArray, probability: FloatArray) -> Match:
    """Pair candidates with particles one to one; the sum of the probabilities is the most.

    Parameters
    ----------
    scene : Scene
        The truth.
    place, radius, probability : numpy.ndarray
        Of the candidates: (row, column) in pixels, shape (n, 2), pixels and 0 to 1, shape (n,).
    """
    apart = np.hypot(place[:, 0, None] - scene.place[:, 0], place[:, 1, None] - scene.place[:, 1])
    ratio = np.abs(np.log(np.maximum(radius[:, None], 1e-9) / scene.radius))
    good = (apart <= _NEAR * scene.radius) & (ratio <= np.log(_ALIKE))
    worth = np.where(good, 1e-3 + probability[:, None] - 1e-6 * apart, 0.0)
    rows, columns = linear_sum_assignment(-worth)
    kept = good[rows, columns]
    pairs = np.stack([rows[kept], columns[kept]], axis=-1).astype(np.int64)
    hit = np.zeros(len(place), dtype=bool)
    hit[pairs[:, 0]] = True
    claimed = probability >= _SURE
    return Match(pairs[claimed[pairs[:, 0]]], int(claimed.sum()), len(scene.radius), hit)


def _f1(pairs: Sequence[Match]) -> float:
    both = sum(one.claimed + one.there for one in pairs)
    return 2 * sum(len(one.pairs) for one in pairs) / both if both else 1.0


def _rates(pairs: Sequence[Match]) -> dict[str, float]:
    found = sum(len(one.pairs) for one in pairs)
    claimed, there = sum(one.claimed for one in pairs), sum(one.there for one in pairs)
    return {"precision": found / claimed if claimed else 1.0, "recall": found / max(there, 1)}


def _errors(both: Sequence[tuple[Scene, Answer, Match]]) -> dict[str, float]:
    away, wrong, overlap = [], [], []
    for scene, answer, pair in both:
        for claim, truth in pair.pairs:
            away.append(float(np.hypot(*(answer.place[claim] - scene.place[truth]))))
            wrong.append(abs(float(answer.radius[claim] / scene.radius[truth]) - 1))
            if answer.outlines:
                overlap.append(_overlap(answer.outlines[claim], scene.labels == truth + 1))
    return {
        "centre_median": float(np.median(away)) if away else float("nan"),
        "centre_95": float(np.quantile(away, 0.95)) if away else float("nan"),
        "radius_error": float(np.median(wrong)) if wrong else float("nan"),
        "outline_iou": float(np.median(overlap)) if overlap else float("nan"),
    }


def _overlap(outline: FloatArray, mask: np.ndarray[Any, np.dtype[np.bool_]]) -> float:
    """Return intersection over union of a polygon (x, y) in pixels and a mask."""
    from skimage.draw import polygon2mask

    drawn = polygon2mask(mask.shape, outline[:, ::-1])
    return float((drawn & mask).sum() / max((drawn | mask).sum(), 1))


def calibration_error(probability: FloatArray, hit: np.ndarray[Any, np.dtype[np.bool_]]) -> float:
    """Return the mean distance of probability and share of hits, over bins, by their numbers.

    Parameters
    ----------
    probability, hit : numpy.ndarray
        Of every candidate, shape (n,); those below 0.05 are left out, which would only flatter it.
    """
    kept = probability >= _FAINT
    probability, hit = probability[kept], hit[kept]
    if not len(probability):
        return 0.0
    bins = np.minimum((probability * _BINS).astype(int), _BINS - 1)
    total = 0.0
    for one in range(_BINS):
        there = bins == one
        if there.any():
            total += abs(float(np.sum(probability[there] - hit[there])))
    return total / len(probability)


def error_by_chance(probability: FloatArray) -> float:
    """Return the calibration error that exact probabilities show on average, hits being chance.

    Parameters
    ----------
    probability : numpy.ndarray
        Of every candidate, shape (n,).
    """
    # Draws of its own, the same for everybody.
    rng = np.random.default_rng(0)
    drawn = [
        calibration_error(probability, rng.random(len(probability)) < probability)
        for _ in range(_DRAWS)
    ]
    return float(np.mean(drawn))


def shortcut(values: FloatArray, full: np.ndarray[Any, np.dtype[np.bool_]]) -> float:
    """Return the area under the curve of one number as a test for particles, the better side.

    Parameters
    ----------
    values : numpy.ndarray
        One a frame, shape (n,).
    full : numpy.ndarray
        Whether it has particles.
    """
    more = values[full][:, None] - values[~full][None, :]
    area = float(np.mean((more > 0) + 0.5 * (more == 0)))
    return max(area, 1 - area)


def _plain(scene: Scene) -> FloatArray:
    values: FloatArray = (scene.frame.to_numpy() - scene.offset) / scene.gain
    return values
