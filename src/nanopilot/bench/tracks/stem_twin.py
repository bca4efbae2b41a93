"""`stem-twin`: the electron twin does what theory says, counts what it spends, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nanopilot.bench import stem_checks, stem_image_checks, stem_lag_checks, stem_matter_checks
from nanopilot.bench.stem_checks import Physics
from nanopilot.bench.track import Bar
from nanopilot.core.clock import Clock
from nanopilot.twins.stem.scene import Scene
from nanopilot.twins.stem.settings import Damage, Motion, StemSettings
from nanopilot.twins.stem.twin import StemTwin

#: By check: how large its number may be. Counts are held to 4 standard errors and a half: of the
#: dozen that a seed has, one in 10,000 seeds is further off by chance.
ALLOWED = {
    "identity": 0.0, "counts": 4.5, "beam": 0.03, "transfer": 0.03, "drift": 0.03, "scale": 0.03,
    "shear": 0.03, "jitter": 0.03, "mains": 0.03, "mains_frequency": 0.03, "backlash": 0.03,
    "damage": 4.5, "ledger": 1e-9, "cells": 1e-9, "pattern": 4.5, "aperture": 0.03,
    "thickness": 0.03, "composition": 0.03, "mains_phase": 0.03, "creep": 0.03, "flyback": 0.03,
    "afterglow": 0.03, "saturation": 0.03, "growth": 0.03, "spectrum_drift": 0.03,
}  # fmt: skip
#: What they and the checks that end in yes or no claim.
CLAIMS = {
    "seeded": "same seed, same bytes; another seed, others",
    "identity": "an artefact of no strength changes no byte",
    "blanked": "a blanked beam delivers, counts and removes nothing",
    "counts": "mean and variance of counts are Poisson's of current times dwell",
    "beam": "image of single atoms is as wide as theory says within 3 %",
    "transfer": "rings of a focal series vanish where theory says within 3 %",
    "drift": "drift between frames is the parameter within 3 %",
    "scale": "scale of the coils is the parameter within 3 %",
    "shear": "shear of the coils is the parameter within 3 %",
    "jitter": "line jitter is the parameter within 3 %",
    "mains": "amplitude of the hum is the parameter within 3 %",
    "mains_frequency": "frequency of the hum is the parameter within 3 %",
    "mains_phase": "phase of the hum is that of the mains within 0.03 rad",
    "backlash": "backlash of the stage is the parameter within 3 %",
    "creep": "the stage goes on by its fraction and time within 3 %",
    "flyback": "the beam lags after a flyback by its time constant, and wait, within 3 %",
    "afterglow": "late light and its time are the parameters within 3 %",
    "saturation": "readings end where the converter does, within 3 %",
    "damage": "atoms lost match cross section and fluence within counting error",
    "growth": "contamination grows with the dose by the parameter within 3 %",
    "harmless": "no atom is lost below threshold, or with damage switched off",
    "ledger": "delivered electrons, dose map and estimates agree",
    "cells": "the guard's dose map is the twin's, cell by cell",
    "pattern": "counts of patterns are Poisson's of current times exposure",
    "aperture": "the disc of a pattern is the aperture within 3 %",
    "spectrum_drift": "a spectrum image drifts by the parameter within 3 %, or not at all",
    "thickness": "log-ratio of losses is t/lambda within 3 %",
    "composition": "X-rays tell the composition within 3 %",
}
#: What a twin without artefacts, damage and noise of counting cannot show.
SHOWN = (
    "beam", "transfer", "drift", "scale", "shear", "jitter", "mains", "mains_frequency",
    "mains_phase", "backlash", "creep", "flyback", "afterglow", "saturation", "damage", "growth",
    "harmless", "spectrum_drift",
)  # fmt: skip

_SINGLY: Mapping[str, Callable[[Physics, np.random.Generator], float]] = {
    "identity": stem_checks.nothing, "counts": stem_checks.counting,
    "transfer": stem_image_checks.transfer,
    "drift": stem_image_checks.drift, "backlash": stem_image_checks.backlash,
    "damage": stem_matter_checks.damage, "thickness": stem_matter_checks.thickness,
    "composition": stem_matter_checks.composition, "creep": stem_image_checks.creep,
    "flyback": stem_lag_checks.flyback, "afterglow": stem_lag_checks.afterglow,
    "saturation": stem_lag_checks.saturation, "growth": stem_matter_checks.growth,
    "spectrum_drift": stem_matter_checks.spectrum_drift,
}  # fmt: skip
_TOGETHER: tuple[Callable[[Physics, np.random.Generator], Mapping[str, float]], ...] = (
    stem_image_checks.beam, stem_image_checks.distortion, stem_image_checks.shaking,
    stem_checks.ledger, stem_matter_checks.patterns,
)  # fmt: skip
_YES = {
    "seeded": stem_checks.seeded, "blanked": stem_checks.blanked,
    "harmless": stem_matter_checks.harmless,
}  # fmt: skip


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
        lambda scene, clock, settings, seed: StemTwin(scene, clock, settings=settings, seed=seed)
    )


def nominal(_: Visible) -> Physics:
    """Return a twin that takes every place, lens and sample for what it should be.

    The beam goes where it was told, from a point, focused whatever focus, height and aberrations
    are, detectors read all light at once and whatever its amount, and nothing leaves the sample or
    grows on it.
    """

    def build(scene: Scene, clock: Clock, settings: StemSettings, seed: int) -> StemTwin:
        lens = settings.lens.model_copy(
            update={"aberrations": type(settings.lens.aberrations)(), "source_size": 0.0,
                    "chromatic": 0.0}
        )  # fmt: skip
        light = {
            name: one.model_copy(update={"afterglow": 0.0, "bits": 0})
            for name, one in settings.detectors.named().items()
        }
        kept = {"motion": Motion(), "damage": Damage(knock_on=0, radiolysis=0), "lens": lens,
                "detectors": settings.detectors.model_copy(update=light)}  # fmt: skip
        return StemTwin(scene, clock, settings=settings.model_copy(update=kept), seed=seed)

    return Physics(build)


class StemTwinTrack:
    """Every seed is another set of lenses, currents, motions, samples and voltages.

    Each check gives a number, measured from what the capabilities of a twin return and compared
    with what is allowed: ``<check>`` is 1 where it holds and 0 where it does not,
    ``<check>_error`` is the number itself. A bar of 1 is held on every seed. ``sharp_error`` has no
    bar: see `nanopilot.bench.stem_image_checks.beam`.
    """

    name: ClassVar[str] = "stem-twin"
    version: ClassVar[str] = "1"
    about: ClassVar[str] = "invariants of the electron twin, against theory"
    default: ClassVar[str] = "stem-twin"
    bars: ClassVar[tuple[Bar, ...]] = (
        *(Bar(what=claim, metric=check, bar=1.0) for check, claim in CLAIMS.items()),
        Bar(
            what="a twin that takes everything for what it should be shows none of it",
            metric="shown", bar=0.0, better="lower", method="nominal",
        ),
    )  # fmt: skip

    @property
    def methods(self) -> Mapping[str, Callable[[Visible], Physics]]:
        """The twin, and one that ignores what is not as it should be."""
        return {"stem-twin": shipped, "nominal": nominal}

    def case(self, seed: int) -> Case:
        """Return a case; what is tried follows from its seed."""
        return Case(Visible(), seed)

    def score(self, case: Case, answer: Physics) -> Mapping[str, float]:
        """Do every experiment on a physics."""
        errors: dict[str, float] = {}
        for number, (check, experiment) in enumerate(_SINGLY.items()):
            errors[check] = experiment(answer, np.random.default_rng([case.seed, number]))
        for number, several in enumerate(_TOGETHER):
            errors |= several(answer, np.random.default_rng([case.seed, 20 + number]))
        yes = {
            check: experiment(answer, np.random.default_rng([case.seed, 40 + number]))
            for number, (check, experiment) in enumerate(_YES.items())
        }
        # NaN is not below anything.
        held = {check: float(errors[check] <= most) for check, most in ALLOWED.items()} | yes
        told = {f"{check}_error": error for check, error in errors.items()}
        return held | told | {
            "passed": float(np.mean([held[check] for check in CLAIMS])),
            "shown": float(np.mean([held[check] for check in SHOWN])),
        }  # fmt: skip
