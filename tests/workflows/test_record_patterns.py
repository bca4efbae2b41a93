"""Grids of patterns go to disk part by part, and a kill loses nothing that was acknowledged."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from nanopilot.analysis.pattern_masks import Ring
from nanopilot.analysis.virtual_detectors import virtual_images
from nanopilot.app.cli.main import app, main
from nanopilot.core.errors import (
    BudgetExceeded,
    InvalidRequest,
    OutOfRange,
    Stopped,
    StoreError,
    Tampered,
    Unsupported,
)
from nanopilot.core.geometry import places
from nanopilot.core.limits import Area, Budget, Limits
from nanopilot.core.requests import CameraRequest
from nanopilot.instruments import Guard
from nanopilot.io.pattern_store import PatternStore
from nanopilot.workflows import connect
from nanopilot.workflows import record_patterns as recording
from nanopilot.workflows.record_patterns import open_patterns, record_patterns
from tests.workflows.patterned import ZERO, Patterned, grid

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def three_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "PART_BYTES", 3 * 16 * 16 * 4)


def everything(path: Path) -> Any:
    return open_patterns(path).values[slice(None), slice(None)]


def check_places(found: Any, request: CameraRequest) -> None:
    """Every pattern was taken where the whole request wants it, to half a picometre."""
    assert request.grid is not None
    spots = places(request.grid).reshape(*request.shape, 2) * 1e12 + ZERO
    np.testing.assert_allclose(found[:, :, 0, :2], spots, atol=0.51)


def test_recording_holds_every_pattern_and_what_is_known_of_it(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    scope, out = Guard(Patterned()), tmp_path / "deep" / "scan.zarr"
    path = record_patterns(
        scope, grid(), out, progress=lambda done, total, text: seen.append((done, total))
    )
    assert path == out
    assert seen[:3] == [(3, 35), (6, 35), (7, 35)]
    assert seen[-1] == (35, 35)
    assert len(seen) == 15
    found = everything(path)
    assert found.dtype == np.uint16
    check_places(found, grid())
    assert (found[..., 1:, :] == np.arange(16, 256).reshape(15, 16)).all()
    with xr.open_zarr(path, consolidated=False) as told:
        assert told["pattern"].dims == ("y", "x", "ky", "kx")
        assert told["pattern"].attrs == {"units": "counts", "quantity": "intensity"}
        np.testing.assert_array_equal(told["pattern"], found)
        assert (np.diff(told["time"].to_numpy().ravel()) > 0).all()
        np.testing.assert_allclose(told["x"], 1e-9 + 1e-10 * np.arange(-3, 4), atol=1e-20)
        assert told["kx"].attrs == {"units": "rad", "quantity": "scattering angle"}
        assert CameraRequest.model_validate_json(told.attrs["request"]) == grid()
        assert "Beam.convergence_angle" in json.loads(told.attrs["state"])["values"]


@settings(deadline=None, max_examples=40)
@given(
    st.tuples(st.integers(1, 4), st.integers(1, 9)), st.floats(-4, 4), st.integers(1, 5),
    st.tuples(st.floats(0, 5e-9), st.floats(0, 5e-9)),
)  # fmt: skip
def test_parts_together_are_the_places_of_the_whole(
    shape: tuple[int, int], rotation: float, columns: int, field: tuple[float, float]
) -> None:
    whole = grid(shape=shape, rotation=rotation, field_of_view=field)
    assert whole.grid is not None
    parts = [part for _, part in recording._parts(whole, whole.grid, columns)]
    found = np.concatenate([places(part.grid) for part in parts if part.grid])
    np.testing.assert_allclose(found, places(whole.grid), atol=1e-22)
    assert [CameraRequest.model_validate(part.model_dump()) for part in parts] == parts


def test_one_column_and_turned_grids_are_recorded(tmp_path: Path) -> None:
    for name, request in {
        "column": grid(shape=(4, 1), field_of_view=(0.0, 3e-10)),
        "point": grid(shape=(1, 1), field_of_view=(0.0, 0.0)),
        "turned": grid(rotation=0.7),
    }.items():
        path = record_patterns(Guard(Patterned()), request, tmp_path / name)
        check_places(everything(path), request)


@pytest.mark.parametrize("kill_at", [3, 17])
def test_killed_recording_goes_on_and_loses_nothing_acknowledged(
    tmp_path: Path, kill_at: int
) -> None:
    out = tmp_path / "scan.zarr"
    command = [sys.executable, "-m", "tests.workflows.patterned", str(out), str(kill_at)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    acknowledged = int(done.stdout.split()[-1])
    before = open_patterns(out)
    assert before.there is not None
    assert int(before.there.sum()) == acknowledged
    kept = before.values[slice(None), slice(None)].copy()
    half = virtual_images(before, {"sum": Ring()})["sum"].to_numpy()
    np.testing.assert_array_equal(np.isnan(half), ~before.there)
    (out / "pattern" / "c.4.2.0.0.tmp").write_bytes(b"half of a ch")
    (out / "time" / "c.4.2.tmp").write_bytes(b"half")
    twin = Patterned()
    record_patterns(Guard(twin), grid(), out)
    assert twin.camera.taken == 35 - acknowledged
    found = everything(out)
    check_places(found, grid())
    np.testing.assert_array_equal(found[before.there], kept[before.there])
    record_patterns(Guard(twin), grid(), out)
    assert twin.camera.taken == 35 - acknowledged, "what is complete is not measured again"


def test_stopped_recording_says_so_and_goes_on(tmp_path: Path) -> None:
    twin, out = Patterned(), tmp_path / "scan.zarr"
    twin.camera.stop_at = 8
    with pytest.raises(Stopped, match="goes on with it"):
        record_patterns(Guard(twin), grid(), out)
    there = open_patterns(out).there
    assert there is not None
    assert int(there.sum()) == 7, "a part that was cut short is not kept"
    twin.camera.stop_at = np.inf
    check_places(everything(record_patterns(Guard(twin), grid(), out)), grid())


def test_numbers_that_no_longer_fit_make_all_of_it_float32(tmp_path: Path) -> None:
    twin = Patterned()
    twin.camera.fractions_from = 10
    path = record_patterns(Guard(twin), grid(), tmp_path / "scan.zarr")
    found = everything(path)
    assert found.dtype == np.float32
    flat = found[:, :, 5, 5].ravel()
    np.testing.assert_array_equal(flat, 85 + np.where(np.arange(35) < 10, 0.0, 0.5))
    assert sorted(one.name for one in path.iterdir() if one.name.startswith(".")) == []
    with xr.open_zarr(path, consolidated=False) as told:
        np.testing.assert_array_equal(told["pattern"], found)


def test_kill_while_all_becomes_float32_leaves_what_was_kept(tmp_path: Path) -> None:
    path = record_patterns(Guard(Patterned()), grid(), tmp_path / "scan.zarr")
    before = everything(path)
    shutil.copytree(path / "pattern", path / ".pattern.partial")
    (path / "pattern").rename(path / ".pattern.old")
    PatternStore.open(path, write=True).close()
    np.testing.assert_array_equal(everything(path), before)
    assert not (path / ".pattern.partial").exists()


def test_missing_and_damaged_chunks_are_found(tmp_path: Path) -> None:
    path = record_patterns(Guard(Patterned()), grid(), tmp_path / "scan.zarr")
    chunk = path / "pattern" / "c.1.1.0.0"
    data = chunk.read_bytes()
    chunk.write_bytes(data[:-9] + b"?" + data[-8:])
    with pytest.raises(Tampered, match=r"c\.1\.1\.0\.0"):
        virtual_images(open_patterns(path), {"sum": Ring()})
    chunk.unlink()
    with pytest.raises(Tampered, match="missing"):
        everything(path)
    meta = json.loads((path / "zarr.json").read_text())
    del meta["attributes"]["nanopilot_patterns"]["columns"]
    (path / "zarr.json").write_text(json.dumps(meta))
    with pytest.raises(Tampered, match="does not describe"):
        open_patterns(path)


def test_nothing_is_begun_that_may_not_come_to_its_end(tmp_path: Path) -> None:
    out, area = tmp_path / "scan.zarr", Area(x=(0.0, 2e-9), y=(-3e-9, -1.8e-9))
    twin = Patterned()
    for options, error in (
        ({"budget": Budget(seconds=34.5e-3)}, BudgetExceeded),
        ({"limits": Limits(area=area.model_copy(update={"y": (-3e-9, -1.85e-9)}))}, OutOfRange),
    ):
        with pytest.raises(error):
            record_patterns(Guard(twin, **options), grid(), out)
    assert twin.camera.taken == 0
    assert not out.exists()
    enough = Guard(twin, budget=Budget(seconds=35.5e-3), limits=Limits(area=area))
    record_patterns(enough, grid(), out)
    assert enough.spent.seconds == pytest.approx(35e-3)


def test_what_cannot_be_recorded_is_refused_in_words(tmp_path: Path) -> None:
    out = tmp_path / "scan.zarr"
    with pytest.raises(Unsupported, match="`camera_grids`"):
        record_patterns(connect("plain"), grid(), out)
    with pytest.raises(InvalidRequest, match="`position`"):
        record_patterns(Guard(Patterned()), CameraRequest(), out)
    with pytest.raises(StoreError, match="no recorded patterns"):
        open_patterns(out)
    record_patterns(Guard(Patterned()), grid(), out)
    with pytest.raises(StoreError, match="another recording"):
        record_patterns(Guard(Patterned()), grid(exposure=2e-3), out)
    with pytest.raises(StoreError, match="channels"):
        open_patterns(out, "nothing")
    with PatternStore.open(out, write=True), pytest.raises(StoreError, match="being written"):
        record_patterns(Guard(Patterned()), grid(), out)
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    with pytest.raises(StoreError, match="no recorded patterns"):
        record_patterns(Guard(Patterned()), grid(), foreign)


def test_memory_stays_far_below_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "PART_BYTES", 1 << 20)
    twin = Patterned()
    twin.camera.pixels = 128
    request = grid(shape=(40, 32))
    size = 40 * 32 * 128 * 128 * 4
    record_patterns(Guard(Patterned()), grid(), tmp_path / "first")
    tracemalloc.start()
    path = record_patterns(Guard(twin), request, tmp_path / "scan.zarr", durability="process")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert open_patterns(path).values.shape == (40, 32, 128, 128)
    assert most < 12e6 < size / 6


def test_command_records_shows_and_complains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    small = {"camera": {"pixels": 16, "angle_per_pixel": 6e-3, "physics": "elastic"}}
    record = [
        "patterns", "record", "--sample", "graphene", "--shape", "2x3", "--field", "4 Å,2 Å",
        "--option", f"settings={json.dumps(small)}", "--out", "scan.zarr", "--json",
    ]  # fmt: skip
    told = json.loads(CliRunner().invoke(app, record, catch_exceptions=False).stdout)
    assert told["shape"] == [2, 3, 16, 16]
    assert told["electrons"] > 0
    again = json.loads(CliRunner().invoke(app, record, catch_exceptions=False).stdout)
    assert again["electrons"] == 0
    show = ["patterns", "show", "scan.zarr", "--convergence", "15 mrad", "--out", "seen.png"]
    shown = CliRunner().invoke(app, [*show, "--json"], catch_exceptions=False)
    images = json.loads(shown.stdout)["images"]
    assert set(images) == {"sum", "bf", "abf", "adf", "haadf", "com_x", "com_y"}
    assert images["bf"]["mean"] + images["adf"]["mean"] == pytest.approx(images["sum"]["mean"])
    assert Path("seen.png").stat().st_size > 1000
    for wrong in (["--shape", "2b3"], ["--field", "4 V"], ["--shape", "2x4"]):
        with pytest.raises(SystemExit) as left:
            main([*record, *wrong])
        assert left.value.code == 2
        assert capsys.readouterr().err.startswith("error: `")
