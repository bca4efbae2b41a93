"""`levelling`: frames with tilt, bow, offset lines and strokes, against a perfect instrument's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from nanopilot.analysis.levelling import Level, SubtractPlane
from nanopilot.bench.track import Bar
from nanopilot.core.capabilities import Scanner
from nanopilot.core.clock import VirtualClock
from nanopilot.core.history import FloatArray
from nanopilot.core.requests import ScanRequest
from nanopilot.core.signals import Signal
from nanopilot.twins.spm import Sample, SpmSettings, SpmTwin
from nanopilot.twins.spm.samples import family

#: Kinds of surface: a ground with things on it, terraces, domes, and no ground at all.
KINDS = ("particles", "steps", "grains", "rough")
SIZE, PIXELS, LINES = 1e-6, 384, 128

Answer = tuple[FloatArray, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """Frames as seen (dims (y, x), one per kind), and as a perfect instrument shows them."""

    visible: tuple[Signal, ...]
    truth: tuple[FloatArray, ...]


class Levelling:
    """One frame of 128 lines of each of four kinds of surface, from the scanning-probe twin.

    With s the standard deviation of the surface: tilt 2 to 20 s and bow 0.5 to 3 s from middle to
    edge, offsets of lines 0.1 to 0.5 s, noise 0.01 to 0.05 s with 1/f noise beside it, 5 to 12
    strokes of 1 to 2 lines and 1 to 4 s. Truth is the frame of the same tip without any of that.
    Which kind a frame is of is no secret: anybody sees terraces.
    """

    name: ClassVar[str] = "levelling"
    version: ClassVar[str] = "1"
    about: ClassVar[str] = "tilt, bow, offset lines and strokes taken out of four kinds of surface"
    default: ClassVar[str] = "level"
    bars: ClassVar[tuple[Bar, ...]] = (
        Bar(what="particles on a ground", metric="error_particles", bar=0.1, better="lower"),
        Bar(what="terraces", metric="error_steps", bar=0.1, better="lower"),
        Bar(what="domed grains", metric="error_grains", bar=0.3, better="lower"),
        Bar(what="all kinds, explained", metric="skill", bar=0.9),
    )

    @property
    def methods(self) -> Mapping[str, Callable[[tuple[Signal, ...]], Answer]]:
        """The shipped ways, a plane only, and nothing at all."""
        return {
            "level": by_kind,
            "level, facets": lambda seen: _each(Level(ground="facets"), seen),
            "level, background": lambda seen: _each(Level(), seen),
            "plane": lambda seen: _each(SubtractPlane(), seen),
            "none": lambda seen: _each(lambda frame: frame, seen),
            "constant": lambda seen: tuple(np.zeros(frame.shape) for frame in seen),
        }

    def case(self, seed: int) -> Case:
        """Scan the surfaces of a seed."""
        rng = np.random.default_rng(seed)
        drawn = [draw_frame(kind, rng) for kind in KINDS]
        return Case(tuple(seen for seen, _ in drawn), tuple(true for _, true in drawn))

    def score(self, case: Case, answer: Answer) -> Mapping[str, float]:
        """Compare levelled frames with the truth.

        Returns
        -------
        mapping
            Per kind ``error``: root mean square of the difference over that of the truth, both
            without their means; ``skill``: 1 - mean over the kinds of its square, each at most 1.
        """
        errors = {}
        for kind, true, found in zip(KINDS, case.truth, answer, strict=True):
            rest = found - true
            errors[kind] = float((rest - rest.mean()).std() / true.std())
        squares = [min(1.0, error**2) for error in errors.values()]
        named = {f"error_{kind}": error for kind, error in errors.items()}
        return {"skill": 1.0 - float(np.mean(squares)), **named}


def by_kind(seen: tuple[Signal, ...]) -> Answer:
    """Level as somebody would who sees which surface has terraces; frames as `KINDS`."""
    grounds = {"steps": Level(ground="facets")}
    return tuple(
        grounds.get(kind, Level())(frame).to_numpy()
        for kind, frame in zip(KINDS, seen, strict=True)
    )


def _each(level: Callable[[Signal], Signal], seen: tuple[Signal, ...]) -> Answer:
    return tuple(level(frame).to_numpy() for frame in seen)


def draw_frame(kind: str, rng: np.random.Generator) -> tuple[Signal, FloatArray]:
    """Draw a surface; return it as seen, and as a perfect instrument shows it.

    Parameters
    ----------
    kind : str
        Name of a family of samples.
    rng : numpy.random.Generator
        Draws everything.
    """
    sample = family(kind)(rng, size_m=SIZE, pixels=PIXELS)
    true = scan(sample, SpmSettings(), 0)
    size = float(true.std())
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in sample.height.shape), indexing="ij")
    tilt, bow = rng.uniform(2, 20) * size, rng.uniform(0.5, 3, 2) * size * rng.choice([-1, 1], 2)
    angle = rng.uniform(0, 2 * np.pi)
    ground = tilt * (np.cos(angle) * x + np.sin(angle) * y) + bow[0] * x**2 + bow[1] * y**2
    noise = rng.uniform(0.01, 0.05) * size
    # A pixel is a mean over 1/128 of half a second: white noise of 128 Hz of bandwidth.
    settings: dict[str, Any] = {
        "noise": {"white": noise / np.sqrt(LINES), "pink": noise / 2, "mains": noise / 2},
        "motion": {"drift": (0.0, 0.0, rng.uniform(-1, 1) * size / LINES)},
    }
    spoilt = replace(sample, height=sample.height + ground - ground.min())
    seen = scan(spoilt, SpmSettings.model_validate(settings), int(rng.integers(2**31)))
    heights = seen.to_numpy() + rng.uniform(0.1, 0.5) * size * rng.normal(size=(LINES, 1))
    for _ in range(rng.integers(5, 13)):
        row, width = int(rng.integers(1, LINES - 3)), int(rng.integers(1, 3))
        begin, length = int(rng.integers(0, LINES - 20)), int(rng.integers(12, 60))
        jump = rng.choice([-1, 1]) * rng.uniform(1, 4) * size
        heights[row : row + width, begin : begin + length] += jump
    return seen.copy(data=heights), true.to_numpy()


def scan(sample: Sample, settings: SpmSettings, seed: int) -> Signal:
    """Return the height of the whole sample as a twin sees it, dims (y, x)."""
    twin = SpmTwin(sample, VirtualClock(), settings=settings, seed=seed)
    area = sample.area
    request = ScanRequest(
        centre=area.centre,
        field_of_view=(area.x[1] - area.x[0], area.y[1] - area.y[0]),
        shape=(LINES, LINES),
        channels=("height",),
        directions=("trace",),
    )
    return twin.capability(Scanner).start(request).result()["height"]
