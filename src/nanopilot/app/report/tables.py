"""Tables of the report: the best sites, what happened, and what is needed to do it again."""

from __future__ import annotations

from html import escape

import numpy as np

from nanopilot.app.report.data import Measured, ReportData
from nanopilot.app.report.numbers import duration, number, real
from nanopilot.app.report.scales import in_brackets

#: Features of a loop that get a column where they are known, with name and unit.
_FEATURES = {"coercive_bias": "coercive bias (V)", "imprint": "imprint (V)", "spikes": "spikes"}


def best_table(data: ReportData) -> str:
    """Return the best sites as a table."""
    if not data.best:
        return "<p class='missing'>No site has given a usable reward yet.</p>"
    reward = escape(data.goal.words + in_brackets(data.scale.unit))
    known = {
        name: title
        for name, title in _FEATURES.items()
        if any(np.isfinite(one.features.get(name, np.nan)) for one in data.best)
    }
    titles = [
        "",
        reward,
        "predicted before",
        *(f"{axis}{in_brackets(data.lengths.unit)}" for axis in "xy"),
        "step",
        *known.values(),
        "time",
    ]
    head = "".join(f"<th scope='col'>{title}</th>" for title in titles)
    rows = "".join(
        _best_row(rank, one, data, tuple(known)) for rank, one in enumerate(data.best, 1)
    )
    return _table(f"<tr>{head}</tr>", rows)


def _best_row(rank: int, one: Measured, data: ReportData, features: tuple[str, ...]) -> str:
    action, unit = one.action, data.scale.factor
    before = "survey" if one.survey else "not predicted"
    if action.expected is not None and action.uncertainty is not None:
        before = f"{number(action.expected / unit, 3)} ± {number(action.uncertainty / unit, 2)}"
    cells = [
        str(rank), number(one.reward / unit, 4), before, *data.place(one),
        str(one.step), *(_plain(one.features.get(name)) for name in features),
        duration(one.time),
    ]  # fmt: skip
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def incidents_table(data: ReportData) -> str:
    """Return a section on what was out of the ordinary; nothing where nothing was."""
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
    title = "<h2>Out of the ordinary</h2>"
    return f"<section>{title}{_table(head, rows)}{more}</section>"


def _table(head: str, rows: str) -> str:
    table = f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"
    return f"<div class='scroll'>{table}</div>"


def _plain(value: object) -> str:
    known = real(value)
    return number(known) if np.isfinite(known) else "–"
