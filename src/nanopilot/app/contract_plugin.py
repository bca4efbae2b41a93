"""How pytest gets the instrument to try the rules on, and what becomes of its verdicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from nanopilot.app.contract_finding import Finding
from nanopilot.instruments import Guard

#: Exit codes of pytest that mean that every rule was tried.
_TRIED = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)


class ContractPlugin:
    """A pytest plugin: gives the tests their instrument and notes what comes of each.

    Parameters
    ----------
    scope : Guard
        The guarded instrument; all tests share it.
    show : callable
        Told how many rules of how many are done, and which is next.
    rules : sequence of str
        Rules to try; empty: all.
    """

    def __init__(
        self, scope: Guard, show: Callable[[int, int, str], None], rules: Sequence[str] = ()
    ) -> None:
        self.findings: list[Finding] = []
        self.known: set[str] = set()
        self._rules = set(rules)
        self._scope = scope
        self._show = show
        self._total = 0

    @pytest.fixture
    def scope(self) -> Guard:
        """Give the instrument."""
        return self._scope

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out rules that are not to be tried."""
        self.known = {_rule(item)[1] for item in items}
        if self._rules:
            items[:] = [item for item in items if _rule(item)[1] in self._rules]

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note how many rules there are."""
        self._total = len(session.items)

    def pytest_runtest_logstart(self, location: tuple[str, int | None, str]) -> None:
        """Show which rule is being tried."""
        self._show(len(self.findings), self._total, location[2].replace("Test", "", 1))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        """Note the verdict: the first phase that did not pass decides."""
        report: pytest.TestReport = yield
        capability, rule, sentence = _rule(item)
        noted = bool(self.findings) and (
            (self.findings[-1].capability, self.findings[-1].rule) == (capability, rule)
        )
        if report.passed and report.when != "call":
            return report
        found = Finding(
            capability,
            rule,
            sentence,
            "passed" if report.passed else "not applicable" if report.skipped else "failed",
            "" if call.excinfo is None else _reason(call.excinfo.value),
        )
        if not noted:
            self.findings.append(found)
        elif self.findings[-1].verdict == "passed" or found.verdict == "failed":
            self.findings[-1] = found
        return report

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note that the rules cannot even be collected."""
        if report.failed:
            self._cannot(str(report.longrepr))

    def close(self, code: int) -> None:
        """Note an end of pytest itself that leaves rules untried."""
        if code not in _TRIED and not any(one.verdict == "failed" for one in self.findings):
            self._cannot(f"pytest ended with exit code {code}")

    def _cannot(self, reason: str) -> None:
        sentence = "The rules can be tried at all."
        self.findings.append(
            Finding("Instrument", "rules-can-be-tried", sentence, "failed", reason)
        )


def _rule(item: pytest.Item) -> tuple[str, str, str]:
    """Return capability, name and sentence of the rule that a test checks."""
    contract: Any = getattr(item, "cls", None)
    test: Any = getattr(item, "function", None)
    sentence = " ".join((test.__doc__ or "").partition("\n")[0].split())
    return contract.capability, getattr(test, "rule", item.name), sentence


def _reason(error: BaseException) -> str:
    """Return why, in one line: the words of the rule, or the error that came instead."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    if isinstance(error, AssertionError | pytest.skip.Exception):
        return first or "a rule was broken without a word of which"
    return f"{type(error).__name__}: {first}"
