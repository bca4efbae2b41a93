"""How to do the run again, and how to check it: commands made from its own record."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from nanopilot.app.report.data import ReportData
from nanopilot.core.errors import NanopilotError
from nanopilot.workflows.launch import settings_of

#: Options of an instrument that the command line can pass on.
_OPTIONS = {"sample", "units", "missing"}
_OWN = ("reward", "policy", "budget", "seed")


def run_again(data: ReportData) -> str:
    """Return the command, or the Python call, that makes the same run; empty if none can."""
    record = data.record
    instrument, options = record.instrument.get("instrument"), record.instrument.get("options")
    if not instrument or not options:
        return ""
    changed = _changed(record.workflow, record.settings)
    if set(options) <= _OPTIONS and "sample" in options:
        return _command(record.workflow, str(instrument), options, record.settings, changed)
    asked = {name: record.settings[name] for name in _OWN if name in record.settings} | changed
    return (
        "import nanopilot as npl\n"
        f"scope = npl.connect({instrument!r}, {_arguments(options)})\n"
        f"npl.run({record.workflow!r}, scope, {_arguments(asked)})"
    )


def verify_again(data: ReportData) -> str:
    """Return the command that checks the run against its hashes."""
    return f"nanopilot verify {shlex.quote(data.record.id)}"


def resume_again(data: ReportData) -> str:
    """Return the command that goes on with an interrupted run."""
    return f"nanopilot resume {shlex.quote(data.record.id)}"


def _command(
    workflow: str,
    instrument: str,
    options: Mapping[str, Any],
    settings: Mapping[str, Any],
    changed: Mapping[str, Any],
) -> str:
    words = ["nanopilot", "run", workflow, "--instrument", instrument]
    words += ["--sample", str(options["sample"])]
    for name, unit in (options.get("units") or {}).items():
        words += ["--units", f"{name}={unit}"]
    if options.get("missing"):
        words += ["--missing", str(options["missing"])]
    for name in _OWN:
        if name in settings:
            words += [f"--{name}", str(settings[name])]
    for name, value in changed.items():
        words += ["--set", f"{name}={json.dumps(value)}"]
    return " ".join(shlex.quote(word) for word in words)


def _changed(workflow: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that are not what the workflow has by itself."""
    try:
        usual = settings_of(workflow, {}).model_dump(mode="json")
    except NanopilotError:
        usual = {}
    return {
        name: value
        for name, value in settings.items()
        if name not in _OWN and (name not in usual or usual[name] != value)
    }


def _arguments(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in values.items())
