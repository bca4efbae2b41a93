"""`particle-shapes`: particles outlined, measured, sorted and counted, against drawn truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from nanopilot.analysis.particle_shapes import Instance, match_instances
from nanopilot.bench.shape_answers import METHODS, Answer, Question
from nanopilot.bench.tem_particles import KINDS, Drawn, Kind, Truth, any_scene, draw_particles
from nanopilot.bench.tem_solids import Solid, draw_solid
from nanopilot.bench.track import Bar
from nanopilot.core.history import FloatArray
from nanopilot.core.signals import Axis, Signal, make_signal

#: The classes of the acceptance, and other sets of which each seed asks one.
THREE: tuple[Kind, ...] = ("rod", "triangle", "disc")
OTHERS: tuple[tuple[Kind, ...], ...] = (
    ("disc",), ("triangle",), ("rod",), ("disc", "rod"), ("triangle", "rod"), ("triangle", "disc"),
    ("cube", "rod"), ("rod", "triangle", "disc", "cube"),
)  # fmt: skip
#: Whole particles that the two streams have at least, and pixels along a side of their frames.
_WHOLE, _FEWER, _PIXELS = 240, 130, 640
#: Analytic shapes of a case, and the pixels that their area is at least.
_SHAPES, _LARGE = 12, 900.0
#: Largest share of a particle that another hides: in overlapped frames, and in streams.
_HIDDEN, _STREAM_HIDDEN = 0.2, 0.1
#: Share of the particles of a stream that are put beside another; and how much denser they lie.
_PAIRS, _DENSER = 0.15, 1.4
_LESS: dict[str, Any] = {"better": "lower"}


@dataclass(frozen=True, slots=True, eq=False)
class Ideal:
    """An analytic shape: exact area (m²), aspect ratio, and whether it is a disc."""

    area: float
    aspect: float
    disc: bool


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """What methods see, and the truth of it."""

    visible: Question
    ideals: tuple[Ideal, ...]
    isolated: Truth
    overlapped: Truth
    three: tuple[Truth, ...]
    other: tuple[Truth, ...]


class ParticleShapes:
    """12 analytic shapes, one frame of isolated and one of overlapped particles, two streams.

    Frames have discs (spheres or plates), rods, triangles, cubes and hexagons, 8 to 40 nm long,
    0.3 to 0.65 nm per pixel, 60 to 1000 electrons per pixel, dark or bright, on a grainy support
    under uneven light. One stream has rods, triangles and discs; the other 1, 2 or 4 classes, drawn
    by the seed; they have 240 and 130 whole particles or more, and a few overlapped ones. Particles
    cut by the edge of a frame count neither as found nor as missed.
    """

    name: ClassVar[str] = "particle-shapes"
    version: ClassVar[str] = "1"
    about: ClassVar[str] = "particles outlined, measured, and sorted into classes by shape"
    default: ClassVar[str] = "outline and sort"
    methods: ClassVar[Mapping[str, Callable[[Question], Answer]]] = METHODS
    bars: ClassVar[tuple[Bar, ...]] = (
        Bar(what="analytic shapes: error of area", metric="area_error", bar=0.01, **_LESS),
        Bar(what="... of aspect ratio", metric="aspect_error", bar=0.02, **_LESS),
        Bar(what="... of 1/h1 of discs", metric="disc_hu_error", bar=0.01, **_LESS),
        Bar(what="isolated: F1 at IoU 0.5", metric="f1_isolated", bar=0.95),
        Bar(what="overlapped by up to 20 %: F1 at IoU 0.5", metric="f1_overlapped", bar=0.85),
        Bar(what="mean error of size", metric="size_error", bar=0.05, **_LESS),
        Bar(what="three classes: adjusted Rand index", metric="ari_3", bar=0.9),
        Bar(what="three classes: their number found", metric="k_right_3", bar=0.9),
        Bar(what="frames repeated: change of fractions", metric="repeat_change", bar=0.0, **_LESS),
    )

    def case(self, seed: int) -> Case:
        """Draw the frames of a seed."""
        rng = np.random.default_rng(seed)
        sheet, ideals = _ideals(rng)
        isolated = draw_particles(any_scene(rng, KINDS, pixels=512), rng)
        overlapped = draw_particles(any_scene(rng, KINDS, overlap=_HIDDEN, pixels=512), rng)
        three = _stream(THREE, _WHOLE, rng)
        other = _stream(OTHERS[int(rng.integers(len(OTHERS)))], _FEWER, rng)
        question = Question(
            sheet, isolated.frame, overlapped.frame,
            tuple(one.frame for one in three), tuple(one.frame for one in other),
        )  # fmt: skip
        return Case(question, ideals, isolated, overlapped, three, other)

    def score(self, case: Case, answer: Answer) -> Mapping[str, float]:
        """Compare an answer with the truth.

        Returns
        -------
        mapping
            ``area_error, aspect_error, disc_hu_error``: largest relative errors of the analytic
            shapes; ``f1_isolated, f1_overlapped``; ``size_error``: mean error of the equivalent
            diameter over the diameter, both frames; ``ari_3``, ``k_right_3`` (1 or 0), and of the
            other stream ``ari_N, k_right_N`` for its N classes; ``repeat_change``: largest change
            of a fraction when frames are shown again.
        """
        said = _analytic(case.ideals, answer)
        sizes: list[float] = []
        for name in ("isolated", "overlapped"):
            truth, found = getattr(case, name), getattr(answer, name)
            said[f"f1_{name}"] = f1(found.instances, truth.particles, truth.scene.pixels)
            sizes.extend(size_errors(found, truth))
        said["size_error"] = float(np.mean(sizes)) if sizes else 1.0
        for truths, name in ((case.three, "three"), (case.other, "other")):
            count = len(truths[0].scene.kinds)
            sorted_ = getattr(answer, name)
            said[f"ari_{count}"] = _rand(truths, sorted_)
            said[f"k_right_{count}"] = float(sorted_.count == count)
        said["repeat_change"] = answer.repeat_change
        return said


def f1(found: Sequence[Instance], there: Sequence[Drawn], pixels: int) -> float:
    """Return the F1 of particles at IoU 0.5; those at the edge of the frame do not count.

    Parameters
    ----------
    found : sequence of Instance
        The answer.
    there : sequence of Drawn
        The truth.
    pixels : int
        Of the frame along a side.
    """
    paired = match_instances(found, there)
    hit_found, hit_there = (set(column.tolist()) for column in paired.pairs.T)
    good = sum(not there[b - 1].cut for _, b in paired.pairs.tolist())
    false = sum(
        number not in hit_found and not one.touches((pixels, pixels))
        for number, one in enumerate(found, start=1)
    )
    missed = sum(
        number not in hit_there and not one.cut for number, one in enumerate(there, start=1)
    )
    return 2 * good / max(2 * good + false + missed, 1)


def size_errors(found: Any, truth: Truth) -> list[float]:
    """Return the errors of the equivalent diameter, relative, of whole particles that were found.

    Parameters
    ----------
    found : Measured
        Particles and their table.
    truth : Truth
        Of the same frame.
    """
    pairs = match_instances(found.instances, truth.particles).pairs
    sizes = found.table["equivalent_diameter"].to_numpy()
    errors = []
    for a, b in pairs.tolist():
        particle = truth.particles[b - 1]
        if not particle.cut:
            true = 2 * math.sqrt(particle.area / math.pi) * truth.scene.pixel_size
            errors.append(abs(float(sizes[a - 1]) / true - 1))
    return errors


def _rand(truths: Sequence[Truth], answer: Any) -> float:
    """Return the adjusted Rand index over whole particles that were found."""
    from sklearn.metrics import adjusted_rand_score

    kinds: list[str] = []
    classes: list[int] = []
    for truth, found, labels in zip(truths, answer.frames, answer.labels, strict=True):
        for a, b in match_instances(found.instances, truth.particles).pairs.tolist():
            if not truth.particles[b - 1].cut:
                kinds.append(truth.particles[b - 1].kind)
                classes.append(int(labels[a - 1]))
    return float(adjusted_rand_score(kinds, classes)) if kinds else 0.0


def _stream(kinds: tuple[Kind, ...], least: int, rng: np.random.Generator) -> tuple[Truth, ...]:
    scene = any_scene(rng, kinds, overlap=_STREAM_HIDDEN, pixels=_PIXELS)
    scene = replace(scene, pairs=_PAIRS, count=round(_DENSER * scene.count))
    frames: list[Truth] = []
    whole = 0
    while whole < least:
        frames.append(draw_particles(scene, rng))
        # Beyond those that are hidden in part or cut, which no class can be learned from.
        whole += sum(not one.cut and not one.hidden for one in frames[-1].particles)
    return tuple(frames)


def _ideals(rng: np.random.Generator) -> tuple[Signal, tuple[Ideal, ...]]:
    """Draw analytic shapes on one sheet of labels: discs, rods, triangles, cubes, hexagons."""
    pitch = rng.uniform(0.2e-9, 0.4e-9)
    side = math.ceil(42e-9 / pitch) + 6
    columns = 4
    sheet = np.zeros((side * math.ceil(_SHAPES / columns), side * columns), dtype=np.int64)
    ideals = []
    for number in range(_SHAPES):
        kind = KINDS[number % len(KINDS)]
        solid = draw_solid(kind, rng)
        while solid.area < _LARGE * pitch**2:
            solid = draw_solid(kind, rng)
        corner = side * np.array(divmod(number, columns))
        centre = corner + side / 2 + rng.uniform(-1, 1, 2)
        y, x = np.meshgrid(*(np.arange(n) for n in sheet.shape), indexing="ij")
        inside = solid.distance((x - centre[1]) * pitch, (y - centre[0]) * pitch) < 0
        sheet[inside] = number + 1
        ideals.append(Ideal(solid.area, _aspect(solid), kind == "disc"))
    axes = {
        dim: Axis(np.arange(float(n)) * pitch, "m", "position")
        for dim, n in zip(("y", "x"), sheet.shape, strict=True)
    }
    return make_signal(sheet, axes, quantity="label", units="1"), tuple(ideals)


def _aspect(solid: Solid) -> float:
    """Return the aspect ratio of a shape by samples so fine that pixels do not matter."""
    line = np.linspace(-1.05, 1.05, 1200) * solid.reach
    x, y = np.meshgrid(line, line)
    inside = solid.distance(x, y) < 0
    spread = np.linalg.eigvalsh(np.cov(np.stack([x[inside], y[inside]])))
    return float(np.sqrt(spread[1] / spread[0]))


def _analytic(ideals: Sequence[Ideal], answer: Answer) -> dict[str, float]:
    table = answer.described
    area, aspect, hu = (
        np.asarray(table[name].to_numpy(), dtype=np.float64)
        for name in ("area", "aspect_ratio", "inverse_hu")
    )
    true: FloatArray = np.array([(one.area, one.aspect) for one in ideals])
    disc = np.array([one.disc for one in ideals])
    return {
        "area_error": float(np.abs(area / true[:, 0] - 1).max()),
        "aspect_error": float(np.abs(aspect / true[:, 1] - 1).max()),
        "disc_hu_error": float(np.abs(hu[disc] / (2 * math.pi) - 1).max()),
    }
