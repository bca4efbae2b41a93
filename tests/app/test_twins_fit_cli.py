"""`nanopilot twins fit`: settings, report, surfaces and a picture from files."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from nanopilot.app.cli import main
from nanopilot.core.capabilities import Scanner
from nanopilot.core.requests import ScanRequest
from nanopilot.core.signals import SignalSet
from nanopilot.twins.spm import SpmSettings
from nanopilot.workflows.twins import spm

SETTINGS = {"noise": {"white": 2e-12, "pink": 2e-11}, "loop": {"integral": 900.0}}


def write_scan(path: Path, frame: SignalSet, told: dict[str, float]) -> Path:
    """Write height and deflection of both directions as an NSID file."""
    with h5py.File(path, "w") as file:
        for number, name in enumerate(frame):
            label = f"Channel_{number}"
            group = file.create_group(f"Measurement_000/{label}/{label}")
            data = group.create_dataset(label, data=frame[name].transpose("x", "y").to_numpy())
            quantity, _, way = str(name).partition("_")
            told_of = f"{quantity.title()}{(way or 'trace').title()}"
            data.attrs.update(
                quantity=told_of, units="m", data_type="IMAGE", modality="generic",
                source="generic", main_data_name="generic", pyNSID_version="0.0.7.2",
            )  # fmt: skip
            data.attrs["DIMENSION_LABELS"] = np.array(["x", "y"], dtype=h5py.string_dtype())
            for place, axis in enumerate("xy"):
                scale = group.create_dataset(axis, data=frame[axis].to_numpy() + 5e-7)
                scale.make_scale(axis)
                scale.attrs.update(name=axis, quantity=axis, units="m", dimension_type="SPATIAL")
                data.dims[place].attach_scale(scale)
            group.create_group("original_metadata").attrs.update(told)
    return path


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a scan of a twin whose loop has a gain of 900 per second."""
    twin = spm("rough", seed=1, size="1.2 um", pixels=256, settings=SETTINGS,
               recipe={"hurst": 1.0, "correlation_length": "150 nm"})  # fmt: skip
    request = ScanRequest(
        centre=(0, 0), field_of_view=(1e-6, 1e-6), shape=(96, 96), line_rate=2.02,
        directions=("trace", "retrace"), channels=("height", "deflection"),
    )  # fmt: skip
    frame = twin.capability(Scanner).start(request).result()
    folder = tmp_path_factory.mktemp("scan")
    return write_scan(folder / "mine.h5", frame, {"ScanRate": 2.02, "SpringConstant": 1.5})


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main(["twins", "fit", *arguments])
    said = capsys.readouterr()
    return int(left.value.code or 0), said.out, said.err


def test_fit_writes_settings_that_a_twin_takes_and_a_picture(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, picture = tmp_path / "fitted.json", tmp_path / "gap.png"
    code, said, _ = run(capsys, str(scan), "--out", str(out), "--picture", str(picture))
    assert code == 0
    assert "loop.integral" in said
    assert "told apart" in said
    settings = SpmSettings.model_validate_json(out.read_text(encoding="utf-8"))
    assert settings.loop.integral == pytest.approx(900, rel=0.03)
    assert settings.lever.stiffness == 1.5
    surface = tmp_path / "fitted.surface-1.npy"
    twin = spm(surface, settings=out, size="1.0052 um")
    assert twin.truth.settings == settings
    image = np.asarray(Image.open(picture).convert("RGB"))
    assert image.shape[1] > 1000
    assert image.std() > 20
    report = json.loads((tmp_path / "fitted.report.json").read_text(encoding="utf-8"))
    assert report["estimates"]["loop.integral"]["status"] == "estimated"


def test_json_is_the_report_and_says_where_the_files_are(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "fitted.json"
    code, said, _ = run(capsys, str(scan), "--out", str(out), "--surface", "measured", "--json")
    assert code == 0
    told = json.loads(said)
    assert told["closer"] is True
    assert told["surface"] == "measured"
    assert [Path(path).exists() for path in told["surfaces"]] == [True]
    assert {"fitted", "default", "default_instrument"} <= set(told["scans"][0])


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--out", "fitted.yaml"], "`out` is fitted.yaml"),
        (["--picture", "gap.svg"], "`picture` is gap.svg"),
        (["--surface", "imagined"], "`surface` is 'imagined'"),
        (["--line-rate", "0"], "`line_rate`"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_measured(
    arguments: list[str], named: str, scan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, error = run(capsys, str(scan), *arguments)
    assert code != 0
    assert named in error


def test_a_file_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, error = run(capsys, str(tmp_path / "there-is-none.h5"))
    assert code != 0
    assert "there-is-none.h5" in error
