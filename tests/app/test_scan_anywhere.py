"""One script, unchanged, on five instruments: it gets the same dims, units and metadata keys."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

import nanopilot as npl
from nanopilot.app.facades.nanonis import NanonisFacade

SCRIPT = Path(__file__).parents[2] / "docs" / "scripts" / "scan_anywhere.py"
SAME = {
    "dims": ["y", "x"],
    "units": {"measured_x": "m", "measured_y": "m", "time": "s", "x": "m", "y": "m"},
    "keys": ["instrument", "request", "state", "time"],
    "channel_keys": ["details", "direction", "origin", "positions", "rotation"],
}
Words = tuple[str, ...]


@contextmanager
def recorded() -> Iterator[tuple[Words, dict[str, str]]]:
    yield ("replay", "sample=beps-pto"), {}


@contextmanager
def simulated_by_nion() -> Iterator[tuple[Words, dict[str, str]]]:
    pytest.importorskip("nionswift_plugin.usim")
    yield ("nion",), {}


@contextmanager
def served_over_http() -> Iterator[tuple[Words, dict[str, str]]]:
    command = ("serve", "replay", "--sample", "beps-pto", "--port", "0", "--json", "--runs")
    with (
        TemporaryDirectory() as runs,
        subprocess.Popen(
            [sys.executable, "-m", "nanopilot", *command, runs], stdout=subprocess.PIPE, text=True
        ) as server,
    ):
        assert server.stdout is not None
        told = json.loads(server.stdout.readline())
        yield (told["url"],), {"NANOPILOT_TOKEN": told["token"]}
        server.terminate()


@contextmanager
def our_nanonis_driver_through_our_facade() -> Iterator[tuple[Words, dict[str, str]]]:
    with NanonisFacade(npl.connect("replay", sample="beps-pto"), port=0) as facade:
        yield ("nanonis", f"port={facade.port}"), {}


@contextmanager
def temscript_server_with_its_null_microscope() -> Iterator[tuple[Words, dict[str, str]]]:
    server = pytest.importorskip("temscript.server")
    simulated = pytest.importorskip("temscript.null_microscope").NullMicroscope
    listening = server.MicroscopeServer(("127.0.0.1", 0), simulated)
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    yield ("temscript", f"port={listening.server_address[1]}"), {}
    listening.shutdown()
    listening.server_close()
    thread.join()


@pytest.mark.parametrize(
    "back_end",
    [
        recorded,
        simulated_by_nion,
        served_over_http,
        our_nanonis_driver_through_our_facade,
        temscript_server_with_its_null_microscope,
    ],
)
def test_same_script_gets_the_same_form_of_frame(back_end: object, tmp_path: Path) -> None:
    picture = tmp_path / "frame.png"
    with back_end() as (words, environment):  # type: ignore[operator]
        done = subprocess.run(
            [sys.executable, SCRIPT, *words, "--png", picture],
            env=os.environ | environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == SAME
    assert picture.stat().st_size > 5000
