"""The JEOL driver against a stand-in for PyJEM's objects, not for the instrument."""

from __future__ import annotations

import importlib.util
import math
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import nanopilot as npl
from nanopilot.core.adjustables import Stage, Vacuum
from nanopilot.core.capabilities import Scanner
from nanopilot.core.clock import VirtualClock
from nanopilot.core.errors import DeviceError, Interlocked, MissingExtra, OutOfRange, Unsupported
from nanopilot.core.requests import ScanRequest
from nanopilot.instruments import Guard
from nanopilot.instruments.jeol import Calibration, assemble
from nanopilot.instruments.snapshots.vendor import ObjectLink
from nanopilot.testing import BeamTests, InstrumentTests, ScannerTests, StageTests, VacuumTests

KNOWN = Calibration(detector="ADF1", display_width=0.1)


class Microscope:
    """State behind the objects, in PyJEM's units, and what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.clock = VirtualClock()
        self.at = [0.0, 0.0, 0.0, 0.0, 0.0]  # nm and degrees
        self.statuses: list[list[int]] = []
        self.blank, self.valve, self.ready, self.stem = 1, 1, 1, 1
        self.rotation, self.size, self.exposure = 0, (512, 512), 10.0


class Part:
    def __init__(self, scope: Microscope) -> None:
        self._scope = scope


class Stage3(Part):
    def GetPos(self) -> list[float]:  # noqa: N802
        return list(self._scope.at)

    def GetStatus(self) -> list[int]:  # noqa: N802
        return self._scope.statuses.pop(0) if self._scope.statuses else [0] * 5

    def __getattr__(self, name: str) -> Any:
        axis = ["SetX", "SetY", "SetZ", "SetTiltXAngle", "SetTiltYAngle"].index(name)

        def go(value: float) -> None:
            self._scope.told.append((name, value))
            self._scope.at[axis] = value
            if not self._scope.statuses:
                self._scope.statuses = [[1, 0, 0, 0, 0], [0] * 5]

        return go


class Def3(Part):
    def GetBeamBlank(self) -> int:  # noqa: N802
        return self._scope.blank

    def SetBeamBlank(self, value: int) -> None:  # noqa: N802
        assert type(value) is int
        self._scope.blank = value


class EOS3(Part):
    def GetMagValue(self) -> list[Any]:  # noqa: N802
        return [100000, "X", "X100k"]

    def GetTemStemMode(self) -> int:  # noqa: N802
        return self._scope.stem


class HT3(Part):
    def GetHtValue(self) -> float:  # noqa: N802
        return 200000.0


class FEG3(Part):
    def GetV1Ready(self) -> int:  # noqa: N802
        return self._scope.ready

    def GetBeamValve(self) -> int:  # noqa: N802
        return self._scope.valve

    def SetBeamValve(self, value: int) -> None:  # noqa: N802
        self._scope.valve = value


class Scan3(Part):
    def GetRotationAngle(self) -> int:  # noqa: N802
        return self._scope.rotation


class Detector(Part):
    def set_scanmode(self, mode: int) -> None:
        self._scope.told.append(("scanmode", mode))

    def set_imaging_area(self, width: int, height: int) -> None:
        self._scope.size = (width, height)

    def set_exposuretime_value(self, microseconds: float) -> None:
        self._scope.exposure = microseconds

    def get_detectorsetting(self) -> dict[str, Any]:
        size = {"Width": self._scope.size[0], "Height": self._scope.size[1]}
        return {
            "ExposureTimeValue": self._scope.exposure,
            "OutputImageInformation": {"ImageSize": size},
        }

    def snapshot_rawdata(self) -> bytes:
        self._scope.told.append(("snapshot", self._scope.size, self._scope.exposure))
        self._scope.clock.sleep(self._scope.size[0] ** 2 * self._scope.exposure * 1e-6)
        return ramp(self._scope.size[0]).astype("<u2").tobytes()


def ramp(size: int) -> np.ndarray[Any, Any]:
    return np.arange(size * size).reshape(size, size) % 65536


PARTS = (Stage3, Def3, EOS3, HT3, FEG3, Scan3, Detector)


def connected(microscope: Microscope, known: Calibration = KNOWN) -> Guard:
    objects = {kind.__name__: kind(microscope) for kind in PARTS}
    return Guard(assemble(ObjectLink(objects), microscope.clock, known=known))


class Connected:
    @pytest.fixture
    def scope(self) -> Guard:
        return connected(Microscope())


class TestJeol(Connected, InstrumentTests):
    pass


class TestStage(Connected, StageTests):
    pass


class TestBeam(Connected, BeamTests):
    pass


class TestVacuum(Connected, VacuumTests):
    pass


class TestScanner(Connected, ScannerTests):
    pass


def test_stage_is_told_nanometres_and_degrees() -> None:
    microscope = Microscope()
    stage = connected(microscope).capability(Stage)
    stage.set(x=2.5e-6, alpha=math.radians(10))
    assert [name for name, _ in microscope.told] == ["SetX", "SetTiltXAngle"]
    assert [value for _, value in microscope.told] == pytest.approx([2500.0, 10.0])
    microscope.at[1] = 40.0
    assert stage.get("y") == pytest.approx(40e-9)


def test_stage_at_its_limit_is_an_error() -> None:
    microscope = Microscope()
    stage = connected(microscope).capability(Stage)
    microscope.statuses = [[1, 0, 0, 0, 0], [2, 0, 0, 0, 0]]
    with pytest.raises(DeviceError, match="hardware limit"):
        stage.set(x=1e-6)


def test_stage_that_never_arrives_is_an_error() -> None:
    microscope = Microscope()
    stage = connected(microscope).capability(Stage)
    microscope.statuses = [[1, 0, 0, 0, 0]] * 5000
    with pytest.raises(DeviceError, match="still moving"):
        stage.set(x=1e-6)


def test_frame_is_cut_out_of_the_whole_one_at_its_magnification() -> None:
    microscope = Microscope()
    pixel = 1e-6 / 512
    request = ScanRequest(
        centre=(0, 0), field_of_view=(9 * pixel, 9 * pixel), shape=(10, 10), dwell_time=3e-6
    )
    frame = connected(microscope).capability(Scanner).start(request).result()["ADF1"]
    np.testing.assert_array_equal(frame, ramp(512)[251:261, 251:261])
    assert microscope.told == [("scanmode", 0), ("snapshot", (512, 512), 3.0)]


def test_scan_rotation_of_the_microscope_is_taken_into_account() -> None:
    microscope = Microscope()
    microscope.rotation = 90
    pixel = 1e-6 / 256
    request = ScanRequest(
        centre=(0, 0), field_of_view=(3 * pixel,) * 2, shape=(4, 4), rotation=math.pi / 2
    )
    frame = connected(microscope).capability(Scanner).start(request).result()["ADF1"]
    np.testing.assert_array_equal(frame, ramp(256)[126:130, 126:130])


def test_pixels_finer_than_the_microscope_scans_are_refused_before_the_wire() -> None:
    microscope = Microscope()
    scope = connected(microscope)
    fine = ScanRequest(centre=(0, 0), field_of_view=(1e-9, 1e-9), shape=(64, 64))
    with pytest.raises(OutOfRange, match="magnification"):
        scope.capability(Scanner).start(fine)
    microscope.stem = 0
    with pytest.raises(Interlocked, match="STEM"):
        scope.capability(Scanner).start(
            ScanRequest(centre=(0, 0), field_of_view=(1e-7, 1e-7), shape=(8, 8))
        )
    assert microscope.told == []


@pytest.mark.parametrize("raw", [b"", b"123", b"0" * (3 * 256 * 256)])
def test_raw_data_of_another_length_are_no_frame(raw: bytes) -> None:
    microscope = Microscope()
    scope = connected(microscope)
    request = ScanRequest(centre=(0, 0), field_of_view=(1e-7, 1e-7), shape=(4, 4))
    acquisition = scope.capability(Scanner).start(request)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Detector, "snapshot_rawdata", lambda self: raw)
        with pytest.raises(DeviceError, match="bytes came"):
            acquisition.result()


def test_valve_stays_closed_until_v1_is_ready() -> None:
    microscope = Microscope()
    microscope.valve = microscope.ready = 0
    with pytest.raises(Interlocked, match="V1"):
        connected(microscope).capability(Vacuum).set(column_valve=1)
    assert microscope.valve == 0


def test_without_a_display_width_nothing_is_scanned_and_it_is_said_why() -> None:
    with pytest.raises(Unsupported, match="display_width"):
        connected(Microscope(), Calibration(detector="ADF1")).capability(Scanner)


@pytest.mark.skipif(importlib.util.find_spec("PyJEM") is not None, reason="it is installed")
def test_without_pyjem_it_is_said_where_it_comes_from() -> None:
    with pytest.raises(MissingExtra, match="JEOL"):
        npl.connect("jeol")


def test_connecting_warns_and_takes_the_first_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    microscope = Microscope()
    package, tem3, detector = (ModuleType(name) for name in ("PyJEM", "TEM3", "detector"))
    for kind in PARTS[:-1]:
        setattr(tem3, kind.__name__, lambda kind=kind: kind(microscope))
    tem3.connect = lambda: None  # type: ignore[attr-defined]
    detector.get_attached_detector = lambda: ["ADF1", "BF"]  # type: ignore[attr-defined]
    detector.Detector = lambda name: Detector(microscope)  # type: ignore[attr-defined]
    package.TEM3, package.detector = tem3, detector  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "PyJEM", package)
    with pytest.warns(UserWarning, match="Not tried on hardware"):
        scope = npl.connect("jeol", display_width=0.1)
    assert scope.describe().scan_channels == ("ADF1",)
    with pytest.raises(Unsupported, match="attached are ADF1, BF"):
        npl.connect("jeol", detector="HAADF")
