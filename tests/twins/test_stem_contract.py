"""The electron twin keeps the contract of every instrument, and refuses what cannot be."""

from typing import Any

import numpy as np
import pytest

from nanopilot.core.adjustables import Beam, Corrector, Detectors, Focus, Stage, Vacuum
from nanopilot.core.capabilities import Camera, PointSpectroscopy, Scanner
from nanopilot.core.errors import LinkLost, OutOfRange, Unsupported
from nanopilot.core.requests import CameraRequest, ScanRequest, SpectrumRequest
from nanopilot.instruments import Guard
from nanopilot.testing import (
    BeamTests,
    CameraTests,
    CorrectorTests,
    DetectorsTests,
    FocusTests,
    InstrumentTests,
    PointSpectroscopyTests,
    PositionerTests,
    ScannerTests,
    StageTests,
    VacuumTests,
)
from nanopilot.twins.stem.twin import StemTwin
from nanopilot.workflows.twins import stem


def made(seed: int = 1, **settings: Any) -> StemTwin:
    small = {"camera": {"pixels": 32, "angle_per_pixel": 4e-3, "phonons": 1}, "scan_range": 20e-9}
    return stem("dichalcogenide", seed=seed, size=8e-9, settings=small | settings)


def frame(**changes: Any) -> ScanRequest:
    usual: dict[str, Any] = {
        "centre": (0.0, 0.0), "field_of_view": (4e-9, 3e-9), "shape": (24, 32), "dwell_time": 1e-5
    }  # fmt: skip
    return ScanRequest(**(usual | changes))


def scanned(twin: StemTwin, **changes: Any) -> Any:
    return twin.capability(Scanner).start(frame(**changes)).result()


class Made:
    @pytest.fixture
    def scope(self) -> Guard:
        return Guard(made())


class TestInstrument(Made, InstrumentTests):
    pass


class TestScanner(Made, ScannerTests):
    pass


class TestSpectra(Made, PointSpectroscopyTests):
    pass


class TestCamera(Made, CameraTests):
    pass


class TestStage(Made, StageTests):
    pass


class TestPositioner(Made, PositionerTests):
    pass


class TestBeam(Made, BeamTests):
    pass


class TestFocus(Made, FocusTests):
    pass


class TestCorrector(Made, CorrectorTests):
    pass


class TestDetectors(Made, DetectorsTests):
    pass


class TestVacuum(Made, VacuumTests):
    pass


def test_the_same_seed_gives_the_same_bytes() -> None:
    def bytes_of(seed: int) -> list[bytes]:
        twin = made(seed, motion={"jitter": 1e-11, "drift_noise": 1e-12})
        taken = [scanned(twin), twin.capability(Camera).start(CameraRequest()).result()]
        for kind in ("energy", "xray"):
            asked = SpectrumRequest(position=(0, 0), kind=kind)
            taken.append(twin.capability(PointSpectroscopy).start(asked).result())
        return [one.to_numpy().tobytes() for signals in taken for one in signals.data_vars.values()]

    assert bytes_of(3) == bytes_of(3)
    assert all(a != b for a, b in zip(bytes_of(3), bytes_of(4), strict=True))


def test_a_channel_reads_the_same_whichever_others_are_recorded() -> None:
    both, alone = scanned(made()), scanned(made(), channels=("haadf",))
    np.testing.assert_array_equal(both["haadf"], alone["haadf"])


def test_a_blanked_beam_gives_dark_frames_and_no_dose() -> None:
    twin = made()
    twin.capability(Beam).set(blanked=1)
    dark = scanned(twin)["haadf"]
    assert float(dark.mean()) == pytest.approx(100, abs=1)
    assert twin.truth.delivered == 0
    twin.capability(Beam).set(blanked=0)
    twin.capability(Vacuum).set(column_valve=0)
    assert float(scanned(twin)["haadf"].mean()) == pytest.approx(100, abs=1)
    twin.capability(Vacuum).set(column_valve=1)
    assert float(scanned(twin)["haadf"].mean()) > 120


def test_a_retracted_detector_reads_its_offset_and_gain_multiplies() -> None:
    twin = made()
    knobs = twin.capability(Detectors)
    before = float(scanned(twin)["haadf"].mean()) - 100
    knobs.set(haadf_gain=30.0, haadf_offset=50.0)
    assert float(scanned(twin)["haadf"].mean()) - 50 == pytest.approx(3 * before, rel=0.05)
    knobs.set(haadf_inserted=0)
    assert float(scanned(twin)["haadf"].mean()) == pytest.approx(50, abs=1)


def test_the_stage_brings_other_places_under_the_beam() -> None:
    twin = made(damage={"knock_on": 0, "radiolysis": 0})
    here = scanned(twin)["haadf"].to_numpy()
    twin.capability(Stage).set(x=0.5e-9)
    there = scanned(twin, centre=(0.5e-9, 0.0))["haadf"].to_numpy()
    elsewhere = scanned(twin)["haadf"].to_numpy()
    assert np.corrcoef(here.ravel(), there.ravel())[0, 1] > 0.7
    assert np.corrcoef(here.ravel(), elsewhere.ravel())[0, 1] < 0.5


def test_height_is_defocus() -> None:
    twin = made()
    sharp = scanned(twin, dwell_time=1e-4)["haadf"].std()
    twin.capability(Stage).set(z=30e-9)
    assert scanned(twin, dwell_time=1e-4)["haadf"].std() < 0.6 * sharp
    twin.capability(Focus).set(defocus=30e-9)
    assert float(scanned(twin, dwell_time=1e-4)["haadf"].std()) == pytest.approx(
        float(sharp), rel=0.1
    )


def test_corrections_correct_what_nobody_was_told() -> None:
    twin, good = made(lens={"aberrations": {"A1_x": 10e-9, "B2_y": 300e-9}}), made()
    blurred = float(scanned(twin, dwell_time=1e-4)["haadf"].std())
    sharp = float(scanned(good, dwell_time=1e-4)["haadf"].std())
    assert blurred < 0.8 * sharp
    assert twin.state().values["Corrector.A1_x"] == 0
    twin.capability(Corrector).set(A1_x=-10e-9, B2_y=-300e-9)
    assert float(scanned(twin, dwell_time=1e-4)["haadf"].std()) == pytest.approx(sharp, rel=0.1)


def test_a_grid_of_patterns_has_one_at_every_place() -> None:
    twin = made()
    asked = CameraRequest(
        channels=("pattern",), position=(0, 0), shape=(2, 3), field_of_view=(4e-10, 2e-10)
    )
    blocks = list(twin.capability(Camera).start(asked))
    assert [block.sizes["y"] for block in blocks] == [1, 1]
    whole = twin.capability(Camera).start(asked).result()["pattern"]
    assert whole.dims == ("y", "x", "ky", "kx")
    assert np.isfinite(whole).all()
    np.testing.assert_allclose(whole["x"], [-2e-10, 0, 2e-10])


IMPOSSIBLE: dict[str, tuple[ScanRequest, type[Exception], str]] = {
    "beyond the coils": (frame(centre=(1e-6, 0.0)), OutOfRange, "move the stage"),
    "retrace": (frame(directions=("trace", "retrace")), Unsupported, "flies back dark"),
    "a dwell time of a picosecond": (frame(dwell_time=1e-12), OutOfRange, "scan generator"),
    "no such detector": (frame(channels=("eye",)), Unsupported, "there are haadf"),
}


@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_what_cannot_be_is_refused_with_the_way_out(what: str) -> None:
    request, kind, said = IMPOSSIBLE[what]
    with pytest.raises(kind, match=said):
        made().capability(Scanner).start(request)


def test_angles_beyond_the_tables_are_refused_with_the_bound() -> None:
    twin = made(
        lens={"voltage": 300e3, "convergence_angle": 0.1},
        detectors={"haadf": {"inner": 0.11, "outer": 0.249}},
    )
    with pytest.raises(OutOfRange, match="known up to"):
        twin.capability(Scanner).start(frame())


def test_a_lost_link_is_a_typed_error() -> None:
    twin = made()
    twin.faults.inject("lost-link", seconds=10)
    with pytest.raises(LinkLost):
        twin.capability(Scanner).start(frame())
    twin.clock.sleep(11)
    assert twin.state().values["Beam.blanked"] == 0


def test_truth_is_not_reached_through_the_guard() -> None:
    scope = Guard(made())
    for name in ("truth", "faults", "_world"):
        with pytest.raises(AttributeError):
            getattr(scope, name)
    described = scope.describe().model_dump_json()
    assert "dichalcogenide" not in described
    assert "Mo" not in described.replace("Mode", "")
