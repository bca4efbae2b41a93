"""What is needed to do a run again, as lists of names and values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from pydantic import ValidationError

from nanopilot.app.report.data import ReportData
from nanopilot.app.report.numbers import number, real
from nanopilot.app.report.scales import with_unit
from nanopilot.core.capabilities import InstrumentDescription


def facts_lists(data: ReportData) -> str:
    """Return settings, instrument, model, versions and journal as HTML lists."""
    record = data.record
    learned = {name: real(value) for name, value in (data.summary.get("model") or {}).items()}
    journal: dict[str, Any] = {}
    if data.head is not None:
        journal = {"rows": data.head[0], "hash of the last row": data.head[1]}
    groups: dict[str, Mapping[str, Any]] = {
        "Settings": record.settings,
        "Instrument": _connected(record.instrument) | _described(data),
        "Model, as learned": {name: number(value) for name, value in learned.items()},
        "Versions": record.versions,
        "Journal, when this was written": journal,
    }
    return "".join(_list(title, facts) for title, facts in groups.items() if facts)


def _connected(source: Mapping[str, Any]) -> dict[str, Any]:
    options = source.get("options") or {}
    return {"connected as": source.get("instrument")} | dict(options)


def _described(data: ReportData) -> dict[str, Any]:
    """Return the description of the instrument with units; as it stands where it is another's."""
    raw = dict(data.plan.instrument) if data.plan else {}
    try:
        known = InstrumentDescription.model_validate(raw)
    except ValidationError:
        return raw
    (left, right), (bottom, top) = known.area.x, known.area.y
    facts = {
        "name": known.name,
        "kind": known.kind,
        "capabilities": known.capabilities,
        "area": f"x {with_unit(left, 'm')} to {with_unit(right, 'm')}, "
        f"y {with_unit(bottom, 'm')} to {with_unit(top, 'm')}",
        "grid": f"{known.grid[0]} rows, {known.grid[1]} columns",
        "frame channels": known.scan_channels,
        "spectrum channels": known.spectrum_channels,
        "directions": known.directions,
    }
    if known.sweep is not None:
        low, high = with_unit(known.sweep.low, "V"), with_unit(known.sweep.high, "V")
        facts["sweep"] = f"{low} to {high}, {known.sweep.points} points"
    return facts | dict(known.state)


def _list(title: str, facts: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<dt>{escape(name.replace('_', ' '))}</dt><dd>{escape(said(value))}</dd>"
        for name, value in facts.items()
        if value not in ("", None, {}, [], ())
    )
    return f"<div class='facts'><h3>{escape(title)}</h3><dl>{rows}</dl></div>"


def said(value: Any) -> str:
    """Return a value out of a record as a person would write it.

    Examples
    --------
    >>> said(True), said(-0.1), said({"beta": 2.0}), said(["x", 1])
    ('yes', '−0.1', 'beta: 2', 'x, 1')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}".replace("-", "−")
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {said(inner)}" for name, inner in value.items())
    if isinstance(value, Iterable) and not isinstance(value, str):
        return ", ".join(said(inner) for inner in value)
    return value if isinstance(value, str) else json.dumps(value)
