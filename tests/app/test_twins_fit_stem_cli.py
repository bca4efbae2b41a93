"""`nanopilot twins fit --twin stem`: settings, report and a picture from arrays."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nanopilot.app.cli import main
from nanopilot.bench.tracks.stem_fit import StemFit
from nanopilot.twins.stem.settings import StemSettings


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main(["twins", "fit", *arguments])
    said = capsys.readouterr()
    return int(left.value.code or 0), said.out, said.err


def test_fit_writes_settings_a_report_and_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = StemFit().case(1000)
    seen = case.visible.frames
    np.save(tmp_path / "mine.npy", seen.counts[:2])
    out, picture = tmp_path / "fitted.json", tmp_path / "gap.png"
    told = ["--pixel-size", "20 pm", "--dwell-time", str(seen.dwell), "--voltage", "80000",
            "--convergence-angle", "30 mrad", "--current", str(seen.told.current),
            "--crystal", case.visible.crystal]  # fmt: skip
    arguments = [str(tmp_path / "mine.npy"), "--twin", "stem", "--out", str(out), *told]
    code, said, _ = run(capsys, *arguments, "--picture", str(picture))
    assert code == 0
    assert "motion.jitter" in said
    assert "on a crystal" in said
    settings = StemSettings.model_validate_json(out.read_text(encoding="utf-8"))
    assert settings.motion.jitter == pytest.approx(case.truth["motion.jitter"], rel=0.2)
    assert settings.lens.voltage == 80e3
    image = np.asarray(Image.open(picture).convert("RGB"))
    assert image.shape[1] > 1000
    assert image.std() > 20
    report = json.loads((tmp_path / "fitted.report.json").read_text(encoding="utf-8"))
    assert report["estimates"]["detector.gain"]["status"] == "estimated"
    assert report["fitted"]["spectrum"] < report["default"]["spectrum"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--twin", "sem"], "`twin` is 'sem'"),
        (["--crystal", "mos2"], "`crystal` is for frames of electrons"),
        (["--twin", "stem", "--line-rate", "2"], "`line_rate` is for scanning probes"),
        (["--twin", "stem", "--surface", "measured"], "`surface` is for scanning probes"),
        (["--twin", "stem", "--out", "fitted.yaml"], "`out` is fitted.yaml"),
        (["--twin", "stem"], "`pixel_size`"),
        (["--twin", "stem", "--pixel-size", "20 V"], "pixel_size"),
        (["--twin", "stem", "--layers", "0"], "`layers` is 0"),
    ],
)
def test_what_cannot_be_done_is_said(
    arguments: list[str], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "mine.npy", np.random.default_rng(0).poisson(9, (64, 64)))
    code, _, error = run(capsys, str(tmp_path / "mine.npy"), *arguments)
    assert code != 0
    assert named in error
