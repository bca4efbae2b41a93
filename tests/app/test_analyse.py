"""`nanopilot analyse`: files in, pictures, tables and a page out, and nothing stops it."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nanopilot.app.batch.overlay import draw_overlay
from nanopilot.app.cli import main
from nanopilot.io.readers import read

#: An analyser as a plugin brings it: pixels above a threshold, and ways to go wrong.
PLUGIN = """
import os
import time
from dataclasses import dataclass

import numpy as np
import xarray as xr

from nanopilot.core.errors import SignalError
from nanopilot.workflows.analyse import Findings, Mark


@dataclass(frozen=True)
class Bright:
    least: float = 0.5

    def __call__(self, frame):
        values = frame.to_numpy()
        top = float(values.max())
        if top == 65:
            time.sleep(600)
        if top == 66:
            os._exit(9)
        if top == 67:
            raise SignalError("`frame` is saturated; lower the gain.")
        if top == 68:
            raise ZeroDivisionError("division by zero")
        rows, columns = np.nonzero(values > self.least)
        x, y = frame["x"].to_numpy()[columns], frame["y"].to_numpy()[rows]
        about = {"units": "m", "quantity": "position"}
        table = xr.Dataset({"x": ("point", x, about), "y": ("point", y, about)})
        marks = tuple(Mark("bright", np.array([place]), "dot") for place in zip(x, y))
        doubts = () if len(x) else ("nothing is bright.",)
        far = float(x.max()) if len(x) else 0.0
        summary = {"count": len(x), "farthest (nm)": 1e9 * far, "the same (um)": 1e6 * far}
        return Findings(table, marks, summary, doubts)
"""


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("plugin")
    (home / "brightness.py").write_text(PLUGIN)
    about = home / "brightness-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: brightness\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[nanopilot.analysers]\nbright = brightness:Bright\n")
    return home


def frame(folder: Path, name: str, *places: tuple[int, int], top: float = 1.0) -> Path:
    values = np.zeros((20, 30))
    for row, column in places:
        values[row, column] = top
    np.save(folder / name, values)
    return folder / name


def run(plugin: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nanopilot", "analyse", *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=300,
        env=os.environ | {"PYTHONPATH": str(plugin)},
    )  # fmt: skip


def told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def batch(plugin: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A folder with good files and every kind of bad one, analysed by two workers."""
    home = tmp_path_factory.mktemp("batch")
    frames, out = home / "frames", home / "out"
    (frames / "more").mkdir(parents=True)
    frame(frames, "good.npy", (3, 4), (10, 20))
    frame(frames / "more", "good.npy", (5, 6))
    frame(frames, "nothing.npy")
    frame(frames, "deadly.npy", (1, 1), top=66)
    frame(frames, "saturated.npy", (1, 1), top=67)
    frame(frames, "faulty.npy", (1, 1), top=68)
    np.save(frames / "stack.npy", np.stack([np.eye(16), np.zeros((16, 16))]))
    (frames / "broken.tif").write_bytes(b"II*\\0 and then nothing")
    (frames / "letter.docx").write_bytes(b"not a frame at all, and nobody said it was")
    (home / "report.docx").write_bytes(b"not a frame at all")
    (frames / ".hidden").write_bytes(b"not looked at")
    done = run(
        plugin, "bright", frames, frames / "absent.npy", home / "report.docx", "--out", out,
        "--jobs", 2, "--pixel-size", "2 nm", "--json",
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "no reader knows them" in done.stderr
    assert "letter.docx" in done.stderr
    return told(done), out


def by_name(found: Any) -> dict[str, Any]:
    return {one["name"]: one for one in found["frames"]}


def test_no_file_stops_the_batch_and_each_says_why(batch: tuple[Any, Path]) -> None:
    found, _ = batch
    status = {name: one["status"] for name, one in by_name(found).items()}
    assert status == {
        "good-npy": "ok", "good-npy-2": "ok", "nothing": "unsure", "deadly": "failed",
        "saturated": "failed", "faulty": "failed", "stack-0000": "ok", "stack-0001": "unsure",
        "broken": "failed", "report": "failed", "absent": "failed",
    }  # fmt: skip
    assert found["counts"] == {"ok": 3, "unsure": 2, "failed": 6}
    why = {name: " ".join(one["why"]) for name, one in by_name(found).items()}
    assert why["nothing"] == "nothing is bright."
    assert why["saturated"] == "`frame` is saturated; lower the gain."
    assert "process" in why["deadly"]
    assert "died" in why["deadly"]
    assert why["faulty"].startswith("ZeroDivisionError: division by zero")
    assert "report.docx" in why["report"]
    assert "absent.npy" in why["absent"]


def test_a_fault_of_the_program_leaves_its_trace(batch: tuple[Any, Path]) -> None:
    _, out = batch
    assert "ZeroDivisionError" in (out / "faulty.traceback.txt").read_text()
    assert not (out / "saturated.traceback.txt").exists()


def test_the_table_is_calibrated(batch: tuple[Any, Path]) -> None:
    _, out = batch
    with (out / "good-npy.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(float(row["x (nm)"]), float(row["y (nm)"])) for row in rows] == [(8, 6), (40, 20)]


def test_marks_are_drawn_where_they_were_found(batch: tuple[Any, Path]) -> None:
    _, out = batch
    image = np.asarray(Image.open(out / "good-npy.png").convert("RGB")).astype(int)
    legend = 34
    high, wide = image.shape[0] - legend, image.shape[1]
    assert wide / high == pytest.approx(30 / 20, rel=0.01)
    orange = (abs(image - np.array([0xE6, 0x9F, 0x00])).sum(axis=2) < 60)[:high]
    assert orange.any()
    left, right = orange[:, : wide // 2], orange[:, wide // 2 :]
    for half, offset, (row, column) in ((left, 0, (3, 4)), (right, wide // 2, (10, 20))):
        rows, columns = np.nonzero(half)
        assert 1 - rows.mean() / high == pytest.approx((row + 0.5) / 20, abs=0.01)
        assert (columns.mean() + offset) / wide == pytest.approx((column + 0.5) / 30, abs=0.01)


def test_the_page_shows_every_frame_and_what_needs_a_person(batch: tuple[Any, Path]) -> None:
    found, out = batch
    page = (out / "index.html").read_text()
    for one in found["frames"]:
        assert one["name"] in page
    assert page.count("<img") == 5
    assert "What a person should look at" in page
    assert "&lt;" not in (out / "summary.csv").read_text()
    assert json.loads((out / "summary.json").read_text())["counts"] == found["counts"]
    with (out / "summary.csv").open() as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert float(rows["good-npy"]["farthest (nm)"]) == 40
    assert rows["deadly"]["status"] == "failed"


def test_a_second_call_does_only_what_is_left(plugin: Path, tmp_path: Path) -> None:
    first = frame(tmp_path, "first.npy", (3, 4))
    second = frame(tmp_path, "second.npy", (3, 4))
    call = (plugin, "bright", first, second, "--out", tmp_path / "out", "--pixel-size", "1 nm")
    assert run(*call).returncode == 0
    old = {one: (tmp_path / "out" / one).stat().st_mtime_ns for one in ("first.csv", "second.csv")}
    frame(tmp_path, "second.npy", (3, 4), (5, 6))
    (tmp_path / "out" / "index.html").unlink()
    again = told(run(*call, "--json"))
    assert [one["summary"]["count"] for one in again["frames"]] == [1, 2]
    assert (tmp_path / "out" / "first.csv").stat().st_mtime_ns == old["first.csv"]
    assert (tmp_path / "out" / "second.csv").stat().st_mtime_ns != old["second.csv"]
    assert (tmp_path / "out" / "index.html").exists()
    # Another question is another answer.
    strict = told(run(*call, "--set", "least=2", "--json", "--jobs", 1))
    assert [one["summary"]["count"] for one in strict["frames"]] == [0, 0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_batch_that_is_stopped_keeps_what_is_done_and_leaves_no_process(
    plugin: Path, tmp_path: Path, number: signal.Signals
) -> None:
    files = [frame(tmp_path, "a.npy", (3, 4)), frame(tmp_path, "b.npy", (3, 4), top=65)]
    out = tmp_path / "out"
    command = [sys.executable, "-m", "nanopilot", "analyse", "bright", *map(str, files)]
    batch = subprocess.Popen(
        [*command, "--out", str(out), "--pixel-size", "1 nm", "--jobs", "1"],
        env=os.environ | {"PYTHONPATH": str(plugin)}, stderr=subprocess.PIPE, text=True,
        # A shell that runs the tests in its background lets its children ignore the interrupt.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - at once
    )  # fmt: skip
    workers = set()
    end = time.monotonic() + 120
    while not (out / "a.json").exists() and time.monotonic() < end:
        time.sleep(0.1)
        workers |= children_of(batch.pid)
    batch.send_signal(number)
    _, said = batch.communicate(timeout=120)
    while any(alive(one) for one in workers) and time.monotonic() < end:
        time.sleep(0.1)
    assert workers
    assert not any(alive(one) for one in workers)
    assert (out / "a.csv").exists()
    if number == signal.SIGINT:
        assert batch.returncode == 130
        assert "the same command goes on" in said
        assert json.loads((out / "summary.json").read_text())["counts"]["ok"] == 1


def children_of(process: int) -> set[int]:
    """Return the workers of a process, by what Linux says of it."""
    found = Path(f"/proc/{process}/task/{process}/children")
    return {int(one) for one in found.read_text().split()} if found.exists() else set()


def alive(process: int) -> bool:
    state = Path(f"/proc/{process}/stat")
    try:
        return state.read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_without_a_pixel_size_a_file_fails_and_says_the_way_out(
    plugin: Path, tmp_path: Path
) -> None:
    file = frame(tmp_path, "plain.npy", (3, 4))
    lost = told(run(plugin, "bright", file, "--out", tmp_path / "lost", "--json"))
    assert "--pixel-size" in lost["frames"][0]["why"][0]
    done = run(plugin, "bright", file, "--out", tmp_path / "px", "--pixel-size", "px", "--json")
    assert told(done)["frames"][0]["summary"] == {
        "count": 1, "farthest (px)": 4.0, "the same (px)": pytest.approx(4.0),
    }  # fmt: skip
    assert (tmp_path / "px" / "plain.csv").read_text().split("\n")[0] == "x (px),y (px)"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nonsense", "{file}"), "analyser"),
        (("atoms", "{file}", "--set", "colour=red"), "its settings are"),
        (("atoms", "{file}", "--set", "least"), "NAME=VALUE"),
        (("atoms", "{file}", "--pixel-size", "2 volts"), "volt"),
        (("atoms", "{empty}"), "no file there"),
        (("atoms", "{file}", "--method", "classical"), "method"),
    ],
)
def test_what_no_file_can_mend_is_said_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    file = frame(tmp_path, "plain.npy", (3, 4))
    (tmp_path / "empty").mkdir()
    words = [one.format(file=file, empty=tmp_path / "empty") for one in arguments]
    with pytest.raises(SystemExit) as end:
        main(["analyse", *words, "--out", str(tmp_path / "out")])
    assert end.value.code == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_picture_is_drawn_the_way_up_it_was(tmp_path: Path) -> None:
    values = np.zeros((40, 60), dtype=np.uint8)
    values[5, 50] = 255
    Image.fromarray(values).save(tmp_path / "one.png")
    (signal,) = read(tmp_path / "one.png", pixel_size=1e-9)
    draw_overlay(signal, (), tmp_path / "drawn.png", in_pixels=False)
    drawn = np.asarray(Image.open(tmp_path / "drawn.png").convert("L"))[:-34].astype(int)
    row, column = np.unravel_index(drawn[:400].argmax(), drawn[:400].shape)
    assert row / drawn.shape[0] == pytest.approx(5.5 / 40, abs=0.02)
    assert column / drawn.shape[1] == pytest.approx(50.5 / 60, abs=0.02)
