"""Clients that know nothing of the electron twin drive it: temscript, and ours over HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nanopilot as npl
from nanopilot.app.facades.temscript import TemscriptFacade
from nanopilot.app.facades.temscript.settings import DISPLAY_WIDTH
from nanopilot.core.adjustables import Focus, Stage
from nanopilot.core.capabilities import Camera, PointSpectroscopy, Scanner
from nanopilot.core.requests import CameraRequest, ScanRequest, SpectrumRequest
from nanopilot.instruments import Guard
from nanopilot.workflows.twins import stem

temscript = pytest.importorskip("temscript")

SMALL: dict[str, Any] = {
    "camera": {"pixels": 32, "angle_per_pixel": 4e-3, "phonons": 1}, "scan_range": 8e-9
}  # fmt: skip
FRAME = ScanRequest(centre=(0, 0), field_of_view=(3e-9, 2e-9), shape=(24, 32), dwell_time=1e-5)


@pytest.fixture
def scope() -> Guard:
    return Guard(stem("dichalcogenide", seed=1, size=8e-9, settings=SMALL))


def test_temscript_drives_the_electron_twin_unchanged(scope: Guard) -> None:
    with TemscriptFacade(scope, port=0) as facade:
        remote = temscript.RemoteMicroscope(("127.0.0.1", facade.port))
        assert set(remote.get_stem_detectors()) == {"haadf", "maadf", "abf", "bf"}
        assert set(remote.get_cameras()) == {"pattern", "ronchigram"}
        remote.set_stem_magnification(DISPLAY_WIDTH / 3e-9)
        remote.set_stem_acquisition_param({"binning": 8, "dwell_time(s)": 1e-5})
        sharp = remote.acquire("haadf")["haadf"]
        remote.set_probe_defocus(-40e-9)
        blurred = remote.acquire("haadf")["haadf"]
        assert sharp.shape == (64, 64)
        assert blurred.std() < 0.6 * sharp.std()
        remote.set_stage_position({"x": 1e-9, "y": 0.0})
        assert scope.capability(Stage).get("x") == pytest.approx(1e-9, abs=1e-13)
        pattern = remote.acquire("pattern")["pattern"]
        assert pattern.shape == (32, 32)
        assert pattern.sum() > 1000


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Guard]:
    settings = tmp_path / "small.json"
    settings.write_text(json.dumps(SMALL), encoding="utf-8")
    options = ("sample=dichalcogenide", "seed=1", "size=8 nm", f"settings={settings}")
    told = [part for option in options for part in ("--option", option)]
    command = ("serve", "stem", *told, "--port", "0", "--json", "--runs", str(tmp_path))
    with subprocess.Popen(
        [sys.executable, "-m", "nanopilot", *command], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        said = json.loads(server.stdout.readline())
        scope = npl.connect(said["url"], token=said["token"], silence=30.0)
        yield scope
        scope.close()
        server.terminate()


def test_the_client_over_http_gets_what_the_twin_gives(served: Guard, scope: Guard) -> None:
    assert served.describe().camera_grids
    asked: tuple[tuple[Any, Any], ...] = (
        (Scanner, FRAME),
        (PointSpectroscopy, SpectrumRequest(position=(0, 0), kind="xray")),
        (Camera, CameraRequest(channels=("pattern",), position=(0, 0), shape=(2, 3),
                               field_of_view=(2e-10, 1e-10))),
    )  # fmt: skip
    taken = []
    # First the one, then the other: a commander who computes himself is not heard meanwhile.
    for one in (served, scope):
        one.capability(Focus).set(defocus=2e-9)
        taken.append([one.capability(k).start(request).result() for k, request in asked])
    for over, here in zip(*taken, strict=True):
        for name, channel in here.data_vars.items():
            assert over[name].dims == channel.dims
            np.testing.assert_array_equal(over[name], channel)
