"""`nanopilot conform` says which rules an instrument keeps, which it breaks, and why."""

from __future__ import annotations

import builtins
import json
import sys
from pathlib import Path
from typing import Any

import pytest

import nanopilot as npl
from nanopilot.app.cli import main
from nanopilot.app.conform import conform
from nanopilot.core import registry
from nanopilot.core.errors import MissingExtra, UnknownName
from nanopilot.testing import CONTRACTS, rules_of


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Return exit code, standard output and standard error of the program."""
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return int(left.value.code or 0), said.out, said.err


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> str:
    """Register an instrument whose beam does not say what it was set to."""
    from nanopilot.workflows.connect import plain

    def connect(world: Any = "beam") -> Any:
        instrument = plain(world)
        said = instrument.describe().model_copy(update={"orders": ("raster", "lines")})
        instrument.describe = lambda: said  # type: ignore[method-assign]
        return instrument

    load = registry.load
    monkeypatch.setattr(
        registry, "load", lambda kind, name: connect if name == "deaf" else load(kind, name)
    )
    return "deaf"


def test_an_instrument_that_keeps_the_contract_exits_with_0(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, said, _ = call(capsys, "conform", "plain", "--option", "world=beam", "--only", "Focus")
    assert code == 0
    rules = {line.split()[1] for line in said.splitlines() if line.startswith("Focus ")}
    assert rules == set(rules_of(CONTRACTS["Focus"]))
    assert "0 failed" in said


def test_an_instrument_that_breaks_a_rule_exits_with_1_and_names_rule_and_reason(
    capsys: pytest.CaptureFixture[str], deaf: str
) -> None:
    code, said, _ = call(capsys, "conform", deaf, "--only", "Scanner", "--only", "Focus")
    failed = [line for line in said.splitlines() if "FAILED" in line]
    assert code == 1
    assert [line.split()[:2] for line in failed] == [["Scanner", "undeclared-order-is-refused"]]
    assert "`order` serpentine was accepted" in failed[0]
    assert "1 failed" in said


def test_json_holds_every_rule_with_verdict_and_reason(
    capsys: pytest.CaptureFixture[str], deaf: str
) -> None:
    code, said, _ = call(capsys, "conform", deaf, "--json", "--only", "Scanner")
    found = json.loads(said)
    assert (code, found["ok"], found["instrument"]) == (1, False, "plain")
    verdicts = {row["rule"]: row for row in found["rules"]}
    assert set(verdicts) == set(rules_of(CONTRACTS["Scanner"]))
    assert verdicts["frame-has-shape"]["verdict"] == "passed"
    assert verdicts["undeclared-order-is-refused"]["verdict"] == "failed"
    assert all(row["reason"] for row in found["rules"] if row["verdict"] != "passed")
    assert all(row["sentence"] for row in found["rules"])


def test_a_recording_is_tried_by_its_sample(capsys: pytest.CaptureFixture[str]) -> None:
    rule = "frame-has-shape"
    code, said, _ = call(
        capsys, "conform", "replay", "--sample", "beps-pto", "--rule", rule, "--json"
    )
    assert code == 0
    assert [row["rule"] for row in json.loads(said)["rules"]] == [rule]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no-such-instrument"], "no-such-instrument"),
        (["plain", "--only", "Turbo"], "Turbo"),
        (["plain", "--only", "Focus", "--rule", "no-such-rule"], "no-such-rule"),
        (["plain", "--option", "world"], "NAME=VALUE"),
        (["plain", "--option", "colour=red"], "colour"),
        (["replay", "--sample", "absent.h5"], "absent.h5"),
    ],
)
def test_bad_input_gets_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    code, _, error = call(capsys, "conform", *arguments)
    assert code == 2
    assert said in error
    assert len(error.splitlines()) == 1


def test_without_pytest_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name == "pytest":
            raise ModuleNotFoundError("No module named 'pytest'", name="pytest")
        return usual(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match="pip install pytest"):
        conform(npl.connect("plain"))


def test_a_link_that_is_lost_fails_the_rule_and_the_others_go_on() -> None:
    scope = npl.connect("plain", world="beam")
    inner: Any = scope

    class Lost:
        """Loses its link when the third parameter is read."""

        def __getattr__(self, name: str) -> Any:
            return getattr(inner, name)

        def state(self) -> Any:
            raise ConnectionError("the line is down")

    found = conform(Lost(), only=["Instrument"])  # type: ignore[arg-type]
    verdicts = {one.rule: one for one in found}
    assert verdicts["state-is-complete"].verdict == "failed"
    assert "ConnectionError: the line is down" in verdicts["state-is-complete"].reason
    assert verdicts["declared-capability-is-there"].verdict == "passed"


def test_progress_tells_every_rule_once_and_the_last_knows_the_total() -> None:
    seen: list[tuple[int, int, str]] = []
    found = conform(
        npl.connect("plain", world="beam"), only=["Focus"], show=lambda *one: seen.append(one)
    )
    assert [done for done, _, _ in seen] == list(range(len(found)))
    assert {total for _, total, _ in seen} == {len(found)}


def test_unknown_names_list_what_there_is() -> None:
    with pytest.raises(UnknownName, match="Scanner"):
        conform(npl.connect("plain"), only=["Scaner"])
    with pytest.raises(UnknownName, match="frame-has-shape"):
        conform(npl.connect("plain"), only=["Scanner"], rules=["frame-has-shap"])


def test_it_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    conform(npl.connect("plain"), only=["Focus"])
    assert list(tmp_path.iterdir()) == []
    assert not [name for name in set(sys.modules) - before if "test_contract" in name]
