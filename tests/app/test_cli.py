"""The command line: what it prints, and that bad input gets one line and exit code 2."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

import nanopilot as npl
from nanopilot.app.cli import main
from nanopilot.workflows.connect import find_sample

QUICK = ["--budget", "0.01", "--no-report"]


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Return exit code, standard output and standard error of the program."""
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return int(left.value.code or 0), said.out, said.err


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cli") / "run"
    scope = npl.connect("replay", sample="beps-pto")
    npl.run("discover", scope, folder=path, budget=0.01, seed=0, progress=False)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that are wrong in the ways files are."""
    root, good = tmp_path_factory.mktemp("files"), find_sample("beps-pto")
    (root / "truncated.h5").write_bytes(good.read_bytes()[:300_000])
    (root / "picture.h5").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    (root / "empty.h5").write_bytes(b"")
    main_data = "Channel_000/generic/generic"
    for name in ("unitless", "holed"):
        shutil.copy(good, root / f"{name}.h5")
    with h5py.File(root / "unitless.h5", "a") as file:
        del file[main_data].attrs["units"]
    with h5py.File(root / "holed.h5", "a") as file:
        file[main_data][10:20, 5:9] = np.nan
    return root


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        ("absent.h5", "does not exist"),
        ("truncated.h5", "truncated"),
        ("picture.h5", "PNG"),
        ("empty.h5", "empty.h5"),
        ("unitless.h5", "--units"),
        ("holed.h5", "--missing keep"),
    ],
)
def test_bad_file_gets_one_line_and_no_run(
    sample: str, said: str, files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "run"
    command = ["run", "discover", "--sample", files / sample, "--folder", target, *QUICK]
    code, out, err = call(capsys, *command)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert said in err
    assert sample in err
    assert not target.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "discovr"], "did you mean discover"),
        (["run"], "workflow"),
        (["run", "discover", "--reward", "loop-aera"], "did you mean loop-area"),
        (["run", "discover", "--policy", "ubc"], "did you mean ucb"),
        (["run", "discover", "--instrument", "repaly"], "did you mean replay"),
        (["run", "discover", "--sample", "beps-pot"], "did you mean beps-pto"),
        (["run", "discover", "--budget", "1.5"], "`budget` is 1.5"),
        (["run", "discover", "--budget", "lots"], "budget"),
        (["run", "discover", "--set", "window=4"], "odd"),
        (["run", "discover", "--set", "colour=4"], "`colour`"),
        (["run", "discover", "--set", 'policy_settings={"bta":1}'], "beta"),
        (["run", "discover", "--set", "window"], "NAME=VALUE"),
        (["run", "discover", "--missing", "maybe"], "`missing` is 'maybe'"),
        (["frobnicate"], "frobnicate"),
        (["bench", "run", "discovry"], "did you mean discovery"),
        (["bench", "run", "discovery", "--seeds", "a:b"], "`seeds`"),
        (["bench", "run", "discovery", "--method", "magic"], "`method` is 'magic'"),
    ],
)
def test_bad_argument_gets_one_line_that_names_it(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = call(capsys, *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["show", "resume", "verify", "replay", "report"])
def test_unknown_run_is_named(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = call(capsys, command, "nothing", "--root", tmp_path)
    assert code == 2
    assert "nothing" in err
    assert err.count("\n") == 1


def test_folder_that_cannot_be_written_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = call(capsys, "run", "discover", "--folder", tmp_path / "file" / "run", *QUICK)
    assert code == 2
    assert str(tmp_path / "file") in err


def test_folder_in_use_is_left_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = call(capsys, "run", "discover", "--folder", folder, *QUICK)
    assert code == 2
    assert "not empty" in err


def test_run_prints_cost_find_and_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "run"
    code, out, _ = call(capsys, "run", "discover", "--folder", target, *QUICK)
    assert code == 0
    assert "measured 25 of 2500 sites (1.0%)" in out
    assert str(target) in out


def test_limits_come_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "limits.json"
    file.write_text('{"area": {"x": ["0 um", "1 um"], "y": [0, 1e-6]}}')
    target = tmp_path / "run"
    code, _, err = call(capsys, "run", "discover", "--folder", target, "--limits", file, *QUICK)
    assert code == 2
    assert "`position`" in err
    file.write_text('{"bais": 1}')
    code, _, err = call(capsys, "run", "discover", "--limits", file, *QUICK)
    assert code == 2
    assert "bais" in err


def test_summary_as_json_is_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "show", folder, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["summary"]["measured"] == 25
    assert found["seed"] == 0


def test_journal_can_be_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = call(capsys, "show", folder, "--events")
    kinds = [json.loads(line)["kind"] for line in out.splitlines()]
    assert kinds.count("outcome") == 26


def test_runs_are_listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "runs", "--root", folder.parent, "--json")
    (found,) = json.loads(out)
    assert code == 0
    assert (found["id"], found["state"], found["steps"]) == ("run", "finished", 25)


def test_runs_are_listed_newest_first_and_none_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = call(capsys, "runs")
    assert (code, out) == (0, "")
    assert "no runs yet" in err
    for seed in (0, 1):
        call(capsys, "run", "discover", "--seed", seed, "--budget", "0.002", "--no-report")
    _, out, _ = call(capsys, "runs", "--json")
    begun = [run["created"] for run in json.loads(out)]
    assert begun == sorted(begun, reverse=True)
    code, _, err = call(capsys, "runs", "--root", tmp_path / "elsewhere")
    assert code == 2
    assert "elsewhere" in err


def test_verify_says_which_run_was_altered(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    assert call(capsys, "verify", copy)[0] == 0
    chunk = next(path for path in sorted(copy.glob("signals.zarr/spectra/**/c*")) if path.is_file())
    chunk.write_bytes(chunk.read_bytes()[:-1] + b"\x00")
    code, _, err = call(capsys, "verify", copy)
    assert code == 1
    assert "spectra" in err


def test_replay_says_what_it_cannot_know(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "replay", folder, "--policy", "random")
    assert code == 0
    assert "never measured" in out


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "--help")
    assert code == 0
    for command in ("run", "resume", "runs", "show", "verify", "replay", "report", "demo", "bench"):
        assert command in out
