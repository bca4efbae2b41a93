"""Experiments on a scanning-probe twin whose outcome theory knows beforehand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nanopilot.bench.twin_theory import (
    FloatArray,
    amplitude,
    density,
    density_at_1_hz,
    dilated,
    displacement,
    step_response,
)
from nanopilot.core.adjustables import Positioner
from nanopilot.core.capabilities import BiasWriter, Scanner
from nanopilot.core.clock import Clock, VirtualClock
from nanopilot.core.requests import ScanRequest, WriteRequest
from nanopilot.core.signals import SignalSet
from nanopilot.twins.spm import Sample, SpmSettings, SpmTwin

#: Of the samples, in metres per pixel.
PITCH = 2e-9
#: So quick that the image is not displaced by the lag of the loop.
QUICK = {"rate": 100e3, "integral": 2e4, "resonance": 45e3, "quality": 0.7}


@dataclass(frozen=True, slots=True)
class Physics:
    """What is put to the test.

    Parameters
    ----------
    build : callable
        Takes sample, clock, settings and seed, returns a twin.
    image : callable
        Takes a surface and a tip (m, same pixels), returns what the tip sees.
    """

    build: Callable[[Sample, Clock, SpmSettings, int], SpmTwin]
    image: Callable[[FloatArray, FloatArray], FloatArray]

    def twin(self, sample: Sample, seed: int, **settings: Any) -> SpmTwin:
        """Return a twin on a virtual clock."""
        made = SpmSettings.model_validate(settings)
        return self.build(sample, VirtualClock(), made, seed)


def scan(twin: SpmTwin, **changes: Any) -> SignalSet:
    """Return a frame, by default a small one in the middle of the sample."""
    usual: dict[str, Any] = {
        "centre": (0.0, 0.0), "field_of_view": (160e-9, 120e-9), "shape": (32, 64),
        "line_rate": 40.0,
    }  # fmt: skip
    return twin.capability(Scanner).start(ScanRequest(**(usual | changes))).result()


def hills(rng: np.random.Generator) -> Sample:
    """Return smooth hills, known everywhere, without a direction of their own."""
    y, x = np.indices((256, 256)) * PITCH
    height = np.zeros(x.shape)
    for way in rng.uniform(0, np.pi, 6):
        wave = 2 * np.pi / rng.uniform(50e-9, 90e-9)
        along = np.cos(way) * x + np.sin(way) * y
        height += 1e-9 * np.sin(wave * along + rng.uniform(0, 2 * np.pi))
    return Sample("hills", height, PITCH)


def imaging(physics: Physics, rng: np.random.Generator) -> float:
    """Return the largest error in metres of the image of a lopsided tip."""
    surface = rng.normal(0.0, 5e-9, (40, 33))
    tip = np.abs(rng.normal(0.0, 8e-9, (7, 11)))
    tip[3, 5] = 0.0
    tip[rng.uniform(size=tip.shape) < 0.1] = np.inf
    return float(np.abs(physics.image(surface, tip) - dilated(surface, tip)).max())


def nothing(physics: Physics, rng: np.random.Generator) -> float:
    """Return how many channels change when artefacts of no strength are switched on."""
    sample = hills(rng)
    motion = {"drift": (0, 0, 0), "creep": 0, "creep_time": rng.uniform(0.01, 10), "hysteresis": 0}
    noise = {"white": 0, "pink": 0, "mains": 0, "mains_frequency": rng.uniform(40, 70), "bits": 0}
    wear = {"archard": 0}
    both = {"directions": ("trace", "retrace"), "centre": (20e-9, 10e-9)}
    plain = scan(SpmTwin(sample, VirtualClock()), **both)
    artless = physics.twin(sample, 5, motion=motion, noise=noise, wear=wear)
    return float(different(plain, scan(artless, **both)))


def seeded(physics: Physics, rng: np.random.Generator) -> float:
    """Return 1 if a seed gives its bytes, again after a restart, and another seed gives others."""
    sample, seed = hills(rng), int(rng.integers(1000))
    settings: dict[str, Any] = {
        "noise": {"white": 1e-12, "pink": 1e-11, "mains": 1e-11, "detector": 0.01, "bits": 16},
        "motion": {"drift": (1e-10, 0, 0)},
    }

    def run(number: int, begin: float) -> SignalSet:
        twin = physics.twin(sample, number, **settings)
        if begin == 0.0:
            scan(twin)
        twin.restore(0.8, (0.0, 0.0))
        return scan(twin)

    through, again, restarted = run(seed, 0.0), run(seed, 0.0), run(seed, 0.8)
    same = different(through, again) + different(through, restarted)
    other = different(through, run(seed + 1, 0.0))
    return float(same == 0 and other == len(through.data_vars))


def different(one: SignalSet, other: SignalSet) -> int:
    """Return how many channels are not the same, byte by byte."""
    names = one.data_vars
    return sum(one[name].to_numpy().tobytes() != other[name].to_numpy().tobytes() for name in names)


def stepping(physics: Physics, rng: np.random.Generator) -> float:
    """Return the largest deviation from the linear step response, in parts of the step."""
    height, columns = float(rng.uniform(0.5e-9, 3e-9)), 500
    loop = {
        "integral": rng.uniform(300, 2000), "proportional": rng.uniform(0, 0.2),
        "resonance": rng.uniform(2e3, 6e3), "quality": rng.uniform(0.7, 3.0),
    }  # fmt: skip
    profile = np.where(np.arange(1024) < 512, 0.0, height)
    sample = Sample("step", np.tile(profile, (8, 1)), 4e-9)
    sharp = {"apexes": [{"radius": 0.5e-9}]}
    twin = physics.twin(sample, 1, loop=loop, tip=sharp)
    rate = SpmSettings().loop.rate
    frame = scan(
        twin, field_of_view=(4e-6, 0.0), shape=(1, columns), line_rate=rate / (2 * columns)
    )  # fmt: skip
    heights = frame["height"].to_numpy()[0]
    surface = np.where(frame["x"].to_numpy() < 0, 0.0, height)
    gains = (rate, loop["proportional"], loop["integral"])
    expected = step_response(gains, (loop["resonance"], loop["quality"]), surface)
    return float(np.abs(heights - heights[0] - expected).max() / height)


def noise(physics: Physics, rng: np.random.Generator) -> Mapping[str, float]:
    """Return relative errors of white, 1/f and mains noise measured on a flat sample."""
    flat = Sample("flat", np.zeros((16, 16)), 10e-9)
    rate, seed = SpmSettings().loop.rate, int(rng.integers(1000))

    def record(columns: int, **strength: float) -> FloatArray:
        line = {"field_of_view": (1e-9, 0.0), "shape": (8, columns), "order": "serpentine"}
        twin = physics.twin(flat, seed, noise=strength)
        heights = scan(twin, **line, line_rate=rate / (2 * columns))["height"].to_numpy()
        heights[1::2] = heights[1::2, ::-1]
        return np.asarray(heights.ravel() - heights.mean())

    white, pink, mains = rng.uniform([1e-13, 1e-12, 1e-11], [1e-11, 1e-10, 1e-9])
    hertz = float(rng.choice([50.0, 60.0]))
    times: FloatArray = np.arange(0.5, 80_000) / rate
    found = {
        "white": density(record(16_384, white=white), rate, (50.0, 9e3)) / white,
        "pink": max(
            (density_at_1_hz(heights, rate, band) / pink for heights in [record(65_536, pink=pink)]
             for band in ((20.0, 200.0), (200.0, 4e3))),
            key=lambda ratio: abs(ratio - 1),
        ),
        "mains": amplitude(record(10_000, mains=mains, mains_frequency=hertz), times, hertz)
        / mains,
    }  # fmt: skip
    return {name: abs(ratio - 1) for name, ratio in found.items()}


def where(twin: SpmTwin, **changes: Any) -> FloatArray:
    """Return by how much a frame is displaced, (x, y, z) in metres."""
    return displacement(scan(twin, **changes), "height", twin.truth.apparent, PITCH)


def drift(physics: Physics, rng: np.random.Generator) -> float:
    """Return the relative error of the drift between two frames, (x, y, z) as one vector."""
    true = rng.uniform(0.05e-9, 0.2e-9, 3) * rng.choice([-1, 1], 3)
    twin = physics.twin(hills(rng), 1, motion={"drift": tuple(true)}, loop=QUICK)
    began, first = twin.clock.now(), where(twin)
    twin.clock.sleep(60.0)
    lasted = twin.clock.now() - began
    found = (where(twin) - first) / lasted
    return float(np.linalg.norm(found - true) / np.linalg.norm(true))


def creep(physics: Physics, rng: np.random.Generator) -> float:
    """Return the largest relative error of the way crept in a decade of time, after a jump."""
    share, jump = float(rng.uniform(0.01, 0.03)), float(rng.uniform(60e-9, 140e-9))
    settings = {"creep": share, "creep_time": 0.1}
    twin = physics.twin(hills(rng), 1, motion=settings, loop=QUICK)
    twin.capability(Positioner).set(x=jump)
    began, found = twin.clock.now(), []
    for wait in (10.0, 100.0, 1000.0):
        twin.clock.sleep(began + wait - 0.4 - twin.clock.now())  # a frame takes 0.8 s
        found.append(where(twin, centre=(jump, 0.0))[0])
    return float(np.abs(np.diff(found) / (share * jump) - 1).max())


def crashing(physics: Physics, rng: np.random.Generator) -> float:
    """Return 1 if a crash leaves a blunter tip and a dent that is still there two frames later."""
    twin = physics.twin(hills(rng), int(rng.integers(1000)))
    before, sharp, whole = scan(twin)["height"], twin.truth.tip, twin.truth.height.copy()
    twin.faults.inject("tip-crash", push=float(rng.uniform(50e-9, 500e-9)))
    after, again = scan(twin)["height"], scan(twin)["height"]
    changed = float(np.abs(after - before).max()) > 1e-10
    stays = float(np.abs(again - after).max()) < 1e-12
    dented = float((whole - twin.truth.height).max()) > 1e-9
    return float(changed and stays and dented and twin.truth.tip.radius > 1.1 * sharp.radius)


def film(rng: np.random.Generator) -> Sample:
    """Return hills of which the left half is poled up and the right half down."""
    base = hills(rng)
    side = np.where(np.arange(256) < 128, 1.0, -1.0) * np.ones((256, 1))
    layers = {
        "polarisation": side,
        "switching_positive": np.full(side.shape, 3.0),
        "switching_negative": np.full(side.shape, -3.0),
    }
    volts = ("switching bias", "V")
    meaning = {"polarisation": ("polarisation", "1"), "switching_positive": volts,
               "switching_negative": volts}  # fmt: skip
    return Sample("film", base.height, PITCH, layers, meaning)


def poling(physics: Physics, rng: np.random.Generator) -> float:
    """Return 1 if a pulse turns what is under it, and that is still so two frames later."""
    twin, place = physics.twin(film(rng), 1), float(rng.uniform(30e-9, 60e-9))
    before = scan(twin)["pfm_phase"]
    # Whichever sign turns it is the sample's business; both are tried, on either half.
    points = ((-place, 0.0), (place, 0.0))
    for bias in (-4.0, 4.0):
        pulses = WriteRequest(points=points, bias=(bias,), duration=0.01)
        twin.capability(BiasWriter).start(pulses).result()
    after, again = (scan(twin)["pfm_phase"] for _ in range(2))
    turned = np.abs(np.angle(np.exp(1j * (after - before).to_numpy()))) > 2.0
    stays = np.abs(np.angle(np.exp(1j * (again - after).to_numpy()))).max() < 1e-9
    x, y = np.meshgrid(after["x"].to_numpy(), after["y"].to_numpy())
    near = (np.abs(np.abs(x) - place) < 4e-9) & (np.abs(y) < 4e-9)
    return float(turned[near].any() and turned.mean() < 0.5 and stays)


def phase(physics: Physics, rng: np.random.Generator) -> float:
    """Return by how much the phase channel changes with the height loop, in radians."""
    sample = film(rng)
    loops = ({"integral": 300.0}, {"integral": 2500.0, "proportional": 0.1})
    frames = [scan(physics.twin(sample, 1, loop=loop), line_rate=5.0) for loop in loops]
    heights, phases = ([one[name] for one in frames] for name in ("height", "pfm_phase"))
    if float(np.abs(heights[0] - heights[1]).max()) < 1e-12:
        return float("nan")  # the loops did nothing, so nothing is shown
    return float(np.abs(np.angle(np.exp(1j * (phases[0] - phases[1])))).max())
