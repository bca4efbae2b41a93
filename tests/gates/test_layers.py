"""The borders between rooms hold, for those who run pytest alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[2]


def test_rooms_import_only_what_they_may(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)  # import-linter reads its contracts from the working directory
    failed = lint_imports(no_cache=True, no_logo=True)
    assert not failed, capsys.readouterr().out
