"""Every name that a user may type leads somewhere."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import EntryPoint, distribution
from pathlib import Path

import pytest

from nanopilot.workflows import Workflow

ROOT = Path(__file__).parents[2]
OURS = sorted(entry for entry in distribution("nanopilot").entry_points)


@pytest.mark.parametrize("entry", OURS, ids=lambda entry: f"{entry.group}:{entry.name}")
def test_entry_point_loads(entry: EntryPoint) -> None:
    loaded = entry.load()
    assert isinstance(loaded, Workflow) if entry.group.endswith(".workflows") else callable(loaded)


@pytest.mark.parametrize("entry", OURS, ids=lambda entry: f"{entry.group}:{entry.name}")
def test_names_are_short_words_joined_by_dashes(entry: EntryPoint) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", entry.name)


def test_installed_entry_points_are_those_of_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = {**project["entry-points"], "console_scripts": project["scripts"]}
    declared = {(group, name, to) for group, names in groups.items() for name, to in names.items()}
    installed = {(entry.group, entry.name, entry.value) for entry in OURS}
    assert installed == declared, "pyproject.toml changed since the install; `make test` repeats it"
