"""`tds`: diffuse scattering added to elastic patterns of crystals that nobody trained on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from nanopilot.bench.track import Bar
from nanopilot.models.electron_optics import Lens
from nanopilot.models.multislice import Calculation, Specimen
from nanopilot.models.recipes.tds import pack, rings
from nanopilot.models.tds import Condition, condition, load_tds
from nanopilot.models.tds.coherent import COARSE
from nanopilot.models.tds.diffuse import diffuse
from nanopilot.models.tds.shown import show
from nanopilot.workflows.tds_crystals import (
    HELD_OUT_FAMILIES,
    HELD_OUT_NUMBERS,
    HELD_OUT_THICKNESS,
    TRAINING_FAMILIES,
    Crystal,
    draw_crystal,
)
from nanopilot.workflows.tds_pairs import Pair, Plan, calculation, make_pairs

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Radians between rings in which annular errors are judged.
HIGH = (60e-3, 80e-3, 110e-3, 150e-3, 200e-3)
#: Reported beside: fixed annuli from the bright field to the high angles, in radians.
ANNULI = {"bf": (0.0, 8e-3), "abf": (12e-3, 25e-3), "laadf": (35e-3, 60e-3), "haadf": (60e-3, 0.2)}
#: Of a seed; two halves of 32 phonons are 64.
PLAN = Plan(places=2, phonons=32, variants=12)
#: Metres: as thick as crystals of a case are, at most.
_THICKEST = 15e-9


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """An elastic pattern, and what it was calculated of.

    Parameters
    ----------
    elastic : numpy.ndarray
        Fractions of the incident electrons, shape (64, 64).
    specimen : Specimen
        Atoms in their box, displacements too.
    lens : Lens
        What formed the beam.
    place : numpy.ndarray
        Of the beam in metres, shape (2,).
    how : Calculation
        Detector and numerics.
    """

    elastic: FloatArray
    specimen: Specimen
    lens: Lens
    place: FloatArray
    how: Calculation


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """Means over the halves of the phonons, shape (2, 64, 64), and the seconds they took."""

    halves: FloatArray
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """Patterns of a few crystals."""

    visible: tuple[Job, ...]
    truth: tuple[Truth, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """A pattern, the same with less known, and how long it took.

    Parameters
    ----------
    pattern : numpy.ndarray
        Shape (64, 64).
    shuffled, zeroed, numbers : numpy.ndarray, optional
        With the condition of another crystal; with none; and with the numbers of another crystal,
        which is what a network is told beside pictures.
    seconds, seconds_of_network : float
        All of it but the elastic pattern; without the condition.
    """

    pattern: FloatArray
    shuffled: FloatArray | None = None
    zeroed: FloatArray | None = None
    numbers: FloatArray | None = None
    seconds: float = 0.0
    seconds_of_network: float = 0.0


class Tds:
    """Two crystals of a seed: of elements, and every second of a family, not of training.

    One thickness of each crystal lies in a band that training left out. Truth is the mean of 64
    frozen phonons, in two halves of their own slices. Everything is judged within 200 mrad.

    Parameters
    ----------
    plan : Plan
        Places, phonons in each half, and variants of every slice.
    crystals : int
        Of a seed.
    """

    name: ClassVar[str] = "tds"
    version: ClassVar[str] = "1"
    about: ClassVar[str] = "thermal diffuse scattering from elastic patterns of unknown crystals"
    default: ClassVar[str] = "network"
    bars: ClassVar[tuple[Bar, ...]] = (
        Bar(what="annuli from 60 to 200 mrad to 10 %", metric="annular", bar=0.1, better="lower"),
        Bar(what="half of the elastic error", metric="of_elastic", bar=0.5, better="lower"),
        Bar(what="within twice the noise of halves", metric="r_over_noise", bar=2.0,
            better="lower"),
        Bar(what="intensity kept to 1 %", metric="lost", bar=0.01, better="lower"),
        Bar(what="a wrong condition costs 20 %", metric="shuffled", bar=1.2),
        Bar(what="and so does none", metric="zeroed", bar=1.2),
    )  # fmt: skip

    def __init__(self, plan: Plan = PLAN, crystals: int = 2) -> None:
        self._plan, self._crystals = plan, crystals

    @property
    def methods(self) -> Mapping[str, Callable[[tuple[Job, ...]], tuple[Answer, ...] | None]]:
        """The networks, what they start from, baselines, and one half of the truth."""
        return {
            "network": network,
            "estimate": estimate,
            "annuli": annuli,
            "elastic": elastic,
            "half": lambda jobs: None,
        }

    def case(self, seed: int) -> Case:
        """Return patterns of crystals drawn anew for every seed."""
        jobs: list[Job] = []
        truth: list[Truth] = []
        for number in range(self._crystals):
            rng = np.random.default_rng([seed, number, 1931])
            families = HELD_OUT_FAMILIES if number % 2 else TRAINING_FAMILIES
            crystal, depths = draw(rng, families)
            begun = time.perf_counter()
            pairs = make_pairs(crystal, depths, self._plan, rng)
            seconds = (time.perf_counter() - begun) / self._plan.places
            for pair in pairs:
                jobs.append(job_of(crystal, pair))
                part = pair.parameters.thickness / crystal.thickness
                truth.append(Truth(pair.halves, seconds * part))
        return Case(tuple(jobs), tuple(truth))

    def score(self, case: Case, answer: tuple[Answer, ...] | None) -> Mapping[str, float]:
        """Compare with the mean over phonons; None stands for one half beside the other.

        Returns
        -------
        mapping
            ``annular``, root mean square of the relative error of the rings between `HIGH`, and
            ``of_elastic``, over that of the elastic patterns; ``r``, mean R-factor,
            ``r_over_noise``, over that between halves; ``lost``, mean relative difference of the
            sum, and ``against_elastic``, of that from the elastic pattern's; ``bf`` to ``haadf``,
            root mean square relative errors; ``shuffled`` and ``zeroed``, by which factor the
            annular error grows with a wrong condition and with none, ``numbers`` with the numbers
            of another crystal, 1 for methods without;
            ``speedup``, seconds of the phonons over those of the method, condition included, and
            ``speedup_of_network`` without it.
        """
        halves = [one.halves for one in case.truth]
        if answer is None:
            answer = tuple(Answer(half[0]) for half in halves)
            true = np.stack([half[1] for half in halves])
        else:
            true = np.stack([half.mean(axis=0) for half in halves])
        seen = _between(0.0, HIGH[-1])
        found = np.stack([one.pattern for one in answer]) * seen
        still = np.stack([job.elastic for job in case.visible]) * seen
        true *= seen
        noise = r_factor(np.stack([half[0] for half in halves]),
                         np.stack([half[1] for half in halves]))  # fmt: skip
        ours, r = annular(found, true), r_factor(found, true)
        sums = found.sum(axis=(1, 2))
        rest = {name: rms(ring(found, *edge) / ring(true, *edge) - 1)
                for name, edge in ANNULI.items()}  # fmt: skip
        full = sum(one.seconds for one in case.truth)
        spent = sum(one.seconds for one in answer)
        alone = sum(one.seconds_of_network for one in answer)
        return rest | {
            "annular": ours,
            "of_elastic": ours / annular(still, true),
            "r": float(r.mean()),
            "noise": float(noise.mean()),
            "r_over_noise": float(r.sum() / noise.sum()),
            "lost": float(np.abs(sums / true.sum(axis=(1, 2)) - 1).mean()),
            "against_elastic": float(np.abs(sums / still.sum(axis=(1, 2)) - 1).mean()),
            "shuffled": _worse([one.shuffled for one in answer], true, ours),
            "zeroed": _worse([one.zeroed for one in answer], true, ours),
            "numbers": _worse([one.numbers for one in answer], true, ours),
            "speedup": full / spent if spent else 0.0,
            "speedup_of_network": full / alone if alone else 0.0,
        }


def draw(rng: np.random.Generator, families: tuple[str, ...]) -> tuple[Crystal, list[float]]:
    """Return a crystal of elements that were held out, and two depths (m), one held out too."""
    band = HELD_OUT_THICKNESS[int(rng.integers(len(HELD_OUT_THICKNESS)))]
    depths = sorted([float(rng.uniform(*band)), float(rng.uniform(1e-9, _THICKEST))])
    thickness = (depths[-1], depths[-1] * 1.0001)
    return draw_crystal(rng, families, HELD_OUT_NUMBERS, thickness), depths


def job_of(crystal: Crystal, pair: Pair) -> Job:
    """Return what may be known of a pair."""
    told = pair.parameters
    whole = crystal.specimen()
    above = whole.position[:, 2] < told.thickness
    cut = Specimen(whole.position[above], whole.number[above], whole.rms[above],
                   (whole.box[0], whole.box[1], told.thickness))  # fmt: skip
    return Job(pair.elastic, cut, crystal.lens, np.asarray(told.place), calculation(crystal))


def ring(patterns: FloatArray, inner: float, outer: float) -> FloatArray:
    """Return the intensity between two angles (rad) of patterns, shape (n,)."""
    return np.asarray((patterns * _between(inner, outer)).sum(axis=(1, 2)))


def _between(inner: float, outer: float) -> FloatArray:
    along = (np.arange(64) - 32) * 6.25e-3
    angle = np.hypot(along[:, None], along)
    return np.asarray((angle >= inner) & (angle < outer), dtype=np.float64)


def annular(found: FloatArray, true: FloatArray) -> float:
    """Return the root mean square relative error of the rings between `HIGH`."""
    return rms(np.stack([ring(found, *edge) / ring(true, *edge) - 1 for edge in pairwise(HIGH)]))


def r_factor(found: FloatArray, true: FloatArray) -> FloatArray:
    """Return ``sum |sqrt(I) - sqrt(I_true)| / sum sqrt(I_true)`` of patterns, shape (n,)."""
    seen = _between(0.0, HIGH[-1])
    roots = np.sqrt(true * seen)
    off = np.abs(np.sqrt(np.maximum(found * seen, 0.0)) - roots)
    return np.asarray(off.sum(axis=(1, 2)) / roots.sum(axis=(1, 2)))


def rms(values: FloatArray) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.mean(np.square(values))))


def _worse(without: list[FloatArray | None], true: FloatArray, ours: float) -> float:
    there = [one for one in without if one is not None]
    return annular(np.stack(there), true) / ours if there else 1.0


def network(jobs: tuple[Job, ...]) -> tuple[Answer, ...]:
    """Answer with the networks; beside it, with the condition of another crystal, and with none.

    With none, the elastic pattern stands for the mean wave, and all numbers and estimates are 0.
    """
    add = load_tds()
    made = []
    for job in jobs:
        begun = time.perf_counter()
        given = _condition(job)
        known = time.perf_counter()
        found = add(job.elastic[None], given, refuse=False).patterns[0]
        now = time.perf_counter()
        made.append((given, found, (now - begun, now - known)))
    answers = []
    for number, job in enumerate(jobs):
        other = made[(number + len(jobs) // 2) % len(jobs)][0]
        wrong = add(job.elastic[None], other, refuse=False).patterns[0]
        none = add(job.elastic[None], _nothing(job, made[number][0]), refuse=False).patterns[0]
        planes = _planes(job, made[number][0])
        planes[5, 0] = _planes(jobs[(number + len(jobs) // 2) % len(jobs)], other)[5, 0]
        told = add.say(planes[None]).mean(axis=0)[0]
        answers.append(Answer(made[number][1], wrong, none, told, *made[number][2]))
    return tuple(answers)


def _planes(job: Job, given: Condition) -> Any:
    (shown,) = show(job.elastic[None], given.wave, given.optics)
    return pack(shown, COARSE.reach)


def _nothing(job: Job, given: Condition) -> Condition:
    wave = given.wave
    coarse = replace(wave.coarse, patterns=job.elastic[None])
    empty = replace(wave, view=coarse, coarse=coarse, lost=0 * wave.lost, struck=0 * wave.struck,
                    areal=0 * wave.areal)  # fmt: skip
    return replace(given, wave=empty)


def estimate(jobs: tuple[Job, ...]) -> tuple[Answer, ...]:
    """Answer with what the networks start from: the mean wave, and scattering by single atoms."""
    answers = []
    for job in jobs:
        begun = time.perf_counter()
        given = _condition(job)
        spread = diffuse(given.wave, given.wave.view, job.lens.voltage)[0, 0]
        pattern = given.wave.view.patterns[0] + spread
        answers.append(Answer(pattern, seconds=time.perf_counter() - begun))
    return tuple(answers)


def annuli(jobs: tuple[Job, ...]) -> tuple[Answer, ...]:
    """Answer with the elastic pattern, each ring times what it takes on average in training."""
    factors = np.asarray(load_tds().card.settings["factors_of_rings"])
    inside = rings().T.astype(np.float64)
    # Corners beyond the last ring as in the last ring.
    gain = np.where(inside.sum(axis=1) > 0, inside @ factors, factors[-1]).reshape(64, 64)
    return tuple(Answer(job.elastic * gain) for job in jobs)


def elastic(jobs: tuple[Job, ...]) -> tuple[Answer, ...]:
    """Answer with the elastic pattern."""
    return tuple(Answer(job.elastic) for job in jobs)


def _condition(job: Job) -> Condition:
    return condition(job.specimen, job.lens, job.place[None], job.how)
