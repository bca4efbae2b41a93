"""The AutoScript driver against a stand-in for the vendor's objects, not for the instrument."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import nanopilot as npl
from nanopilot.core.adjustables import Beam, Focus, Stage, Vacuum
from nanopilot.core.capabilities import Camera, Scanner
from nanopilot.core.clock import VirtualClock
from nanopilot.core.errors import (
    DeviceError,
    Interlocked,
    LinkLost,
    MissingExtra,
    OutOfRange,
    Unsupported,
)
from nanopilot.core.requests import CameraRequest, ScanRequest
from nanopilot.instruments import Guard
from nanopilot.instruments.autoscript import Calibration, assemble
from nanopilot.instruments.snapshots.vendor import ObjectLink
from nanopilot.testing import (
    BeamTests,
    CameraTests,
    FocusTests,
    InstrumentTests,
    ScannerTests,
    StageTests,
    VacuumTests,
)

PACKAGE = "autoscript_tem_microscope_client"
KNOWN = Calibration(pattern_pixel=1e-5, camera_size=64)


class Client:
    """What ``TemMicroscopeClient`` looks like to a script; it notes what it is told to do."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.clock = VirtualClock()
        self.at = {"x": 0.0, "y": 0.0, "z": 0.0, "a": 0.0, "b": 0.0}
        self.blanked, self.open, self.busy = True, True, 0
        scan = {"acquire_stem_image": self._one, "acquire_stem_images_advanced": self._several}
        self.acquisition = SimpleNamespace(**scan, acquire_camera_image=self._camera)
        self.specimen = SimpleNamespace(stage=Platform(self))
        self.optics = SimpleNamespace(
            blanker=Blanker(self), scan_field_of_view=1e-6, scan_rotation=0.0, defocus=0.0,
            optical_mode="Stem", deflectors=Deflectors(),
        )  # fmt: skip
        self.optics.deflectors.beam_shift = [1e-8, 2e-8]
        self.source = SimpleNamespace(acceleration_voltage=SimpleNamespace(value=3e5))
        self.vacuum = SimpleNamespace(state="Ready", column_valves=Valves(self))
        self.detectors = SimpleNamespace(
            scanning_detectors=["HAADF", "BF"], camera_detectors=["BM-Ceta"]
        )
        self.service = SimpleNamespace(system=SimpleNamespace(name="Spectra", version="1.2"))

    def connect(self, host: str, port: int = 0) -> None:
        self.told.append(("connect", host, port))

    def _one(self, detector: str, size: int, dwell: float) -> Any:
        self.told.append(("scan", (detector,), size, dwell))
        self.clock.sleep(size * size * dwell)
        return SimpleNamespace(data=ramp(size))

    def _several(self, asked: Any) -> list[Any]:
        self.told.append(("scan", tuple(asked.detector_types), asked.size, asked.dwell_time))
        self.clock.sleep(asked.size**2 * asked.dwell_time)
        return [SimpleNamespace(data=ramp(asked.size)) for _ in asked.detector_types]

    def _camera(self, camera: str, size: int, exposure: float) -> Any:
        self.told.append(("expose", camera, size, exposure))
        self.clock.sleep(exposure)
        return SimpleNamespace(data=ramp(size))


class Platform:
    def __init__(self, client: Client) -> None:
        self._client = client

    @property
    def position(self) -> Any:
        return SimpleNamespace(**self._client.at)

    @property
    def is_moving(self) -> bool:
        self._client.busy -= 1
        return self._client.busy >= 0

    def get_axis_limits(self, axis: str) -> Any:
        reach = 1e-3 if axis in "xyz" else 0.5
        return SimpleNamespace(min=-reach, max=reach)

    def absolute_move(self, target: Any) -> None:
        self._client.told.append(("move", vars(target)))
        self._client.at |= vars(target)
        self._client.busy = 1


class Blanker:
    def __init__(self, client: Client) -> None:
        self._client = client

    @property
    def is_beam_blanked(self) -> bool:
        return self._client.blanked

    def blank(self) -> None:
        self._client.blanked = True

    def unblank(self) -> None:
        self._client.blanked = False


class Valves:
    def __init__(self, client: Client) -> None:
        self._client = client

    @property
    def state(self) -> str:
        return "Opened" if self._client.open else "Closed"

    def open(self) -> None:
        self._client.open = True

    def close(self) -> None:
        self._client.open = False


class Deflectors(SimpleNamespace):
    """Takes lists and gives points, as theirs does."""

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, list):
            value = SimpleNamespace(x=value[0], y=value[1])
        super().__setattr__(name, value)


def ramp(size: int) -> np.ndarray[Any, Any]:
    return np.arange(size * size, dtype=np.uint32).reshape(size, size)


STRUCTURES = SimpleNamespace(StagePosition=SimpleNamespace, StemAcquisitionSettings=SimpleNamespace)


def connected(client: Client, known: Calibration = KNOWN) -> Guard:
    return Guard(assemble(ObjectLink(client, STRUCTURES), client.clock, known=known))


class Connected:
    @pytest.fixture
    def scope(self) -> Guard:
        return connected(Client())


class TestAutoscript(Connected, InstrumentTests):
    pass


class TestStage(Connected, StageTests):
    pass


class TestBeam(Connected, BeamTests):
    pass


class TestFocus(Connected, FocusTests):
    pass


class TestVacuum(Connected, VacuumTests):
    pass


class TestCamera(Connected, CameraTests):
    pass


class TestScanner(Connected, ScannerTests):
    pass


def test_all_detectors_are_read_in_one_scan_and_one_is_read_alone() -> None:
    client = Client()
    scanner = connected(client).capability(Scanner)
    request = ScanRequest(
        centre=(0, 0), field_of_view=(255e-9, 255e-9), shape=(256, 256), dwell_time=2e-6
    )
    both = scanner.start(request).result()
    one = scanner.start(request.model_copy(update={"channels": ("BF",)})).result()
    assert client.told == [("scan", ("HAADF", "BF"), 256, 2e-6), ("scan", ("BF",), 256, 2e-6)]
    assert client.optics.scan_field_of_view == pytest.approx(256e-9)
    for image in (both["HAADF"], both["BF"], one["BF"]):
        np.testing.assert_array_equal(image, ramp(256))


def test_stage_goes_in_metres_and_radians_and_is_waited_for() -> None:
    client = Client()
    connected(client).capability(Stage).set(x=1e-4, alpha=0.25)
    assert client.told == [("move", {"x": 1e-4, "a": 0.25})]
    assert client.busy < 0


def test_axis_that_the_holder_does_not_have_is_not_there() -> None:
    client = Client()
    client.at["b"] = None  # type: ignore[assignment]
    names = {one.name for one in connected(client).capability(Stage).parameters()}
    assert names == {"x", "y", "z", "alpha"}


def test_half_of_a_shift_leaves_the_other_half() -> None:
    client = Client()
    connected(client).capability(Beam).set(shift_x=5e-8)
    assert vars(client.optics.deflectors.beam_shift) == {"x": 5e-8, "y": 2e-8}


def test_defocus_counts_towards_underfocus() -> None:
    client = Client()
    connected(client).capability(Focus).set(defocus=3e-8)
    assert client.optics.defocus == -3e-8


def test_valve_stays_closed_until_the_vacuum_is_ready() -> None:
    client = Client()
    client.open, client.vacuum.state = False, "Pumping"
    with pytest.raises(Interlocked, match="Pumping"):
        connected(client).capability(Vacuum).set(column_valve=1)
    assert client.open is False


def test_refused_request_never_reaches_the_vendor() -> None:
    client = Client()
    scope = connected(client)
    request = ScanRequest(centre=(0, 0), field_of_view=(2e-6, 2e-6), shape=(4, 4))
    with pytest.raises(OutOfRange):
        scope.capability(Scanner).start(request)
    with pytest.raises(OutOfRange):
        scope.capability(Stage).set(x=1.0)
    client.optics.optical_mode = "Tem"
    with pytest.raises(Interlocked):
        scope.capability(Scanner).start(request.model_copy(update={"field_of_view": (1e-7, 1e-7)}))
    assert client.told == []


def test_camera_without_a_calibration_is_not_offered() -> None:
    with pytest.raises(Unsupported, match="Camera"):
        connected(Client(), Calibration()).capability(Camera)


def test_pattern_has_the_pixels_the_owner_calibrated() -> None:
    client = Client()
    request = CameraRequest(exposure=0.2, binning=2)
    shot = connected(client).capability(Camera).start(request).result()["BM-Ceta"]
    assert shot.dims == ("frame", "ky", "kx")
    np.testing.assert_allclose(np.diff(shot["ky"]), 2e-5)
    assert client.told == [("expose", "BM-Ceta", 32, 0.2)]


def test_errors_of_the_vendor_come_out_as_ours() -> None:
    def fails(error: Exception) -> Any:
        def call(*values: Any) -> Any:
            raise error

        return call

    request = CameraRequest()
    for error, ours in ((RuntimeError("beam off"), DeviceError), (ConnectionError(), LinkLost)):
        client = Client()
        client.acquisition.acquire_camera_image = fails(error)
        shot = connected(client).capability(Camera).start(request)
        with pytest.raises(ours, match="acquire_camera_image"):
            shot.result()


@pytest.mark.skipif(importlib.util.find_spec(PACKAGE) is not None, reason="it is installed")
def test_without_the_vendors_package_it_is_said_where_it_comes_from() -> None:
    with pytest.raises(MissingExtra, match="Thermo Fisher"):
        npl.connect("autoscript")


def test_connecting_warns_that_it_was_not_tried_on_hardware(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    package, structures = ModuleType(PACKAGE), ModuleType(f"{PACKAGE}.structures")
    package.TemMicroscopeClient = Client  # type: ignore[attr-defined]
    package.structures = structures  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, PACKAGE, package)
    monkeypatch.setitem(sys.modules, f"{PACKAGE}.structures", structures)
    with pytest.warns(UserWarning, match="Not tried on hardware"):
        scope = npl.connect("autoscript", host="127.0.0.1")
    assert "Not tried on hardware" in scope.describe().notice
