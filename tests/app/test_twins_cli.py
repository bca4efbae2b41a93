"""`nanopilot twins`: the list, and the picture of channels beside the truth."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nanopilot.app.cli import main
from nanopilot.app.show_twin import look
from nanopilot.app.twin_picture import Picture, draw_twin
from nanopilot.twins.spm.samples import SAMPLES
from nanopilot.twins.stem.samples import SAMPLES as SCENES
from nanopilot.workflows.twins import spm

FEW = ["--pixels", "256", "--lines", "32"]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main(["twins", *arguments])
    said = capsys.readouterr()
    return int(left.value.code or 0), said.out, said.err


def test_the_list_names_every_twin_and_every_sample(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "list")
    assert code == 0
    for name in ("plain", "replay", "spm", "stem"):
        assert f"\n{name}" in out
    for twin, families in (("spm", SAMPLES), ("stem", SCENES)):
        for name in families:
            assert re.search(rf"\n{twin} +{name} ", out)
    _, out, _ = run(capsys, "list", "--json")
    listed = json.loads(out)
    named = {(one["twin"], one["name"]) for one in listed["samples"]}
    assert named == {("spm", name) for name in SAMPLES} | {("stem", name) for name in SCENES}
    grains = next(one for one in listed["samples"] if one["name"] == "grains")
    assert grains["settings"]["diameter"] == pytest.approx(120e-9)


@pytest.mark.parametrize("sample", ["ferroelectric", "lattice", "grains"])
def test_show_draws_a_picture_and_says_what_is_on_it(
    sample: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "twin.png"
    size = ["--size", "4 nm"] if sample == "lattice" else []
    told = ["spm", "--sample", sample, "--seed", "1", "--out", str(out), *size, *FEW]
    code, said, _ = run(capsys, "show", *told)
    assert code == 0
    twin = spm(sample, seed=1, pixels=256, size=size[1] if size else None)
    for name in twin.truth.sample.layers:
        assert f"true  {name}" in said
    for name in twin.describe().scan_channels:
        assert f"seen  {name}" in said
    picture = np.asarray(Image.open(out).convert("RGB"))
    assert picture.shape[1] > 1000
    assert picture.std() > 20


def test_json_holds_what_the_table_says_and_the_facts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "twin.png"
    told = ["--sample", "grains", "--set", "diameter=300 nm", "--out", str(out), *FEW]
    code, said, _ = run(capsys, "show", "spm", *told, "--json")
    assert code == 0
    found = json.loads(said)
    assert found["facts"]["diameter"] == pytest.approx(300e-9)
    assert found["out"] == str(out)
    ranges = {one["name"]: (one["low"], one["high"], one["unit"]) for one in found["truth"]}
    assert ranges["height"][2] == "m"
    assert ranges["grain"][0] >= 1
    seen = {one["name"]: one["high"] - one["low"] for one in found["channels"]}
    # A tip reaches no deeper than the surface, and no higher.
    assert 0 < seen["height"] < 1.2 * (ranges["height"][1] - ranges["height"][0])


def test_the_electron_twin_is_shown_with_its_truth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "stem.png"
    code, out, _ = run(
        capsys, "show", "stem", "--sample", "graphene", "--lines", "48", "--width", "2 nm",
        "--out", str(picture), "--json",
    )  # fmt: skip
    told = json.loads(out)
    assert code == 0
    assert {one["name"] for one in told["channels"]} == {"haadf", "maadf", "abf", "bf"}
    assert set(told["patterns"]) == {"pattern", "ronchigram"}
    assert set(told["spectra"]) == {"eels", "eds"}
    assert told["atoms"]["6"] > 100
    assert told["dose"] > 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_labels_are_never_mixed() -> None:
    shown = look(spm("particles", pixels=200), lines=64)
    labels = next(one for one in shown.true if one.name == "particle").values
    np.testing.assert_array_equal(labels, np.rint(labels))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["show", "tem"], "`twin` is 'tem'"),
        (["show", "stem", "--sample", "graphen"], "did you mean graphene"),
        (["show", "stem", "--pixels", "64"], "options of spm"),
        (["show", "stem", "--width", "5 kg"], "5 kg"),
        (["show", "spm", "--width", "5 nm"], "option of stem"),
        (["show", "spm", "--sample", "grain"], "did you mean grains"),
        (["show", "spm", "--out", "twin.pdf", *FEW], "`out` is twin.pdf"),
        (["show", "spm", "--lines", "0"], "shape"),
        (["show", "spm", "--size", "-1 um"], "size"),
        (["show", "spm", "--set", "diameter"], "NAME=VALUE"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [0.0, np.nan, 3.0])
def test_flat_and_empty_images_are_drawn_too(value: float, tmp_path: Path) -> None:
    one = Picture("flat", "height", "m", np.full((8, 8), value))
    draw_twin([one], [one, one], 1e-6, "nothing", tmp_path / "flat.png")
    assert (tmp_path / "flat.png").stat().st_size > 1000
