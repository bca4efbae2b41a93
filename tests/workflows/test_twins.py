"""Scanning-probe twins by name, from files, and with settings from JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nanopilot as npl
from nanopilot.core.capabilities import Scanner
from nanopilot.core.errors import InvalidRequest, NanopilotError, ReadError, UnknownName
from nanopilot.core.requests import ScanRequest
from nanopilot.workflows.twins import spm

DATA = Path(__file__).parents[3] / "shared" / "data"
HEIGHT = 5e-9 * np.sin(np.add.outer(np.arange(64) / 5.0, np.arange(96) / 7.0))


def scan(scope: Any) -> Any:
    area = scope.describe().area
    request = ScanRequest(
        centre=area.centre, field_of_view=(area.x[1] - area.x[0], area.y[1] - area.y[0]),
        shape=(16, 64), line_rate=10.0,
    )  # fmt: skip
    return scope.capability(Scanner).start(request).result()


def test_a_twin_connects_by_name_behind_the_guard_which_keeps_its_truth() -> None:
    scope = npl.connect("spm", sample="steps", pixels=128, seed=3)
    assert scope.describe().name == "spm"
    assert not hasattr(scope, "truth")
    assert np.isfinite(scan(scope)["height"]).all()


def test_same_seed_gives_the_same_frame_and_another_seed_another() -> None:
    noisy = {"noise": {"white": 1e-12, "detector": 0.01}}
    frames = [scan(spm("rough", seed=seed, pixels=128, settings=noisy)) for seed in (1, 1, 2)]
    assert frames[0].identical(frames[1])
    assert not np.array_equal(frames[0]["height"], frames[2]["height"])


def test_atoms_are_seen_by_tunnelling_unless_told_otherwise() -> None:
    told = {"pixels": 256, "size": "4 nm"}
    twin = spm("lattice", **told)
    assert twin.truth.settings.loop.mode == "stm"
    assert "current" in scan(twin)
    assert spm("lattice", mode="contact", **told).truth.settings.loop.mode == "contact"
    loud = spm("lattice", settings={"loop": {"setpoint": 1e-9}}, **told).truth.settings
    assert (loud.loop.mode, loud.loop.setpoint) == ("stm", 1e-9)


def test_settings_come_from_a_mapping_or_from_json_alike(tmp_path: Path) -> None:
    told = {"tip": {"apexes": [{"radius": "25 nm"}]}, "loop": {"mode": "tapping"}}
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(told))
    one, other = spm(settings=told, pixels=128), spm(settings=file, pixels=128)
    assert one.truth.settings == other.truth.settings
    assert one.truth.settings.tip.radius == pytest.approx(25e-9)
    again = spm(settings=one.truth.settings, pixels=128)
    assert again.truth.settings == one.truth.settings


@pytest.mark.parametrize("suffix", [".npy", ".txt", ".csv"])
def test_a_table_of_heights_is_a_sample(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"heights{suffix}"
    if suffix == ".npy":
        np.save(file, np.stack([np.zeros_like(HEIGHT), HEIGHT]))
    else:
        np.savetxt(file, HEIGHT, delimiter="," if suffix == ".csv" else " ")
    recipe: dict[str, Any] = {"levelled": False} | ({"channel": 1} if suffix == ".npy" else {})
    twin = spm(file, size="950 nm", recipe=recipe)
    np.testing.assert_allclose(twin.truth.sample.height, HEIGHT, atol=1e-15)
    assert twin.truth.sample.pitch == pytest.approx(10e-9)


@pytest.mark.parametrize(
    ("told", "kind", "says"),
    [
        ({"sample": "grain"}, UnknownName, "did you mean grains"),
        ({"sample": "measured"}, InvalidRequest, "path of a file"),
        ({"sample": "nowhere.npy"}, ReadError, "nowhere.npy"),
        ({"sample": "nowhere.h5"}, ReadError, "nowhere.h5"),
        ({"seed": -1}, InvalidRequest, "`seed` is -1"),
        ({"mode": "magnetic"}, InvalidRequest, "loop.mode"),
        ({"settings": "nowhere.json"}, InvalidRequest, "`settings`"),
        ({"settings": {"tip": {"apexes": [{"radius": -1e-9}]}}}, InvalidRequest, "radius"),
        ({"settings": {"line_rate": 0.0}}, InvalidRequest, "line_rate"),
        ({"settings": {"loop": 3}}, InvalidRequest, "`loop`"),
        ({"recipe": {"colour": "red"}}, InvalidRequest, "colour"),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    told: dict[str, Any], kind: type[NanopilotError], says: str
) -> None:
    with pytest.raises(kind) as refused:
        spm(**{"pixels": 128, **told})
    assert says in str(refused.value)


def test_a_family_goes_before_a_file_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "steps").write_text("not heights\n")
    assert spm("steps", pixels=128).truth.sample.name == "steps"


def test_a_table_with_holes_or_without_a_width_is_refused(tmp_path: Path) -> None:
    holes, whole, words = tmp_path / "holes.npy", tmp_path / "whole.npy", tmp_path / "words.txt"
    np.save(holes, np.where(HEIGHT > 4e-9, np.nan, HEIGHT))
    np.save(whole, HEIGHT)
    words.write_text("height of the tide\n")
    with pytest.raises(NanopilotError, match="no numbers"):
        spm(holes, size="1 um")
    with pytest.raises(InvalidRequest, match="`size_m` is missing"):
        spm(whole)
    with pytest.raises(ReadError, match="no table of numbers"):
        spm(words, size="1 um")
    np.save(whole, HEIGHT[None])
    with pytest.raises(InvalidRequest, match="`channel` is 5"):
        spm(whole, size="1 um", recipe={"channel": 5})


@pytest.mark.parametrize("file", ["PTO_Funakubo0001.h5", "PMN28Pt0000.h5"])
def test_recorded_films_are_samples_with_their_channels_as_layers(file: str) -> None:
    if not (DATA / "pfm" / file).exists():
        pytest.skip("the recordings are not beside this checkout")
    twin = spm(DATA / "pfm" / file)
    sample = twin.truth.sample
    assert sample.height.shape == (256, 256)
    assert set(sample.layers) == {"amplitude", "deflection", "phase"}
    assert sample.meaning["phase"] == ("phase", "rad")
    frame = scan(twin)
    assert np.isfinite(frame["height"]).all()
    with pytest.raises(InvalidRequest, match="no topography 'phase' in metres"):
        spm(DATA / "pfm" / file, recipe={"channel": "phase"})


@pytest.mark.parametrize(("file", "recipe"), [("topo.txt", {}), ("droplets.npy", {"channel": 2})])
def test_recorded_surfaces_without_units_take_a_relief(file: str, recipe: dict[str, Any]) -> None:
    if not (DATA / "surfaces" / file).exists():
        pytest.skip("the recordings are not beside this checkout")
    twin = spm(DATA / "surfaces" / file, size="2 um", recipe={"relief": "40 nm", **recipe})
    assert twin.truth.sample.relief == pytest.approx(40e-9)
    assert np.isfinite(scan(twin)["height"]).all()
