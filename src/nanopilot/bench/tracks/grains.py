"""`grains`: grains of height frames told apart, counted, sized, and gone to."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nanopilot.bench.grain_frames import KINDS, GrainScene, draw_scene
from nanopilot.bench.grain_peers import (
    Answer,
    Question,
    Told,
    captured,
    crack_map,
    one_grain,
    oracle,
    otsu_watershed,
    shipped,
)
from nanopilot.bench.grain_scores import compare, shapes
from nanopilot.bench.track import Bar
from nanopilot.core.signals import Signal

#: Side of a window over the diameter of a grain.
_WINDOW = 1.5
_LOW: dict[str, Any] = {"better": "lower"}


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """Frames and their truth; the last scene is the one whose mask is given."""

    visible: Question
    scenes: tuple[GrainScene, ...]


class Grains:
    """Five frames by seed, one of each kind, one of them at 10 dB; and a mask that is given.

    The twin's polycrystal; caps on Laguerre cells, stretched in one frame, at different heights in
    another, with substrate between them in a third. Mean diameters of 11 to 30 pixels, tips up to
    a fifth of a grain wide, white noise 10 to 30 dB below the surface, offsets of lines, tilt and
    bow. Grains of which less than a disc six pixels wide is seen, neither count as found nor as
    missed: that is what pixels resolve.
    """

    name: ClassVar[str] = "grains"
    version: ClassVar[str] = "1"
    about: ClassVar[str] = "grains of height frames told apart, counted, sized, and gone to"
    default: ClassVar[str] = "segment-grains"

    @property
    def bars(self) -> tuple[Bar, ...]:
        """Lines to be reached."""
        return (
            Bar(what="AP at an overlap of a half", metric="ap50", bar=0.85),
            Bar(what="error of the count", metric="count_error", bar=0.05, **_LOW),
            Bar(what="error of the mean diameter", metric="diameter_error", bar=0.05, **_LOW),
            Bar(what="orientation, degrees", metric="orientation_error", bar=5.0, **_LOW),
            Bar(what="largest grain of a given mask", metric="largest_given", bar=1.0),
            Bar(what="boundary of ten windows, given mask", metric="dense_given", bar=0.95),
            Bar(what="boundary of ten windows, found mask", metric="dense_found", bar=0.95),
        )

    @property
    def methods(self) -> Mapping[str, Callable[[Question], Answer]]:
        """The operator, with the network where it may; without; the usual script; one grain."""
        return {
            "segment-grains": shipped("auto"),
            "classical": shipped("classical"),
            "otsu and watershed": otsu_watershed,
            "one grain, random targets": one_grain,
        }

    def case(self, seed: int) -> Case:
        """Draw the frames of a seed."""
        rng = np.random.default_rng(seed)
        hardest = KINDS[int(rng.integers(len(KINDS)))]
        scenes = [draw_scene(kind, rng, snr=10.0 if kind == hardest else None) for kind in KINDS]
        given = draw_scene("caps", rng)
        return Case(
            Question(
                tuple(one.frame for one in scenes),
                tuple(_WINDOW * one.diameter * _pitch(one.frame) for one in scenes),
                _mask(given),
                given.frame,
                _WINDOW * given.diameter * _pitch(given.frame),
                seed,
            ),
            (*scenes, given),
        )

    def score(self, case: Case, answer: Answer) -> Mapping[str, float]:
        """Compare grains and targets with the truth.

        Returns
        -------
        mapping
            Means over the frames of what `nanopilot.bench.grain_scores.compare` says, and
            ``ap50_KIND`` of every kind; ``largest_given``: the largest whole grain of the given
            mask was chosen; ``largest_found``: share of frames where the place chosen lies in the
            truly largest whole grain; ``dense_given``, ``dense_found``: boundary in the ten
            windows over that in the ten which trying all of the true mask gives;
            ``by_network``: share of frames that the network told apart.
        """
        rows = []
        said: dict[str, float] = {}
        for scene, told in zip(case.scenes, answer.told, strict=False):
            row = dict(compare(told.labels, scene.labels, told.certainty))
            said[f"ap50_{scene.kind}"] = row["ap50"]
            row["largest_found"] = _in_largest(scene, told)
            row["dense_found"] = _dense(scene, told.dense)
            row["by_network"] = float(told.method == "learned")
            rows.append(row)
        for name in rows[0]:
            values = np.array([row[name] for row in rows])
            known = values[np.isfinite(values)]
            said[name] = float(known.mean()) if known.size else math.nan
        given = case.scenes[-1]
        said["largest_given"] = float(answer.given_largest == _largest(given))
        said["dense_given"] = _dense(given, answer.given_dense)
        return said


def _pitch(frame: Signal) -> float:
    return float(frame["x"][1] - frame["x"][0])


def _mask(scene: GrainScene) -> Signal:
    mask = scene.frame.copy(data=scene.labels)
    mask.attrs = {"quantity": "label", "units": "1"}
    return mask


def _largest(scene: GrainScene) -> int:
    """Return the label of the largest grain that the edge does not cut."""
    counts = np.bincount(scene.labels.ravel())
    edge = np.concatenate(
        [scene.labels[0], scene.labels[-1], scene.labels[:, 0], scene.labels[:, -1]]
    )
    counts[np.append(edge, 0)] = 0
    return int(np.argmax(counts))


def _in_largest(scene: GrainScene, told: Told) -> float:
    """Tell whether a place lies in the largest whole grain, or in one as large within 2 %."""
    column, row = np.round(told.largest / _pitch(scene.frame)).astype(int)
    inside = 0 <= row < scene.labels.shape[0] and 0 <= column < scene.labels.shape[1]
    if not inside or not scene.labels[row, column]:
        return 0.0
    real = shapes(scene.labels)
    size = dict(zip(real.names.tolist(), (real.diameter**2).tolist(), strict=True))
    return float(size[int(scene.labels[row, column])] >= 0.98 * size[_largest(scene)])


def _dense(scene: GrainScene, places: Any) -> float:
    """Return boundary in windows at places in metres over that in the best ones."""
    cracks = crack_map(scene.labels)
    window = max(1, round(_WINDOW * scene.diameter))
    best = captured(cracks, oracle(cracks, window), window)
    middles = np.asarray(places)[:, ::-1] / _pitch(scene.frame)
    return captured(cracks, middles, window) / best if best > 0 else math.nan
