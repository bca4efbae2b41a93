"""The Nion driver with Nion's simulator behind it, in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from nanopilot.core.adjustables import Beam, Corrector, Focus, Positioner, Stage
from nanopilot.core.capabilities import Camera, PointSpectroscopy, Scanner
from nanopilot.core.clock import RealClock
from nanopilot.core.errors import DeviceError, LinkLost
from nanopilot.core.events import Audit
from nanopilot.core.geometry import places
from nanopilot.core.requests import CameraRequest, ScanRequest, SpectrumRequest
from nanopilot.core.signals import Signal, check_set, metadata
from nanopilot.instruments import Guard
from nanopilot.instruments.nion import NionInstrument, WorkerLink

pytest.importorskip("nion.usim_device", reason="Nion's packages are not installed")

WIDE = ScanRequest(
    centre=(0.0, 0.0), field_of_view=(512e-9, 512e-9), shape=(257, 257), channels=("haadf",),
    dwell_time=1e-6,
)  # fmt: skip
SLOW = ScanRequest(
    centre=(0.0, 0.0), field_of_view=(1e-7, 1e-7), shape=(64, 64), dwell_time=2e-4,
    channels=("haadf", "maadf"),
)  # fmt: skip


class Simulated:
    """An instrument, and the number of the process behind it."""

    def __init__(self) -> None:
        self.links: list[WorkerLink] = []
        self.instrument = NionInstrument(self._dial, RealClock())
        self.audit: list[Audit] = []
        self.scope = Guard(self.instrument, audit=self.audit.append)

    def _dial(self) -> WorkerLink:
        self.links.append(WorkerLink("flake"))
        return self.links[-1]

    def kill(self) -> None:
        os.kill(self.links[-1].pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def simulated() -> Iterator[Simulated]:
    found = Simulated()
    yield found
    found.instrument.close()


@pytest.fixture
def scope(simulated: Simulated) -> Guard:
    return simulated.scope


def scan(scope: Guard, request: ScanRequest, **changes: Any) -> Any:
    return scope.capability(Scanner).start(request.model_copy(update=changes)).result()


def alike(reference: Signal, frame: Signal, where: np.ndarray[Any, Any]) -> float:
    """Return the correlation of a frame with what the wide frame shows at these places."""
    columns, rows = (
        (where[:, k] - float(reference[dim][0])) / float(reference[dim][1] - reference[dim][0])
        for k, dim in enumerate(("x", "y"))
    )
    expected = map_coordinates(reference.to_numpy(), [rows, columns], order=1)
    return float(np.corrcoef(expected, frame.to_numpy().ravel())[0, 1])


@pytest.fixture(scope="module")
def wide(simulated: Simulated) -> Signal:
    """The sample at large, with little noise."""
    frames = [scan(simulated.scope, WIDE)["haadf"] for _ in range(4)]
    return frames[0].copy(data=np.mean([frame.to_numpy() for frame in frames], axis=0))


def test_frame_is_structured_like_that_of_any_instrument(scope: Guard) -> None:
    frame = check_set(scan(scope, SLOW, dwell_time=1e-6))
    assert list(frame.data_vars) == ["haadf", "maadf"]
    assert set(frame.coords) == {"x", "y", "measured_x", "measured_y", "time"}
    assert set(metadata(frame)) == {"instrument", "request", "state", "time"}
    for channel in frame.data_vars.values():
        assert channel.dims == ("y", "x")
        assert np.isfinite(channel).all()
        assert set(metadata(channel)) == {
            "origin", "rotation", "direction", "positions", "details"
        }  # fmt: skip
    assert not np.array_equal(frame["haadf"], frame["maadf"])


def test_lines_arrive_before_the_scan_is_over(scope: Guard) -> None:
    acquisition = scope.capability(Scanner).start(SLOW)
    blocks = iter(acquisition)
    first = next(blocks)
    assert 0 < first.sizes["y"] < 64
    assert 0 < acquisition.progress < 1
    rest = list(blocks)
    assert first.sizes["y"] + sum(block.sizes["y"] for block in rest) == 64
    assert acquisition.progress == 1.0


@pytest.mark.parametrize("elsewhere", [False, True])
def test_stopped_scan_keeps_what_was_measured_and_nothing_else(
    scope: Guard, elsewhere: bool
) -> None:
    acquisition = scope.capability(Scanner).start(SLOW)
    next(iter(acquisition))
    if elsewhere:
        stopping = threading.Timer(0.15, scope.capability(Scanner).stop)
        stopping.start()
        kept = acquisition.result()
        stopping.join()
    else:
        acquisition.abort()
        kept = acquisition.result()
    rows = np.isfinite(kept["haadf"]).all("x").to_numpy()
    assert 0 < rows.sum() < 64
    assert np.isnan(kept["haadf"].to_numpy()[~rows]).all()
    assert kept["haadf"].to_numpy()[rows].std() > 0
    assert acquisition.progress < 1
    assert np.isfinite(scan(scope, SLOW, dwell_time=1e-6)["haadf"]).all()


@pytest.mark.parametrize(
    "changes",
    [
        {"centre": (6e-8, -4e-8)},
        {"rotation": 0.4},
        {"centre": (6e-8, -4e-8), "rotation": -0.5},
        {"shape": (51, 101), "field_of_view": (2e-7, 1e-7), "rotation": 0.5},
        {"shape": (101, 51), "field_of_view": (1e-7, 2e-7)},
        {"shape": (1, 101), "field_of_view": (2e-7, 0.0)},
    ],
)
def test_frame_shows_the_places_it_says_it_shows(
    scope: Guard, wide: Signal, changes: dict[str, Any]
) -> None:
    plain = {"field_of_view": (2e-7, 2e-7), "shape": (101, 101)}
    request = WIDE.model_copy(update=plain | changes)
    assert alike(wide, scan(scope, request)["haadf"], places(request)) > 0.6


@pytest.mark.parametrize(("kind", "names", "sign"), [
    (Stage, ("x", "y"), -1), (Beam, ("shift_x", "shift_y"), 1),
])  # fmt: skip
def test_stage_and_beam_shift_move_what_is_seen(
    scope: Guard, wide: Signal, kind: type[Any], names: tuple[str, str], sign: int
) -> None:
    part: Any = scope.capability(kind)
    move = np.array([4e-8, 2e-8])
    request = WIDE.model_copy(update={"field_of_view": (2e-7, 2e-7), "shape": (101, 101)})
    try:
        part.set(**dict(zip(names, move.tolist(), strict=True)))
        frame = scan(scope, request)["haadf"]
    finally:
        part.set(**dict.fromkeys(names, 0.0))
    assert alike(wide, frame, places(request) + sign * move) > 0.6
    assert alike(wide, frame, places(request)) < 0.5


def test_several_frames_are_one_after_the_other(scope: Guard) -> None:
    frames = scan(scope, SLOW, dwell_time=1e-5, frames=2)
    assert frames["haadf"].dims == ("frame", "y", "x")
    assert np.isfinite(frames["haadf"]).all()
    assert float(frames["time"][1].min()) > float(frames["time"][0].max())


def ronchigram(scope: Guard) -> Any:
    request = CameraRequest(exposure=0.01, binning=8)
    return scope.capability(Camera).start(request).result()["ronchigram"]


def test_ronchigram_has_angles_and_counts(scope: Guard) -> None:
    pattern = ronchigram(scope)
    assert pattern.dims == ("frame", "ky", "kx")
    assert pattern.shape == (1, 256, 256)
    assert (pattern.attrs["units"], pattern["kx"].attrs["units"]) == ("counts", "rad")
    np.testing.assert_allclose(pattern["kx"], -pattern["kx"][::-1], atol=1e-9)
    assert np.isfinite(pattern).all()


def test_defocus_changes_the_ronchigram(scope: Guard) -> None:
    focus = scope.capability(Focus)
    before, first, again = focus.get("defocus"), ronchigram(scope), ronchigram(scope)
    try:
        (setting,) = focus.set(defocus=2e-6)
        other = ronchigram(scope)
    finally:
        focus.set(defocus=before)
    assert setting.read_back == pytest.approx(2e-6)
    assert abs(first - other).mean() > 5 * abs(first - again).mean()


def test_aberrations_read_back_as_they_were_set(scope: Guard) -> None:
    corrector = scope.capability(Corrector)
    names = [parameter.name for parameter in corrector.parameters()]
    values = {name: (index - 5) * 1e-8 for index, name in enumerate(names)}
    try:
        corrector.set(**values)
        state = scope.state().values
        for name, value in values.items():
            assert corrector.get(name) == pytest.approx(value, abs=1e-15)
            assert state[f"Corrector.{name}"] == pytest.approx(value, abs=1e-15)
    finally:
        corrector.set(**dict.fromkeys(names, 0.0))


def test_stopped_exposure_returns_at_once_and_the_next_one_is_whole(scope: Guard) -> None:
    camera = scope.capability(Camera)
    acquisition = camera.start(CameraRequest(exposure=0.8, binning=8))
    stopping = threading.Timer(0.2, acquisition.abort)
    stopping.start()
    assert np.isnan(acquisition.result()["ronchigram"]).all()
    stopping.join()
    assert np.isfinite(ronchigram(scope)).all()


def test_silent_commander_stops_the_scan_and_blanks_the_beam(simulated: Simulated) -> None:
    scope = simulated.scope
    with scope.lease("somebody who falls asleep", silence=0.3) as lease:
        kept = lease.capability(Scanner).start(SLOW).result()["haadf"]
        patience = 100
        while not any(row.verdict == "secured" for row in simulated.audit) and patience:
            time.sleep(0.05)
            patience -= 1
    assert 0 < int(np.isfinite(kept).sum()) < kept.size
    assert scope.state().values["Beam.blanked"] == 1.0
    scope.capability(Beam).set(blanked=0)


def test_blanked_beam_leaves_the_camera_dark(scope: Guard) -> None:
    beam, bright = scope.capability(Beam), float(ronchigram(scope).mean())
    try:
        beam.set(blanked=1)
        dark = float(ronchigram(scope).mean())
    finally:
        beam.set(blanked=0)
    assert abs(dark) < 0.01 * bright


def spectra(scope: Guard, **settings: Any) -> Any:
    request = SpectrumRequest(kind="energy", parameters={"exposure": 0.005}, **settings)
    return scope.capability(PointSpectroscopy).start(request).result()["eels"]


def test_zero_loss_peak_is_at_zero_energy(scope: Guard) -> None:
    spectrum = spectra(scope, position=(6e-7, 6e-7))
    assert spectrum.dims == ("energy",)
    assert spectrum["energy"].attrs["units"] == "eV"
    peak = float(spectrum["energy"][int(np.argmax(spectrum.to_numpy()))])
    assert abs(peak) <= 1.0
    mode = scope.describe().spectra[0]
    assert (mode.low, mode.high) == (spectrum["energy"][0], spectrum["energy"][-1])


def test_spectrum_image_shows_the_sample_where_the_scan_does(scope: Guard, wide: Signal) -> None:
    request = SpectrumRequest(
        kind="energy", position=(4e-8, -3e-8), field_of_view=(3e-7, 2e-7), shape=(7, 9),
        rotation=0.3, parameters={"exposure": 0.001},
    )  # fmt: skip
    acquisition = scope.capability(PointSpectroscopy).start(request)
    assert sum(1 for _ in acquisition) == 63
    image = acquisition.result()["eels"]
    elastic = image.sel(energy=slice(-2, 2)).sum("energy") / image.sum("energy")
    assert alike(wide, -np.log(elastic), places(request.grid)) > 0.7
    rests = scope.capability(Positioner)
    last = places(request.grid)[-1]
    assert (rests.get("x"), rests.get("y")) == pytest.approx(tuple(last), abs=1e-12)


def test_what_the_microscope_does_not_know_comes_back_in_its_words(simulated: Simulated) -> None:
    with pytest.raises(DeviceError, match="NoSuchControl"):
        simulated.links[-1].call("write", values={"NoSuchControl": 1.0})


def test_two_measurements_at_once_are_refused_in_words(scope: Guard, simulated: Simulated) -> None:
    running = simulated.instrument.capability(Scanner).start(SLOW)
    next(iter(running))
    with pytest.raises(DeviceError, match="in progress"):
        simulated.instrument.capability(Camera).start(CameraRequest()).result()
    assert np.isfinite(running.result()["haadf"]).all()


def test_answers_find_who_asked_whatever_the_thread(simulated: Simulated) -> None:
    link, wrong = simulated.links[-1], []

    def ask(name: str, expected: float) -> None:
        wrong.extend(
            found
            for found in (link.call("read", names=[name]) for _ in range(50))
            if found != {name: expected}
        )

    asking = [
        threading.Thread(target=ask, args=pair) for pair in (("EHT", 1e5), ("BeamCurrent", 2e-10))
    ]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert wrong == []


def test_killed_worker_loses_the_link_keeps_the_lines_and_can_be_had_again() -> None:
    simulated = Simulated()
    try:
        acquisition = simulated.scope.capability(Scanner).start(SLOW)
        next(iter(acquisition))
        simulated.kill()
        with pytest.raises(LinkLost, match=r"is gone\. Reconnect"):
            acquisition.result()
        kept = acquisition.result()["haadf"]
        assert 0 < int(np.isfinite(kept).sum()) < kept.size
        with pytest.raises(LinkLost, match="Reconnect"):
            simulated.scope.state()
        assert simulated.instrument.reconnect().values["Beam.voltage"] == 1e5
        assert np.isfinite(scan(simulated.scope, SLOW, dwell_time=1e-6)["haadf"]).all()
    finally:
        simulated.instrument.close()
        simulated.instrument.close()
    assert not any(_alive(link.pid) for link in simulated.links)


def test_worker_that_cannot_start_says_why() -> None:
    with pytest.raises(DeviceError, match="ValueError"):
        WorkerLink("steel")


def test_worker_dies_with_whoever_started_it() -> None:
    code = (
        "import os, signal\n"
        "from nanopilot.instruments.nion import WorkerLink\n"
        "print(WorkerLink('flake').pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    pid, patience = int(found.stdout), 100
    while _alive(pid) and patience:
        time.sleep(0.1)
        patience -= 1
    assert patience


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
