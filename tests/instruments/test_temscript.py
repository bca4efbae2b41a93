"""The driver of a temscript server, against temscript's own server and simulated microscope."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nanopilot as npl
from nanopilot.core.adjustables import Detectors, Focus, Stage, Vacuum
from nanopilot.core.capabilities import Camera, Scanner
from nanopilot.core.errors import Interlocked, OutOfRange, Unsupported
from nanopilot.core.geometry import places
from nanopilot.core.limits import Limits, Range
from nanopilot.core.requests import CameraRequest, ScanRequest
from nanopilot.core.signals import metadata
from nanopilot.instruments import Guard
from nanopilot.instruments.snapshots import Picture, sample
from nanopilot.testing import (
    BeamTests,
    CameraTests,
    DetectorsTests,
    FocusTests,
    InstrumentTests,
    ScannerTests,
    StageTests,
    VacuumTests,
)

server = pytest.importorskip("temscript.server")
null = pytest.importorskip("temscript.null_microscope")
WIDTH = 0.1


class Ramp(null.NullMicroscope):
    """The simulated microscope: its camera sees a ramp, and it notes what it is told."""

    def __init__(self) -> None:
        super().__init__(wait_exposure=False)
        self.told: list[str] = []

    def acquire(self, *names: str) -> dict[str, Any]:
        self.told.append("acquire")
        empty = super().acquire(*names)
        return {name: ramp(image.shape[0]) for name, image in empty.items()}

    def _set_stage_position(self, pos: Any = None, method: str = "GO", speed: Any = None) -> None:
        self.told.append("stage")
        super()._set_stage_position(pos, method, speed)


class Stem(Ramp):
    """The same, with the STEM detectors that temscript's own does not have."""

    size = 256

    def __init__(self) -> None:
        super().__init__()
        self._contrast = {name: {"brightness": 0.5, "contrast": 0.5} for name in ("HAADF", "BF 1")}

    def get_stem_detectors(self) -> Any:
        one = {"type": "STEM_DETECTOR", "binnings": [1, 2, 4, 8, 16, 32]}
        return dict.fromkeys(self._contrast, one)

    def get_stem_detector_param(self, name: str) -> Any:
        return self._contrast[name]

    def set_stem_detector_param(self, name: str, values: Any, ignore_errors: bool = False) -> None:
        self._contrast[name].update(values)

    def set_stem_acquisition_param(self, param: Any, ignore_errors: bool = False) -> None:
        self._stem_acq_param.update(param)

    def get_instrument_mode(self) -> str:
        return "STEM"

    def acquire(self, *names: str) -> dict[str, Any]:
        self.told.append("acquire")
        size = self.size // self._stem_acq_param["binning"]
        return {name: ramp(size) for name in names if name in self._contrast}


def ramp(size: int) -> np.ndarray[Any, Any]:
    return np.arange(size * size, dtype=np.int32).reshape(size, size)


@contextmanager
def serving(microscope: Any) -> Iterator[int]:
    class Quiet(server.MicroscopeHandler):
        def log_message(self, *args: Any) -> None:
            pass

    there = server.MicroscopeServer(("127.0.0.1", 0), lambda: microscope)
    there.RequestHandlerClass = Quiet
    thread = threading.Thread(target=there.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield int(there.server_address[1])
    finally:
        there.shutdown()
        there.server_close()
        thread.join()


@pytest.fixture(scope="module")
def tem() -> Iterator[Guard]:
    with serving(Ramp()) as port:
        scope = npl.connect("temscript", port=port, defocus_scale=1e-6)
        scope.capability(Vacuum).set(column_valve=1)
        yield scope


@pytest.fixture(scope="module")
def stem() -> Iterator[Guard]:
    with serving(Stem()) as port:
        scope = npl.connect("temscript", port=port, display_width=WIDTH, stem_size=256)
        scope.capability(Vacuum).set(column_valve=1)
        yield scope


class OnTem:
    @pytest.fixture
    def scope(self, tem: Guard) -> Guard:
        return tem


class OnStem:
    @pytest.fixture
    def scope(self, stem: Guard) -> Guard:
        return stem


class TestTem(OnTem, InstrumentTests):
    pass


class TestStage(OnTem, StageTests):
    pass


class TestBeam(OnTem, BeamTests):
    pass


class TestFocus(OnTem, FocusTests):
    pass


class TestVacuum(OnTem, VacuumTests):
    pass


class TestCamera(OnTem, CameraTests):
    pass


class TestCameraFrames(OnTem, ScannerTests):
    pass


class TestStem(OnStem, InstrumentTests):
    pass


class TestStemFocus(OnStem, FocusTests):
    pass


class TestDetectors(OnStem, DetectorsTests):
    pass


class TestStemFrames(OnStem, ScannerTests):
    pass


def scan(scope: Guard) -> Any:
    """Any script of anybody: it knows of frames and of no microscope."""
    request = ScanRequest(
        centre=(0.0, 0.0), field_of_view=(90e-9, 60e-9), shape=(6, 10), dwell_time=1e-5
    )
    return scope.capability(Scanner).start(request).result()


def test_one_script_scans_a_twin_a_tem_and_a_stem_unchanged(tem: Guard, stem: Guard) -> None:
    reference = scan(npl.connect("plain", world="beam"))
    for scope in (tem, stem):
        frame = scan(scope)
        assert set(frame.coords) == set(reference.coords)
        assert set(frame.attrs) == set(reference.attrs)
        np.testing.assert_array_equal(frame["x"], reference["x"])
        np.testing.assert_array_equal(frame["y"], reference["y"])
        for channel in frame.data_vars.values():
            assert channel.dims == ("y", "x")
            assert set(channel.attrs) == set(reference["haadf"].attrs)
            assert np.isfinite(channel).all()


def test_null_microscope_as_it_comes_can_be_scanned() -> None:
    with serving(null.NullMicroscope()) as port:
        frame = scan(npl.connect("temscript", port=port))
    assert list(frame.data_vars) == ["CCD"]
    assert metadata(frame["CCD"])["details"]["screen_inserted"] is True


@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.floats(1e-9, 2e-7),
    st.floats(1e-9, 2e-7),
    st.floats(-1.5, 1.5),
)
def test_every_pixel_is_the_recorded_one_where_it_says_it_was_measured(
    rows: int, columns: int, width: float, height: float, turn: float
) -> None:
    picture = Picture(ramp(200), (2e-9, 2e-9), rotation=turn / 2)
    request = ScanRequest(
        centre=(0, 0), field_of_view=(width, height), shape=(rows, columns), rotation=turn
    )
    values, measured = sample(request, picture)
    there = places(request) if measured is None else measured
    cos, sin = np.cos(turn / 2), np.sin(turn / 2)
    x, y = there[:, 0] * cos + there[:, 1] * sin, there[:, 1] * cos - there[:, 0] * sin
    column, row = (np.rint(one / 2e-9 + 99.5).astype(int) for one in (x, y))
    np.testing.assert_array_equal(values.ravel(), picture.values[row, column])
    assert np.abs(there - places(request)).max() <= 2e-9 / np.sqrt(2) + 1e-15


def test_pixels_outside_the_picture_are_not_invented() -> None:
    request = ScanRequest(centre=(0, 0), field_of_view=(8e-9, 2e-9), shape=(3, 9))
    values, _ = sample(request, Picture(np.ones((3, 3)), (1e-9, 1e-9)))
    np.testing.assert_array_equal(np.isfinite(values).any(axis=0), [0, 0, 0, 1, 1, 1, 0, 0, 0])


def test_camera_frame_is_cut_out_of_the_image_at_its_magnification(tem: Guard) -> None:
    # 24 micrometre pixels at 100,000 times, as the simulated microscope says of itself.
    request = ScanRequest(centre=(0, 0), field_of_view=(0.24e-9 * 9,) * 2, shape=(10, 10))
    frame = tem.capability(Scanner).start(request).result()["CCD"]
    np.testing.assert_array_equal(frame, ramp(2048)[1019:1029, 1019:1029])
    assert metadata(frame)["positions"] == "commanded"


def test_stem_sets_magnification_and_rotation_from_the_field_of_view() -> None:
    microscope = Stem()
    with serving(microscope) as port:
        scope = npl.connect("temscript", port=port, display_width=WIDTH, stem_size=256)
        request = ScanRequest(
            centre=(0, 0), field_of_view=(31e-9, 31e-9), shape=(32, 32), rotation=0.3,
            channels=("BF 1",), dwell_time=2e-6,
        )  # fmt: skip
        frame = scope.capability(Scanner).start(request).result()
    np.testing.assert_array_equal(frame["BF 1"], ramp(32))
    assert pytest.approx(WIDTH / 32e-9) == microscope.get_stem_magnification()
    assert microscope.get_stem_rotation() == 0.3
    assert microscope.get_stem_acquisition_param() == {
        "image_size": "FULL", "binning": 8, "dwell_time(s)": 2e-6,
    }  # fmt: skip


def test_without_a_display_width_a_stem_is_not_scanned_and_says_why() -> None:
    with serving(Stem()) as port:
        scope = npl.connect("temscript", port=port)
        assert "Scanner" not in scope.describe().capabilities
        assert "display_width" in scope.describe().notice


def test_patterns_are_calibrated_with_the_camera_length() -> None:
    microscope = Ramp()
    microscope.set_projection_mode("DIFFRACTION")
    with serving(microscope) as port:
        scope = npl.connect("temscript", port=port)
        request = CameraRequest(exposure=0.01, binning=8)
        shot = scope.capability(Camera).start(request).result()["CCD"]
        frame = ScanRequest(centre=(0, 0), field_of_view=(1e-8, 1e-8), shape=(4, 4))
        refused = scope.capability(Scanner).validate(frame)
    assert shot.dims == ("frame", "ky", "kx")
    np.testing.assert_allclose(np.diff(shot["kx"]), 8 * 24e-6 / 1.0)
    assert refused


def test_refused_request_never_reaches_the_wire() -> None:
    microscope = Ramp()
    with serving(microscope) as port:
        limits = Limits(parameters={"Stage.x": Range(low=-1e-5, high=1e-5, unit="m")})
        scope = npl.connect("temscript", port=port, limits=limits)
        with pytest.raises(OutOfRange, match=r"`Stage\.x`"):
            scope.capability(Stage).set(x=2e-5)
        with pytest.raises(OutOfRange):
            scope.capability(Scanner).start(
                ScanRequest(centre=(1e-3, 0), field_of_view=(1e-8, 1e-8), shape=(4, 4))
            )
        with pytest.raises(Unsupported):
            scope.capability(Scanner).start(
                ScanRequest(
                    centre=(0, 0), field_of_view=(1e-8, 1e-8), shape=(4, 4), order="serpentine"
                )
            )
    assert microscope.told == []


def test_defocus_counts_towards_underfocus_and_the_server_the_other_way(stem: Guard) -> None:
    microscope = Stem()
    with serving(microscope) as port:
        scope = npl.connect("temscript", port=port)
        scope.capability(Focus).set(defocus=50e-9)
    assert microscope.get_probe_defocus() == pytest.approx(-50e-9)


def test_focus_of_a_tem_is_left_out_unless_its_unit_is_known() -> None:
    with serving(Ramp()) as port:
        assert "Focus" not in npl.connect("temscript", port=port).describe().capabilities


def test_valve_stays_closed_until_the_vacuum_is_ready() -> None:
    class Air(Ramp):
        def get_vacuum(self) -> Any:
            return super().get_vacuum() | {"status": "BUSY"}

    microscope = Air()
    with serving(microscope) as port, pytest.raises(Interlocked, match="BUSY"):
        npl.connect("temscript", port=port).capability(Vacuum).set(column_valve=1)
    assert microscope.get_column_valves_open() is False


@pytest.mark.parametrize(("told", "found"), [("UNDERFLOW", 0.0), ("OVERFLOW", None), (2e-5, 2e-5)])
def test_gauge_out_of_range_is_low_or_unknown(told: Any, found: float | None) -> None:
    class Gauged(Ramp):
        def get_vacuum(self) -> Any:
            return super().get_vacuum() | {"gauges(Pa)": {"IGP1": told}}

    with serving(Gauged()) as port:
        scope = npl.connect("temscript", port=port, gauge="IGP1")
        assert scope.state().get("Vacuum.pressure") == found
        if found is None:
            with pytest.raises(Interlocked):
                scope.capability(Vacuum).set(column_valve=1)


def test_dose_is_counted_with_the_current_on_the_screen(tem: Guard) -> None:
    request = ScanRequest(
        centre=(0, 0), field_of_view=(1e-8, 1e-8), shape=(10, 10), dwell_time=1e-3
    )
    expected = tem.capability(Scanner).estimate(request)
    assert expected.seconds == pytest.approx(0.1)
    assert expected.electrons == pytest.approx(0.1 * 1e-9 / 1.602176634e-19)


def test_contrast_of_a_detector_is_set_on_that_detector(stem: Guard) -> None:
    stem.capability(Detectors).set(bf_1_contrast=0.25)
    values = stem.state().values
    assert values["Detectors.bf_1_contrast"] == 0.25
    assert values["Detectors.haadf_contrast"] != 0.25
