"""The Python calls, and the demonstration."""

from pathlib import Path

import numpy as np
import pytest

import nanopilot as npl
from nanopilot.app.demo import run_demo
from nanopilot.app.progress import progress_listener
from nanopilot.core.errors import UnknownName
from nanopilot.core.events import Event, Outcome


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> npl.Run:
    scope = npl.connect("replay", sample="beps-pto")
    folder = tmp_path_factory.mktemp("session") / "night"
    return npl.run("discover", scope, folder=folder, budget=0.012, seed=0, progress=False)


def test_run_can_be_looked_at_from_python(run: npl.Run) -> None:
    assert len(run.history) == 30
    assert run.summary["measured"] == 30
    assert run.record.seed == 0
    assert run.signals("structure")["piezoresponse"].shape == (50, 50)
    assert run.signals("spectra", 29)["piezoresponse"].dims == ("bias",)
    assert run.signals("map")["expected"].shape == (50, 50)
    assert run.verify().ok
    assert str(run.path) in repr(run)


def test_run_is_found_again_by_name(run: npl.Run) -> None:
    again = npl.open_run("nigh", root=run.path.parent)
    assert again.summary == run.summary
    assert not again.resume(progress=False)


def test_listener_hears_everything_and_changes_nothing(run: npl.Run, tmp_path: Path) -> None:
    heard: list[Event] = []
    scope = npl.connect("replay", sample="beps-pto")
    other = npl.run(
        "discover", scope, folder=tmp_path / "run", listener=heard.append, budget=0.012, seed=0
    )
    assert sum(isinstance(event, Outcome) for event in heard) == 31
    np.testing.assert_array_equal(other.history.measured, run.history.measured)


def test_runs_go_to_the_folder_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NANOPILOT_RUNS", str(tmp_path / "kept"))
    scope = npl.connect("replay", sample="beps-pto")
    run = npl.run("discover", scope, budget=0.004, progress=False)
    assert run.path.parent == tmp_path / "kept"


def test_progress_is_written_as_lines_where_there_is_no_terminal(
    run: npl.Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nanopilot.app.progress._PATIENCE", -1.0)
    with progress_listener(True) as listener:
        for event in run.events():
            listener(event)
    lines = capsys.readouterr().err.splitlines()
    assert any(line.startswith("30 of 30") for line in lines)
    assert lines[-1] == "30 of 30 finished"


def test_demonstration_tells_cost_find_and_control(tmp_path: Path) -> None:
    said = "\n".join(run_demo(seed=0, budget=0.02, folder=tmp_path / "demo"))
    assert "measured 2.0%" in said
    assert "recall of the best 50 loops" in said
    assert "random: 0.02" in said
    assert "structure shuffled" in said
    assert (tmp_path / "demo" / "report.html").is_file()
    assert npl.open_run(tmp_path / "demo").verify().ok


def test_what_is_not_public_is_not_there() -> None:
    assert "connect" in dir(npl)
    with pytest.raises(AttributeError, match="no attribute 'conect'"):
        _ = npl.conect  # type: ignore[attr-defined]


def test_rehearsal_costs_what_the_run_costs_and_leaves_nothing(tmp_path: Path) -> None:
    scope = npl.connect("replay", sample="beps-pto")
    cost = npl.rehearse("discover", scope, budget=0.01)
    assert scope.spent.frames == 0
    run = npl.run("discover", scope, budget=0.01, folder=tmp_path / "run", progress=False)
    assert run.summary["measured"] == cost.spectra
    assert scope.spent.frames == cost.frames
    assert scope.spent.spectra == cost.spectra
    assert scope.spent.seconds == pytest.approx(cost.seconds, rel=0.5)


def test_rehearsal_says_what_speaks_against_the_run() -> None:
    scope = npl.connect("replay", sample="beps-pto")
    with pytest.raises(UnknownName, match="reward"):
        npl.rehearse("discover", scope, reward="gold")
