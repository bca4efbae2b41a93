"""Tables of the report: the best sites, what happened, and what is needed to do it again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

import numpy as np

from nanopilot.app.report.data import Measured, ReportData
from nanopilot.app.report.numbers import duration, number, pretty, real

#: Features of a loop that get a column where they are known, with name and unit.
_FEATURES = {"coercive_bias": "coercive bias (V)", "imprint": "imprint (V)"}


def best_table(data: ReportData) -> str:
    """Return the best sites as a table."""
    if not data.best:
        return "<p class='missing'>No site has given a usable reward yet.</p>"
    reward = escape(data.goal.words + (f" ({pretty(data.goal.unit)})" if pretty(data.goal.unit) else ""))
    known = {
        name: title
        for name, title in _FEATURES.items()
        if any(np.isfinite(one.features.get(name, np.nan)) for one in data.best)
    }
    titles = ["", reward, "predicted before", "x (µm)", "y (µm)", "step", *known.values(), "time"]
    head = "".join(f"<th scope='col'>{title}</th>" for title in titles)
    rows = "".join(_best_row(rank, one, tuple(known)) for rank, one in enumerate(data.best, 1))
    return f"<div class='scroll'><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"


def _best_row(rank: int, one: Measured, features: tuple[str, ...]) -> str:
    action = one.action
    before = "survey" if one.survey else "not predicted"
    if action.expected is not None and action.uncertainty is not None:
        before = f"{number(action.expected, 3)} ± {number(action.uncertainty, 2)}"
    x, y = action.position
    cells = [
        str(rank), number(one.reward, 4), before, f"{1e6 * x:.3f}", f"{1e6 * y:.3f}",
        str(one.step + 1), *(_plain(one.features.get(name)) for name in features),
        duration(one.time),
    ]  # fmt: skip
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def incidents_table(data: ReportData) -> str:
    """Return what was out of the ordinary as a table; nothing where nothing was."""
    if not data.incidents:
        return ""
    rows = "".join(
        f"<tr><td>{escape(duration(one.time))}</td><td>{escape(one.kind)}</td>"
        f"<td class='text'>{escape(one.text)}</td></tr>"
        for one in data.incidents[:50]
    )
    left = len(data.incidents) - 50
    more = f"<p>and {left} more in the journal</p>" if left > 0 else ""
    head = "<tr><th>time</th><th>what</th><th class='text'>said</th></tr>"
    return f"<div class='scroll'><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>{more}"


def facts_table(data: ReportData) -> str:
    """Return settings, instrument, model and versions as lists of names and values."""
    record = data.record
    instrument = dict(data.plan.instrument) if data.plan else {}
    connected = {f"connected as {name}": value for name, value in record.instrument.items()}
    model = {name: real(value) for name, value in (data.summary.get("model") or {}).items()}
    journal: dict[str, Any] = {}
    if data.head is not None:
        journal = {"rows": data.head[0], "hash of the last row (SHA-256)": data.head[1]}
    groups: dict[str, Mapping[str, Any]] = {
        "Settings": record.settings,
        "Instrument": instrument | connected,
        "Model, as learned": model,
        "Versions": record.versions,
        "Journal, when this was written": journal,
    }
    return "".join(_group(title, facts) for title, facts in groups.items() if facts)


def _group(title: str, facts: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<dt>{escape(name.replace('_', ' '))}</dt><dd>{escape(_said(value))}</dd>"
        for name, value in facts.items()
        if value not in ("", None, {}, [])
    )
    return f"<div class='facts'><h3>{escape(title)}</h3><dl>{rows}</dl></div>"


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(value, 4)
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_said(inner)}" for name, inner in value.items())
    if isinstance(value, Iterable) and not isinstance(value, str):
        return ", ".join(_said(inner) for inner in value)
    return value if isinstance(value, str) else json.dumps(value)


def _plain(value: object) -> str:
    known = real(value)
    return number(known, 3) if np.isfinite(known) else "–"
