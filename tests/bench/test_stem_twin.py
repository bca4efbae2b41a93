"""The electron twin passes its checks, what is wrong with a twin is seen, the theory is right."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from nanopilot.bench import stem_checks, stem_image_checks, stem_lag_checks, stem_matter_checks
from nanopilot.bench.stem_checks import Physics, deviations
from nanopilot.bench.stem_image_checks import fitted_sine, ring_error
from nanopilot.bench.stem_matter_checks import fluence_at
from nanopilot.bench.stem_theory import (
    RoundBeam,
    electron_wavelength,
    knock_on_section,
    mean_free_path,
    radius_of_half,
    thermal_velocity,
    zeros_of_transfer,
)
from nanopilot.bench.tracks.stem_twin import (
    ALLOWED,
    CLAIMS,
    SHOWN,
    StemTwinTrack,
    Visible,
    nominal,
    shipped,
)
from nanopilot.core.clock import Clock
from nanopilot.models.electron_optics import Aberrations, Lens, beam_intensity
from nanopilot.twins.stem.scene import Scene
from nanopilot.twins.stem.settings import StemSettings
from nanopilot.twins.stem.twin import StemTwin

rng = np.random.default_rng
TWIN = shipped(Visible())

QUICK: dict[str, Callable[[Physics, np.random.Generator], Any]] = {
    "identity": stem_checks.nothing, "blanked": stem_checks.blanked, "counts": stem_checks.counting,
    "drift": stem_image_checks.drift, "distortion": stem_image_checks.distortion,
    "shaking": partial(stem_image_checks.shaking, rows=2500),
    "backlash": stem_image_checks.backlash, "creep": stem_image_checks.creep,
    "flyback": stem_lag_checks.flyback, "afterglow": stem_lag_checks.afterglow,
    "saturation": stem_lag_checks.saturation, "growth": stem_matter_checks.growth,
    "spectrum_drift": stem_matter_checks.spectrum_drift,
    "patterns": stem_matter_checks.patterns, "thickness": stem_matter_checks.thickness,
    "composition": stem_matter_checks.composition,
}  # fmt: skip


def outcome(check: str, physics: Physics, seed: int = 100) -> dict[str, bool]:
    """Return which claims an experiment holds."""
    found = QUICK[check](physics, rng(seed))
    found = found if isinstance(found, dict) else {check: found}
    return {
        name: bool(v <= ALLOWED[name]) if name in ALLOWED else v == 1 for name, v in found.items()
    }


def changed(**parts: dict[str, float]) -> Physics:
    """Return the twin with some of its settings multiplied by a factor."""

    def build(scene: Scene, clock: Clock, settings: StemSettings, seed: int) -> StemTwin:
        for name, factors in parts.items():
            part, _, inner = name.partition(".")
            group = settings if part == "whole" else getattr(settings, part)
            whole, group = group, getattr(group, inner) if inner else group
            update = {
                key: tuple(factor * one for one in value) if isinstance(value, tuple)
                else value * factor
                for key, factor in factors.items() for value in [getattr(group, key)]
            }  # fmt: skip
            other = group.model_copy(update=update)
            other = whole.model_copy(update={inner: other}) if inner else other
            settings = other if part == "whole" else settings.model_copy(update={part: other})
        return StemTwin(scene, clock, settings=settings, seed=seed)

    return Physics(build)


@pytest.mark.parametrize("check", QUICK)
def test_the_twin_passes(check: str) -> None:
    assert all(outcome(check, TWIN).values())


#: Shown by nothing but a twin that has it.
ARTEFACTS = (
    "drift", "distortion", "shaking", "backlash", "creep", "flyback", "afterglow", "saturation",
    "growth", "spectrum_drift",
)  # fmt: skip


@pytest.mark.parametrize("check", ARTEFACTS)
def test_a_twin_that_takes_places_for_what_was_asked_for_passes_none(check: str) -> None:
    assert not any(outcome(check, nominal(Visible())).values())


@pytest.mark.parametrize("factor", [0.95, 1.05])
def test_a_twentieth_more_or_less_is_seen(factor: float) -> None:
    moved = {
        "drift": factor, "scale": factor, "shear": factor, "jitter": factor, "mains": factor,
        "mains_frequency": factor, "backlash": factor,
    }  # fmt: skip
    grown = {"contamination": factor}
    wrong = changed(motion=moved, damage=grown, whole={"current": factor})
    for check in ("drift", "distortion", "shaking", "backlash", "counts", "spectrum_drift"):
        assert not any(outcome(check, wrong).values())
    assert not outcome("growth", changed(damage=grown))["growth"]


@pytest.mark.parametrize("factor", [0.95, 1.05])
@pytest.mark.parametrize(
    ("check", "name"),
    [("creep", "stage_drift"), ("creep", "stage_time"), ("flyback", "flyback"),
     ("flyback", "flyback_wait"), ("afterglow", "afterglow"), ("afterglow", "afterglow_time")],
)  # fmt: skip
def test_a_twentieth_more_or_less_of_what_lags_is_seen(
    check: str, name: str, factor: float
) -> None:
    part = "detectors.haadf" if check == "afterglow" else "motion"
    # A wait is seen by what it leaves of the way: with the time constant, as it is here.
    more = factor**3 if name == "flyback_wait" else factor
    assert not outcome(check, changed(**{part: {name: more}}))[check]


def test_a_hum_that_comes_late_is_seen() -> None:
    def late(scene: Scene, clock: Clock, settings: StemSettings, seed: int) -> StemTwin:
        twin = StemTwin(scene, clock, settings=settings, seed=seed)
        hum, hertz = twin.truth.path.hum, settings.motion.mains_frequency
        twin.truth.path.hum = lambda times: hum(times + 0.05 / (2 * math.pi * hertz))  # type: ignore[method-assign]
        return twin

    found = outcome("shaking", Physics(late))
    assert found == {"jitter": True, "mains": True, "mains_frequency": True, "mains_phase": False}


def test_a_converter_that_ends_elsewhere_is_seen() -> None:
    def short(scene: Scene, clock: Clock, settings: StemSettings, seed: int) -> StemTwin:
        haadf = settings.detectors.haadf
        fewer = haadf.model_copy(update={"bits": haadf.bits - 1})
        told = settings.detectors.model_copy(update={"haadf": fewer})
        return StemTwin(
            scene, clock, settings=settings.model_copy(update={"detectors": told}), seed=seed
        )

    assert not outcome("saturation", Physics(short))["saturation"]


def test_wrong_angles_and_voltages_are_seen() -> None:
    wrong = changed(whole={"current": 1.05}, lens={"convergence_angle": 0.95})
    assert not any(outcome("patterns", wrong).values())
    assert not outcome("thickness", changed(lens={"voltage": 1.15}))["thickness"]


def test_noise_that_nobody_ordered_is_seen() -> None:
    artless = changed(detectors={}, whole={})

    def noisy(scene: Scene, clock: Clock, settings: StemSettings, seed: int) -> StemTwin:
        motion = settings.motion.model_copy(update={"jitter": 1e-13})
        settings = settings.model_copy(update={"motion": motion})
        return artless.build(scene, clock, settings, seed)

    assert not outcome("identity", Physics(noisy))["identity"]


def test_books_that_miss_electrons_are_seen() -> None:
    right = stem_checks.ledger(TWIN, rng(1))
    assert right["ledger"] < ALLOWED["ledger"]
    assert right["cells"] < ALLOWED["cells"]

    def forgetful(scene: Scene, clock: Clock, settings: StemSettings, seed: int) -> StemTwin:
        twin = StemTwin(scene, clock, settings=settings, seed=seed)
        add = twin.truth.dose.cells.add
        twin.truth.dose.cells.add = lambda x, y, n: add(x[1:], y[1:], n[1:])  # type: ignore[method-assign,assignment,index]
        return twin

    wrong = stem_checks.ledger(Physics(forgetful), rng(1))
    assert wrong["ledger"] > ALLOWED["ledger"]
    assert wrong["cells"] > ALLOWED["cells"]


def test_damage_is_harmless_where_it_should_be_and_seen_where_it_is_wrong() -> None:
    assert stem_matter_checks.harmless(TWIN, rng(3)) == 1
    assert stem_matter_checks.harmless(nominal(Visible()), rng(3)) == 0
    assert stem_matter_checks._lost(TWIN, rng(4), 120e3) < 4.5
    assert stem_matter_checks._lost(changed(damage={"knock_on": 1.2}), rng(4), 120e3) > 4.5


def test_every_bar_speaks_of_a_check_and_every_check_has_a_bar() -> None:
    track = StemTwinTrack()
    assert {bar.metric for bar in track.bars} == {*CLAIMS, "shown"}
    assert set(ALLOWED) < set(CLAIMS)
    assert set(SHOWN) < set(CLAIMS)
    assert track.default in track.methods


def test_beam_of_theory_is_that_of_a_transform() -> None:
    # Two ways to the same thing: a Fourier-Bessel integral, and a transform of the aperture.
    told = RoundBeam(200e3, 22e-3, defocus=-6e-9, spherical=2e-6, blur=25e-12)
    lens = Lens(
        voltage=200e3, convergence_angle=22e-3, source_size=25e-12,
        aberrations=Aberrations(C1=-6e-9, C3=2e-6),
    )  # fmt: skip
    axis = np.asarray((np.arange(300) - 150) * 1e-11)
    other = np.fft.fftshift(beam_intensity(lens, (600, 600), 1e-11))[150:450, 150:450]
    mine = told.intensity(300, 1e-11)
    assert np.abs(mine - other).max() < 0.01 * other.max()
    radii = [radius_of_half(one, axis, axis, 1.2e-9) for one in (mine, other)]
    assert radii[0] == pytest.approx(radii[1], rel=0.01)


def test_theory_of_transfer_has_the_zeros_of_pure_defocus() -> None:
    length = electron_wavelength(200e3)
    assert length == pytest.approx(2.5079e-12, rel=1e-4)
    found = zeros_of_transfer(200e3, -100e-9, 0.0, 5e9)
    np.testing.assert_allclose(found, np.sqrt(np.arange(1, 7) / (length * 100e-9)), rtol=1e-4)


def test_rings_that_are_off_by_a_twentieth_are_seen() -> None:
    k = np.fft.fftfreq(512, 5e-11)
    square = k[:, None] ** 2 + k[None, :] ** 2
    noise = np.fft.fft2(rng(0).normal(size=(512, 512)))
    image = np.fft.ifft2(noise * np.sin(math.pi * 2.508e-12 * 100e-9 * square)).real
    zeros = zeros_of_transfer(200e3, -100e-9, 0.0, 4.5e9)
    assert ring_error(image, 5e-11, zeros) < 0.02
    assert ring_error(image, 5e-11, zeros * 1.05) > 0.03


def test_counts_that_are_not_poisson_are_seen() -> None:
    light = rng(1).poisson(20.0, 50_000)
    read = 4.0 * light + 10 + rng(2).normal(0, 3, 50_000)
    assert max(deviations(read, 20.0, (4.0, 10.0, 3.0))) < 4
    assert deviations(read, 20.3, (4.0, 10.0, 3.0))[0] > 4.5
    assert deviations(1.05 * (read - read.mean()) + read.mean(), 20.0, (4.0, 10.0, 3.0))[1] > 4.5
    assert deviations(np.zeros(9), 0.0, (1.0, 0.0, 0.0)) == (0.0, 0.0)


def test_a_sine_is_found_in_noise() -> None:
    times = np.asarray(np.arange(4000) * 3.1e-4, dtype=float)
    values = 2.0 * np.sin(2 * np.pi * 57.3 * times + 0.4) + 1.0 + rng(0).normal(0, 1, 4000)
    frequency, (mean, sine) = fitted_sine(times, values, (40.0, 70.0))
    assert frequency == pytest.approx(57.3, rel=1e-3)
    assert mean == pytest.approx(1.0, abs=0.1)
    assert np.ptp(sine) / 2 == pytest.approx(2.0, rel=0.05)


def test_a_fine_raster_gives_every_atom_electrons_per_area() -> None:
    axis = np.asarray((np.arange(101) - 50) * 3e-11, dtype=float)
    where = rng(0).uniform(-5e-10, 5e-10, (50, 2))
    found = fluence_at(RoundBeam(200e3, 25e-3, blur=3e-11), (axis, axis), 7.0, where)
    np.testing.assert_allclose(found, 7.0 / 9e-22, rtol=0.05)


def test_atoms_are_knocked_out_as_in_the_literature() -> None:
    # Carbon, 10 eV, 200 kV: 54.1 barn; Egerton (2011), appendix B.
    assert knock_on_section((6, 12.0), 200e3, 10.0, 0.0) == pytest.approx(54.1e-28, rel=2e-3)
    assert knock_on_section((6, 12.0), 80e3, 21.0, 0.0) == 0.0
    assert knock_on_section((6, 12.0), 80e3, 16.0, 600.0) > 0.0
    # A classical oscillator: kT / m.
    fast = thermal_velocity(200.0, 30e-12, 300.0)
    assert fast == pytest.approx(math.sqrt(1.380649e-23 * 300 / (200 * 1.6605390666e-27)), rel=0.02)


def test_mean_free_paths_are_those_of_the_paper() -> None:
    # Measured at 200 kV with 20 mrad of collection: Iakoubovskii et al. (2008).
    for density, nanometres in ((2.329, 145), (10.5, 100), (19.3, 84)):
        found = mean_free_path(density, 200e3, (1e-3, 20e-3))
        assert found * 1e9 == pytest.approx(nanometres, rel=0.15)
