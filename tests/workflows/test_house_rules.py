"""What a facility holds everybody to stays in force, whoever commands and whatever run it is."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nanopilot.app.cli.main import app
from nanopilot.core.adjustables import Beam, Focus, Stage
from nanopilot.core.capabilities import Scanner
from nanopilot.core.errors import BudgetExceeded, Interlocked, InvalidRequest, OutOfRange
from nanopilot.core.house import HouseRules
from nanopilot.core.limits import Budget
from nanopilot.core.requests import ScanRequest
from nanopilot.workflows.connect import connect, reconnect

FRAME = ScanRequest(centre=(0, 0), field_of_view=(100e-9, 100e-9), shape=(8, 8))
RULES = {
    "limits": {"parameters": {"Stage.x": {"low": -1e-4, "high": 1e-4, "unit": "m"}}},
    "budget": {"frames": 3, "place": {"cell": "50 nm", "dose": 1e26}},
    "interlocks": [
        {
            "name": "focus-only-while-blanked",
            "command": "Focus",
            "requires": [{"parameter": "Beam.blanked", "compare": "==", "value": 1}],
            "why": "House rule. Blank the beam first.",
            "needs": ["Beam.blanked"],
        }
    ],
}


def house() -> HouseRules:
    return HouseRules.model_validate(RULES)


def test_interlock_and_limit_of_the_house_are_in_force_beside_the_standard_ones() -> None:
    scope = connect("plain", world="beam", house=house())
    scope.capability(Focus).set(defocus=1e-8)
    scope.capability(Beam).set(blanked=0)
    with pytest.raises(Interlocked, match="House rule"):
        scope.capability(Focus).set(defocus=2e-8)
    with pytest.raises(OutOfRange, match=r"Stage\.x"):
        scope.capability(Stage).set(x=2e-4)
    tip = connect("plain", world="tip", house=house())
    with pytest.raises(Interlocked, match="no-stage-while-engaged"):
        tip.capability(Stage).set(x=1e-6)


def test_budget_of_the_house_outlasts_every_run() -> None:
    scope = connect("plain", world="beam", house=house())
    for _ in range(3):
        scope.begin_run(Budget(frames=1), lambda row: None)
        scope.capability(Scanner).start(FRAME).result()
        with pytest.raises(BudgetExceeded):
            scope.capability(Scanner).start(FRAME)
    scope.begin_run(Budget(), lambda row: None)
    with pytest.raises(BudgetExceeded, match="frames"):
        scope.capability(Scanner).start(FRAME)


def test_dose_of_a_place_is_counted_over_all_runs() -> None:
    scope = connect("plain", world="beam", house=house())
    scope.capability(Beam).set(blanked=0)
    scope.capability(Scanner).start(FRAME).result()
    before = float(scope.dose_map().max())
    scope.begin_run(Budget(), lambda row: None)
    scope.capability(Scanner).start(FRAME).result()
    assert float(scope.dose_map().max()) == pytest.approx(2 * before)


def test_dead_run_is_connected_again_under_the_same_rules() -> None:
    again = reconnect(json.loads(json.dumps(connect("plain", house=house()).source)))
    with pytest.raises(OutOfRange, match=r"Stage\.x"):
        again.capability(Stage).set(x=2e-4)


def test_file_of_rules_holds_a_run_and_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    rules = tmp_path / "house.json"
    rules.write_text(json.dumps({"limits": {"max_pixels": 100}}))
    command = ["run", "discover", "--sample", "beps-pto", "--dry-run", "--house", str(rules)]
    refused = CliRunner().invoke(app, command)
    assert isinstance(refused.exception, OutOfRange)
    rules.write_text(json.dumps({"limit": {}}))
    assert isinstance(CliRunner().invoke(app, command).exception, InvalidRequest)
    with pytest.raises(InvalidRequest, match="nanopilot serve"):
        connect("http://127.0.0.1:1", house=house())
