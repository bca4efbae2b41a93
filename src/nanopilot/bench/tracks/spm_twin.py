"""`spm-twin`: the scanning-probe twin does what theory says, and nothing it should not."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np

from nanopilot.bench import twin_checks
from nanopilot.bench.track import Bar
from nanopilot.bench.twin_checks import Physics
from nanopilot.core.capabilities import CapabilityT, Scanner
from nanopilot.core.clock import Clock
from nanopilot.core.requests import ScanRequest
from nanopilot.core.signals import SignalSet
from nanopilot.models.tip_imaging import dilate
from nanopilot.twins.spm import Sample, SpmSettings, SpmTwin

#: By check: how large its number may be; 1 and more mean what the check says.
ALLOWED = {
    "dilation": 1e-12, "identity": 0.0, "step": 0.02, "white": 0.05, "pink": 0.05, "mains": 0.05,
    "drift": 0.05, "creep": 0.05, "phase": 1e-12,
}  # fmt: skip
#: What they and the checks that end in yes or no claim.
CLAIMS = {
    "dilation": "dilation equals brute force to 1e-12 m",
    "identity": "an artefact of no strength changes no byte",
    "seeded": "same seed, same bytes, also after a restart",
    "step": "step response is the linear theory's within 2 %",
    "white": "density of white noise is the parameter within 5 %",
    "pink": "density of 1/f noise is the parameter within 5 %",
    "mains": "amplitude of the hum is the parameter within 5 %",
    "drift": "drift between frames is the parameter within 5 %",
    "creep": "creep per decade is the parameter within 5 %",
    "crash": "a crash leaves wear",
    "poling": "poling is still there in the next frames",
    "phase": "the phase channel is untouched by the height loop",
}


@dataclass(frozen=True, slots=True)
class Visible:
    """What a method sees: nothing; it brings a physics, and the experiments are done on that."""


@dataclass(frozen=True, slots=True)
class Case:
    """One seed."""

    visible: Visible
    seed: int


def shipped(_: Visible) -> Physics:
    """Return the twin as it is."""
    return Physics(
        build=lambda sample, clock, settings, seed: SpmTwin(
            sample, clock, settings=settings, seed=seed
        ),
        image=lambda surface, tip: np.asarray(dilate(surface, tip)),
    )


class _Leak:
    """A scanner whose phase hears the height."""

    def __init__(self, inner: Scanner) -> None:
        self._inner = inner

    def start(self, request: ScanRequest) -> _Leak:
        """Scan."""
        self._frame = self._inner.start(request).result()
        return self

    def result(self) -> SignalSet:
        """Return a frame with the height in its phase."""
        frame = self._frame
        if "pfm_phase" in frame:
            frame["pfm_phase"] = frame["pfm_phase"] + 1e6 * frame["height"]
        return frame


class _Untouched(SpmTwin):
    """A twin to which nothing happens, and whose channels hear one another."""

    def inject(self, name: str, **numbers: float) -> None:
        """Take every fault and do nothing."""

    @property
    def faults(self) -> Any:
        """Return somebody who takes faults."""
        return self

    def capability(self, kind: type[CapabilityT]) -> CapabilityT:
        """Return a part; what was written is forgotten before the next frame."""
        part = super().capability(kind)
        if kind is not Scanner:
            return part
        self.truth.layers.update(self.truth.sample.layers)
        return cast("CapabilityT", _Leak(cast("Scanner", part)))


def mistaken(_: Visible) -> Physics:
    """Return a twin with the mistakes that are made most often.

    The tip not turned round, a piezo without dynamics at a wrong gain, densities of two sides,
    an effective value for an amplitude, a clock that is 10 % off for the drift, a natural
    logarithm of time, noise that is never quite off and has no seed, a sample to which nothing
    happens, and a phase that hears the height.
    """
    fresh = itertools.count(1)

    def build(sample: Sample, clock: Clock, settings: SpmSettings, seed: int) -> SpmTwin:
        loop, noise, motion = settings.loop, settings.noise, settings.motion
        wrong = {
            "loop": loop.model_copy(update={
                "resonance": 9.9e3, "quality": 0.5, "integral": 1.15 * loop.integral,
            }),
            "noise": noise.model_copy(update={
                "white": max(noise.white / np.sqrt(2), 1e-15), "pink": noise.pink / np.sqrt(2),
                "mains": noise.mains / np.sqrt(2),
            }),
            "motion": motion.model_copy(update={
                "drift": tuple(0.9 * one for one in motion.drift),
                "creep": motion.creep * np.log(10),
            }),
        }  # fmt: skip
        made = settings.model_copy(update=wrong)
        return _Untouched(sample, clock, settings=made, seed=seed + next(fresh))

    return Physics(build, lambda surface, tip: np.asarray(dilate(surface, tip[::-1, ::-1])))


class SpmTwinTrack:
    """Every seed is another set of surfaces, tips, gains, noises and motions.

    Each check gives a number, compared with what is allowed: ``<check>`` is 1 where it holds and
    0 where it does not, ``<check>_error`` is the number itself. A bar of 1 is held on every seed.
    """

    name: ClassVar[str] = "spm-twin"
    version: ClassVar[str] = "1"
    about: ClassVar[str] = "invariants of the scanning-probe twin, against theory"
    default: ClassVar[str] = "spm-twin"
    bars: ClassVar[tuple[Bar, ...]] = (
        *(Bar(what=claim, metric=check, bar=1.0) for check, claim in CLAIMS.items()),
        Bar(
            what="a twin with wrong physics passes none", metric="passed", bar=0.0,
            better="lower", method="wrong-physics",
        ),
    )  # fmt: skip

    @property
    def methods(self) -> Mapping[str, Callable[[Visible], Physics]]:
        """The twin, and one with common mistakes."""
        return {"spm-twin": shipped, "wrong-physics": mistaken}

    def case(self, seed: int) -> Case:
        """Return a case; what is tried follows from its seed."""
        return Case(Visible(), seed)

    def score(self, case: Case, answer: Physics) -> Mapping[str, float]:
        """Do every experiment on a physics."""
        errors: dict[str, float] = {}
        yes: dict[str, float] = {}
        singly = {
            "dilation": twin_checks.imaging, "identity": twin_checks.nothing,
            "step": twin_checks.stepping, "drift": twin_checks.drift, "creep": twin_checks.creep,
        }  # fmt: skip
        for number, (check, experiment) in enumerate(singly.items()):
            errors[check] = experiment(answer, np.random.default_rng([case.seed, number]))
        errors |= twin_checks.noise(answer, np.random.default_rng([case.seed, 10]))
        yes["seeded"] = twin_checks.seeded(answer, np.random.default_rng([case.seed, 11]))
        yes["crash"] = twin_checks.crashing(answer, np.random.default_rng([case.seed, 12]))
        yes |= _function(answer, case.seed, errors)
        # NaN is not below anything.
        held = {check: float(error <= ALLOWED[check]) for check, error in errors.items()} | yes
        passed = float(np.mean([held[check] for check in CLAIMS]))
        return held | {f"{check}_error": error for check, error in errors.items()} | {
            "passed": passed
        }  # fmt: skip


def _function(answer: Physics, seed: int, errors: dict[str, float]) -> dict[str, float]:
    """Do the experiments of function; a twin that has none of it fails them."""
    try:
        poled = twin_checks.poling(answer, np.random.default_rng([seed, 13]))
        errors["phase"] = twin_checks.phase(answer, np.random.default_rng([seed, 14]))
    except (KeyError, NotImplementedError, ValueError):
        poled, errors["phase"] = 0.0, float("nan")
    return {"poling": poled}
