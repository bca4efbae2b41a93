"""`stem-fit`: an electron microscope's numbers from its frames, against those it was made with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from nanopilot.bench.coverage import NINETY
from nanopilot.bench.track import Bar
from nanopilot.core.capabilities import Scanner
from nanopilot.core.clock import VirtualClock
from nanopilot.core.requests import ScanRequest
from nanopilot.twins.stem.samples import family
from nanopilot.twins.stem.settings import StemSettings
from nanopilot.twins.stem.twin import StemTwin
from nanopilot.workflows.fit_stem import Conditions, Estimate, StemFrames, estimate_stem, frames_of

#: Frames of a case, their pixels along each side, and metres per pixel.
FRAMES, PIXELS, PITCH = 6, 192, 20e-12
#: What is looked for, as settings; `haadf` is the detector.
NUMBERS = (
    "detector.gain", "detector.offset", "detector.noise", "detector.afterglow",
    "lens.source_size", "motion.jitter", "motion.mains", "motion.drift", "motion.scale",
    "motion.flyback",
)  # fmt: skip
#: How large a relative error may be; an offset's is in counts per electron.
ALLOWED = {
    "gain": 0.05, "noise": 0.10, "source_size": 0.15, "jitter": 0.15, "drift": 0.05,
    "mains": 0.15,
}  # fmt: skip

#: Name of a number: value and standard error; a missing one was not given.
Answer = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True, eq=False)
class Visible:
    """Frames, frames with the beam blanked beside them, and the name of the crystal."""

    frames: StemFrames
    crystal: str


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """What is seen, and the instrument behind it."""

    visible: Visible
    truth: Mapping[str, float]


class StemFit:
    """Six frames of one place on a layer with defects, by an instrument drawn from the seed.

    A monolayer of one of four dichalcogenides, with vacancies, dopants and antisites; hidden are
    the detector, the source, jitter, hum, drift, scale, shear and flyback. A method is told what
    every operator knows: voltage, convergence angle, current, dwell time, pixel size, the
    crystal; and it gets a frame with the beam blanked.
    """

    name: ClassVar[str] = "stem-fit"
    version: ClassVar[str] = "1"
    about: ClassVar[str] = "settings of an electron twin from its frames, with their errors"
    default: ClassVar[str] = "fit"
    bars: ClassVar[tuple[Bar, ...]] = (
        *(Bar(what=f"{name}: relative error", metric=name, bar=bar, better="lower")
          for name, bar in ALLOWED.items()),
        Bar(what="90 % intervals: enough", metric="coverage", bar=0.85),
        Bar(what="numbers that were given", metric="answered", bar=0.9),
    )  # fmt: skip

    @property
    def methods(self) -> Mapping[str, Callable[[Visible], Answer]]:
        """The shipped fit, the same without the crystal's name or a dark frame, and defaults."""
        return {
            "fit": lambda seen: fitted(seen.frames, seen.crystal),
            "fit-frames-only": lambda seen: fitted(_without_dark(seen.frames), None),
            "default-settings": defaults,
        }

    def case(self, seed: int) -> Case:
        """Draw an instrument and let it scan."""
        rng = np.random.default_rng(seed)
        metal, chalcogen = str(rng.choice(["Mo", "W"])), str(rng.choice(["S", "Se"]))
        truth, settings = draw(rng)
        recipe = {"metal": metal, "chalcogen": chalcogen, "rotation": float(rng.uniform(0, 1)),
                  "vacuum": 0.0, "bend": 0.0}  # fmt: skip
        scene = family("dichalcogenide")(rng, size_m=8e-9, **_known(recipe))
        twin = StemTwin(scene, VirtualClock(), settings=settings, seed=int(rng.integers(2**31)))
        width = PITCH * (PIXELS - 1)
        request = ScanRequest(
            centre=(0.0, 0.0), field_of_view=(width, width), shape=(PIXELS, PIXELS),
            channels=("haadf",), frames=FRAMES,
        )  # fmt: skip
        scanner = twin.capability(Scanner)
        signal = scanner.start(request).result()["haadf"]
        told = Conditions(
            voltage=settings.lens.voltage, current=settings.current,
            convergence_angle=settings.lens.convergence_angle,
        )  # fmt: skip
        frames = frames_of(signal, told)
        ring = settings.detectors.haadf
        dark = np.rint(ring.offset + rng.normal(0.0, ring.noise, (PIXELS, PIXELS)))
        frames = replace(frames, dark=np.maximum(dark, 0.0)[None])
        return Case(Visible(frames, f"{metal}{chalcogen}2".lower()), truth)

    def score(self, case: Case, answer: Answer) -> Mapping[str, float]:
        """Compare numbers with the truth.

        Returns
        -------
        mapping
            By the last part of a number's name its relative error, 1 where there is no answer
            (`offset`: in electrons; `scale`: as it is); ``coverage`` of 90 % intervals and
            ``answered``, over all numbers.
        """
        found: dict[str, float] = {}
        inside, given = [], 0
        for name in NUMBERS:
            parts = [one for one in case.truth if one == name or one.startswith(f"{name}.")]
            unit = _unit(name, parts, case.truth)
            short = name.split(".")[1]
            if not all(one in answer and np.isfinite(answer[one][0]) for one in parts):
                found[short] = 1.0
                continue
            given += 1
            away = np.array([answer[one][0] - case.truth[one] for one in parts])
            found[short] = float(min(np.sqrt(np.sum(away**2)) / unit, 10.0))
            inside += [
                abs(step) <= NINETY * answer[one][1] for step, one in zip(away, parts, strict=True)
            ]
        coverage = float(np.mean(inside)) if inside else 0.0
        return found | {"coverage": coverage, "answered": given / len(NUMBERS)}


def _known(recipe: dict[str, Any]) -> dict[str, Any]:
    there = family("dichalcogenide").settings()
    return {name: value for name, value in recipe.items() if name in there}


def _unit(name: str, parts: list[str], truth: Mapping[str, float]) -> float:
    if name == "detector.offset":
        return truth["detector.gain"]
    if name == "motion.scale":
        return 1.0
    return float(np.sqrt(np.sum([truth[one] ** 2 for one in parts])))


def draw(rng: np.random.Generator) -> tuple[dict[str, float], StemSettings]:
    """Draw an instrument; return what is to be found, and all of it.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws everything.
    """

    def between(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    dwell = between(4e-6, 12e-6)
    angle = rng.uniform(0, 2 * np.pi)
    # Pixels per frame, so that there is something to be seen at every speed.
    speed = between(0.6, 4.0) * PITCH / (dwell * PIXELS**2)
    ring = {
        "inner": 60e-3, "outer": 180e-3, "gain": between(5, 40), "offset": rng.uniform(40, 300),
        "afterglow": rng.uniform(0.04, 0.2), "afterglow_time": rng.uniform(0.6, 1.5) * dwell,
    }  # fmt: skip
    ring["noise"] = ring["gain"] * rng.uniform(0.3, 0.8)
    motion = {
        "jitter": between(5e-12, 15e-12), "mains": between(6e-12, 20e-12),
        "mains_frequency": float(rng.choice([50.0, 60.0])),
        "drift": (speed * np.cos(angle), speed * np.sin(angle)),
        "scale": rng.uniform(-0.02, 0.02), "shear": rng.uniform(-0.02, 0.02),
        "flyback": rng.uniform(1.0, 5.0) * dwell,
    }  # fmt: skip
    lens = {"voltage": 80e3, "convergence_angle": 30e-3, "source_size": between(20e-12, 45e-12)}
    settings = StemSettings.model_validate({
        "lens": lens, "motion": motion, "dwell_time": dwell, "detectors": {"haadf": ring},
        # 600 electrons or so: one to ten are caught.
        "current": between(400, 1500) * 1.602e-19 / dwell,
    })  # fmt: skip
    truth = {
        f"detector.{name}": float(ring[name]) for name in ("gain", "offset", "noise", "afterglow")
    }
    names = ("jitter", "mains", "scale", "flyback")
    truth |= {f"motion.{name}": float(motion[name]) for name in names}  # type: ignore[arg-type]
    truth |= {"motion.drift.x": float(speed * np.cos(angle)),
              "motion.drift.y": float(speed * np.sin(angle))}  # fmt: skip
    truth["lens.source_size"] = lens["source_size"]
    return truth, settings


def fitted(frames: StemFrames, crystal: str | None) -> Answer:
    """Answer with the shipped fit: what it calls estimated.

    Parameters
    ----------
    frames : StemFrames
        Frames.
    crystal : str or None
        What they show.
    """
    found, _, _ = estimate_stem(frames, crystal)
    return {name: _pair(one) for name, one in found.items() if one.status == "estimated"}


def _pair(one: Estimate) -> tuple[float, float]:
    return float(one.value or 0.0), float(one.std or 0.0)


def _without_dark(frames: StemFrames) -> StemFrames:
    return replace(frames, dark=None)


def defaults(_: Visible) -> Answer:
    """Answer with the settings of a twin of which nothing was said."""
    usual = StemSettings()
    ring, motion = usual.detectors.haadf.model_dump(), usual.motion.model_dump()
    found = {f"detector.{name}": ring[name] for name in ("gain", "offset", "noise", "afterglow")}
    found |= {f"motion.{name}": motion[name] for name in ("jitter", "mains", "scale", "flyback")}
    found |= {f"motion.drift.{axis}": motion["drift"][n] for n, axis in enumerate("xy")}
    found["lens.source_size"] = usual.lens.source_size
    return {name: (float(value), 0.0) for name, value in found.items()}
