"""`nanopilot analyse particles` sorts the particles of all files by shape, and can be stopped."""

from __future__ import annotations

import csv
import json
import os
from functools import partial
from operator import call
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from nanopilot.app.batch.all_files import look_at_all, tell_anew, write_outlines
from nanopilot.app.batch.one_file import analyse_file
from nanopilot.app.batch.page import page, write_summary
from nanopilot.app.batch.run import run_batch
from nanopilot.app.batch.table_file import read_table, table_text, write_table
from nanopilot.app.batch.task import Asked, Batch
from nanopilot.app.batch.workers import over
from nanopilot.app.cli import main
from nanopilot.app.report.escaping import escape
from nanopilot.bench.tem_particles import TemScene, draw_particles
from nanopilot.core import registry
from nanopilot.workflows.analyse import Mark
from nanopilot.workflows.analyse.particle_classes import CUT, sorted_together

SCENE = TemScene(pixels=384, pixel_size=0.5e-9, count=20, overlap=0.0, pairs=0.0)
WORDS = {"round", "triangular", "elongated"}
#: The colours of `draw_overlay`, in the order of kinds.
ORANGE, BLUE, RED = (0xE6, 0x9F, 0x00), (0x56, 0xB4, 0xE9), (0xD5, 0x5E, 0x00)


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return four frames of discs, rods and triangles, two of them one file."""
    home = tmp_path_factory.mktemp("frames")
    rng = np.random.default_rng(2)
    drawn = [draw_particles(SCENE, rng).frame.to_numpy() for _ in range(4)]
    for number, values in enumerate(drawn[:2]):
        np.save(home / f"f{number}.npy", values)
    np.save(home / "stack.npy", np.stack(drawn[2:]))
    return home


def asked(out: Path, **settings: Any) -> Asked:
    return Asked(kind="particles", out=out, settings=settings, pixel_size=0.5e-9)


def told(files: list[Path], wanted: Asked) -> Batch:
    """Do what `run_batch` does, in this process."""
    results = [analyse_file(path, path.stem, wanted) for path in files]
    analyser = registry.build("analysers", wanted.kind, **wanted.settings)
    together, anew = look_at_all(analyser, results, wanted)
    wrong = [said for said in map(tell_anew, anew) if said]
    assert wrong == []
    batch = Batch.of(results, together)
    write_summary(batch, wanted, 1.0)
    return batch


@pytest.fixture(scope="module")
def done(frames: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Batch, Path]:
    """Return the frames as the command analyses them, by processes of its own."""
    out = tmp_path_factory.mktemp("done")
    return run_batch(sorted(frames.glob("*.npy")), asked(out)), out


def rows_of(out: Path, name: str) -> list[dict[str, str]]:
    with (out / f"{name}.csv").open() as file:
        return list(csv.DictReader(file))


def test_every_particle_has_a_class_and_its_probability(done: tuple[Batch, Path]) -> None:
    batch, out = done
    assert [one.name for one in batch.frames] == ["f0", "f1", "stack-0000", "stack-0001"]
    for one in batch.frames:
        rows = rows_of(out, one.name)
        assert len(rows) == one.summary["particles"]
        for row in rows:
            sure = float(row["class_probability"])
            if row["shape_class"] == "unsorted":
                assert sure == 0
            else:
                assert row["shape_class"] in WORDS
                assert 1 / 3 <= sure <= 1
            # What the edge cuts in half has the shape of the edge.
            assert row["border"] == "0" or row["shape_class"] == "unsorted"
        said = [row["shape_class"] for row in rows]
        assert {word: one.summary[word] for word in WORDS} == {
            word: said.count(word) for word in WORDS
        }


def test_classes_are_those_of_the_shapes_that_were_drawn(done: tuple[Batch, Path]) -> None:
    batch, out = done
    for one in batch.frames:
        for row in rows_of(out, one.name):
            if row["shape_class"] == "elongated":
                assert float(row["aspect_ratio"]) > 1.5
            if row["shape_class"] == "round":
                assert float(row["circularity"]) > 0.9
    shares = [batch.together[f"{word} (%)"] for word in WORDS]
    assert sum(float(share) for share in shares) == pytest.approx(100)
    assert batch.together["sorted particles"] == sum(
        int(one.summary[word]) for one in batch.frames for word in WORDS
    )
    assert batch.doubts == ()


def test_a_class_has_one_colour_in_all_pictures(done: tuple[Batch, Path]) -> None:
    batch, out = done
    order = [
        name.removesuffix(" (%)")
        for name in batch.together
        if "interval" not in name and "%" in name
    ]
    colours = dict(zip(order, (ORANGE, BLUE, RED), strict=True))
    side = SCENE.pixels
    for one in batch.frames:
        image = np.asarray(Image.open(out / f"{one.name}.png").convert("RGB")).astype(int)
        high = image.shape[0] - 34
        for row in rows_of(out, one.name):
            if row["shape_class"] not in WORDS:
                continue
            scale = high / side / 0.5
            x, y = (float(row[f"{axis} (nm)"]) * scale for axis in "xy")
            reach = 0.55 * float(row["feret (nm)"]) * scale
            top, left = max(0, int(high - y - reach)), max(0, int(x - reach))
            part = image[top : int(high - y + reach), left : int(x + reach)]
            seen = {
                word: int((abs(part - colour).sum(axis=2) < 60).sum())
                for word, colour in colours.items()
            }
            assert max(seen, key=lambda word: seen[word]) == row["shape_class"]


def test_the_page_and_the_json_tell_the_classes(done: tuple[Batch, Path]) -> None:
    batch, out = done
    shown = (out / "index.html").read_text()
    assert "All frames together" in shown
    for word in WORDS:
        assert escape(f"{word}, 95 % interval (%)") in shown
    told = json.loads((out / "summary.json").read_text())
    assert told["together"] == {**batch.together, "doubts": []}
    assert "together" not in page(Batch(frames=batch.frames), asked(out), 1.0).split("</style>")[1]


def test_a_second_call_changes_nothing_and_a_new_file_is_sorted_with_the_others(
    frames: Path, tmp_path: Path
) -> None:
    files = sorted(frames.glob("f*.npy"))
    out = tmp_path / "out"
    out.mkdir()
    first = told(files, asked(out))
    old = {path: path.stat().st_mtime_ns for path in out.glob("f*")}
    assert told(files, asked(out)) == first
    assert {path: path.stat().st_mtime_ns for path in out.glob("f*")} == old
    more = told([*files, frames / "stack.npy"], asked(out))
    assert int(more.together["sorted particles"]) > int(first.together["sorted particles"])
    kept = (out / "f0.json").stat().st_mtime_ns
    assert kept == old[out / "f0.json"]


def test_a_batch_that_was_stopped_before_the_classes_goes_on(
    frames: Path, done: tuple[Batch, Path], tmp_path: Path
) -> None:
    files, wanted = sorted(frames.glob("*.npy")), asked(tmp_path)
    results = [analyse_file(path, path.stem, wanted) for path in files]
    assert "shape_class" not in (tmp_path / "f0.csv").read_text()
    analyser = registry.build("analysers", "particles")
    together, anew = look_at_all(analyser, results, wanted)
    assert together is not None
    assert [one.file.frames[0].name for one in anew] == ["f0", "f1", "stack-0000"]
    # Stopped after the first file.
    assert tell_anew(anew[0]) == ""
    _, left = look_at_all(analyser, results, wanted)
    assert [one.file.frames[0].name for one in left] == ["f1", "stack-0000"]
    batch = told(files, wanted)
    assert look_at_all(analyser, results, wanted)[1] == []
    assert batch.together == done[0].together
    for one in batch.frames:
        assert rows_of(tmp_path, one.name) == rows_of(done[1], one.name)


def test_too_few_particles_have_no_class_and_the_page_says_so(frames: Path, tmp_path: Path) -> None:
    batch = told([frames / "f0.npy"], asked(tmp_path))
    assert {row["shape_class"] for row in rows_of(tmp_path, "f0")} == {"unsorted"}
    assert batch.together == {}
    (said,) = batch.doubts
    assert "classes need 30 or more" in said
    assert said in (tmp_path / "index.html").read_text()
    assert not WORDS & set(batch.frames[0].summary)
    # A frame is no worse for it.
    assert batch.frames[0].status == "ok"


def test_nobody_has_to_have_classes(frames: Path, tmp_path: Path) -> None:
    batch = told([frames / "f0.npy"], asked(tmp_path, shapes=False))
    assert "shape_class" not in (tmp_path / "f0.csv").read_text()
    assert batch.doubts == ()
    assert "All frames together" not in (tmp_path / "index.html").read_text()


def test_particles_that_were_searched_for_have_no_shape(frames: Path, tmp_path: Path) -> None:
    files = [frames / "f0.npy", frames / "f1.npy"]
    batch = told(files, asked(tmp_path, approach="search"))
    assert any("2 of 2 frames" in one for one in batch.doubts)
    assert "shape_class" not in (tmp_path / "f0.csv").read_text()


def test_a_file_that_is_gone_by_then_is_told_and_stops_nothing(
    frames: Path, tmp_path: Path
) -> None:
    values, path = np.load(frames / "f0.npy"), tmp_path / "lost.npy"
    np.save(path, values)
    wanted = asked(tmp_path / "out")
    wanted.out.mkdir()
    result = analyse_file(path, "lost", wanted)
    _, anew = look_at_all(registry.build("analysers", "particles"), [result], wanted)
    path.unlink()
    assert "lost.npy" in tell_anew(anew[0])


def test_a_process_that_dies_takes_no_other_with_it() -> None:
    said = over(call, [partial(str, "told"), partial(os._exit, 9)], 1, "it died")
    assert said == ["told", "it died"]


def test_tables_are_read_as_they_were_written(tmp_path: Path) -> None:
    def column(values: list[Any], units: str) -> tuple[str, list[Any], dict[str, str]]:
        return "point", values, {"units": units, "quantity": "some"}

    table = xr.Dataset(
        {
            "label": column([1, 2], "1"),
            "x": column([1.25e-9, -3e-7], "m"),
            "area": column([2e-18, 3e-17], "m^2"),
            "orientation": column([0.5, -1.0], "rad"),
            "shape_class": column(["round", "unsorted"], "1"),
        }
    )
    for in_pixels in (False, True):
        write_table(table, tmp_path / "one.csv", in_pixels=in_pixels)
        again = read_table(tmp_path / "one.csv")
        assert list(again) == ["label", "x", "area", "orientation", "shape_class"]
        for name in ("label", "x", "area", "orientation"):
            np.testing.assert_allclose(again[name], table[name], rtol=1e-8)
            assert again[name].attrs["units"] == table[name].attrs["units"]
        assert list(again["shape_class"].to_numpy()) == ["round", "unsorted"]
        text = (tmp_path / "one.csv").read_text()
        assert table_text(again, in_pixels=in_pixels) == text
    write_table(table.isel(point=slice(0)), tmp_path / "none.csv")
    assert read_table(tmp_path / "none.csv").sizes["point"] == 0


def test_outlines_are_kept_by_row_in_the_unit_of_the_table(tmp_path: Path) -> None:
    square = 1e-9 * np.array([[0, 0], [2, 0], [2, 1.5]])
    marks = (Mark("particle", square), Mark("particle", square + 5e-9))
    write_outlines(marks, tmp_path / "outlines" / "one.csv", in_pixels=False)
    lines = (tmp_path / "outlines" / "one.csv").read_text().split("\n")
    assert lines[:4] == ["row,x (nm),y (nm)", "1,0,0", "1,2,0", "1,2,1.5"]
    assert lines[4].startswith("2,5")
    write_outlines((), tmp_path / "outlines" / "none.csv", in_pixels=True)
    assert (tmp_path / "outlines" / "none.csv").read_text() == "row,x (px),y (px)\n"


def test_the_command_prints_the_classes(
    frames: Path,
    done: tuple[Batch, Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    # All of it is done: the command only tells.
    files = map(str, sorted(frames.glob("*.npy")))
    with pytest.raises(SystemExit) as end:
        main(["analyse", "particles", *files, "--pixel-size", "0.5 nm", "--out", str(done[1])])
    assert end.value.code == 0
    assert "all frames together: sorted particles" in capsys.readouterr().out
    assert rows_of(done[1], "f0")[0]["shape_class"]


def test_marks_are_called_by_class_and_those_at_the_edge_cut(done: tuple[Batch, Path]) -> None:
    batch, out = done
    tables = {one.name: read_table(out / one.table) for one in batch.frames if one.table}
    plain = {
        name: table.drop_vars(["shape_class", "class_probability"])
        for name, table in tables.items()
    }
    kinds = sorted_together(plain, np.random.default_rng(0)).kinds
    cut = 0
    for name, table in tables.items():
        words = table["shape_class"].to_numpy()
        for word, edge, kind in zip(words, table["border"].to_numpy(), kinds[name], strict=True):
            assert kind == (CUT if edge else word)
            cut += int(edge)
    assert cut > 0
