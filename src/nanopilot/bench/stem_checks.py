"""Experiments on an electron twin whose outcome theory knows beforehand: counts and books."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nanopilot.core.adjustables import Beam, Stage
from nanopilot.core.capabilities import Camera, PointSpectroscopy, Scanner
from nanopilot.core.clock import Clock, VirtualClock
from nanopilot.core.limits import Area, Budget, PlaceBudget
from nanopilot.core.requests import CameraRequest, ScanRequest, SpectrumRequest
from nanopilot.core.signals import SignalSet
from nanopilot.instruments import Guard
from nanopilot.twins.stem.samples.matter import Layered, Part
from nanopilot.twins.stem.scene import Atoms, Scene, flat
from nanopilot.twins.stem.settings import StemSettings
from nanopilot.twins.stem.twin import StemTwin

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
Thickness = Callable[[FloatArray, FloatArray], FloatArray]

_CHARGE = 1.602176634e-19
#: Of the samples made here: where the stage goes, in metres.
_AREA = Area(x=(-1e-7, 1e-7), y=(-1e-7, 1e-7))
#: No atom leaves, nothing grows.
UNHURT = {"knock_on": 0.0, "radiolysis": 0.0}
#: A camera that is quick to calculate.
SMALL = {"pixels": 32, "angle_per_pixel": 4e-3, "phonons": 1}


@dataclass(frozen=True, slots=True)
class Physics:
    """What is put to the test.

    Parameters
    ----------
    build : callable
        Takes scene, clock, settings and seed, returns a twin.
    """

    build: Callable[[Scene, Clock, StemSettings, int], StemTwin]

    def twin(self, scene: Scene, seed: int, **settings: Any) -> StemTwin:
        """Return a twin on a virtual clock."""
        return self.build(scene, VirtualClock(), StemSettings.model_validate(settings), seed)


def scene_of(
    places: FloatArray | None = None,
    number: int = 79,
    films: Mapping[str, float | Thickness] | None = None,
    **about: float,
) -> Scene:
    """Return a sample made by hand.

    Parameters
    ----------
    places : numpy.ndarray, optional
        Of atoms, (x, y) in metres, shape (n, 2).
    number : int
        Their atomic number.
    films : mapping of str to float or callable, optional
        Thickness in metres by material: everywhere, or a function of x and y in metres.
    **about : float
        `rms` in metres, `threshold` in eV and `radiolysis` in m² of the atoms.
    """
    where = np.zeros((0, 2)) if places is None else np.asarray(places, dtype=float)
    count = len(where)
    atoms = Atoms(
        np.column_stack([where, np.zeros(count)]),
        np.full(count, number, dtype=np.int64),
        np.full(count, about.get("rms", 0.0)),
        np.zeros(count, dtype=np.int64),
        ("site",),
        np.full(count, about.get("threshold", math.inf)),
        np.full(count, about.get("radiolysis", 0.0)),
    )
    parts = [
        Part(name, deep if callable(deep) else _thick(deep)) for name, deep in (films or {}).items()
    ]
    return Scene("by hand", _AREA, atoms, Layered(parts), flat)


def _thick(deep: float) -> Thickness:
    return lambda x, y: np.full(np.shape(x), deep)


def scan(twin: StemTwin, **changes: Any) -> SignalSet:
    """Return a frame, by default a small one in the middle of the sample."""
    usual: dict[str, Any] = {
        "centre": (0.0, 0.0), "field_of_view": (3e-9, 3e-9), "shape": (48, 48), "dwell_time": 1e-5,
        "channels": ("haadf",),
    }  # fmt: skip
    return twin.capability(Scanner).start(ScanRequest(**(usual | changes))).result()


def spectrum(twin: StemTwin, kind: str, exposure: float, **changes: Any) -> SignalSet:
    """Return spectra of one kind, by default one in the middle of the sample."""
    told: dict[str, Any] = {"position": (0.0, 0.0), "kind": kind} | changes
    asked = SpectrumRequest(parameters={"exposure": exposure}, **told)
    return twin.capability(PointSpectroscopy).start(asked).result()


def pattern(twin: StemTwin, **changes: Any) -> SignalSet:
    """Return patterns, by default one where the beam rests."""
    told: dict[str, Any] = {"channels": ("pattern",)} | changes
    return twin.capability(Camera).start(CameraRequest(**told)).result()


def different(one: list[SignalSet], other: list[SignalSet]) -> int:
    """Return how many channels are not the same, byte by byte."""
    pairs = [
        (first[name].to_numpy(), second[name].to_numpy())
        for first, second in zip(one, other, strict=True)
        for name in first.data_vars
    ]
    return sum(first.tobytes() != second.tobytes() for first, second in pairs)


def everything(twin: StemTwin) -> list[SignalSet]:
    """Return one of each: a frame of all detectors, both spectra, a pattern and a ronchigram."""
    return [
        scan(twin, channels=()),
        spectrum(twin, "energy", 0.01),
        spectrum(twin, "xray", 10.0),
        pattern(twin, channels=("pattern", "ronchigram")),
        scan(twin, channels=()),
    ]


def some_atoms(rng: np.random.Generator, **about: float) -> Scene:
    """Return a hundred tungsten atoms at random on 3 nm of carbon."""
    places = rng.uniform(-3e-9, 3e-9, (100, 2))
    return scene_of(places, 74, {"carbon": 3e-9}, **({"rms": 6e-12} | about))


def seeded(physics: Physics, rng: np.random.Generator) -> float:
    """Return 1 if a seed gives its bytes and another seed gives others, in every channel."""
    sample, seed = some_atoms(rng, radiolysis=1e-25), int(rng.integers(1000))
    shaken = {"jitter": 1e-11, "drift_noise": 1e-11, "drift": (1e-10, 0.0)}

    def run(number: int) -> list[SignalSet]:
        return everything(physics.twin(sample, number, motion=shaken, camera=SMALL, current=2e-10))

    through = run(seed)
    channels = sum(len(one.data_vars) for one in through)
    same, other = different(through, run(seed)), different(through, run(seed + 1))
    return float(same == 0 and other == channels)


def nothing(physics: Physics, rng: np.random.Generator) -> float:
    """Return how many channels change when artefacts of no strength are switched on."""
    sample, seed = some_atoms(rng, threshold=30.0, radiolysis=1e-24), int(rng.integers(1000))
    motion = {
        "drift": (0.0, 0.0), "drift_noise": 0.0, "jitter": 0.0, "mains": 0.0, "scale": 0.0,
        "mains_frequency": rng.uniform(40, 70), "shear": 0.0, "flyback": 0.0, "backlash": 0.0,
        "stage_drift": 0.0, "stage_time": rng.uniform(1, 100),
    }  # fmt: skip
    damage = UNHURT | {"contamination": 0.0, "reach": rng.uniform(1e-9, 9e-9)}
    glow = {"afterglow": 0.0, "afterglow_time": rng.uniform(1e-7, 1e-4)}
    haadf = {"inner": 60e-3, "outer": 180e-3} | glow
    plain = StemTwin(
        sample, VirtualClock(), seed=seed,
        settings=StemSettings.model_validate({"damage": UNHURT, "camera": SMALL}),
    )  # fmt: skip
    artless = physics.twin(
        sample, seed, motion=motion, damage=damage, detectors={"haadf": haadf}, camera=SMALL
    )
    found = []
    for twin in (plain, artless):
        twin.capability(Stage).set(x=1e-9)
        twin.capability(Stage).set(x=0.0)
        found.append(everything(twin))
    return float(different(*found))


def counting(physics: Physics, rng: np.random.Generator) -> float:
    """Return the largest deviation of mean and variance of frames from Poisson's, in sigmas.

    In vacuum a detector inside the bright disc catches its share of the beam, one outside nothing.
    """
    current, dwell = float(rng.uniform(20e-12, 200e-12)), float(rng.uniform(1e-7, 2e-6))
    angle, gain = float(rng.uniform(20e-3, 30e-3)), float(rng.uniform(2, 20))
    noise, offset = float(rng.uniform(0.5, 3)) * gain, float(rng.uniform(50, 200))
    hidden = {"gain": gain, "noise": noise, "offset": offset, "bits": 0}
    rings = {"bf": (0.0, 8e-3), "abf": (12e-3, 19e-3), "haadf": (60e-3, 180e-3)}
    told = {name: {"inner": a, "outer": b} | hidden for name, (a, b) in rings.items()}
    twin = physics.twin(
        scene_of(), int(rng.integers(1000)), current=current, detectors=told,
        lens={"convergence_angle": angle},
    )  # fmt: skip
    frame = scan(twin, shape=(256, 256), dwell_time=dwell, channels=tuple(rings))
    worst = 0.0
    for name, (inner, outer) in rings.items():
        share = (min(outer, angle) ** 2 - min(inner, angle) ** 2) / angle**2
        electrons = current * dwell / _CHARGE * share
        worst = max(worst, *deviations(frame[name].to_numpy(), electrons, (gain, offset, noise)))
    return worst


def deviations(
    counts: FloatArray, electrons: float, reading: tuple[float, float, float]
) -> tuple[float, float]:
    """Return by how many standard errors mean and variance are off, both positive.

    Parameters
    ----------
    counts : numpy.ndarray
        Any shape.
    electrons : float
        Mean number that is counted in each.
    reading : (float, float, float)
        Counts per electron, counts without any, and the standard deviation of a reading.
    """
    gain, offset, noise = reading
    variance = gain**2 * electrons + noise**2
    if variance == 0.0:
        return (0.0, 0.0) if bool((counts == offset).all()) else (math.inf, math.inf)
    mean = (float(counts.mean()) - offset - gain * electrons) / math.sqrt(variance / counts.size)
    # Fourth central moment of Poisson plus Gauss: 3 variance² + gain⁴ electrons. The cube root of
    # the variance is all but normal: E. B. Wilson and M. M. Hilferty, Proc. Natl. Acad. Sci. 17
    # (1931) 684.
    each = (2 + gain**4 * electrons / variance**2) / counts.size
    ratio, ninth = float(counts.var(ddof=1)) / variance, each / 9
    return abs(mean), abs(ratio ** (1 / 3) - (1 - ninth)) / math.sqrt(ninth)


def ledger(physics: Physics, rng: np.random.Generator) -> Mapping[str, float]:
    """Return how far the books are apart: delivered, dose map, estimates, and the guard's own.

    ``ledger`` is the largest relative difference of the sums, ``cells`` that of the dose of any
    cell of the guard's from the twin's, over the highest dose.
    """
    current = float(rng.uniform(20e-12, 200e-12))
    twin = physics.twin(
        some_atoms(rng), int(rng.integers(1000)), current=current, damage=UNHURT, camera=SMALL
    )
    edge = 1e-9
    scope = Guard(twin, budget=Budget(place=PlaceBudget(cell=edge, dose=1e40)))
    estimated = 0.0
    for number, (kind, asked) in enumerate(_requests(rng)):
        if number == 4:
            scope.capability(Stage).set(x=float(rng.uniform(-2e-9, 2e-9)), y=1.13e-9)
        part: Any = scope.capability(kind)
        estimated += part.estimate(asked).electrons
        part.start(asked).result()
    world = twin.truth
    sums = np.array([world.delivered, world.dose.total, estimated])
    books = scope.dose_map()
    cell = world.dose.cell
    finer = round(edge / cell)
    worst = 0.0
    for y, row in zip(books["y"].to_numpy(), books.to_numpy(), strict=True):
        for x, told in zip(books["x"].to_numpy(), row, strict=True):
            steps = (np.arange(finer) + 0.5) * cell - edge / 2
            there = world.dose.at(*np.meshgrid(x + steps, y + steps))
            worst = max(worst, abs(float(there.mean()) - float(told)))
    return {
        "ledger": float(np.ptp(sums) / sums.max()) if sums.max() else math.nan,
        "cells": worst / float(books.max()),
    }


def _requests(rng: np.random.Generator) -> list[tuple[type, Any]]:
    """Return requests of every kind, some frames, spectra and patterns each."""

    def near() -> tuple[float, float]:
        x, y = rng.uniform(-1.5e-9, 1.5e-9, 2)
        return float(x), float(y)

    field = (float(rng.uniform(1.5e-9, 3e-9)), 2.03e-9)
    frame = ScanRequest(
        centre=near(), field_of_view=field, shape=(31, 37), dwell_time=3e-6, frames=2
    )
    points = tuple(near() for _ in range(50))
    grid: dict[str, Any] = {"position": near(), "shape": (3, 4), "field_of_view": (2.1e-9, 1.7e-9)}
    return [
        (Scanner, frame),
        (Scanner, frame.model_copy(update={"order": "serpentine", "rotation": 0.3})),
        (Scanner, frame.model_copy(update={"order": "spiral"})),
        (Scanner, ScanRequest(centre=(0, 0), field_of_view=(0, 0), shape=(1, 50), order="points",
                              points=points, dwell_time=1e-5)),
        (PointSpectroscopy, SpectrumRequest(kind="energy", **grid)),
        (PointSpectroscopy, SpectrumRequest(kind="xray", position=near())),
        (Camera, CameraRequest(channels=("pattern",), exposure=2e-3, **grid)),
        (Camera, CameraRequest(channels=("ronchigram",), frames=2, position=near())),
    ]  # fmt: skip


def blanked(physics: Physics, rng: np.random.Generator) -> float:
    """Return 1 if a blanked beam delivers nothing, counts nothing and removes nothing."""
    sample = some_atoms(rng, radiolysis=1e-22)
    twin = physics.twin(sample, int(rng.integers(1000)), camera=SMALL, current=1e-9)
    twin.capability(Beam).set(blanked=1)
    frame, losses, rays, seen, _ = everything(twin)
    own = twin.truth.settings.detectors.named()
    dark = all(
        max(deviations(values.to_numpy(), 0.0, (1.0, own[str(name)].offset,
                                                math.hypot(own[str(name)].noise, 12**-0.5)))) < 5
        for name, values in frame.data_vars.items()
    )  # fmt: skip
    spread = twin.truth.settings.spectrometer.noise
    dark &= max(deviations(losses["eels"].to_numpy(), 0.0, (1.0, 0.0, spread))) < 5
    dark &= float(abs(rays["eds"]).max()) == 0 and float(abs(seen["pattern"]).max()) == 0
    world = twin.truth
    untouched = world.delivered == 0 and world.dose.total == 0 and bool(world.there.all())
    return float(dark and untouched)
