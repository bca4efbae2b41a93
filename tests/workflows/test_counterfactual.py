"""A replay uses what was measured, and says what it cannot know."""

from pathlib import Path

import numpy as np
import pytest

from nanopilot.core.clock import VirtualClock
from nanopilot.core.errors import InvalidRequest, UnknownName
from nanopilot.instruments import Guard
from nanopilot.io.history import load_history
from nanopilot.io.run_folder import RunFolder
from nanopilot.testing import film
from nanopilot.twins.replay import ReplayTwin
from nanopilot.workflows.counterfactual import best_so_far, counterfactual
from nanopilot.workflows.launch import launch


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("replay") / "run"
    scope = Guard(ReplayTwin((film(),), VirtualClock()))
    launch("discover", scope, {"budget": 0.3, "seed": 1, "survey": 5, "window": 5}, path)
    return path


def test_same_policy_chooses_the_same_and_knows_everything(folder: Path) -> None:
    with RunFolder.open(folder) as run:
        found = counterfactual(run, {})
        measured = load_history(run.journal.events()).history.measured.tolist()
    assert found.same == found.steps == len(measured)
    assert found.unknown == 0
    assert found.first_unknown is None
    assert list(found.visited) == measured
    assert found.best == found.recorded_best
    assert "nothing is unknown" in found.caveat()


def test_other_policy_visits_measured_sites_only_and_says_what_is_unknown(folder: Path) -> None:
    with RunFolder.open(folder) as run:
        found = counterfactual(run, {"policy": "random"})
        measured = load_history(run.journal.events()).history.measured.tolist()
    assert sorted(found.visited) == sorted(measured)
    assert found.unknown > 0
    assert f"{found.unknown} of {found.steps}" in found.caveat()
    assert found.best[-1] == found.recorded_best[-1]


def test_other_reward_judges_the_same_measurements(folder: Path) -> None:
    with RunFolder.open(folder) as run:
        found = counterfactual(run, {"reward": "coercive-bias"})
    assert found.unit == "V"
    assert np.isfinite(found.recorded_best[-1])


def test_unknown_reward_is_refused(folder: Path) -> None:
    with RunFolder.open(folder) as run, pytest.raises(UnknownName, match="imprint"):
        counterfactual(run, {"reward": "imprnt"})


def test_replay_leaves_the_run_as_it_was(folder: Path) -> None:
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    with RunFolder.open(folder) as run:
        counterfactual(run, {"policy": "random"})
    after = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert {p.name: len(b) for p, b in before.items() if "sqlite" not in p.name} == {
        p.name: len(b) for p, b in after.items() if "sqlite" not in p.name
    }


def test_best_so_far_follows_the_direction() -> None:
    rewards = [None, 2.0, 3.0, 1.0]
    assert best_so_far(rewards, 1.0)[1:] == (2.0, 3.0, 3.0)
    assert best_so_far(rewards, -1.0)[1:] == (2.0, 2.0, 1.0)
    assert np.isnan(best_so_far(rewards, 1.0)[0])


def test_unknown_setting_is_refused(folder: Path) -> None:
    with RunFolder.open(folder) as run, pytest.raises(InvalidRequest, match="colour"):
        counterfactual(run, {"colour": 1})
