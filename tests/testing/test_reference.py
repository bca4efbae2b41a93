"""The capability reference says what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanopilot.core.adjustables import ADJUSTABLE, STANDARD
from nanopilot.core.capabilities import MEASURING
from nanopilot.testing import CONTRACTS
from tests.testing.reference import tables

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "capabilities.md"


@pytest.mark.parametrize("what", tables())
def test_table_of_the_reference_is_that_of_the_code(what: str) -> None:
    assert tables()[what] in PAGE.read_text(encoding="utf-8"), f"the table is now\n{tables()[what]}"


def test_every_capability_has_a_contract_and_a_section() -> None:
    assert set(CONTRACTS) == {"Instrument", *MEASURING, *ADJUSTABLE}
    assert set(STANDARD) == set(ADJUSTABLE) - {"Detectors"}
    headings = {
        line.removeprefix("### ").strip("`")
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("### ")
    }
    assert set(CONTRACTS) <= headings
