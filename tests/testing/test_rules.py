"""Every rule of the contract notices who breaks it, and passes who does not."""

from __future__ import annotations

from typing import Any

import pytest

import nanopilot as npl
from nanopilot.app.conform import conform
from nanopilot.core.clock import VirtualClock
from nanopilot.instruments import Guard
from nanopilot.testing import CONTRACTS, FocusTests, ScannerTests, film, rules_of
from nanopilot.twins.plain import PlainTwin
from nanopilot.twins.replay import ReplayTwin
from tests.testing.bare import Bare
from tests.testing.bending import Bent, running
from tests.testing.broken import BROKEN, Broken

OWNERS = {
    (capability, rule.name): (rule.owner, rule.name)
    for capability, contract in CONTRACTS.items()
    for rule in rules_of(contract).values()
}


def scope_of(broken: Broken) -> Any:
    instrument: Any = Bent(**broken.bends)
    return Guard(instrument) if broken.guarded else Bare(instrument)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda one: f"{one.capability}-{one.rule}")
def test_a_rule_names_the_instrument_that_breaks_it(broken: Broken) -> None:
    (found,) = conform(scope_of(broken), only=[broken.capability], rules=[broken.rule])
    assert (found.capability, found.rule) == (broken.capability, broken.rule)
    assert found.verdict == "failed"
    assert found.reason
    assert "\n" not in found.reason


def test_every_rule_has_an_instrument_that_breaks_it() -> None:
    noticed = {OWNERS[one.capability, one.rule] for one in BROKEN}
    assert set(OWNERS.values()) - noticed == set()


@pytest.mark.parametrize("world", ["tip", "beam", "both"])
def test_the_plain_twin_keeps_every_rule(world: Any) -> None:
    found = conform(Guard(PlainTwin(VirtualClock(), world=world)))
    assert [
        (one.capability, one.rule, one.reason) for one in found if one.verdict == "failed"
    ] == []
    assert sum(one.verdict == "passed" for one in found) > 80


def test_a_recording_keeps_every_rule() -> None:
    for scope in (
        npl.connect("replay", sample="beps-pto"),
        Guard(ReplayTwin((film(),), VirtualClock())),
    ):
        found = conform(scope)
        assert [(one.rule, one.reason) for one in found if one.verdict == "failed"] == []


def test_the_instrument_is_left_as_it_was_found() -> None:
    twin = PlainTwin(VirtualClock(), world="both")
    before = twin.state().values
    conform(Guard(twin))
    assert twin.state().values == pytest.approx(before, abs=1e-12)


def test_every_rule_has_a_sentence_and_a_name_of_words_joined_by_dashes() -> None:
    for capability, contract in CONTRACTS.items():
        for rule in rules_of(contract).values():
            assert rule.sentence.endswith((".", "...")), (capability, rule)
            assert rule.name.replace("-", "").isalnum(), rule.name
            assert rule.name == rule.name.lower()


def test_every_test_of_a_contract_is_a_rule() -> None:
    for contract in CONTRACTS.values():
        tests = {name for name in dir(contract) if name.startswith("test_")}
        assert tests == {rule.test for rule in rules_of(contract).values()}


class TestSideBySide(ScannerTests, FocusTests):
    """Two contracts in one class: each is tried, though tests of both have the same names."""

    fraction = 0.02

    @pytest.fixture
    def scope(self) -> Guard:
        return Guard(PlainTwin(VirtualClock(), world="beam"))

    def test_each_contract_has_a_class_of_its_own(self) -> None:
        both: Any = TestSideBySide
        assert {both.TestScanner.capability, both.TestFocus.capability} == {"Scanner", "Focus"}
        assert both.TestFocus.fraction == 0.02
        hidden = {name for name in dir(both) if name.startswith("test_") and getattr(both, name)}
        assert hidden == {"test_each_contract_has_a_class_of_its_own"}


def test_a_measurement_left_running_does_not_fail_the_rules_after_it() -> None:
    def lost(good: Any) -> float:
        raise ConnectionError("the line is down")

    scope = Guard(Bent(Scanner=running(progress=lost)))  # type: ignore[arg-type]
    verdicts = {one.rule: one.verdict for one in conform(scope, only=["Scanner"])}
    failed = {rule for rule, verdict in verdicts.items() if verdict == "failed"}
    assert failed == {"progress-rises", "abort-keeps-what-was-measured", "stop-ends-it"}
