"""What happens to the electron twin, and what is then measured: faults, growth, height, light."""

import math
from typing import Any

import numpy as np
import pytest

from nanopilot.bench.stem_checks import UNHURT, scan, scene_of, spectrum
from nanopilot.bench.stem_image_checks import located
from nanopilot.bench.stem_theory import RoundBeam, radius_of_half
from nanopilot.core.adjustables import Focus, Positioner, Stage
from nanopilot.core.clock import VirtualClock
from nanopilot.models.electron_optics import Aberrations, Lens
from nanopilot.twins.stem.fluence import beam_fluence
from nanopilot.twins.stem.scene import Scene
from nanopilot.twins.stem.settings import StemSettings
from nanopilot.twins.stem.spectrometer import beam_width
from nanopilot.twins.stem.twin import StemTwin

CLEAN = {"inner": 60e-3, "outer": 180e-3, "offset": 0.0, "noise": 0.0, "bits": 0, "gain": 1.0}


def made(scene: Scene, **settings: Any) -> StemTwin:
    usual = {"current": 1e-8, "damage": UNHURT, "detectors": {"haadf": CLEAN}}
    told = StemSettings.model_validate(usual | settings)
    return StemTwin(scene, VirtualClock(), settings=told, seed=1)


ONE = scene_of(np.zeros((1, 2)))


def test_a_drift_jump_moves_the_sample_by_what_was_said() -> None:
    twin = made(ONE)
    before = located(scan(twin, shape=(128, 128)), np.zeros((1, 2)))
    twin.faults.inject("drift-jump", x=0.3e-9, y=-0.2e-9)
    after = located(scan(twin, shape=(128, 128)), np.array([[0.3e-9, -0.2e-9]]))
    np.testing.assert_allclose(after - before, [[0.3e-9, -0.2e-9]], atol=2e-12)


def test_a_focus_jump_is_undone_by_the_opposite_focus() -> None:
    twin = made(ONE)

    def peak() -> float:
        return float(scan(twin, dwell_time=1e-2)["haadf"].max())

    sharp = peak()
    twin.faults.inject("focus-jump", defocus=12e-9)
    assert peak() < 0.6 * sharp
    twin.capability(Focus).set(defocus=-12e-9)
    assert peak() == pytest.approx(sharp, rel=0.02)


def test_a_beam_trip_leaves_pixels_and_books_without_electrons() -> None:
    twin = made(scene_of(films={"carbon": 20e-9}))
    twin.faults.inject("beam-trip", seconds=5e-3)
    frame = scan(twin, shape=(40, 25), dwell_time=1e-5)["haadf"].to_numpy().ravel()
    assert (frame[:500] == 0).all()
    assert (frame[500:] > 0).all()
    share = twin.truth.delivered / (1e-8 * 1e-5 / 1.602176634e-19)
    assert share == pytest.approx(500, abs=1)


def test_a_burst_of_contamination_is_seen_where_the_beam_rested() -> None:
    twin = made(scene_of(films={"carbon": 5e-9}), damage=UNHURT | {"reach": 2e-9})
    twin.capability(Positioner).set(x=5e-9)
    twin.faults.inject("burst", thickness=30e-9)
    line = scan(twin, field_of_view=(20e-9, 0.0), shape=(1, 41))["haadf"].to_numpy()[0]
    assert int(line.argmax()) == pytest.approx(30, abs=1)
    assert line.max() > 2 * line[:10].mean()


def test_contamination_grows_with_dose_and_shows_in_the_next_frame() -> None:
    grown = UNHURT | {"contamination": 1e-36, "reach": 1e-9}
    twin = made(scene_of(films={"carbon": 5e-9}), damage=grown)
    means = [float(scan(twin, dwell_time=1e-4)["haadf"].mean()) for _ in range(3)]
    assert means[0] < means[1] < means[2]
    world = twin.truth
    assert world.grown.volume == pytest.approx(1e-36 * world.delivered, rel=1e-6)
    still = made(scene_of(films={"carbon": 5e-9}))
    same = [float(scan(still, dwell_time=1e-4)["haadf"].mean()) for _ in range(2)]
    assert same[0] == pytest.approx(same[1], rel=2e-3)


def test_light_of_the_last_pixel_of_a_frame_comes_in_the_next() -> None:
    glow = CLEAN | {"afterglow": 0.3, "afterglow_time": 1e-4}
    twin = made(scene_of(films={"gold": 5e-9}), detectors={"haadf": glow})
    first, second = (scan(twin)["haadf"].to_numpy() for _ in range(2))
    assert second[0, 0] > 1.3 * first[0, 0]


def test_tilt_makes_height_which_is_defocus() -> None:
    # Two atoms, 20 nm apart along y; tilted by 0.7 rad/20, they are in focus one after the other.
    pair = scene_of(np.array([[0.0, -10e-9], [0.0, 10e-9]]))
    twin = made(pair)
    twin.capability(Stage).set(alpha=math.atan(1.0) / 1.5)
    lift = 10e-9 * math.tan(math.atan(1.0) / 1.5)

    def peaks() -> list[float]:
        small = {"field_of_view": (1e-9, 1e-9), "shape": (33, 33)}
        return [float(scan(twin, centre=(0.0, y), **small)["haadf"].max()) for y in (-10e-9, 10e-9)]

    flat = peaks()
    assert flat[0] == pytest.approx(flat[1], rel=0.05)
    twin.capability(Focus).set(defocus=lift)
    low, high = peaks()
    assert high > 1.2 * flat[1]
    assert low < 0.8 * flat[0]


@pytest.mark.parametrize("defocus", [0.0, 10e-9, 100e-9, 2e-6])
def test_width_of_the_beam_holds_half_of_it(defocus: float) -> None:
    lens = Lens(voltage=200e3, convergence_angle=20e-3, aberrations=Aberrations(C1=-defocus))
    if defocus < 20e-9:
        axis = np.asarray((np.arange(400) - 200) * 1e-11)
        image = RoundBeam(200e3, 20e-3, defocus=-defocus).intensity(400, 1e-11)
        expected = radius_of_half(image, axis, axis, 1.9e-9)
    else:
        # Rays: a disc of even brightness.
        expected = 20e-3 * defocus / math.sqrt(2)
    assert beam_width(lens) * 1.1774 == pytest.approx(expected, rel=0.06)


def test_spectra_out_of_focus_do_not_tell_one_atom_from_the_next() -> None:
    sites = np.array([[0.0, 0.0]])
    told = {"spectrometer": {"xray_solid_angle": 4 * math.pi}}

    def photons(lift: float, by: str) -> float:
        twin = made(scene_of(sites, 79), **told)
        if by == "focus":
            twin.capability(Focus).set(defocus=lift)
        else:
            twin.capability(Stage).set(z=lift)
        return float(spectrum(twin, "xray", 100.0)["eds"].sum())

    sharp = photons(0.0, "focus")
    assert photons(60e-9, "focus") < 0.2 * sharp
    assert photons(60e-9, "stage") == pytest.approx(photons(60e-9, "focus"), rel=0.1)


@pytest.mark.parametrize("lift", [0.0, 400e-9])
def test_a_field_too_wide_for_the_beam_still_blurs_what_is_out_of_focus(lift: float) -> None:
    # 40 lines 5 nm apart; 400 nm out of focus the beam is 20 nm wide and misses no atom.
    axis = (np.arange(40) - 19.5) * 5e-9
    spots = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    where = np.random.default_rng(0).uniform(-80e-9, 80e-9, (500, 2))
    found = beam_fluence(spots, np.ones(len(spots)), where, Lens(), lift)
    even = 1 / 25e-18
    assert (found > 0.5 * even).mean() == pytest.approx(1.0 if lift else 0.0, abs=0.02)
    assert not lift or found.max() < 2 * even
